package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
)

func TestTheNamesOfKeysAreToldAndNoValue(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "prod/db", "user", "u", "password", "p", "Port", "5")
		s := r.queueJob(events.OperationKeys, ofSecret("prod/db"))
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
		if diff := cmp.Diff([]string{"Port", "password", "user"}, s.result.Keys); diff != "" || s.result.Version != "1" || s.result.Pages != 0 {
			t.Errorf("version %q; keys (-want +got):\n%s", s.result.Version, diff)
		}
	})
}

func TestTheNamesOfKeysAreBounded(t *testing.T) {
	named := func(n, length int) agent.Bundle {
		b := agent.Bundle{Entries: map[string]agent.Entry{}}
		for i := range n {
			name := fmt.Sprintf("%04d", i)
			b.Entries[name+strings.Repeat("n", length-len(name))] = text("v")
		}
		return b
	}
	for name, c := range map[string]struct {
		b    agent.Bundle
		want events.FailureCode
	}{
		"none":               {named(0, 4), ""},
		"as many as go":      {named(1000, 65), ""},
		"one more":           {named(1001, 4), events.FailureTooLarge},
		"as long as they go": {named(64, 1024), ""},
		"longer":             {named(64, 1025), events.FailureTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.putBundle(t, "a", c.b)
				s := r.queueJob(events.OperationKeys, ofSecret("a"))
				r.settle(time.Second)
				state := events.JobStateFinished
				if c.want != "" {
					state = events.JobStateFailed
				}
				r.wantJob(t, s, state, c.want, "done")
				if c.want == "" && len(s.result.Keys) != len(c.b.Entries) {
					t.Errorf("%d names of %d", len(s.result.Keys), len(c.b.Entries))
				}
			})
		})
	}
}

func TestNamesThatCannotBeHadSayWhy(t *testing.T) {
	for name, c := range map[string]struct {
		ref  string
		read hook
		want events.FailureCode
	}{
		"no such secret":         {"nowhere", nil, events.FailureSecretNotFound},
		"no ref":                 {"", nil, events.FailureInvalidRef},
		"a path upwards":         {"a/../b", nil, events.FailureInvalidRef},
		"away":                   {"a", awayFrom(1, func() bool { return false }), events.FailureProviderUnavailable},
		"forbidden":              {"a", func(providertest.Call) providertest.Fault { return providertest.Fault{Err: agent.ErrForbidden} }, events.FailureForbidden},
		"a provider that panics": {"a", panicOn, events.FailureInternal},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1")
				if c.read != nil {
					r.onRead(c.read)
				}
				s := r.queueJob(events.OperationKeys, ofSecret(c.ref))
				r.settle(10 * time.Minute)
				r.wantJob(t, s, events.JobStateFailed, c.want, "done")
			})
		})
	}
}

func TestNoCallAboutNamesIsLostForGood(t *testing.T) {
	for _, service := range []events.Service{events.ServiceTake, events.ServiceFinish, events.ServiceAbandon} {
		for name, f := range map[string]fault{"before": {before: true}, "after": {after: true}} {
			t.Run(string(service)+" "+name, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, r *rig) {
					r.onCall(func(s events.Service, n int) fault {
						if s == service && n <= 3 {
							return f
						}
						return fault{}
					})
					r.put(t, "a", "k", "1")
					s := r.queueJob(events.OperationKeys, ofSecret("a"))
					r.settle(time.Minute)
					r.wantJob(t, s, events.JobStateFinished, "", "done")
					s = r.queueJob(events.OperationKeys, ofSecret("nowhere"))
					r.settle(time.Minute)
					r.wantJob(t, s, events.JobStateFailed, events.FailureSecretNotFound, "done")
				})
			})
		}
	}
}
