// Package rights knows who may do what, as of now. It folds the governance and the rights of
// people from the log into memory, so that a permission is looked up and not asked for.
//
// It starts from the log, of those whom the views name, and follows it from where the views stand. Whoever decides something waits
// first until it has seen all that the log holds: a right that was taken decides nothing after
// its taking was acknowledged, on whatever server.
package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/reach"
	"secretsbridge/policy"
)

// ErrBehind says that the rights did not catch up in time. Nobody may do anything meanwhile.
var ErrBehind = errors.New("rights have not caught up with the log")

// followBatch is how many commits are folded together.
const followBatch = 512

// Start tells who was ever added as of a commit. The views have it. What they say of rights is
// not believed: whoever writes to them would give rights to whom they like.
type Start interface {
	Users(ctx context.Context) (users []command.User, at events.Seq, err error)
}

// Register is what counts now. Use it from any goroutine.
type Register struct {
	log   command.Log
	feed  command.Feed
	start Start

	reached reach.Point // moved under mu, once what it says is held

	mu         sync.Mutex
	governed   events.Seq                   // the commit that history holds at least
	known      map[events.UserID]events.Seq // likewise of each user, 0 of one who never was
	history    command.Governance
	governance *policy.Governance
	users      map[events.UserID]command.User
	powers     map[events.UserID]*policy.Powers // of the governance that counts; forgotten with it

	delegators map[events.UserID]map[events.UserID]bool // to whom → who has a delegation, counting or not

	ended endings
}

// New makes a register. It knows nothing before [Register.Run], and nobody may do anything.
func New(log command.Log, feed command.Feed, start Start) *Register {
	return &Register{
		log: log, feed: feed, start: start,
		governance: policy.Compile(0, nil), users: map[events.UserID]command.User{}, known: map[events.UserID]events.Seq{}, powers: map[events.UserID]*policy.Powers{},
	}
}

