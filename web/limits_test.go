package web_test

import (
	"net/http"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// TestDenialsHaveAnEnd lets a person try what they may not, again and again: each
// denial is a fact, so beyond sixty in a minute there are no more of either.
func TestDenialsHaveAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	denied := 0
	for ; denied < 200; denied++ {
		if r.call(r.developer, "GET", "/audit/events", nil).StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	if denied < 60 || denied == 200 {
		t.Errorf("%d denials before there were too many", denied)
	}
	if got := len(facts[events.AccessDenied](r)); got != denied {
		t.Errorf("%d denials recorded, want %d", got, denied)
	}
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "") // what they may do goes on
	r.call(r.other, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
	r.clock.Add(time.Minute)
	r.call(r.developer, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
}

// TestOpenRequestsOfOnePersonHaveAnEnd: nobody fills the queues of others.
func TestOpenRequestsOfOnePersonHaveAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *web.Config) { cfg.OpenRequests = 2 })
	ask := api.Submit{Secret: "file/prod/db", Reason: "deploy"}
	key := with(api.HeaderIdempotencyKey, "the-second")
	first := r.submit(r.developer)
	r.show(r.developer, first)
	second := r.call(r.developer, "POST", "/requests", ask, key)
	second.wants(t, 201, "")
	r.call(r.developer, "GET", "/requests", nil, r.newest())
	r.call(r.developer, "POST", "/requests", ask).wants(t, 409, "too_many_open_requests")
	if got := facts[events.AccessDenied](r); len(got) != 1 || len(facts[events.RequestSubmitted](r)) != 2 {
		t.Errorf("%d denials recorded", len(got))
	}
	if again := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", ask, key)); again.ID != read[api.Submitted](t, second).ID {
		t.Errorf("the same submit again made %s", again.ID)
	}
	r.submit(r.other)
	r.call(r.developer, "POST", at(first, "/cancel"), api.Verdict{}).wants(t, 200, "")
	r.call(r.developer, "GET", "/requests", nil, r.newest())
	r.submit(r.developer)
}
