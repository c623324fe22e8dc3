package agent_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// busy is a link whose hand-overs take a second. It counts those under way.
type busy struct {
	agent.Link
	mu        sync.Mutex
	now, most int
}

func (b *busy) Call(ctx context.Context, service events.Service, request []byte) ([]byte, error) {
	if service == events.ServiceHandOver {
		b.mu.Lock()
		b.now++
		b.most = max(b.most, b.now)
		b.mu.Unlock()
		time.Sleep(time.Second)
		defer func() { b.mu.Lock(); b.now--; b.mu.Unlock() }()
	}
	return b.Link.Call(ctx, service, request)
}

func TestValuesAreHandedOverAFewAtATime(t *testing.T) {
	for slots, most := range map[int]int{1: 4, 4: 3, agent.MaxSlots: 1} {
		t.Run(fmt.Sprintf("%d slots", slots), func(t *testing.T) {
			b := &busy{}
			change := func(c *agent.Config) { b.Link, c.Link, c.Slots = c.Link, b, slots }
			bubble(t, change, func(t *testing.T, r *rig) {
				var pairs, keys []string
				for i := range 10 {
					keys = append(keys, fmt.Sprintf("k%02d", 9-i))
					pairs = append(pairs, keys[i], "v")
				}
				r.put(t, "a", pairs...)
				q := r.approve("a", keys...)
				r.settle(15 * time.Second)
				r.want(t, q, "executed", "done")
				if b.most != most {
					t.Errorf("%d hand-overs at a time, want %d", b.most, most)
				}
			})
		})
	}
}

func TestAFaultOfOneValueEndsTheJobOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1", "l", "2", "m", "3", "n", "4", "o", "5")
		r.onCall(func(service events.Service, n int) (f fault) {
			if service == events.ServiceDataKey && slices.Contains([]int{2, 3}, n) {
				f.reply = &events.ServiceError{Code: "job_over", Detail: "refused"}
			}
			return f
		})
		r.approve("a")
		r.settle(time.Minute)
		if how := r.last().how(); how != "done" || r.count(events.ServiceComplete) != 0 || r.count(events.ServiceFail) != 0 {
			t.Errorf("the delivery ended as %q after %d completes and %d fails\n%s", how, r.count(events.ServiceComplete), r.count(events.ServiceFail), r.log)
		}
	})
}
