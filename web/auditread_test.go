package web_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

// audited are the ways in which somebody began to read the record, in order.
func (r *rig) audited(who person) (ways []events.AuditReading) {
	r.t.Helper()
	for _, e := range facts[events.AuditRead](r) {
		if e.Actor == events.UserActor(who.ID) {
			ways = append(ways, e.Fact.(events.AuditRead).Reading)
		}
	}
	return ways
}

func TestWhoReadsTheAuditIsOnRecordOnceInTenMinutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/audit/events?limit=1&actor=user:x", "/audit/events", "/audit/facets?by=actor", "/audit/histogram", "/audit/events?type=sb.access"} {
		r.call(r.admin, "GET", path, nil).wants(t, 200, "")
	}
	if diff := cmp.Diff([]events.AuditReading{events.ReadingEvents, events.ReadingCounts}, r.audited(r.admin)); diff != "" {
		t.Fatalf("ways of reading (-want +got)\n%s", diff)
	}
	first := facts[events.AuditRead](r)[0].Fact.(events.AuditRead)
	if !slices.Equal(first.Filters, []string{"actor", "limit"}) {
		t.Errorf("filters %v", first.Filters)
	}
	r.clock.Add(10*time.Minute - time.Nanosecond)
	r.call(r.admin, "GET", "/audit/events", nil).wants(t, 200, "")
	if n := len(r.audited(r.admin)); n != 2 {
		t.Errorf("%d readings before the end of ten minutes, want 2", n)
	}
	r.clock.Add(time.Nanosecond)
	r.call(r.admin, "GET", "/audit/events", nil).wants(t, 200, "")
	again := r.admin
	again.token = r.session(r.admin.ID)
	r.call(again, "GET", "/audit/events", nil).wants(t, 200, "")
	if n := len(r.audited(r.admin)); n != 4 {
		t.Errorf("%d readings after ten minutes and from another session, want 4", n)
	}
}

func TestReadingTheAuditThatIsRefusedLeavesNoReading(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.call(r.admin, "GET", "/audit/events?cursor=x", nil).wants(t, 400, "cursor_invalid")
	for _, path := range []string{"/audit/facets?by=x", "/audit/histogram?since=x"} {
		r.call(r.admin, "GET", path, nil).wants(t, 400, "parameter_invalid")
	}
	r.call(r.developer, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
	if n := len(facts[events.AuditRead](r)); n != 0 {
		t.Errorf("%d readings", n)
	}
}

func TestWhatCannotBeRecordedIsNotReadOfTheAudit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, fault := range []commandtest.Fault{commandtest.Fails, commandtest.StoresThenSilent} {
		r.breaks(func(events.Stream, []events.Event) commandtest.Fault { return fault })
		for _, path := range []string{"/audit/events", "/audit/facets?by=actor", "/audit/histogram"} {
			r.call(r.admin, "GET", path, nil).wants(t, 503, "unavailable")
			r.call(r.admin, "GET", path, nil).wants(t, 503, "unavailable") // a failure is no reading
		}
	}
	r.breaks(nil)
	r.call(r.admin, "GET", "/audit/events", nil).wants(t, 200, "")
}

func TestManyAtOnceLeaveOneReading(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { r.call(r.admin, "GET", "/audit/histogram", nil) })
	}
	all.Wait()
	if n := len(r.audited(r.admin)); n != 1 {
		t.Errorf("%d readings, want 1", n)
	}
}
