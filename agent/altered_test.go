package agent_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

// A proxy changes one byte of the first answers of one service. The job ends as if they
// had been lost, and nothing that was in them is acted on.
func TestAnAlteredAnswerCountsAsALostOne(t *testing.T) {
	for _, service := range []events.Service{
		events.ServiceStart, events.ServiceDataKey, events.ServiceHandOver, events.ServiceComplete, events.ServiceHeartbeat,
	} {
		for name, alter := range map[string]func([]byte) []byte{
			"a byte of the body":      func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
			"a byte of the signature": func(b []byte) []byte { b[50] ^= 1; return b },
			"the signer":              func(b []byte) []byte { b[5] ^= 1; return b },
			"the version":             func(b []byte) []byte { b[1] ^= 1; return b },
			"cut off":                 func(b []byte) []byte { return b[:20] },
			"bare JSON":               func([]byte) []byte { return []byte(`{"result":{"attempt":7}}`) },
			"a refusal of its own":    func([]byte) []byte { return []byte(`{"error":{"code":"job_over","detail":"","retry":false}}`) },
		} {
			t.Run(string(service)+", "+name, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, r *rig) {
					r.put(t, "a", "k", "1")
					left := 1
					r.set(func() {
						r.onReply = func(s events.Service, reply []byte) []byte {
							if s != service || left == 0 {
								return reply
							}
							left--
							return alter(bytes.Clone(reply))
						}
					})
					q := r.approve("a")
					r.settle(time.Minute)
					r.want(t, q, "executed", "done")
					if q.values["k"] != canary+"1" || left != 0 {
						t.Errorf("the value is %q, and %d answers were not altered", q.values["k"], left)
					}
					if !strings.Contains(r.log.String(), `level=ERROR msg="an answer was altered`) {
						t.Errorf("the log does not say so:\n%s", r.log)
					}
				})
			})
		}
	}
}

// An answer that was recorded is put in the place of another one of the same service.
func TestARecordedAnswerIsRefused(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		recorded := map[events.Service][]byte{}
		replayed := map[events.Service]bool{}
		r.set(func() {
			r.onReply = func(s events.Service, reply []byte) []byte {
				old, ok := recorded[s]
				if !ok {
					recorded[s] = bytes.Clone(reply)
					return reply
				}
				if !replayed[s] {
					replayed[s] = true
					return old
				}
				return reply
			}
		})
		first := r.approve("a")
		r.settle(time.Second)
		second := r.approve("a")
		r.settle(time.Minute)
		r.want(t, first, "executed", "done")
		r.want(t, second, "executed", "done")
		for _, s := range []events.Service{events.ServiceStart, events.ServiceDataKey, events.ServiceHandOver, events.ServiceComplete} {
			if !replayed[s] {
				t.Errorf("no answer of %s was replayed", s)
			}
		}
		if second.attempt != 2 {
			t.Errorf("the second job was done in attempt %d: the recorded lease was believed", second.attempt)
		}
	})
}
