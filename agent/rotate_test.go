package agent_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// life is of a key in these tests: a rotation each half hour.
const life = time.Hour

func shortLived(c *agent.Config) { c.KeyLife = life }

func TestKeysAreRotatedAtHalfLifeAndDestroyedWhenNobodyNeedsThem(t *testing.T) {
	bubble(t, shortLived, func(t *testing.T, r *rig) {
		first := r.box
		r.settle(life/2 - time.Second)
		if r.count(events.ServiceRotate) != 0 {
			t.Error("rotated before half of the life was over")
		}
		r.set(func() { r.needed = []string{first.ID()} })
		r.settle(10 * time.Minute)
		key, since := r.ring.Current()
		if r.count(events.ServiceRotate) != 1 || key.Public() != r.box || key.Public() == first || time.Since(since) > 10*time.Minute {
			t.Fatalf("after half of the life %d rotations\n%s", r.count(events.ServiceRotate), r.log)
		}
		if _, here := r.ring.Find(first.ID()); !here || r.count(events.ServiceRetire) == 0 {
			t.Error("a key that is needed was destroyed")
		}
		r.set(func() { r.needed = nil })
		r.settle(10 * time.Minute)
		if _, here := r.ring.Find(first.ID()); here {
			t.Error("a key that nobody needs is kept")
		}
		r.settle(life)
		if r.count(events.ServiceRotate) != 3 || r.agent.Status().KeySuite != "xwing" {
			t.Errorf("%d rotations in two lives", r.count(events.ServiceRotate))
		}
	})
}

func TestALostRotationIsAskedForAgainWithTheSameKey(t *testing.T) {
	for name, f := range map[string]fault{
		"the question is lost": {before: true}, "the answer is lost": {after: true},
		"the control plane cannot now": {reply: &events.ServiceError{Code: "unavailable", Retry: true}},
		"too soon":                     {reply: &events.ServiceError{Code: "rotated_already"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shortLived, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1")
				r.onCall(func(s events.Service, n int) fault {
					if s == events.ServiceRotate && n <= 3 {
						return f
					}
					return fault{}
				})
				r.settle(life/2 + time.Second)
				// Now the two may disagree about the key of the moment; jobs are done.
				q := r.approve("a")
				r.settle(time.Second)
				r.want(t, q, "executed", "done")
				r.settle(5 * time.Minute)
				if key, _ := r.ring.Current(); key.Public() != r.box || r.ring.made != 1 || len(r.had) != 1 {
					t.Errorf("%d keys were made, %d were replaced\n%s", r.ring.made, len(r.had), r.log)
				}
			})
		})
	}
}

func TestAKeyThatIsNotOnDiskIsNotAskedFor(t *testing.T) {
	bubble(t, shortLived, func(t *testing.T, r *rig) {
		failures := map[string]int{"next": 2, "taken": 2}
		r.ring.fault = func(step string) error {
			if failures[step]--; failures[step] >= 0 {
				return errors.New("disk full")
			}
			return nil
		}
		r.put(t, "a", "k", "1")
		r.settle(life/2 + time.Second)
		if r.count(events.ServiceRotate) != 0 {
			t.Error("asked with a key that is not on disk")
		}
		q := r.approve("a")
		r.settle(10 * time.Minute)
		r.want(t, q, "executed", "done")
		if key, _ := r.ring.Current(); key.Public() != r.box || r.ring.made != 1 {
			t.Errorf("%d keys were made\n%s", r.ring.made, r.log)
		}
	})
}

// The key changes at the worst moment: the data key was sealed to the old one, and is
// opened, or handed back, after the new one counts.
func TestNoJobFailsBecauseOfARotation(t *testing.T) {
	for _, moment := range []events.Service{events.ServiceStart, events.ServiceDataKey, events.ServiceHandOver, events.ServiceComplete} {
		t.Run("before "+string(moment), func(t *testing.T) {
			bubble(t, shortLived, func(t *testing.T, r *rig) {
				r.put(t, "a", "one", "1", "two", "2", "three", "3")
				first := r.box
				rotations := 0
				r.onReadyToRotate(t, moment, &rotations)
				q := r.approve("a")
				r.settle(time.Minute)
				r.want(t, q, "executed", "done")
				if rotations == 0 || r.box == first || len(q.values) != 3 {
					t.Errorf("%d rotations, %d values\n%s", rotations, len(q.values), r.log)
				}
			})
		})
	}
}

// onReadyToRotate makes the control plane take another key of the agent before each
// call of a service: as an agent's rotation does whose answer is still on its way.
func (r *rig) onReadyToRotate(t *testing.T, moment events.Service, rotations *int) {
	r.onCall(func(s events.Service, _ int) fault {
		if s == moment {
			next, err := r.ring.Next(seal.XWing)
			if err != nil {
				t.Error(err)
			}
			r.had, r.box = append(r.had, r.box), next
			if err := r.ring.Taken(next.ID()); err != nil {
				t.Error(err)
			}
			*rotations++
		}
		return fault{}
	})
}

func TestAKeyThatTheAgentDoesNotHaveFailsTheJobByName(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		stranger, err := seal.GenerateRecipientKey(seal.X25519)
		if err != nil {
			t.Fatal(err)
		}
		r.set(func() { r.box = stranger.Public() })
		q := r.approve("a")
		r.settle(time.Second)
		r.want(t, q, "failed", "done")
		if !strings.Contains(r.log.String(), "a key that this agent does not have") {
			t.Errorf("the log does not say why:\n%s", r.log)
		}
	})
}

// withSuite gives the agent a key of a suite.
func withSuite(t *testing.T, s seal.Suite) seal.RecipientKey {
	t.Helper()
	key, err := seal.GenerateRecipientKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheSuiteMovesUpAndNeverDownUnlessItMust(t *testing.T) {
	for name, tt := range map[string]struct {
		has    seal.Suite
		takes  []string
		atOnce bool
		want   seal.Suite
	}{
		"up at the next rotation":           {seal.X25519, []string{"xwing", "x25519"}, false, seal.XWing},
		"up at once, where it must":         {seal.X25519, []string{"xwing"}, true, seal.XWing},
		"not down by preference":            {seal.XWing, []string{"x25519", "xwing"}, false, seal.XWing},
		"down where X-Wing is not taken":    {seal.XWing, []string{"x25519"}, true, seal.X25519},
		"past a suite that nobody knows":    {seal.X25519, []string{"kyber-9000", "xwing"}, true, seal.XWing},
		"the weaker is preferred, and had":  {seal.X25519, []string{"x25519", "xwing"}, false, seal.X25519},
		"nothing known is listed: it stays": {seal.XWing, []string{"kyber-9000"}, false, seal.XWing},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shortLived, func(t *testing.T, r *rig) {
				key := withSuite(t, tt.has)
				r.ring.mu.Lock()
				r.ring.keys = []seal.RecipientKey{key}
				r.ring.mu.Unlock()
				r.set(func() { r.box, r.suites = key.Public(), tt.takes })
				r.settle(life / 4) // no wait is shorter than a heartbeat
				if rotated := r.count(events.ServiceRotate) > 0; rotated != tt.atOnce {
					t.Errorf("rotated before it was time: %t\n%s", rotated, r.log)
				}
				r.settle(life / 2)
				current, _ := r.ring.Current()
				if current.Public().Suite() != tt.want {
					t.Errorf("the suite is %s, want %s\n%s", current.Public().Suite(), tt.want, r.log)
				}
				synctest.Wait()
			})
		})
	}
}
