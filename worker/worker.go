// Package worker follows facts and time and does what follows from them: it hands
// approved requests to agents, withdraws tickets that have no use any more, brings
// everything to its end, and notices silence.
//
// Its work is made of loops, and one server at a time holds the lease of each. A follower
// of facts goes on where the last holder was; beside that, what is open is looked at when a
// term begins, and then each minute. A holder that was stopped and wakes may still act for
// a moment, so all of it is safe to do twice: what is decided are commands with ids of
// their own making, positions are fenced, and what is touched outside the log (tickets,
// rows, links) is the same after the second time (decision 0106).
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/seal"
)

// system is the actor of what the worker decides.
var system = events.SystemActor("worker")

// Jobs is the queue that agents pull from. Package nats has it.
type Jobs interface {
	// Publish queues a ticket; one that is queued already stays as it is.
	Publish(ctx context.Context, cluster events.ClusterID, op events.Operation, job events.JobID, ticket []byte) error

	// Queued are the jobs whose tickets are in the queue or in an agent's hands. It is not
	// all of them if there are too many to tell.
	Queued(ctx context.Context) (jobs map[events.JobID]bool, all bool, err error)

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

	// Due are requests that reached an end by now, of themselves or of an envelope, after a
	// mark, in the order of marks.
	Due(ctx context.Context, now time.Time, after Mark, limit int) ([]Due, error)

	// Prompts are requests of which a reminder, an escalation or an overdue review is to be
	// told by now, after a mark, in the order of marks.
	Prompts(ctx context.Context, now time.Time, after Mark, limit int) ([]Due, error)

	// Invitations are agents that did not enrol before their token ended, at most limit.
	Invitations(ctx context.Context, now time.Time, limit int) ([]events.AgentID, error)

	// OnlineAgents are the agents that count as connected.
	OnlineAgents(ctx context.Context) ([]events.AgentID, error)
}

// Custody destroys envelopes that nobody may open any more. Package custody has it.
type Custody interface {
	Destroy(ctx context.Context, requests ...events.RequestID) error
	Sweep(ctx context.Context) error // destroys what is past its end
}

// Sessions knows the sessions that have ended. Package store has it.
type Sessions interface {
	// Ended are sessions that reached their end by themselves, at most limit. What it
	// returned stays ended.
	Ended(ctx context.Context, limit int) ([]EndedSession, error)

	// Forget removes sessions. One that is gone is fine.
	Forget(ctx context.Context, sessions []events.SessionID) error

	// DeleteStale removes links, tokens and factors that nobody can use any more.
	DeleteStale(ctx context.Context) error
}

// Presence tells when agents were last heard. Package nats has it.
type Presence interface {
	Seen(ctx context.Context) (map[events.AgentID]time.Time, error)
}

// Links cuts the link of an agent. Package nats has it.
type Links interface {
	Cut(ctx context.Context, account string) error
}

// Config is what a worker works with. Every field is needed but Loops and Tracer.
type Config struct {
	Leases    Leases
	Positions Positions

	Tracer trace.Tracer // nil: nobody traces

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

// Worker runs all loops.
type Worker struct {
	Config
	loops  []Loop
	states map[LoopName]*loopState // one for each loop
}

// New makes a worker.
func New(cfg Config) *Worker {
	w := &Worker{Config: cfg, states: map[LoopName]*loopState{}}
	w.loops = append(w.own(), cfg.Loops...)
	for _, l := range w.loops {
		w.states[l.Name] = &loopState{}
	}
	return w
}

// own are the loops of this room. Each has a lease of its own, so that servers share the
// work and one that hangs holds up nothing else; what looks at the same things in the same
// rhythm is one loop.
func (w *Worker) own() []Loop {
	return []Loop{
		{"dispatch", Follow(w.Feed, w.Positions, "dispatch", w.dispatch)},
		w.follow("turns", w.offerNext),
		w.follow("scans", w.moveScan),
		{"destruction", Follow(w.Feed, w.Positions, "destruction", w.destroy)},
		{"offers", Every(offerInterval, simply(w.offerOpen, w.offerScans))},
		{"looks", w.looks},
		{"schedules", Every(scheduleInterval, simply(w.Inventory.QueueDue, w.Inventory.Expire))},
		{"leftovers-of-jobs", Every(sessionInterval, simply(w.Inventory.Sweep))},
		{"dead-letters", w.letters},
		{"ends", Every(sweepInterval, w.sweep)},
		{"prompts", Every(promptInterval, w.prompt)},
		{"envelopes", Every(sweepInterval, simply(w.Custody.Sweep))},
		{"invitations", Every(invitationInterval, w.endInvitations)},
		{"sessions", Every(sessionInterval, w.endSessions)},
		{"leftovers-of-people", Every(leftoverInterval, simply(w.Sessions.DeleteStale))},
		{"silence", w.silences},
	}
}

// follow is a loop that reacts to one fact after the other.
func (w *Worker) follow(name LoopName, react func(context.Context, events.Event) error) Loop {
	return Loop{name, Follow(w.Feed, w.Positions, name, perFact(react))}
}

// simply is a step that does several things, each whatever became of the others.
func simply(parts ...func(context.Context) error) func(context.Context, *Term) error {
	return func(ctx context.Context, _ *Term) error {
		var all []error
		for _, part := range parts {
			all = append(all, part(ctx))
		}
		return errors.Join(all...)
	}
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
// logged and tried again: nothing is skipped. It returns when every loop has ended and its
// lease was released.
func (w *Worker) Run(ctx context.Context) error {
	if len(w.states) != len(w.loops) {
		return errors.New("two loops of the worker have one name")
	}
	for _, l := range w.loops {
		if !l.Name.Valid() {
			return fmt.Errorf("%q is no name of a loop", l.Name)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error)
	for _, l := range w.loops {
		go func() { done <- w.keep(ctx, l, w.states[l.Name]) }()
	}
	var first error
	for range w.loops {
		if err := <-done; err != nil && first == nil {
			first = err
			cancel(err)
		}
	}
	return first
}
