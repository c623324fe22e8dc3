package gitops_test

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/gitops"
)

const each = 15 * time.Second

var (
	shop = gitops.Mapped{Integration: "argo", Kind: events.IntegrationArgoCD, Mapping: "p_1", Target: events.RolloutTarget{Kind: "Application", Name: "shop"}}
	pay  = gitops.Mapped{Integration: "live", Kind: events.IntegrationKubernetes, Cluster: "live", Mapping: "p_2", Target: events.RolloutTarget{Kind: "Namespace", Name: "pay"}}
)

// rig is a log, and all that a watcher asks, in memory.
type rig struct {
	t        *testing.T
	log      *commandtest.Memory
	requests []events.RequestID
	mapped   []gitops.Mapped
	mu       sync.Mutex
	disabled map[events.IntegrationID]bool
	states   *states
	reader   *reader
	agents   *agents
}

func newRig(t *testing.T, mapped ...gitops.Mapped) *rig {
	return &rig{
		t: t, log: &commandtest.Memory{}, mapped: mapped, disabled: map[events.IntegrationID]bool{}, reader: &reader{}, agents: &agents{},
		states: &states{kept: map[gitops.WatchID]gitops.Kept{}, baselines: map[events.MappingID]gitops.Baseline{}},
	}
}

func (r *rig) watcher() *gitops.Watcher {
	return gitops.New(gitops.Config{
		Log: r.log, Views: r, States: r.states, Readers: map[events.IntegrationKind]gitops.Reader{events.IntegrationArgoCD: r.reader},
		Agents: r.agents, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Each: each, Limit: 30 * time.Minute,
	})
}

// record appends facts of a request as they happen now.
func (r *rig) record(id events.RequestID, facts ...events.Fact) {
	r.t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: time.Now()}
	if _, err := command.Record(r.t.Context(), r.log, events.RequestStream(id), meta, facts...); err != nil {
		r.t.Fatal(err)
	}
}

// approve takes a patch to where an agent may write it, and write to where it did.
func (r *rig) approve(id events.RequestID) {
	r.t.Helper()
	r.requests = append(r.requests, id)
	r.record(id, events.RequestSubmitted{
		Request: id, Requester: "u_1", Operation: events.OperationPatch, Connection: "vault", Cluster: "live", Ref: "secret/db",
		Keys: []string{"k"}, Changes: []events.Change{{Key: "k", Action: events.ChangeUnset}}, PendingUntil: time.Now().Add(time.Hour),
	})
	r.record(id, events.RequestApproved{Job: events.JobOf(id), Until: time.Now().Add(time.Hour)})
}

func (r *rig) write(id events.RequestID) {
	r.t.Helper()
	r.record(id, events.JobStarted{Job: events.JobOf(id), Agent: "a_1", Attempt: 1},
		events.RequestExecuted{Job: events.JobOf(id), Agent: "a_1", Attempt: 1, ProviderVersion: "4", Outcome: events.PatchWritten})
}

// begun writes a patch whose rollout is watched already.
func (r *rig) begun(id events.RequestID) {
	r.t.Helper()
	r.approve(id)
	r.write(id)
	watches := make([]events.Watch, len(r.mapped))
	for i, m := range r.mapped {
		watches[i] = events.Watch{Number: i + 1, Integration: m.Integration, Kind: m.Kind, Cluster: m.Cluster, Mapping: m.Mapping, Target: m.Target}
	}
	r.record(id, events.RolloutBegun{Watches: watches, Version: "4", Written: time.Now().UTC(), Until: time.Now().Add(30 * time.Minute).UTC()})
}

func (r *rig) request(id events.RequestID) command.Request {
	r.t.Helper()
	q, _, err := command.Load[command.Request](context.WithoutCancel(r.t.Context()), r.log, events.RequestStream(id))
	if err != nil {
		r.t.Fatal(err)
	}
	return q
}

// rollout are the facts of a request since its rollout was watched.
func (r *rig) rollout(id events.RequestID) (facts []events.Fact) {
	r.t.Helper()
	history, err := r.log.Load(context.WithoutCancel(r.t.Context()), events.RequestStream(id))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range history {
		for _, e := range c.Events {
			if _, is := e.Fact.(events.RolloutBegun); is || len(facts) > 0 {
				facts = append(facts, e.Fact)
			}
		}
	}
	return facts
}

func (r *rig) WaitFor(context.Context, events.Seq) error { return nil }

func (r *rig) Mapped(context.Context, events.ConnectionID, string, int) ([]gitops.Mapped, int, error) {
	return r.mapped, 0, nil
}

