package agent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
)

func TestAskedKeysAreHandedOverAndNoOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "prod/db", "user", "app", "password", "p&<w>", "port", "5432")
		one := r.approve("prod/db", "password")
		two := r.approve("prod/db", "user", "port")
		all := r.approve("prod/db")
		r.settle(time.Second)
		for name, c := range map[string]struct {
			got  *request
			want map[string]string
		}{
			"one key":  {one, map[string]string{"password": canary + "p&<w>"}},
			"two keys": {two, map[string]string{"user": canary + "app", "port": canary + "5432"}},
			"all keys": {all, map[string]string{"user": canary + "app", "password": canary + "p&<w>", "port": canary + "5432"}},
		} {
			r.want(t, c.got, "executed", "done")
			if diff := cmp.Diff(c.want, c.got.values); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			if c.got.version != "1" {
				t.Errorf("%s: provider version %q", name, c.got.version)
			}
		}
	})
}

func TestValuesOfOtherKindsAreTheirJSON(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.putBundle(t, "a", agent.Bundle{Entries: map[string]agent.Entry{
			"n": {Kind: agent.KindNumber, Value: secret.New([]byte("1e400"))},
			"o": {Kind: agent.KindObject, Value: secret.New([]byte(`{"a":[1,null]}`))},
			"s": agent.Text(nil),
		}})
		q := r.approve("a")
		r.settle(time.Second)
		r.want(t, q, "executed", "done")
		if diff := cmp.Diff(map[string]string{"n": "1e400", "o": `{"a":[1,null]}`, "s": ""}, q.values); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
	})
}

func TestAJobThatCannotBeDoneFailsWithItsCode(t *testing.T) {
	answer := func(err error) func(*rig) {
		return func(r *rig) {
			r.onRead(func(providertest.Call) providertest.Fault {
				return providertest.Fault{Err: err}
			})
		}
	}
	many := func(r *rig) {
		b := agent.Bundle{Entries: map[string]agent.Entry{}}
		for i := range 65 {
			b.Entries[fmt.Sprint("k", i)] = agent.Text([]byte(canary))
		}
		r.putBundle(r.t, "many", b)
	}
	for name, c := range map[string]struct {
		prepare func(*rig)
		ticket  func(*events.Ticket)
		want    events.FailureCode
	}{
		"no such secret":              {nil, func(t *events.Ticket) { t.Ref = "nowhere" }, events.FailureSecretNotFound},
		"no such key":                 {nil, func(t *events.Ticket) { t.Keys = []string{"a", "nokey"} }, events.FailureKeyNotFound},
		"a ref that is none":          {nil, func(t *events.Ticket) { t.Ref = "a/../b" }, events.FailureInvalidRef},
		"a connection that is not":    {nil, func(t *events.Ticket) { t.Connection = "other" }, events.FailureUnknownConnection},
		"another kind of connection":  {nil, func(t *events.Ticket) { t.Provider = events.ProviderVault }, events.FailureUnknownConnection},
		"outside the allow-list":      {func(r *rig) { r.memory.Allow, _ = agent.ParseAllowList("b") }, nil, events.FailureOutsideAllowList},
		"forbidden":                   {answer(agent.ErrForbidden), nil, events.FailureForbidden},
		"not a bundle":                {answer(agent.ErrNotBundle), nil, events.FailureNotABundle},
		"too large":                   {answer(agent.ErrTooLarge), nil, events.FailureTooLarge},
		"no sign-in":                  {answer(agent.ErrSignIn), nil, events.FailureSignIn},
		"damaged":                     {answer(agent.ErrCorrupt), nil, events.FailureInternal},
		"an error that says nothing":  {answer(errors.New("?")), nil, events.FailureInternal},
		"an empty bundle":             {func(r *rig) { r.putBundle(r.t, "empty", agent.Bundle{}) }, func(t *events.Ticket) { t.Ref = "empty" }, events.FailureNotABundle},
		"more keys than go":           {many, func(t *events.Ticket) { t.Ref = "many" }, events.FailureTooLarge},
		"a provider that panics":      {func(r *rig) { r.onRead(panicOn) }, nil, events.FailureInternal},
		"a data key of somebody else": {func(r *rig) { other, _ := seal.GenerateSigningKey(); r.sealBy = &other }, nil, events.FailureTicketRefused},
		"a data key for other bytes":  {func(r *rig) { r.tamper = func(g *events.DataKeyGrant) { g.Expires = g.Expires.Add(time.Second) } }, nil, events.FailureInternal},
		"a data key that was changed": {func(r *rig) { r.tamper = func(g *events.DataKeyGrant) { g.Sealed[len(g.Sealed)-100] ^= 1 } }, nil, events.FailureTicketRefused},
		"a data key of nothing":       {func(r *rig) { r.tamper = func(g *events.DataKeyGrant) { g.Sealed = nil } }, nil, events.FailureInternal},
		"another envelope's key": {func(r *rig) {
			r.tamper = func(g *events.DataKeyGrant) { g.Envelope = events.EnvelopeOf("j_x", 1, "a") }
		}, nil, events.FailureInternal},
		"a key that nobody can name": {func(r *rig) {
			r.onCall(func(s events.Service, _ int) fault {
				if s == events.ServiceDataKey {
					return fault{reply: &events.ServiceError{Code: "keys_invalid"}}
				}
				return fault{}
			})
		}, nil, events.FailureNotABundle},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.settle(time.Millisecond)
				r.put(t, "a", "a", "1", "b", "2")
				if c.prepare != nil {
					c.prepare(r)
				}
				q := r.approveWith(func(ticket *events.Ticket) {
					ticket.Ref = "a"
					if c.ticket != nil {
						c.ticket(ticket)
					}
				})
				r.settle(30 * time.Second)
				r.want(t, q, "failed", "done")
				if q.code != c.want || len(q.boxes) != 0 {
					t.Errorf("code %s with %d boxes, want %s and none\n%s", q.code, len(q.boxes), c.want, r.log)
				}
			})
		})
	}
}

