package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/seal"
)

func TestHeartbeatsComeAsTheControlPlaneAsks(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(12 * time.Second))
		r.settle(time.Second)
		r.approve("a")
		r.settle(34 * time.Second)
		want := make([]events.Heartbeat, 4)
		for i := range want {
			want[i] = events.Heartbeat{Version: "test", Connections: []events.ConnectionID{connection}}
		}
		want[1].Running = 1 // at 10 s; the read goes on for its whole deadline
		for i, beat := range r.beats {
			if i > 0 && time.Since(beat.Heard) > 35*time.Second || i == 0 && !beat.Heard.IsZero() {
				t.Errorf("heartbeat %d proves that it heard %s", i, beat.Heard)
			}
		}
		if diff := cmp.Diff(want, r.beats, cmpopts.IgnoreFields(events.Heartbeat{}, "Heard")); diff != "" {
			t.Errorf("heartbeats (-want +got):\n%s", diff)
		}
		if at := r.agent.Status().Heartbeat; time.Since(at) != 5*time.Second {
			t.Errorf("the status says that the last one was at %v", at)
		}
	})
}

func TestHeartbeatsGoOnAfterALoss(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.settle(time.Second)
		before := len(r.beats) // the first was sent at once
		back := time.Now().Add(time.Minute)
		r.onCall(func(s events.Service, _ int) fault {
			return fault{before: s == events.ServiceHeartbeat && time.Now().Before(back)}
		})
		r.settle(time.Minute + 2*time.Second)
		if beats := len(r.beats) - before; before != 1 || beats != 1 {
			t.Errorf("%d heartbeats in the two seconds after the link came back, and %d before it broke", beats, before)
		}
	})
}

func TestCredentialsAreRenewedAtHalfLifeUntilItWorks(t *testing.T) {
	var kept []agent.Credential
	fail := 2
	change := func(c *agent.Config) {
		c.Credential.Expires = c.Credential.Issued.Add(2 * time.Hour)
		c.Renewed = func(_ context.Context, fresh agent.Credential) error {
			if fail--; fail >= 0 {
				return errors.New("disk full")
			}
			kept = append(kept, fresh)
			return nil
		}
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		began := time.Now()
		r.set(func() { r.credential = events.Credentials{UserJWT: "two", Expires: began.Add(4 * time.Hour)} })
		r.onCall(func(s events.Service, n int) fault { return fault{before: s == events.ServiceRenew && n == 1} })
		r.settle(time.Hour - time.Second)
		if r.count(events.ServiceRenew) != 0 {
			t.Error("renewed before half of the life was over")
		}
		r.settle(time.Hour / 2)
		if len(kept) != 1 || kept[0].UserJWT != "two" || !r.agent.Status().CredentialsExpires.Equal(began.Add(4*time.Hour)) {
			t.Fatalf("kept %+v", kept)
		}
		r.set(func() { r.credential.Expires = began.Add(8 * time.Hour) })
		r.settle(2 * time.Hour)
		if len(kept) != 2 || r.count(events.ServiceRenew) != 5 {
			t.Errorf("kept %d after %d calls", len(kept), r.count(events.ServiceRenew))
		}
	})
}

// A control plane whose keys were rotated has agents renew what is by the former ones.
func TestCredentialsAreRenewedWhenTheControlPlaneSaysSo(t *testing.T) {
	kept := 0
	change := func(c *agent.Config) {
		c.Credential.Expires = c.Credential.Issued.Add(12 * time.Hour)
		c.Renewed = func(context.Context, agent.Credential) error { kept++; return nil }
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		r.set(func() { r.credential = events.Credentials{UserJWT: "two", Expires: time.Now().Add(12 * time.Hour)} })
		r.settle(time.Minute)
		if kept != 0 {
			t.Fatal("renewed although nobody said so")
		}
		r.set(func() { r.renew = true })
		r.settle(11 * time.Second)
		r.set(func() { r.renew = false })
		r.settle(time.Minute)
		if kept != 1 || r.agent.Status().CredentialsExpires.IsZero() {
			t.Errorf("renewed %d times", kept)
		}
	})
}

func TestCredentialsThatHaveEndedAreNotKept(t *testing.T) {
	change := func(c *agent.Config) {
		c.Credential.Expires = c.Credential.Issued.Add(2 * time.Second)
		c.Renewed = func(context.Context, agent.Credential) error {
			t.Error("kept")
			return nil
		}
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		r.set(func() { r.credential = events.Credentials{UserJWT: "old", Expires: time.Now()} })
		r.settle(time.Minute)
		if !strings.Contains(r.log.String(), "compare the clocks") {
			t.Errorf("the log does not say why:\n%s", r.log)
		}
	})
}

