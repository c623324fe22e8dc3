package agent_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// lastLook is the newest fact of a comparison, without what names its job.
func (p *patching) lastLook() (c events.PatchCompared) {
	for _, f := range p.facts {
		if found, ok := f.(events.PatchCompared); ok {
			c = found
		}
	}
	c.Job, c.Agent = "", ""
	return c
}

func TestALookSaysWhatAPatchWouldDoAndDoesNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.putBundle(t, "a", agent.Bundle{Entries: map[string]agent.Entry{
			"same": agent.Text([]byte(canary + "s")), "new": agent.Text([]byte(canary + "1")), "gone": agent.Text([]byte(canary)),
			"five": agent.Text([]byte("5")), "number": {Kind: agent.KindNumber, Value: secret.New([]byte("5"))},
			"object": {Kind: agent.KindObject, Value: secret.New([]byte("{ \"a\": 1 }"))},
		}})
		text := func(e edit, value string) edit { e.value = value; return e }
		p := r.propose(nil, "a", set("same", "s"), set("new", "2"), unset("gone"), unset("not there"), set("added", ""),
			setJSON("five", "5"), text(set("number", ""), "5"), setJSON("object", `{"a":1}`))
		r.deliver(p.look)
		r.settle(time.Second)
		r.wantPatch(t, p, events.StatePending, "", "done")
		got := p.lastLook()
		for i, k := range got.Keys {
			if (k.Before == "") != (k.Key == "not there" || k.Key == "added") || len(k.Before) > 64 {
				t.Errorf("key %q: the value there has fingerprint %q", k.Key, k.Before)
			}
			got.Keys[i].Before = ""
		}
		want := events.PatchCompared{Number: 1, Exists: true, Version: "1", Keys: []events.Compared{
			{Key: "same", Effect: events.EffectUnchanged}, {Key: "new", Effect: events.EffectChanged}, {Key: "gone", Effect: events.EffectRemoved},
			{Key: "not there", Effect: events.EffectUnchanged}, {Key: "added", Effect: events.EffectAdded},
			{Key: "five", Effect: events.EffectChanged}, {Key: "number", Effect: events.EffectChanged}, // a text is no number
			{Key: "object", Effect: events.EffectUnchanged}, // white space is no change
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := r.memory.Calls("write"); n != 1 || r.count(events.ServiceFetch) != 0 || r.count(events.ServiceStart) != 0 {
			t.Errorf("%d writes, %d values fetched, %d jobs started", n, r.count(events.ServiceFetch), r.count(events.ServiceStart))
		}
	})
}

func TestALookThatCannotBeSaysWhy(t *testing.T) {
	create := func(s *events.RequestSubmitted) { s.Create = true }
	answer := func(err error) func(*rig) {
		return func(r *rig) {
			r.onRead(func(providertest.Call) providertest.Fault { return providertest.Fault{Err: err} })
		}
	}
	for name, c := range map[string]struct {
		ref     string
		change  func(*events.RequestSubmitted)
		prepare func(*rig)
		want    events.FailureCode
	}{
		"there is none":              {"nowhere", nil, nil, events.FailureSecretNotFound},
		"there is one already":       {"a", create, nil, events.FailureSecretExists},
		"none, and one is to be":     {"nowhere", create, nil, ""},
		"away":                       {"a", nil, answer(agent.ErrUnavailable), events.FailureProviderUnavailable},
		"forbidden":                  {"a", nil, answer(agent.ErrForbidden), events.FailureForbidden},
		"not a bundle":               {"a", nil, answer(agent.ErrNotBundle), events.FailureNotABundle},
		"a provider that panics":     {"a", nil, func(r *rig) { r.onRead(panicOn) }, events.FailureInternal},
		"outside the allow-list":     {"a", nil, func(r *rig) { r.memory.Allow, _ = agent.ParseAllowList("b") }, events.FailureOutsideAllowList},
		"a connection it has not":    {"a", func(s *events.RequestSubmitted) { s.Connection = "other" }, nil, events.FailureUnknownConnection},
		"a path that climbs upwards": {"a/../b", nil, nil, events.FailureInvalidRef},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1")
				if c.prepare != nil {
					c.prepare(r)
				}
				p := r.propose(c.change, c.ref, set("k", "2"))
				r.deliver(p.look)
				r.settle(time.Minute)
				r.wantPatch(t, p, events.StatePending, "", "done")
				if got := p.lastLook(); got.Number != 1 || got.Problem != c.want {
					t.Errorf("look %d says %q, want %q\n%s", got.Number, got.Problem, c.want, r.log)
				}
			})
		})
	}
}

