package rights_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/rights"
	"secretsbridge/rights/rightstest"
)

// stepped is a feed that ends where the log does: a register that runs on it is up to date, at
// once and in the same goroutine.
type stepped struct{ *commandtest.Memory }

var errCaughtUp = errors.New("the end of the log")

func (s stepped) Follow(ctx context.Context, after events.Seq, _ int, deliver func(context.Context, []events.Recorded) error) error {
	last, _ := s.Last(ctx)
	for seq := after + 1; seq <= last; seq++ {
		c, err := s.At(ctx, seq)
		if err == nil {
			err = deliver(ctx, []events.Recorded{c})
		}
		if err != nil {
			return err
		}
	}
	return errCaughtUp
}

// life is one history: people who come and go, what they are given, what they ask for.
type life struct {
	t        *testing.T
	random   *rand.Rand
	now      time.Time
	log      stepped
	rights   *rights.Register
	model    *rightstest.Model
	requests []*asked
	tries    *atomic.Int64
	allowed  *atomic.Int64
}

var (
	actors    = []events.UserID{"u_ann", "u_bob", "u_cid", "u_dot"}
	catalogue = policy.Catalogue()
)

// asked is a request, as the model has it.
type asked struct {
	id         events.RequestID
	requester  events.UserID
	connection events.ConnectionID
	ref        string
	approved   bool
	executed   bool
	opened     bool
}

// TestWhoMayIsWhatTheModelSays lives 100,000 short lives. Their actors, scopes and commands are
// drawn; what is allowed and what is refused must be what a second, plain telling of the rules
// says. The seed of a life that differs is printed.
func TestWhoMayIsWhatTheModelSays(t *testing.T) {
	t.Parallel()
	lives := uint64(100_000)
	if testing.Short() {
		lives = 5_000
	}
	base := rand.Uint64()
	t.Logf("seeds from %d on", base)
	var tries, allowed atomic.Int64
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for n := next.Add(1); n <= lives && !t.Failed(); n = next.Add(1) {
				live(t, base+n, &tries, &allowed)
			}
		})
	}
	wg.Wait()
	if n, yes := tries.Load(), allowed.Load(); !t.Failed() && (yes < n/20 || yes > n*19/20) {
		t.Errorf("of %d tries %d were allowed: the lives say little", n, yes)
	}
}

func live(t *testing.T, seed uint64, tries, allowed *atomic.Int64) {
	log := stepped{&commandtest.Memory{}}
	l := &life{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), now: commandtest.Noon, log: log, tries: tries, allowed: allowed,
		rights: rights.New(log, log, views{log.Memory, 0}), model: rightstest.New(policy.System, actors...),
	}
	for _, id := range actors {
		l.does(events.UserStream(id), events.UserAdded{User: id, Kind: events.UserPerson})
	}
	for step := range 6 {
		for range 1 + l.random.IntN(4) {
			l.does(l.model.Change(l.random, l.now))
		}
		if difference := l.tried(); difference != "" {
			t.Errorf("seed %d, step %d: %s", seed, step, difference)
			return
		}
		l.now = l.now.Add(time.Duration(l.random.IntN(90)) * time.Second)
	}
}

func (l *life) meta() command.Meta {
	return command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: l.now}
}

// does decides a change, as its command would, and tells the model what came of it.
func (l *life) does(stream events.Stream, wanted events.Fact) {
	meta, ctx := l.meta(), context.Background()
	const operator = events.UserID("u_operator")
	var facts []events.Event
	var err error
	if stream == events.GovernanceStream() {
		change := wanted.(events.GovernanceChanged)
		var done command.Decision[command.Governance]
		done, err = command.Execute(ctx, l.log, stream, meta, func(g command.Governance) ([]events.Fact, error) {
			return g.Change(meta, command.Change{
				By: operator, On: g.Version, Set: change.Set, Removed: change.Removed, Initial: policy.Initial(),
				Check: func(map[events.ObjectRef]events.Object) error { return nil },
				Alone: func(_, _ map[events.ObjectRef]events.Object) error { return nil },
			})
		})
		facts = done.Events
	} else {
		var done command.Decision[command.User]
		done, err = command.Execute(ctx, l.log, stream, meta, func(u command.User) ([]events.Fact, error) {
			switch f := wanted.(type) {
			case events.UserAdded:
				return u.Add(meta, f)
			case events.UserDisabled:
				return u.Disable(meta, operator, "")
			case events.UserEnabled:
				return u.Enable(meta)
			case events.GrantGiven:
				return u.Give(meta, operator, f)
			case events.GrantTaken:
				return u.Take(meta, operator, f.Grant, "")
			case events.GroupsTold:
				return u.TellGroups(meta, f.Groups)
			}
			return nil, errors.New("no such command")
		})
		facts = done.Events
	}
	if err != nil {
		l.t.Errorf("%s %T: %v", stream, wanted, err)
	}
	for _, e := range facts {
		l.model.Apply(stream, e.Fact)
	}
	if err := l.rights.Run(ctx); !errors.Is(err, errCaughtUp) {
		l.t.Error(err)
	}
}

