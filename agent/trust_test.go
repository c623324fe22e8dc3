package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// week stands for the overlap of two keys; heartbeats go on meanwhile.
const week = time.Hour

func TestAnAgentFollowsARotationAndOldTicketsRun(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		queued := r.plan(func(k *events.Ticket) { k.Ref = "a"; k.Until = time.Now().Add(week) })
		r.rotateSigner(time.Now().Add(week))
		fresh := r.plan(func(k *events.Ticket) { k.Ref = "a" })
		r.deliver(fresh.signed) // an unknown signer: by a ticket first, or by an answer
		r.settle(time.Second)
		r.want(t, fresh, "executed", "done")
		r.deliver(queued.signed)
		r.settle(time.Second)
		r.want(t, queued, "executed", "done")
		if r.trust.kept != 1 || r.agent.Status().SigningSerial != 2 || r.count(events.ServiceTrust) != 1 {
			t.Errorf("kept %d times after %d questions, serial %d", r.trust.kept, r.count(events.ServiceTrust), r.agent.Status().SigningSerial)
		}
		// After the end in the statement the old key counts no longer.
		late := r.plan(func(k *events.Ticket) { k.Ref = "a"; k.Until = time.Now().Add(2 * week) })
		r.settle(week)
		old := r.deliver(queued.signed)
		r.settle(time.Second)
		if old.how() != "refuse" {
			t.Errorf("a ticket of a key that ended: %q", old.how())
		}
		r.deliver(late.signed)
		r.settle(time.Second)
		r.want(t, late, "executed", "done")
	})
}

func TestAnAgentThatSleptThroughRotationsCatchesUp(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.rotateSigner(time.Now()) // both at once: neither old key counts
		r.rotateSigner(time.Now())
		q := r.approve("a")
		r.settle(time.Minute)
		r.want(t, q, "executed", "done")
		if keys := r.trust.TrustedKeys(); len(keys) != 3 || len(keys.At(time.Now())) != 1 || r.agent.Status().SigningSerial != 3 {
			t.Errorf("trusts %+v", keys)
		}
	})
}

func TestADataKeyByAnUnknownSignerIsLearnt(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onCall(func(s events.Service, n int) fault {
			if s == events.ServiceDataKey && n == 1 { // between the lease and the data key
				fresh := newSigner(t)
				r.chain = append(r.chain, vouch(t, r.signer, events.KeyStatement{Serial: 2, Key: fresh.Public().String(), PreviousUntil: time.Now().Add(week)}))
				r.signer = fresh
			}
			return fault{}
		})
		q := r.approve("a")
		r.settle(time.Minute)
		r.want(t, q, "executed", "done")
		if q.attempt != 1 {
			t.Errorf("it took %d attempts", q.attempt)
		}
	})
}

// Somebody with a key of his own answers in the control plane's place.
func TestAForgedChainIsRefusedAndLogged(t *testing.T) {
	stranger := newSigner(t)
	forge := func(by seal.SigningKey, serial int, key seal.SigningKey) events.SignedKeyStatement {
		return vouch(t, by, events.KeyStatement{Serial: serial, Key: key.Public().String(), PreviousUntil: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)})
	}
	for name, chain := range map[string][]events.SignedKeyStatement{
		"nothing":        nil,
		"by itself":      {forge(stranger, 2, stranger)},
		"a broken chain": {forge(newSigner(t), 2, stranger), forge(stranger, 3, newSigner(t))},
		"no statement":   {{Statement: []byte("{"), Signature: []byte("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1")
				honest := r.signer
				r.set(func() { r.signer, r.chain = stranger, chain })
				d := r.deliver(sign(t, stranger, events.TicketDomain, ticketOf(func(k *events.Ticket) { k.Ref = "a" })))
				r.settle(time.Minute)
				if r.trust.kept != 0 || r.memory.Calls("read") != 0 || r.count(events.ServiceStart) != 0 {
					t.Errorf("believed: kept %d, reads %d", r.trust.kept, r.memory.Calls("read"))
				}
				if !strings.Contains(r.log.String(), "level=ERROR") || d.how() == "done" {
					t.Errorf("ended as %q; the log:\n%s", d.how(), r.log)
				}
				// When he is gone, work goes on.
				r.set(func() { r.signer, r.chain = honest, nil })
				q := r.approve("a")
				r.settle(time.Minute)
				r.set(func() {
					if q.state != "executed" {
						t.Errorf("an honest job is %s", q.state)
					}
				})
			})
		})
	}
}

