package gateway_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// takes is what package gitops does for a gateway: it notes looks at open watches.
type takes struct {
	mu    sync.Mutex
	over  bool
	metas []command.Meta
	seen  []events.Observation
}

func (k *takes) Take(_ context.Context, meta command.Meta, request events.RequestID, watch int, seen events.Observation) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over || request != req || watch != 1 {
		return command.ErrJobOver
	}
	k.metas, k.seen = append(k.metas, meta), append(k.seen, seen)
	return nil
}

// lookTicket is a look that the control plane asks of cluster "demo" at noon.
func lookTicket(change func(*events.Ticket)) events.Ticket {
	t := events.Ticket{
		Request: req, Job: events.ObservationOf(req, 1), Operation: events.OperationObserve, Cluster: "demo", Connection: "file",
		Provider: events.ProviderFile, Ref: "prod/db", Issued: noon, Until: noon.Add(30 * time.Second),
		Observe: &events.Observe{Watch: events.Watch{Number: 1, Integration: "k8s", Kind: events.IntegrationKubernetes, Cluster: "demo", Target: events.RolloutTarget{Kind: "Namespace", Name: "shop"}}},
	}
	if change != nil {
		change(&t)
	}
	return t
}

func signTicket(t *testing.T, by seal.SigningKey, ticket events.Ticket) events.SignedTicket {
	t.Helper()
	raw, err := json.Marshal(ticket)
	if err != nil {
		t.Fatal(err)
	}
	return events.SignedTicket{Ticket: raw, Signer: by.Public().ID(), Signature: by.Sign(events.TicketDomain, raw)}
}

// observation is one that an honest agent makes.
func observation() events.Observation {
	return events.Observation{
		At: noon, Sync: "Synced", Health: "Healthy", Revision: "main@sha1:4d0c9d2a",
		Secrets: []events.ObservedSecret{{Namespace: "shop", Name: "db", External: "db", Ready: true, Refreshed: noon.Add(-time.Second)}},
		Workloads: []events.ObservedWorkload{{Kind: "Deployment", Namespace: "shop", Name: "api", Use: events.UseEnvironment, Pods: []events.ObservedPod{
			{Name: "api-7d9f-x2x4z", Started: noon.Add(-time.Hour), Ready: true},
		}}},
	}
}

func TestALookThatWasAskedForIsTaken(t *testing.T) {
	r := newRig(t)
	noted := &takes{}
	r.Rollouts = noted
	account := r.enrol(t, "demo").Account
	said := events.ReportObservation{Request: req, Job: events.ObservationOf(req, 1), Watch: 1, Ticket: signTicket(t, r.signer, lookTicket(nil)), Seen: observation()}
	frame := r.frame(t, account, events.ServiceObserved, said)
	for range 2 { // the second is a recording: it is the same command
		if _, refusal := send[events.Done](t, r, account, events.ServiceObserved, frame); refusal != nil {
			t.Fatal(refusal)
		}
	}
	if len(noted.seen) != 2 || noted.metas[0].Command != noted.metas[1].Command || noted.metas[0].Actor == "" {
		t.Fatalf("taken as %+v", noted.metas)
	}
	if diff := cmp.Diff(observation(), noted.seen[0]); diff != "" {
		t.Errorf("what was seen (-want +got):\n%s", diff)
	}
	noted.over = true
	if _, refusal := call[events.Done](t, r, account, events.ServiceObserved, said); refusal == nil || refusal.Code != "job_over" || refusal.Retry {
		t.Errorf("a watch that is over: %v", refusal)
	}
	r.Rollouts = nil
	if _, refusal := call[events.Done](t, r, account, events.ServiceObserved, said); refusal == nil || refusal.Code != "rollouts_not_watched" {
		t.Errorf("a server that watches nothing: %v", refusal)
	}
	if got := r.denials(t); len(got) != 0 {
		t.Errorf("an honest agent was denied %v", got)
	}
}

// An agent that says something about another cluster, or that nobody asked for, changes nothing
// and is on record.
func TestAForeignOrInventedLookHasNoEffect(t *testing.T) {
	stranger, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ticket func(*events.Ticket)
		say    func(*testing.T, *rig, *events.ReportObservation)
		code   string
		quiet  bool // honest agents meet it
	}{
		"a ticket of another cluster": {func(k *events.Ticket) { k.Cluster, k.Observe.Watch.Cluster = "other", "other" }, nil, "job_not_yours", false},
		"a watch of another cluster":  {func(k *events.Ticket) { k.Observe.Watch.Cluster = "other" }, nil, "job_not_yours", false},
		"a ticket that nobody signed": {nil, func(t *testing.T, _ *rig, m *events.ReportObservation) {
			m.Ticket = signTicket(t, stranger, lookTicket(nil))
		}, "look_not_asked", false},
		"a ticket that was changed": {nil, func(_ *testing.T, r *rig, m *events.ReportObservation) {
			m.Ticket.Ticket = []byte(strings.Replace(string(m.Ticket.Ticket), `"shop"`, `"bank"`, 1))
		}, "look_not_asked", false},
		"a ticket signed for another purpose": {nil, func(_ *testing.T, r *rig, m *events.ReportObservation) {
			m.Ticket.Signature = r.signer.Sign("something else", m.Ticket.Ticket)
		}, "look_not_asked", false},
		"no ticket":                        {nil, func(_ *testing.T, _ *rig, m *events.ReportObservation) { m.Ticket = events.SignedTicket{} }, "look_not_asked", false},
		"the ticket of a look at a secret": {func(k *events.Ticket) { k.Operation, k.Observe = events.OperationCompare, nil }, nil, "look_not_asked", false},
		"the ticket of another watch": {nil, func(_ *testing.T, _ *rig, m *events.ReportObservation) {
			m.Watch, m.Job = 2, events.ObservationOf(req, 2)
		}, "look_not_asked", false},
		"the ticket of another request": {nil, func(_ *testing.T, _ *rig, m *events.ReportObservation) {
			m.Request = events.RequestOf(events.NewCommandID())
			m.Job = events.ObservationOf(m.Request, 1)
		}, "look_not_asked", false},
		"a look that took too long": {nil, func(_ *testing.T, r *rig, _ *events.ReportObservation) { r.now = noon.Add(30 * time.Second) }, "job_over", true},
		"a clock that is far off": {nil, func(_ *testing.T, _ *rig, m *events.ReportObservation) {
			m.Seen.At = noon.Add(6 * time.Minute)
		}, "cluster_clock_apart", true},
		"a state that nobody knows": {nil, func(_ *testing.T, _ *rig, m *events.ReportObservation) { m.Seen.Health = "Great" }, "observation_invalid", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			noted := &takes{}
			r.Rollouts = noted
			account := r.enrol(t, "demo").Account
			said := events.ReportObservation{Request: req, Job: events.ObservationOf(req, 1), Watch: 1, Ticket: signTicket(t, r.signer, lookTicket(c.ticket)), Seen: observation()}
			if c.say != nil {
				c.say(t, r, &said)
			}
			_, refusal := call[events.Done](t, r, account, events.ServiceObserved, said)
			if refusal == nil || refusal.Code != c.code || refusal.Retry {
				t.Errorf("answered %v, want %s", refusal, c.code)
			}
			if len(noted.seen) != 0 {
				t.Errorf("taken: %+v", noted.seen)
			}
			want := []string{c.code}
			if c.quiet {
				want = nil
			}
			if got := r.denials(t); !slices.Equal(got, want) {
				t.Errorf("on record are %v, want %v", got, want)
			}
		})
	}
}
