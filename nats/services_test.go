package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/events"
)

func TestServicesBoundAndAnswer(t *testing.T) {
	n := newNetwork(t, 0)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	services(t, n, func(_ context.Context, _ string, service events.Service, request []byte) []byte {
		switch service {
		case events.ServiceStart:
			<-hold
		case events.ServiceDataKey:
			return make([]byte, 2<<20)
		}
		return request
	})
	busy, other := n.link(t, n.enrol(t, "busy")), n.link(t, n.enrol(t, "other"))
	problem := func(reply []byte, err error) events.ServiceError {
		t.Helper()
		var r events.ServiceReply[struct{}]
		if err != nil || json.Unmarshal(reply, &r) != nil || r.Error == nil {
			t.Fatalf("reply %.80q, %v, want an error", reply, err)
		}
		return *r.Error
	}
	if got := problem(busy.Call(t.Context(), "drop_all", nil)); got.Code != "unknown_service" || got.Retry {
		t.Errorf("unknown verb: %+v", got)
	}
	if got := problem(busy.Call(t.Context(), events.ServiceDataKey, nil)); got.Code != "internal" {
		t.Errorf("long answer: %+v", got)
	}
	large := bytes.Repeat([]byte("x"), 900<<10)
	if reply, err := busy.Call(t.Context(), events.ServiceHandOver, large); err != nil || !bytes.Equal(reply, large) {
		t.Errorf("a large value did not come back: %d bytes, %v", len(reply), err)
	}
	if _, err := busy.Call(t.Context(), events.ServiceHandOver, make([]byte, 2<<20)); err == nil || errors.Is(err, agent.ErrLinkDown) {
		t.Errorf("a call above the limit of a message: %v", err)
	}
	var refused, answered int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range perAccount + 8 {
		wg.Go(func() {
			reply, err := busy.Call(t.Context(), events.ServiceStart, []byte("{}"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case string(reply) == "{}":
				answered++
			default:
				if got := problem(reply, err); got.Code != "too_many_calls" || !got.Retry {
					t.Errorf("one call too many: %+v", got)
				}
				if refused++; refused == 8 {
					release()
				}
			}
		})
	}
	// While one agent has all its calls open, another is answered.
	if reply, err := other.Call(t.Context(), events.ServiceHeartbeat, []byte("alive")); err != nil || string(reply) != "alive" {
		t.Errorf("the other agent got %q, %v", reply, err)
	}
	wg.Wait()
	if answered != perAccount || refused != 8 {
		t.Errorf("%d were answered and %d refused", answered, refused)
	}
}