func panicOn(providertest.Call) providertest.Fault { panic("a defect that quotes " + canary) }

func TestAShortOutageOfAProviderIsSurvivedWithinTheAttempt(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(func(c providertest.Call) providertest.Fault {
			if c.N < 3 {
				return providertest.Fault{Err: agent.ErrUnavailable}
			}
			return providertest.Fault{}
		})
		q := r.approve("a")
		r.settle(9 * time.Second)
		r.want(t, q, "executed", "done")
		if q.attempt != 1 {
			t.Errorf("attempt %d", q.attempt)
		}
	})
}

func TestALongerOutageOfAProviderIsSurvivedByLaterAttempts(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		back := time.Now().Add(time.Minute)
		r.onRead(func(c providertest.Call) providertest.Fault {
			if time.Now().Before(back) {
				return providertest.Fault{Err: agent.ErrUnavailable}
			}
			return providertest.Fault{}
		})
		q := r.approve("a")
		r.settle(3 * time.Minute)
		r.want(t, q, "executed", "done")
		if q.attempt < 3 {
			t.Errorf("attempt %d, want a slot to be free while the provider is away", q.attempt)
		}
	})
}

func TestAnOutageWithoutEndFailsBeforeTheDeadLetter(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		block := make(chan struct{}) // never closed: the deadline of each try ends it
		r.put(t, "a", "k", "1")
		r.onRead(func(providertest.Call) providertest.Fault {
			return providertest.Fault{Block: block}
		})
		q := r.approve("a")
		r.settle(10 * time.Minute)
		r.want(t, q, "failed", "done")
		if q.code != events.FailureProviderUnavailable || len(r.deliveries) != 4 {
			t.Errorf("code %s after %d deliveries, want 4 of the 5 there are", q.code, len(r.deliveries))
		}
	})
}

func TestAnOutageNearTheEndOfTheTicketFailsAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(func(providertest.Call) providertest.Fault {
			return providertest.Fault{Err: agent.ErrUnavailable}
		})
		q := r.approveWith(func(ticket *events.Ticket) { ticket.Ref, ticket.Until = "a", time.Now().Add(15*time.Second) })
		r.settle(14 * time.Second)
		r.want(t, q, "failed", "done")
		if q.code != events.FailureProviderUnavailable {
			t.Errorf("code %s", q.code)
		}
	})
}

// keeper is a provider that remembers what it gave away.
type keeper struct {
	*providertest.Memory

	mu    sync.Mutex // guards what follows
	given []agent.Bundle
}

func (k *keeper) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	b, err := k.Memory.Read(ctx, ref)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.given = append(k.given, b)
	return b, err
}

func TestEveryValueIsZeroedAlsoAfterAFailure(t *testing.T) {
	k := &keeper{Memory: providertest.NewMemory()}
	change := func(cfg *agent.Config) {
		cfg.Connections = agent.NewConnections(map[events.ConnectionID]agent.Connection{
			connection: {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return k, nil }},
		}, cfg.Logger)
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		r.memory = k.Memory
		r.put(t, "a", "k", "1", "l", "2")
		r.approve("a", "k")
		r.settle(time.Second)
		r.approve("a", "k", "none")
		r.settle(time.Second)
		r.set(func() { other, _ := seal.GenerateSigningKey(); r.sealBy = &other })
		r.approve("a")
		r.settle(time.Second)
		if len(k.given) != 3 {
			t.Fatalf("%d reads", len(k.given))
		}
		for i, b := range k.given {
			for key, entry := range b.Entries {
				for _, c := range entry.Value.Expose() {
					if c != 0 {
						t.Fatalf("read %d: key %q is not zeroed", i, key)
					}
				}
			}
		}
	})
}
