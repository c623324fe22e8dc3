package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// faults are what an append can meet without being stored.
var faults = map[string]commandtest.Fault{"refused": commandtest.Fails, "lost": commandtest.LosesThenSilent}

func always(f commandtest.Fault) func(events.Stream, []events.Event) commandtest.Fault {
	return func(events.Stream, []events.Event) commandtest.Fault { return f }
}

func (a answer) wantsRetry(t *testing.T) {
	t.Helper()
	a.wants(t, http.StatusServiceUnavailable, "unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestWithoutALogNothingIsDeniedOrAllowed(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			_, path := r.ready(r.enrol(), "value")
			r.breaks(always(fault))
			before := r.openSessions()
			r.call(r.developer, "GET", "/audit/events", nil).wantsRetry(t)
			r.call(r.other, "POST", path, nil).wantsRetry(t)
			r.call(nobody, "POST", "/sessions", api.SignIn{Email: r.developer.Email, Password: password}).wantsRetry(t)
			r.call(nobody, "POST", "/sessions", api.SignIn{Email: r.developer.Email, Password: "wrong"}).wantsRetry(t)
			if after := r.openSessions(); after != before {
				t.Errorf("%d sessions were left open", after-before)
			}
			r.breaks(nil)
			r.call(r.developer, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
			r.call(r.developer, "POST", path, nil).wants(t, 200, "")
		})
	}
}

func (r *rig) openSessions() (n int) {
	r.t.Helper()
	if err := r.pool.QueryRow(r.t.Context(), "SELECT count(*) FROM private.sessions").Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestACommandThatTheLogKeptSilentAboutIsDoneOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.breaks(always(commandtest.StoresThenSilent))
	r.call(r.developer, "POST", "/requests", wanted, key("k")).wants(t, 201, "")
	r.breaks(nil)
	r.call(r.developer, "POST", "/requests", wanted, key("k")).wants(t, 201, "")
	if n := len(facts[events.RequestSubmitted](r)); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestViewsThatAreBehindSaySo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.call(r.developer, "GET", "/requests", nil, with(api.HeaderNotOlderThan, "-1")).wants(t, 400, "parameter_invalid")
	r.call(r.developer, "GET", "/requests", nil).wants(t, 200, "")
	r.unfollow()
	seq := r.call(r.developer, "POST", "/requests", wanted).wants(t, 201, "").seq()
	if seq == 0 {
		t.Fatal("no sequence")
	}
	got := r.call(r.developer, "GET", "/requests", nil).wants(t, 503, "view_behind")
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestWithoutPostgres(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, path := r.ready(r.enrol(), "value")
	r.cut()
	for range 3 {
		r.call(r.developer, "GET", "/me", nil).wantsRetry(t)
		r.call(r.developer, "POST", path, nil).wantsRetry(t)
		r.call(nobody, "POST", "/sessions", api.SignIn{Email: r.developer.Email, Password: password}).wantsRetry(t)
	}
	if n := len(facts[events.EnvelopeRevealed](r)); n != 0 {
		t.Error("an envelope was burnt")
	}
	r.away.Store(false)
	r.call(r.developer, "POST", path, nil).wants(t, 200, "")
}

// TestAPostgresThatRestarts ends the connections that the pool still holds.
func TestAPostgresThatRestarts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 5 {
		r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
		r.cut()
		r.away.Store(false)
		if got := r.call(r.developer, "GET", "/me", nil); got.StatusCode != 200 {
			got.wantsRetry(t)
		}
	}
}

func TestWithoutMarksNothingIsDone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.marks.down = errors.New("nats: no responders available for request")
	r.call(r.developer, "POST", "/requests", wanted).wantsRetry(t)
	if n := len(facts[events.RequestSubmitted](r)); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestAKMSThatIsAwayBurnsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, path := r.ready(r.enrol(), "value")
	r.keys.down.Store(true)
	r.call(r.developer, "POST", path, nil, key("k")).wantsRetry(t)
	r.keys.down.Store(false)
	if n := len(facts[events.EnvelopeRevealed](r)); n != 0 {
		t.Error("the envelope is used")
	}
	if got := read[api.Revealed](t, r.call(r.developer, "POST", path, nil, key("k"))); r.opened(path, got) != "value" {
		t.Error("another value is revealed")
	}
}

// panics is a custody with a defect.
type panics struct{ web.Custody }

func (panics) Reveal(context.Context, command.Meta, events.RequestID, events.EnvelopeID, string) (custody.Revealed, error) {
	panic("canary-3b")
}

func TestAPanicIsAProblemWithoutDetail(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *web.Config) { cfg.Custody = panics{} })
	path := at(events.RequestOf(events.NewCommandID()), "/envelopes/e_x/reveal")
	for range 2 {
		got := r.call(r.developer, "POST", path, nil).wants(t, 500, "internal")
		if strings.Contains(string(got.body), "canary") || strings.Contains(string(got.body), "goroutine") {
			t.Errorf("the problem tells: %s", got.body)
		}
		if logged := r.logged.String(); strings.Contains(logged, "canary") || !strings.Contains(logged, got.problem.Instance) {
			t.Error("the log has the panic's text, or not the instance")
		}
	}
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
}
