package web_test

import (
	"net/http"
	"testing"
	"time"

	"secretsbridge/events"
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
