// Package worker follows facts and time and does what follows from them: it hands
// approved requests to agents, withdraws tickets that have no use any more, brings
// everything to its end, and notices silence.
//
// All of it is safe to do twice, on any number of servers: what it decides are
// commands with ids of their own making, and what it touches outside the log (tickets,
// rows, links) is the same after the second time. So it stores no position: at start, and
// then each minute, it looks at what is open, and beside that it follows the log.
package worker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// system is the actor of what the worker decides.
var system = events.SystemActor("worker")

// Jobs is the queue that agents pull from. Package nats has it.
type Jobs interface {
	// Publish queues a ticket; one that is queued already stays as it is.
	Publish(ctx context.Context, cluster events.ClusterID, op events.Operation, job events.JobID, ticket []byte) error

	// Remove takes a ticket back. One that is not queued is fine.
	Remove(ctx context.Context, cluster events.ClusterID, op events.Operation, job events.JobID) error

	// DeadLetters delivers tickets that were tried too often or refused, until ctx
	// ends. One whose handler fails comes again.
	DeadLetters(ctx context.Context, handle func(context.Context, DeadLetter) error) error
}

// DeadLetter is a ticket that no agent brought to an end.
type DeadLetter struct {
	Cluster events.ClusterID // certain: the queue's own word
	Job     events.JobID     // of a refused one, what an agent of that cluster says
	Refused bool             // by an agent, as none that it may trust
}

// Views answers what is open. Package projections has it.
type Views interface {
	// WaitFor returns when the views hold everything up to a position.
	WaitFor(ctx context.Context, seq events.Seq) error

	// OpenJobs are the requests that are approved or running.
	OpenJobs(ctx context.Context) ([]events.RequestID, error)

	// Writers are the patches of a secret that are approved or running: the running ones
	// first, then as they were approved.
	Writers(ctx context.Context, connection events.ConnectionID, ref string) ([]events.RequestID, error)

	// OpenPatches are the patches that are pending or whose outcome is unknown.
	OpenPatches(ctx context.Context) ([]OpenPatch, error)

	// OpenScans are the jobs that no request stands behind and that are queued or running,
	// oldest first.
	OpenScans(ctx context.Context) ([]events.JobID, error)

	// Due are requests that reached an end by now: of themselves or of an envelope.
	Due(ctx context.Context, now time.Time, limit int) ([]events.RequestID, error)

	// Prompts are requests of which a reminder, an escalation or an overdue review is to be
	// told by now.
	Prompts(ctx context.Context, now time.Time, limit int) ([]events.RequestID, error)

	// OnlineAgents are the agents that count as connected.
	OnlineAgents(ctx context.Context) ([]events.AgentID, error)
}

// Custody destroys envelopes that nobody may open any more. Package custody has it.
type Custody interface {
	Destroy(ctx context.Context, request events.RequestID) error
	Sweep(ctx context.Context) error // destroys what is past its end
}

// Sessions removes sessions that have ended. Package store has it.
type Sessions interface {
	DeleteEnded(ctx context.Context) (int, error)
}

// Presence tells when agents were last heard. Package nats has it.
type Presence interface {
	Seen(ctx context.Context) (map[events.AgentID]time.Time, error)
}

// Links cuts the link of an agent. Package nats has it.
type Links interface {
	Cut(ctx context.Context, account string) error
}

// Config is what a worker works with. Every field is needed but Loops.
type Config struct {
	Leases    Leases
	Positions Positions

	// Loops are those of other rooms.
	Loops []Loop

	Log       command.Log
	Feed      command.Feed
	Views     Views
	Jobs      Jobs
	Custody   Custody
	Inventory Inventory
	Sessions  Sessions
	Presence  Presence
	Links     Links
	Signer    seal.SigningKey
	Logger    *slog.Logger
	Now       func() time.Time

	// LookEach is how often agents look again at the secrets of open patches; old ones more
	// seldom.
	LookEach time.Duration
}

// Worker runs all followers.
type Worker struct {
	Config

	// lastHeard is when each online agent was last heard, or first looked for. The
	// silence job owns it.
	lastHeard map[events.AgentID]time.Time

	// lookOffered is when a look at each open patch was offered. The looks job owns it.
	lookOffered map[events.RequestID]time.Time

	states map[LoopName]*loopState // one for each loop

	dispatched position // owned by the dispatch job
	scansMoved position // owned by the scans job
	turnsTaken position // owned by the turns job
	destroyed  position // owned by the destruction job
}

// position is how far a follower came. It outlives a fault, not the process.
type position struct {
	seq   events.Seq
	known bool
}

// New makes a worker.
func New(cfg Config) *Worker {
	w := &Worker{Config: cfg, lastHeard: make(map[events.AgentID]time.Time), states: map[LoopName]*loopState{}}
	for _, l := range cfg.Loops {
		w.states[l.Name] = &loopState{}
	}
	return w
}

// Stats tells of each loop what this server did, sorted by name.
func (w *Worker) Stats() []LoopStats {
	now := time.Now()
	all := make([]LoopStats, 0, len(w.states))
	for _, name := range slices.Sorted(maps.Keys(w.states)) {
		all = append(all, w.states[name].stats(name, now))
	}
	return all
}

// Run works until ctx ends or the log turns out to be unsafe. Every other fault is
// logged and tried again: nothing is skipped.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := w.Loops
	for _, j := range []struct {
		name LoopName
		run  func(context.Context) error
	}{
		{"dispatch", w.dispatch},
		{"offers", every(offerInterval, w.offerOpen)},
		{"looks", every(w.LookEach, w.offerLooks)},
		{"scans", w.followScans},
		{"turns", w.followTurns},
		{"scan-offers", every(offerInterval, w.offerScans)},
		{"schedules", every(scheduleInterval, w.Inventory.QueueDue)},
		{"scan-ends", every(scheduleInterval, w.Inventory.Expire)},
		{"leftovers-of-jobs", every(sessionInterval, w.Inventory.Sweep)},
		{"destruction", w.destroy},
		{"dead-letters", func(ctx context.Context) error { return w.Jobs.DeadLetters(ctx, w.buried) }},
		{"ends", every(sweepInterval, w.sweep)},
		{"prompts", every(promptInterval, w.prompt)},
		{"envelopes", every(sweepInterval, w.Custody.Sweep)},
		{"sessions", every(sessionInterval, func(ctx context.Context) error {
			_, err := w.Sessions.DeleteEnded(ctx)
			return err
		})},
		{"silence", every(silenceInterval, w.listen)},
	} {
		w.states[j.name] = &loopState{}
		jobs = append(jobs, Loop{Name: j.name, Run: func(ctx context.Context, _ *Term) error { return j.run(ctx) }})
	}
	done := make(chan error)
	for _, j := range jobs {
		go func() { done <- w.keep(ctx, j, w.states[j.Name]) }()
	}
	var first error
	for range jobs {
		if err := <-done; err != nil && first == nil {
			first = err
			cancel(err)
		}
	}
	return first
}

// every runs a step again and again, the first time at once.
func every(interval time.Duration, step func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			if err := step(ctx); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}