func (r *rig) OpenWatches(context.Context) (open []gitops.OpenWatch, err error) {
	for _, id := range r.requests {
		q := r.request(id)
		if q.Rollout == nil {
			continue
		}
		for _, w := range q.Rollout.Watches {
			if q.Rollout.States[w.Number] == "" {
				open = append(open, gitops.OpenWatch{
					Request: id, Watch: w, Until: q.Rollout.Until, Begun: q.Written, Progress: q.Rollout.Progress[w.Number],
					About: gitops.About{Provider: events.ProviderVault, Ref: q.Submitted.Ref, Version: q.Rollout.Version, Written: q.Rollout.Written},
				})
			}
		}
	}
	return open, nil
}

func (r *rig) Enabled(context.Context) (map[events.IntegrationID]bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	enabled := map[events.IntegrationID]bool{}
	for _, m := range r.mapped {
		enabled[m.Integration] = !r.disabled[m.Integration]
	}
	return enabled, nil
}

func (r *rig) Provider(context.Context, events.ConnectionID) (events.ProviderKind, error) {
	return events.ProviderVault, nil
}

// states is a [gitops.States] in memory.
type states struct {
	mu        sync.Mutex
	kept      map[gitops.WatchID]gitops.Kept
	baselines map[events.MappingID]gitops.Baseline
}

func (s *states) Load(context.Context, []events.RequestID) (map[gitops.WatchID]gitops.Kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.kept), nil
}

func (s *states) Save(_ context.Context, id gitops.WatchID, next gitops.State, loaded uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[id].Rev != loaded {
		return gitops.ErrMoved
	}
	s.kept[id] = gitops.Kept{State: next, Rev: loaded + 1}
	return nil
}

func (s *states) SaveBaseline(_ context.Context, _ events.RequestID, m events.MappingID, b gitops.Baseline) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.baselines[m] = b
	return nil
}

func (s *states) Baseline(_ context.Context, _ events.RequestID, m events.MappingID) (gitops.Baseline, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baselines[m], nil
}

func (s *states) Forget(_ context.Context, id events.RequestID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.kept, func(w gitops.WatchID, _ gitops.Kept) bool { return w.Request == id })
	clear(s.baselines)
	return nil
}

func (s *states) Sweep(context.Context, time.Time) error { return nil }

// reader answers as a test says, and counts.
type reader struct {
	mu     sync.Mutex
	asked  [][]gitops.Look
	answer func(looks []gitops.Look) []events.Observation
}

func (r *reader) Observe(_ context.Context, _ events.IntegrationID, looks []gitops.Look) []events.Observation {
	r.mu.Lock()
	r.asked = append(r.asked, looks)
	answer := r.answer
	r.mu.Unlock()
	return answer(looks)
}

func (r *reader) says(answer func(looks []gitops.Look) []events.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *reader) looks() [][]gitops.Look {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// same answers each look in the same way, as of now.
func same(o func() events.Observation) func([]gitops.Look) []events.Observation {
	return func(looks []gitops.Look) []events.Observation {
		all := make([]events.Observation, len(looks))
		for i := range all {
			all[i] = o()
			if all[i].At.IsZero() && all[i].Problem == "" {
				all[i].At = time.Now().UTC().Truncate(time.Second)
			}
		}
		return all
	}
}

// standing is an application whose Secret has a version, with pods that were made at those times.
func standing(version string, refreshed time.Time, pods ...time.Time) func() events.Observation {
	return func() events.Observation {
		w := events.ObservedWorkload{Kind: "Deployment", Namespace: "shop", Name: "web", Use: events.UseEnvironment}
		for i, p := range pods {
			w.Pods = append(w.Pods, events.ObservedPod{Name: "web-" + string(rune('a'+i)), Started: p.UTC().Truncate(time.Second)})
		}
		return events.Observation{
			Sync: "Synced", Health: "Healthy", Workloads: []events.ObservedWorkload{w},
			Secrets: []events.ObservedSecret{{Namespace: "shop", Name: "db", ResourceVersion: version, External: "db", Ready: true, Refreshed: refreshed.UTC().Truncate(time.Second)}},
		}
	}
}

// agents counts what is offered to agents.
type agents struct {
	mu                 sync.Mutex
	offered, withdrawn int
}

func (a *agents) OfferObservation(context.Context, events.RequestID, events.Observe) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offered++
	return nil
}

func (a *agents) WithdrawObservation(context.Context, events.RequestID, events.Watch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.withdrawn++
	return nil
}
