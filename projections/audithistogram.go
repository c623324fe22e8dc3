package projections

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// maxBuckets is how many a histogram has at most: so many bars fit on a page.
const maxBuckets = 120

const day = 24 * time.Hour

// bucketWidths are how long a bucket may be: the first is taken of which there are few enough.
var bucketWidths = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, day, 7 * day, 30 * day,
}

// MaxHistogram is how long a histogram may be. One bucket is kept for both ends, which begin and
// end within one.
const MaxHistogram = (maxBuckets - 1) * 30 * day

// ErrHistogram says that a histogram ends before it begins, or that it is too long.
var ErrHistogram = errors.New("a histogram is of at most 3,570 days")

// AuditBucket is how many events there are from a time on, up to the next bucket.
type AuditBucket struct {
	At           time.Time // in UTC; the first may be before Since
	Done, Denied int
}

// AuditHistogram is events over time. If it is not exact only the newest were counted, and the
// buckets before have too few or none.
type AuditHistogram struct {
	Width   time.Duration
	Buckets []AuditBucket // all of them, also empty ones
	Exact   bool
}

// Histogram counts events over the filter's time, from Since to before Until.
// Errors: [ErrHistogram], [ErrShortText].
func (a Audit) Histogram(ctx context.Context, filter AuditFilter) (AuditHistogram, error) {
	width, starts, err := bucketsOf(filter.Since.UTC(), filter.Until.UTC())
	if err != nil {
		return AuditHistogram{}, err
	}
	groups, all, err := a.group(ctx, filter, "width_bucket(e.time, ?::timestamptz[])::text", starts)
	if err != nil {
		return AuditHistogram{}, fmt.Errorf("count the audit over time: %w", err)
	}
	h := AuditHistogram{Width: width, Buckets: make([]AuditBucket, len(starts)), Exact: all.exact}
	for i, at := range starts {
		h.Buckets[i].At = at
	}
	for _, g := range groups {
		i, err := strconv.Atoi(g.value)
		if err != nil || i < 1 || i > len(starts) {
			return AuditHistogram{}, fmt.Errorf("count the audit over time: a bucket %q", g.value)
		}
		h.Buckets[i-1].Done, h.Buckets[i-1].Denied = g.n-g.denied, g.denied
	}
	return h, nil
}

// bucketsOf are where buckets begin: at whole widths since a Monday, so that the same moment is in
// the same bucket whenever it is looked at.
func bucketsOf(since, until time.Time) (width time.Duration, starts []time.Time, err error) {
	if !since.Before(until) || until.Sub(since) > MaxHistogram {
		return 0, nil, ErrHistogram
	}
	for _, width := range bucketWidths {
		if until.Sub(since)/width > maxBuckets {
			continue
		}
		starts = starts[:0]
		for at := since.Truncate(width); at.Before(until) && len(starts) <= maxBuckets; at = at.Add(width) {
			starts = append(starts, at)
		}
		if len(starts) <= maxBuckets {
			return width, starts, nil
		}
	}
	return 0, nil, ErrHistogram
}