// Run follows the log until ctx ends or the log fails. It may run again: what the register holds
// stays true, so it goes on from there. To start from the views once more could take it back,
// and with it a right that was taken meanwhile.
func (r *Register) Run(ctx context.Context) error {
	at, loaded := r.reached.At()
	if !loaded {
		var err error
		if at, err = r.load(ctx); err != nil {
			return fmt.Errorf("load rights: %w", err)
		}
	}
	return r.feed.Follow(ctx, at, followBatch, func(_ context.Context, commits []events.Recorded) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range commits {
			if err := r.take(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// load reads the governance and everybody's rights. Each is a history, which the log gives by
// itself and which may be newer than the views; folding begins with what none of them has seen.
func (r *Register) load(ctx context.Context) (at events.Seq, err error) {
	named, at, err := r.start.Users(ctx)
	if err != nil {
		return 0, err
	}
	history, seq, err := command.Load[command.Governance](ctx, r.log, events.GovernanceStream())
	if err != nil {
		return 0, err
	}
	users, known, err := r.histories(ctx, named)
	if err != nil {
		return 0, err
	}
	ended, err := r.endingsUpTo(ctx, at)
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users, r.known, r.ended = users, known, ended
	r.delegators = map[events.UserID]map[events.UserID]bool{}
	for id, u := range users {
		r.delegate(id, nil, u.Delegated)
	}
	r.history, r.governed = history, seq
	r.compile()
	r.reached.Reach(at)
	return at, nil
}

// loaders is how many histories are read side by side: one takes a round trip or two.
const loaders = 16

// histories folds everybody's, and tells the commit that each ends with.
func (r *Register) histories(ctx context.Context, named []command.User) (map[events.UserID]command.User, map[events.UserID]events.Seq, error) {
	users, known := make(map[events.UserID]command.User, len(named)), make(map[events.UserID]events.Seq, len(named))
	var mu sync.Mutex // over both
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loaders)
	for _, n := range named {
		group.Go(func() error {
			user, seq, err := command.Load[command.User](ctx, r.log, events.UserStream(n.ID))
			mu.Lock()
			defer mu.Unlock()
			if known[n.ID] = seq; user.ID != "" { // else the log knows nobody of that name
				users[n.ID] = user
			}
			return err
		})
	}
	return users, known, group.Wait()
}

// take folds one commit. What a stream took before is not folded again, and neither is what was
// to follow another commit than it follows. r.mu is held.
func (r *Register) take(c events.Recorded) error {
	at, _ := r.reached.At()
	if c.Seq <= at {
		return nil
	}
	r.ended.take(c)
	switch {
	case c.Stream == events.GovernanceStream() && c.Seq > r.governed:
		if err := follows(c, r.governed, r.history.Took); err != nil {
			return err
		}
		for _, e := range c.Events {
			r.history = r.history.Evolve(e)
		}
		r.governed = c.Seq
		r.compile()
	case c.Stream.Aggregate == events.AggregateUser && c.Seq > r.known[events.UserID(c.Stream.ID)]:
		id := events.UserID(c.Stream.ID)
		user := r.users[id]
		before, known := r.known[id]
		if !known && c.After != events.AnySeq {
			before = c.After // facts of somebody who was never added: nobody folded them
		}
		if err := follows(c, before, user.Took); err != nil {
			return err
		}
		for _, e := range c.Events {
			user = user.Evolve(e)
		}
		r.delegate(id, r.users[id].Delegated, user.Delegated)
		r.users[id], r.known[id] = user, c.Seq
		delete(r.powers, id)
	}
	r.reached.Reach(c.Seq)
	return nil
}

// follows checks that a commit is the next one of its stream, of which before was the last and
// took tells the commands. The error is [command.LogReplayed].
func follows(c events.Recorded, before events.Seq, took func(events.CommandID) bool) error {
	if c.After != events.AnySeq && c.After != before {
		return fmt.Errorf("%w: commit %d of %s stands behind %d and was written to stand behind %d", command.LogReplayed, c.Seq, c.Stream, before, c.After)
	}
	if id := c.Events[0].Command; took(id) {
		return fmt.Errorf("%w: commit %d of %s is of command %s, which it took before", command.LogReplayed, c.Seq, c.Stream, id)
	}
	return nil
}

// delegate notes that somebody has other delegations than before. r.mu is held.
func (r *Register) delegate(from events.UserID, before, after []events.DelegationGiven) {
	for _, d := range before {
		delete(r.delegators[d.To], from)
	}
	for _, d := range after {
		if r.delegators[d.To] == nil {
			r.delegators[d.To] = map[events.UserID]bool{}
		}
		r.delegators[d.To][from] = true
	}
}

func (r *Register) compile() {
	if _, loaded := r.reached.At(); loaded && r.governance.Version == r.history.Version {
		return // an amendment moved, and nothing that counts
	}
	objects := r.history.Objects
	if r.history.Version == 0 {
		objects = policy.Initial()
	}
	r.governance, r.powers = policy.Compile(r.history.Version, objects), map[events.UserID]*policy.Powers{}
}

// WaitFor returns once the register holds a commit, or [ErrBehind] when ctx ends before.
func (r *Register) WaitFor(ctx context.Context, seq events.Seq) error {
	if err := r.reached.WaitFor(ctx, seq); err != nil {
		return fmt.Errorf("%w: %w", ErrBehind, err)
	}
	return nil
}

// Position is the newest commit that the register holds, 0 before it holds any.
func (r *Register) Position() events.Seq {
	at, _ := r.reached.At()
	return at
}

// Fresh waits until the register holds all that the log held when it was asked.
func (r *Register) Fresh(ctx context.Context) error {
	last, err := r.feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("last position of the log: %w", err)
	}
	return r.WaitFor(ctx, last)
}

// Governance is what counts now.
func (r *Register) Governance() *policy.Governance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.governance
}

// History is what the governance's history tells, with its amendments.
func (r *Register) History() command.Governance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.history
}

// User is somebody as facts tell them; the zero User was never added.
func (r *Register) User(id events.UserID) command.User {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users[id]
}

// Users are all that were ever added, in no order.
func (r *Register) Users() []command.User {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]command.User, 0, len(r.users))
	for _, u := range r.users {
		all = append(all, u)
	}
	return all
}

// Powers are what somebody may do.
func (r *Register) Powers(id events.UserID) *policy.Powers {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.powers[id]; ok {
		return p
	}
	p := r.governance.Powers(SubjectOf(r.users[id]))
	r.powers[id] = p
	return p
}

// Delegators are those for whom somebody may vote at a time.
func (r *Register) Delegators(to events.UserID, now time.Time) []events.UserID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []events.UserID
	for id := range r.delegators[to] {
		u := r.users[id]
		if u.State == command.UserActive && slices.ContainsFunc(u.Delegated, func(d events.DelegationGiven) bool {
			return d.To == to && !now.Before(d.Since) && now.Before(d.Until)
		}) {
			all = append(all, id)
		}
	}
	return all
}

// SubjectOf is somebody as policy looks at them.
func SubjectOf(u command.User) policy.Subject {
	s := policy.Subject{
		User: u.ID, Machine: u.Kind == events.UserMachine, Disabled: u.State != command.UserActive, Groups: u.Groups, Told: u.Linked,
	}
	for _, g := range u.Grants {
		s.Grants = append(s.Grants, policy.Held{Grant: events.Grant{Role: g.Role, Scope: g.Scope}, Until: g.Until})
	}
	return s
}
