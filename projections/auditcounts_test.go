package projections_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// anyAuditFilter draws filters that narrow to much, little or nothing of what [fill] writes.
func anyAuditFilter(r *rapid.T) projections.AuditFilter {
	f := projections.AuditFilter{
		Actor:      rapid.SampledFrom([]events.Actor{"", "", "system:worker", "user:u_1", "agent:a_1", "user:nobody"}).Draw(r, "actor"),
		TypePrefix: rapid.SampledFrom([]string{"", "", "", "sb.access.", "sb.request.", "sb."}).Draw(r, "type"),
		Outcome:    rapid.SampledFrom([]events.Outcome{"", "", "done", "denied"}).Draw(r, "outcome"),
		Cluster:    rapid.SampledFrom([]events.ClusterID{"", "", "", "demo", "far"}).Draw(r, "cluster"),
		Text:       rapid.SampledFrom([]string{"", "", "", "incident", "u_1", "REQUEST", "nothing like it"}).Draw(r, "text"),
	}
	if rapid.IntRange(0, 3).Draw(r, "secret") == 0 {
		f.Connection, f.Ref = "file", "prod/db/password"
	}
	from := rapid.IntRange(-100, 700).Draw(r, "from")
	f.Since = day.Add(time.Duration(from) * time.Second)
	f.Until = f.Since.Add(time.Duration(rapid.SampledFrom([]int{1, 60, 90, 400, 86_400, 40 * 86_400, 3_570 * 86_400}).Draw(r, "seconds")) * time.Second)
	return f
}

func TestCountsOfTheAuditAreThoseOfItsPages(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 500)
	catchUp(t, db.App, log)
	audit := projections.Audit{Pool: db.App}
	facets := map[projections.AuditFacet]func(projections.AuditEvent) string{
		projections.ByActor:     func(e projections.AuditEvent) string { return string(e.Actor) },
		projections.ByType:      func(e projections.AuditEvent) string { return e.Type },
		projections.ByAggregate: func(e projections.AuditEvent) string { return strings.Split(e.Stream, "/")[0] },
		projections.ByOutcome: func(e projections.AuditEvent) string {
			if slices.Contains(events.TypesOf(events.OutcomeDenied), e.Type) {
				return "denied"
			}
			return "done"
		},
	}
	rapid.Check(t, func(r *rapid.T) {
		filter := anyAuditFilter(r)
		all := walk(t, func(cursor string) (projections.Page[projections.AuditEvent], error) {
			walked := filter
			walked.Cursor, walked.Limit = cursor, projections.MaxLimit
			return audit.List(t.Context(), walked)
		})
		for _, by := range projections.AuditFacets {
			want := map[string]int{}
			for _, e := range all {
				want[facets[by](e)]++
			}
			counts, err := audit.Count(t.Context(), filter, by)
			if err != nil || !counts.Exact || counts.Total != len(all) {
				r.Fatalf("by %s: %d of %d, exact %v, %v", by, counts.Total, len(all), counts.Exact, err)
			}
			got := map[string]int{}
			for i, v := range counts.Values {
				if i > 0 && counts.Values[i-1].N < v.N {
					r.Fatalf("by %s: %v is out of order", by, counts.Values)
				}
				got[v.Value] = v.N
			}
			if diff := cmp.Diff(want, got); diff != "" {
				r.Fatalf("by %s (-want +got):\n%s", by, diff)
			}
		}
		h, err := audit.Histogram(t.Context(), filter)
		if err != nil || !h.Exact || len(h.Buckets) > 120 || h.Buckets[0].At.After(filter.Since) || !h.Buckets[len(h.Buckets)-1].At.Before(filter.Until) {
			r.Fatalf("histogram of %d buckets, %v", len(h.Buckets), err)
		}
		want := slices.Clone(h.Buckets)
		for i := range want {
			want[i].Done, want[i].Denied = 0, 0
		}
		for _, e := range all {
			b := &want[int(e.Time.Sub(h.Buckets[0].At)/h.Width)]
			if facets[projections.ByOutcome](e) == "denied" {
				b.Denied++
			} else {
				b.Done++
			}
		}
		if diff := cmp.Diff(want, h.Buckets); diff != "" {
			r.Fatalf("over time (-want +got):\n%s", diff)
		}
	})
}

func TestBucketsAreRound(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	audit := projections.Audit{Pool: db.App}
	begin := time.Date(2026, 11, 25, 10, 7, 3, 0, time.FixedZone("east", 3600)) // a Wednesday
	for _, tt := range []struct {
		long, width time.Duration
		buckets     int
		first       time.Time
	}{
		{time.Second, time.Minute, 1, begin.Truncate(time.Minute)},
		{119 * time.Minute, time.Minute, 120, begin.Truncate(time.Minute)},
		{2 * time.Hour, 5 * time.Minute, 25, begin.Truncate(5 * time.Minute)},
		{24 * time.Hour, 15 * time.Minute, 97, begin.Truncate(15 * time.Minute)},
		{4 * 24 * time.Hour, time.Hour, 97, time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)},
		{29 * 24 * time.Hour, 6 * time.Hour, 117, time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)},
		{30 * 24 * time.Hour, 24 * time.Hour, 31, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}, // of 6 hours it would be 121
		{90 * 24 * time.Hour, 24 * time.Hour, 91, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)},
		{365 * 24 * time.Hour, 7 * 24 * time.Hour, 53, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}, // a Monday
		{projections.MaxHistogram, 30 * 24 * time.Hour, 120, time.Time{}},
	} {
		h, err := audit.Histogram(t.Context(), projections.AuditFilter{Since: begin, Until: begin.Add(tt.long)})
		if err != nil || h.Width != tt.width || len(h.Buckets) != tt.buckets || !tt.first.IsZero() && !h.Buckets[0].At.Equal(tt.first) {
			t.Errorf("%v: %d of %v from %v on, %v", tt.long, len(h.Buckets), h.Width, h.Buckets[0].At, err)
		}
	}
	for _, until := range []time.Time{begin, begin.Add(-time.Hour), begin.Add(projections.MaxHistogram + 1)} {
		if _, err := audit.Histogram(t.Context(), projections.AuditFilter{Since: begin, Until: until}); !errors.Is(err, projections.ErrHistogram) {
			t.Errorf("until %v: %v", until, err)
		}
	}
}