func TestALookThatComesTooLateEndsQuietly(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		p := r.propose(nil, "a", set("k", "2"))
		r.onRead(slow(5 * time.Second))
		r.deliver(p.look)
		r.settle(time.Second)
		r.set(func() { p.take(events.RequestCancelled{}) })
		r.settle(time.Minute)
		r.wantPatch(t, p, events.StateCancelled, "", "done")
		if got := p.lastLook(); got.Number != 0 {
			t.Errorf("it was noted: %+v", got)
		}
	})
}

// TestAChangeBetweenLookAndWrite: what becomes of approvals is the workflow's to say.
func TestAChangeBetweenLookAndWrite(t *testing.T) {
	for _, c := range []struct {
		name      string
		reapprove events.Reapprove
		key       string // that somebody else changes
		voided    bool
	}{
		{"a touched key, and nobody minds", events.ReapproveNever, "k", false},
		{"a touched key", events.ReapproveTouched, "k", true},
		{"another key", events.ReapproveTouched, "l", false},
		{"any key", events.ReapproveAnyChange, "l", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1", "l", "1")
				p := r.propose(func(s *events.RequestSubmitted) { s.Workflow.Reapprove = c.reapprove }, "a", set("k", "2"))
				r.deliver(p.look)
				r.settle(time.Second)
				ref, _ := agent.ParseRef("a")
				b := agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text([]byte(canary + "1")), "l": agent.Text([]byte(canary + "1"))}}
				b.Entries[c.key] = agent.Text([]byte(canary + "theirs"))
				if _, err := r.memory.Write(t.Context(), ref, b, "1"); err != nil {
					t.Fatal(err)
				}
				r.approvePatch(p)
				r.settle(time.Second)
				if c.voided {
					r.wantPatch(t, p, events.StatePending, "", "done")
					if len(p.opened) != 0 || r.memory.Calls("write") != 2 {
						t.Errorf("%d values opened, %d writes", len(p.opened), r.memory.Calls("write"))
					}
					if look := p.lastLook(); look.Number != 2 || look.Version != "2" {
						t.Errorf("the approvers see %+v", look)
					}
					r.approvePatch(p) // of what is there now
					r.settle(time.Second)
				}
				r.wantWritten(t, p, events.PatchWritten, "2", "3")
				got, _ := r.stored(t, "a")
				want := map[string]string{"k": "string " + canary + "2", "l": "string " + canary + "1"}
				if c.key == "l" {
					want["l"] = "string " + canary + "theirs"
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestEachLookLooksAnew(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		p := r.propose(nil, "a", set("k", "2"))
		for i := range 3 {
			r.deliver(p.look)
			r.settle(time.Second)
			if n := r.memory.Calls("read"); n != i+1 {
				t.Errorf("%d reads after %d looks", n, i+1)
			}
		}
		if got := p.lastLook(); got.Number != 1 {
			t.Errorf("nothing changed, and there are %d comparisons", got.Number)
		}
	})
}

func TestALookInHandIsNotDoneTwice(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(5 * time.Second))
		p := r.propose(nil, "a", set("k", "2"))
		r.deliver(p.look)
		r.settle(time.Second)
		r.deliver(p.look)
		r.settle(time.Second)
		if d := r.last(); d.how() != "later" || r.memory.Calls("read") != 1 {
			t.Errorf("the repetition ended as %q after %d reads", d.how(), r.memory.Calls("read"))
		}
	})
}

func TestALookWhoseTimeIsOverFailsNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		p := r.propose(nil, "a", set("k", "2"))
		r.settle(25 * time.Hour) // beyond the ticket
		r.deliver(p.look)
		r.settle(time.Minute)
		r.wantPatch(t, p, events.StatePending, "", "done")
		if r.count(events.ServiceFail) != 0 || r.memory.Calls("read") != 0 {
			t.Errorf("%d jobs failed, %d reads", r.count(events.ServiceFail), r.memory.Calls("read"))
		}
	})
}