// tried compares what some people may do, and lets them do it.
func (l *life) tried() string {
	for range 8 {
		who := actors[l.random.IntN(len(actors))]
		connection := rightstest.Connections[l.random.IntN(len(rightstest.Connections))]
		ref := rightstest.Refs[l.random.IntN(len(rightstest.Refs))]
		permission := catalogue[l.random.IntN(len(catalogue))]
		powers := l.rights.Powers(who)
		at := powers.Governance().Spot(connection, ref)
		want := l.model.May(who, string(permission), connection, ref, l.now)
		l.count(want)
		if got := powers.Hold(permission, at, l.now); got != want {
			return string(who) + " " + string(permission) + " at " + string(connection) + "/" + ref + ": held " + yes(got) + ", the model says " + yes(want)
		}
		if got := powers.Areas(permission, l.now).Has(connection, ref); got != want {
			return string(who) + " " + string(permission) + " at " + string(connection) + "/" + ref + ": in the areas " + yes(got) + ", the model says " + yes(want)
		}
		if got := powers.Anywhere(permission, l.now); want && !got {
			return string(who) + " " + string(permission) + ": held somewhere, and not anywhere"
		}
		if difference := l.command(who, connection, ref); difference != "" {
			return difference
		}
	}
	return ""
}

func (l *life) count(allowed bool) {
	if l.tries.Add(1); allowed {
		l.allowed.Add(1)
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// command submits, approves or reveals.
func (l *life) command(who events.UserID, connection events.ConnectionID, ref string) string {
	powers, meta := l.rights.Powers(who), l.meta()
	if len(l.requests) == 0 || l.random.IntN(3) == 0 {
		if ref == "" {
			return ""
		}
		decided := powers.Governance().Decide(policy.Ask{Powers: powers, Operation: events.OperationRead, Connection: connection, Ref: ref, Now: l.now})
		want := l.model.May(who, "request.create", connection, ref, l.now)
		if decided.Allowed != want {
			return string(who) + " submits " + string(connection) + "/" + ref + ": " + yes(decided.Allowed) + ", the model says " + yes(want)
		}
		if want {
			r := &asked{id: events.RequestOf(meta.Command), requester: who, connection: connection, ref: ref}
			l.requests = append(l.requests, r)
			l.execute(r.id, meta, func(q command.Request) ([]events.Fact, error) {
				return q.Submit(meta, command.Submit{
					Requester: who, Connection: command.Connection{ID: connection, Cluster: "demo", Provider: events.ProviderFile, State: command.ConnectionActive},
					Ref: ref, Reason: "test", Workflow: decided.Workflow, PendingTTL: time.Hour, ApprovalTTL: time.Hour, RevealTTL: time.Hour,
				})
			})
		}
		return ""
	}
	r := l.requests[l.random.IntN(len(l.requests))]
	at := powers.Governance().Spot(r.connection, r.ref)
	if !r.executed {
		err := l.execute(r.id, meta, func(q command.Request) ([]events.Fact, error) {
			if !powers.Hold(policy.RequestApprove, at, l.now) {
				return nil, command.ErrNotAnApprover
			}
			return q.Approve(meta, command.Vote{By: who, Voices: []command.Voice{{Fits: func(a events.Approvers) bool { return powers.Fit(a, at, l.now) }}}})
		})
		want := !r.approved && who != r.requester &&
			l.model.May(who, "request.approve", r.connection, r.ref, l.now) && l.model.Has(who, policy.RoleApprover, r.connection, r.ref, l.now)
		if (err == nil) != want {
			return string(who) + " approves " + string(r.id) + ": " + yes(err == nil) + ", the model says " + yes(want)
		}
		if want {
			r.approved, r.executed = true, true
			l.run(r)
		}
		return ""
	}
	err := l.execute(r.id, meta, func(q command.Request) ([]events.Fact, error) {
		if !powers.Hold(policy.EnvelopeReveal, at, l.now) {
			return nil, command.ErrRevealNotAllowed
		}
		return q.Reveal(meta, "e_1", who)
	})
	want := !r.opened && who == r.requester && l.model.May(who, "envelope.reveal", r.connection, r.ref, l.now)
	if (err == nil) != want {
		return string(who) + " reveals " + string(r.id) + ": " + yes(err == nil) + ", the model says " + yes(want)
	}
	r.opened = r.opened || want
	return ""
}

func (l *life) execute(id events.RequestID, meta command.Meta, decide func(command.Request) ([]events.Fact, error)) error {
	_, err := command.Execute(context.Background(), l.log, events.RequestStream(id), meta, decide)
	var refused *command.Rejection
	if err != nil && !errors.As(err, &refused) {
		l.t.Error(err)
	}
	return err
}

// run is what an agent does with an approved request.
func (l *life) run(r *asked) {
	job := events.JobOf(r.id)
	_, err := command.Record(context.Background(), l.log, events.RequestStream(r.id), l.meta(),
		events.JobStarted{Job: job, Agent: "a_1", Attempt: 1},
		events.EnvelopeStored{Envelope: "e_1", Key: "k", Expires: l.now.Add(24 * time.Hour)},
		events.RequestExecuted{Job: job, Agent: "a_1", Attempt: 1})
	if err != nil {
		l.t.Error(err)
	}
}