// The chain is honest, and he who sends it is not in it.
func TestAnHonestChainDoesNotVouchForWhoeverSendsIt(t *testing.T) {
	stranger, next := newSigner(t), newSigner(t)
	fromTheStart := func(c *agent.Config) {
		link := c.Link.(*control)
		link.chain = []events.SignedKeyStatement{vouch(t, link.signer, events.KeyStatement{Serial: 2, Key: next.Public().String(), PreviousUntil: time.Now()})}
		link.signer = stranger
	}
	bubble(t, fromTheStart, func(t *testing.T, r *rig) {
		r.settle(time.Minute)
		if r.trust.kept != 0 || !r.agent.Status().Heartbeat.IsZero() {
			t.Error("the chain was believed from a stranger")
		}
	})
}

func TestATicketWaitsWhileItsSignerCannotBeAskedFor(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.settle(time.Second)
		r.rotateSigner(time.Now().Add(week))
		away := time.Now().Add(30 * time.Second)
		r.onCall(func(events.Service, int) fault { return fault{before: time.Now().Before(away)} })
		q := r.approve("a")
		r.settle(2 * time.Second)
		if how := r.last().how(); how != "later" || r.memory.Calls("read") != 0 {
			t.Errorf("ended as %q", how)
		}
		r.settle(time.Minute)
		r.want(t, q, "executed", "done")
	})
}

func TestKeysThatCannotBeKeptAreNotUsed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.trust.fault = errors.New("disk full")
		r.rotateSigner(time.Now())
		q := r.approve("a")
		r.settle(20 * time.Second)
		r.want(t, q, "approved", "later")
		r.trust.mu.Lock()
		r.trust.fault = nil
		r.trust.mu.Unlock()
		r.settle(time.Minute)
		r.want(t, q, "executed", "done")
	})
}

func TestExtendFollowsOnlyWhatFollows(t *testing.T) {
	keys := make([]seal.SigningKey, 5)
	for i := range keys {
		keys[i] = newSigner(t)
	}
	day := func(n int) time.Time { return time.Date(2027, 1, n, 0, 0, 0, 0, time.UTC) }
	step := func(serial int, until time.Time) events.SignedKeyStatement { // from keys[serial-2] to keys[serial-1]
		return vouch(t, keys[serial-2], events.KeyStatement{Serial: serial, Key: keys[serial-1].Public().String(), PreviousUntil: until})
	}
	pinned := agent.TrustedKeys{{Serial: 1, Key: keys[0].Public()}}
	three, err := pinned.Extend([]events.SignedKeyStatement{step(2, day(9)), step(3, day(5))})
	if err != nil || three.Newest().Serial != 3 || !three[0].Until.Equal(day(5)) || !three[1].Until.Equal(day(5)) || len(pinned) != 1 || !pinned[0].Until.IsZero() {
		t.Fatalf("extend = %+v, %v", three, err)
	}
	if later, err := three.Extend([]events.SignedKeyStatement{step(4, day(20))}); err != nil || !later[0].Until.Equal(day(5)) || !later[2].Until.Equal(day(20)) {
		t.Errorf("an end was moved back: %+v, %v", later, err)
	}
	if same, err := three.Extend([]events.SignedKeyStatement{step(2, day(9)), step(3, day(5))}); err != nil || len(same) != 3 {
		t.Errorf("the same chain again: %v", err)
	}
	flipped := step(4, day(9))
	flipped.Statement = bytes.Replace(flipped.Statement, []byte("2027"), []byte("2937"), 1)
	otherUse := step(4, day(9))
	otherUse.Signature = keys[2].Sign(events.TicketDomain, otherUse.Statement)
	more, _ := json.Marshal(map[string]any{"serial": 4, "key": keys[3].Public().String(), "previous_until": day(9), "scope": "half"})
	for name, chain := range map[string][]events.SignedKeyStatement{
		"a gap":                                  {step(5, day(9))},
		"rollback to the first":                  {vouch(t, keys[2], events.KeyStatement{Serial: 4, Key: keys[0].Public().String(), PreviousUntil: day(9)})},
		"another key of serial 2, by its signer": {vouch(t, keys[0], events.KeyStatement{Serial: 2, Key: keys[4].Public().String(), PreviousUntil: day(9)})},
		"by an old key":                          {vouch(t, keys[1], events.KeyStatement{Serial: 4, Key: keys[3].Public().String(), PreviousUntil: day(9)})},
		"changed after signing":                  {flipped},
		"signed for another use":                 {otherUse},
		"no end":                                 {vouch(t, keys[2], events.KeyStatement{Serial: 4, Key: keys[3].Public().String()})},
		"no key":                                 {vouch(t, keys[2], events.KeyStatement{Serial: 4, PreviousUntil: day(9)})},
		"a field nobody knows":                   {{Statement: more, Signature: keys[2].Sign(events.KeyStatementDomain, more)}},
		"good, and then a forged":                {step(4, day(9)), {Statement: []byte("{}")}},
	} {
		if got, err := three.Extend(chain); !errors.Is(err, agent.ErrChain) || got != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
