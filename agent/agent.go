package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/erase"
	"secretsbridge/internal/trace"
	"secretsbridge/internal/turns"
	"secretsbridge/seal"
)

// Defaults of [Config].
const (
	DefaultSlots       = 4
	DefaultLease       = 30 * time.Second // package nats, DefaultAckWait
	DefaultReadTimeout = 15 * time.Second
	DefaultDrain       = 20 * time.Second
)

// MaxSlots bounds the jobs at a time, and the calls that they have open: the control plane
// takes 16 calls of one agent at a time (package nats); the rest is for heartbeats.
const MaxSlots = 12

// Config is what an agent works with. Zero values of times and numbers mean the
// defaults; the other fields are needed, except where it says otherwise.
type Config struct {
	Link Link

	Agent   events.AgentID
	Cluster events.ClusterID
	Account string // what its calls are bound to
	Version string // of this binary, at most 64 bytes

	SignKey seal.SigningKey // signs each call
	Keys    KeyRing         // open what is sealed to this agent
	Trust   Trust           // the control plane's keys: pinned at enrolment, and what follows from them

	Connections *Connections
	Observer    Observer // nil: this agent sees nothing of its cluster
	Witness     Witness  // nil: this agent does not look at the log, and does all jobs

	// FingerprintKey is the one that all agents have whose values are compared. The zero
	// key means that this agent makes no fingerprints.
	FingerprintKey seal.DuplicateKey

	// Credential is what the agent holds, and Renewed keeps a new one and makes the
	// link use it. A fault of Renewed is tried again.
	Credential Credential
	Renewed    func(context.Context, Credential) error

	KeyLife     time.Duration // of a key in Keys; half of it after it was made the next one follows
	Slots       int           // jobs at a time, 1 to [MaxSlots]
	Lease       time.Duration // the cluster's AckWait; renewed each third of it
	ReadTimeout time.Duration // for one try at a provider
	Drain       time.Duration // for the jobs in hand, when Run is to end

	Logger *slog.Logger
	Tracer trace.Tracer // nil: spans are passed on, and none is made
}

// Agent takes jobs from its cluster's queue and does them.
type Agent struct {
	Config
	jobs    *register
	room    room
	secrets turns.Turns[secretName] // patches take them
	pulse   pulse
	started time.Time

	learning learning
	sight    *sight // of the log
}

// New checks the configuration.
func New(cfg Config) (*Agent, error) {
	setDefault(&cfg.Slots, DefaultSlots)
	setDefault(&cfg.KeyLife, DefaultKeyLife)
	setDefault(&cfg.Lease, DefaultLease)
	setDefault(&cfg.ReadTimeout, DefaultReadTimeout)
	setDefault(&cfg.Drain, DefaultDrain)
	switch {
	case cfg.Link == nil || cfg.Keys == nil || cfg.Trust == nil || cfg.Connections == nil || cfg.Renewed == nil || cfg.Logger == nil:
		return nil, errors.New("make agent: link, keys, trust, connections, renewal and logger are needed")
	case cfg.Agent == "" || cfg.Cluster == "" || cfg.Account == "" || cfg.SignKey.Public().ID() == "" || len(cfg.Trust.TrustedKeys()) == 0:
		return nil, errors.New("make agent: id, cluster, account, signing key and trusted keys are needed")
	case cfg.Slots < 1 || cfg.Slots > MaxSlots:
		return nil, fmt.Errorf("make agent: %d slots, want 1 to %d", cfg.Slots, MaxSlots)
	case cfg.KeyLife < 0 || cfg.Lease < 0 || cfg.ReadTimeout < 0 || cfg.Drain < 0:
		return nil, errors.New("make agent: a duration is negative")
	case len(cfg.Version) > 64:
		return nil, errors.New("make agent: the version has more than 64 bytes")
	}
	return &Agent{
		Config: cfg, jobs: newRegister(), room: newRoom(cfg.Slots), pulse: pulse{credential: cfg.Credential, changed: make(chan struct{}, 1), renew: make(chan struct{}, 1)},
		started: time.Now(), learning: newLearning(), sight: newSight(cfg.Witness),
	}, nil
}

func setDefault[T int | time.Duration](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}

// errDraining is the cause of a job's end when the agent has to leave.
var errDraining = errors.New("the agent is stopping")

// Run works until ctx ends, then takes nothing more and finishes what is in hand. What
// is not finished in the time for that goes back to the queue at once, and so does a
// scan without that time: the next agent goes on where it is. The error is that of a link
// that is closed; it is nil when ctx ended.
func (a *Agent) Run(ctx context.Context) error {
	work, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	defer leave(nil)
	scans, interrupt := context.WithCancelCause(work)
	defer interrupt(nil)

	// The background duties last as long as jobs do: a draining agent is alive.
	duties, end := context.WithCancel(work)
	var background sync.WaitGroup
	background.Go(func() { a.beat(duties) })
	background.Go(func() { a.watchLog(duties) })
	background.Go(func() { a.renewCredential(duties) })
	background.Go(func() { a.rotateKeys(duties) })
	background.Go(func() { a.retireKeys(duties) })
	background.Go(func() { a.Connections.watch(duties) })
	background.Go(func() { erase.Run(duties) })

	var hands sync.WaitGroup
	err := a.take(ctx, work, scans, &hands)
	interrupt(errDraining)

	finished := make(chan struct{})
	go func() { hands.Wait(); close(finished) }()
	if n := a.jobs.inHand(); n > 0 {
		a.Logger.Info("stopping: jobs in hand are finished first", "running", n)
	}
	patience := time.NewTimer(a.Drain)
	defer patience.Stop()
	select {
	case <-finished:
	case <-patience.C:
		a.Logger.Warn("stopping: jobs in hand go back to the queue", "running", a.jobs.inHand())
		leave(errDraining)
		<-finished
	}
	end()
	background.Wait()
	return err
}

// take pulls a job whenever a slot is free and the log is in sight. There is one pull at a
// time, and none without a free slot: a job that waits here would be a job that no other agent
// gets. When the log breaks, the jobs in hand go back to the queue.
func (a *Agent) take(ctx, work, scans context.Context, hands *sync.WaitGroup) error {
	free := make(chan struct{}, a.Slots)
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		giveSlot := sync.OnceFunc(func() { <-free })
		intact, fresh, stop, err := a.sight.clear(ctx)
		if err != nil {
			return nil
		}
		delivery, err := a.Link.Next(fresh)
		looked := fresh.Err() != nil
		stop()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil
		case looked:
			giveSlot() // the log is to be looked at again
			continue
		default:
			return fmt.Errorf("take a job: %w", err)
		}
		hands.Go(func() {
			defer giveSlot()
			work, end := within(work, intact)
			defer end()
			scans, end := within(scans, intact)
			defer end()
			if intact.Err() != nil {
				a.end(work, delivery, later(unansweredDelay))
				return
			}
			a.handle(work, scans, delivery, giveSlot)
		})
	}
}