func TestAConnectionThatCannotBeOpenedStopsNoOther(t *testing.T) {
	var opened int
	works := time.Now() // set inside the bubble
	change := func(c *agent.Config) {
		works = time.Now().Add(40 * time.Second)
		inner := c.Connections
		c.Connections = agent.NewConnections(map[events.ConnectionID]agent.Connection{
			connection: {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return inner.Open(connection, events.ProviderFile) }},
			"away": {Kind: events.ProviderFile, Open: func() (agent.Provider, error) {
				opened++
				if time.Now().Before(works) {
					return nil, errors.New("no such directory")
				}
				return inner.Open(connection, events.ProviderFile)
			}},
		}, c.Logger)
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		near := r.approve("a")
		r.settle(time.Second)
		r.want(t, near, "executed", "done")
		status := r.agent.Status().Connections
		if len(status) != 2 || status[0].State != "fails" || !strings.Contains(status[0].Error, "no such directory") || status[1].State != "works" {
			t.Errorf("status %+v", status)
		}
		far := r.approveWith(func(k *events.Ticket) { k.Ref, k.Connection = "a", "away" })
		r.settle(4 * time.Minute)
		r.want(t, far, "executed", "done")
		for _, said := range []string{`msg="a connection does not work" connection=away`, `msg="a connection works" connection=away`} {
			if strings.Count(r.log.String(), said) != 1 {
				t.Errorf("the log does not say once %s:\n%s", said, r.log)
			}
		}
		if opened > 8 {
			t.Errorf("opened %d times in 40 s", opened)
		}
		if status := r.agent.Status().Connections; status[0].State != "works" || status[0].Error != "" {
			t.Errorf("status %+v", status)
		}
	})
}

func TestNewRefusesAnIncompleteConfiguration(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for name, change := range map[string]func(*agent.Config){
			"no link":        func(c *agent.Config) { c.Link = nil },
			"no trust":       func(c *agent.Config) { c.Trust = nil },
			"no trusted key": func(c *agent.Config) { c.Trust = &trust{} },
			"no keys":        func(c *agent.Config) { c.Keys = nil },
			"no signing key": func(c *agent.Config) { c.SignKey = seal.SigningKey{} },
			"no account":     func(c *agent.Config) { c.Account = "" },
			"negative life":  func(c *agent.Config) { c.KeyLife = -1 },
			"too many slots": func(c *agent.Config) { c.Slots = agent.MaxSlots + 1 },
			"negative drain": func(c *agent.Config) { c.Drain = -1 },
			"long version":   func(c *agent.Config) { c.Version = strings.Repeat("v", 65) },
		} {
			cfg := r.agent.Config
			change(&cfg)
			if _, err := agent.New(cfg); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

// TestCallsOfProvidersAreReported to a control plane that takes them, and again where a report was
// lost.
func TestCallsOfProvidersAreReported(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.settle(time.Second)
		r.approve("a")
		r.approve("missing")
		r.settle(15 * time.Second)
		r.mu.Lock()
		for _, beat := range r.beats {
			if len(beat.Calls) != 0 {
				t.Error("calls are reported to a control plane that does not take them")
			}
		}
		r.takes = true
		r.mu.Unlock()
		r.settle(10 * time.Second) // the answer that says so
		lose := true
		r.onCall(func(s events.Service, _ int) fault {
			return fault{before: s == events.ServiceHeartbeat && lose}
		})
		r.settle(12 * time.Second)
		lose = false
		r.settle(20 * time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		total := map[events.CallOutcome]int{}
		for _, beat := range r.beats {
			if !events.ValidCalls(beat.Calls) {
				t.Errorf("a report is %+v", beat.Calls)
			}
			for _, c := range beat.Calls {
				if c.Operation != events.CallRead {
					continue
				}
				if c.Provider != events.ProviderFile {
					t.Errorf("calls of %s are reported", c.Provider)
				}
				for _, n := range c.Took {
					total[c.Outcome] += n
				}
			}
		}
		if diff := cmp.Diff(map[events.CallOutcome]int{events.CallOK: 1, events.CallNotFound: 1}, total); diff != "" {
			t.Errorf("reads that were reported (-want +got)\n%s", diff)
		}
	})
}
