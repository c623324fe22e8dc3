package projections

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"secretsbridge/events"
)

// Stale returns present secrets that were last rotated before filter.OlderThan, those
// longest ago first. Those of which the provider tells no time are in no such list.
// Pages and errors as [Secrets.List].
func (s Secrets) Stale(ctx context.Context, filter SecretFilter) (Page[Secret], error) {
	filter.Status = SecretPresent
	page, err := report(ctx, s, filter, 2, rotationOrder(filter.OlderThan), func(r rotatedSecret) Secret { r.inUTC(); return r.Secret })
	if err != nil {
		return Page[Secret]{}, fmt.Errorf("list stale secrets: %w", err)
	}
	return page, nil
}

// Unowned returns present secrets that are nobody's. Pages and errors as [Secrets.List].
func (s Secrets) Unowned(ctx context.Context, filter SecretFilter) (Page[Secret], error) {
	nobody := ""
	filter.Owner, filter.Status = &nobody, SecretPresent
	return s.List(ctx, filter)
}

// SecretChange is a change of a version that a scan met, with the secret as it is now.
type SecretChange struct {
	Secret
	Kind        ChangeKind   `json:"kind" db:"kind"`
	FromVersion string       `json:"from_version,omitempty" db:"from_version"` // empty: the secret is new
	ToVersion   string       `json:"to_version" db:"to_version"`
	SeenAt      time.Time    `json:"seen_at" db:"seen_at"` // by the scan
	Scan        events.JobID `json:"scan" db:"scan"`
}

// OutOfBand returns changes of versions that no approved request wrote, the newest first.
// The filter is about the secrets. Where a provider lists no versions there is nothing
// to tell a change by. Pages and errors as [Secrets.List].
func (s Secrets) OutOfBand(ctx context.Context, filter SecretFilter) (Page[SecretChange], error) {
	page, err := report(ctx, s, filter, 1, driftOrder, func(c changedSecret) SecretChange {
		c.inUTC()
		utc(&c.SeenAt)
		return c.SecretChange
	})
	if err != nil {
		return Page[SecretChange]{}, fmt.Errorf("list changes out of band: %w", err)
	}
	return page, nil
}

// report is a list in an order of its own.
func report[T walked, R any](ctx context.Context, s Secrets, filter SecretFilter, keys int, w way, result func(T) R) (Page[R], error) {
	after := make([]int64, keys)
	if filter.Cursor != "" {
		var err error
		if after, err = parseCursor(filter.Cursor, keys); err != nil {
			return Page[R]{}, fmt.Errorf("read cursor: %w", err)
		}
	}
	f, err := s.search(ctx, filter)
	if err != nil || f.nothing {
		return Page[R]{Items: []R{}}, err
	}
	found, next, err := walkRanges[T](ctx, s.Pool, f, w, after, limited(filter.Limit))
	if err != nil {
		return Page[R]{}, err
	}
	page := Page[R]{Items: make([]R, len(found))}
	for i, row := range found {
		page.Items[i] = result(row)
	}
	if next != nil {
		numbers := make([]uint64, keys)
		for i, n := range next {
			numbers[i] = uint64(n)
		}
		page.Next = cursor(numbers...)
	}
	return page, nil
}

// rotatedSecret is a row of the walk by rotation.
type rotatedSecret struct {
	Secret
	Rotated int64 `db:"rotated"` // microseconds since the year before the first that JSON can spell
	Place   int64 `db:"place"`
}

func (s rotatedSecret) at() []int64 { return []int64{s.Rotated, s.Place} }

// rotationZero is in microseconds of Unix time. Cursors have no sign.
const rotationZero = -62_198_755_200_000_000

// rotationOrder walks from what was rotated longest ago on. A zero time is no end.
func rotationOrder(before time.Time) way {
	return way{kind: byRotation, key: "w.rotated, w.place", join: "s.place = w.place", sort: "w.rotated_at, w.place", from: func(b *arguments, r placeRange, after []int64, limit int) string {
		where := r.after(b, 0) + " AND status = 'present' AND rotated_at IS NOT NULL"
		if !before.IsZero() {
			where += " AND rotated_at < " + b.add(before)
		}
		if after[0] != 0 {
			where += " AND (rotated_at, place) > (" + b.add(time.UnixMicro(after[0]+rotationZero)) + ", " + b.add(after[1]) + ")"
		}
		return "SELECT place, rotated_at, (extract(epoch FROM rotated_at) * 1000000)::bigint - (" + strconv.FormatInt(rotationZero, 10) + ") AS rotated" +
			" FROM views.secrets WHERE " + where + " ORDER BY rotated_at, place " + limitTo(limit)
	}}
}

// changedSecret is a row of the walk by changes.
type changedSecret struct {
	SecretChange
	Place int64 `db:"place"`
}

func (c changedSecret) at() []int64 { return []int64{c.Place} }

// driftOrder walks from the newest change on.
var driftOrder = way{
	kind: byDrift, key: "w.place", more: ", w.kind, w.from_version, w.to_version, w.seen_at, w.scan",
	join: "s.id = w.secret", sort: "w.place DESC",
	from: func(b *arguments, _ placeRange, after []int64, limit int) string {
		where := "NOT ours"
		if after[0] != 0 {
			where += " AND place < " + b.add(after[0])
		}
		return "SELECT * FROM views.version_changes WHERE " + where + " ORDER BY place DESC " + limitTo(limit)
	},
}
