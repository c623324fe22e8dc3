package rights_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/rights"
)

var everybody = []events.UserID{"u_a", "u_b", "u_c"}

// views are as far as some commit.
type views struct {
	log *commandtest.Memory
	at  events.Seq
}

func (v views) Users(ctx context.Context) ([]command.User, events.Seq, error) {
	folded := map[string]command.User{}
	for seq := range v.at {
		c, err := v.log.At(ctx, seq+1)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range c.Events {
			if c.Stream.Aggregate == events.AggregateUser {
				folded[c.Stream.ID] = folded[c.Stream.ID].Evolve(e)
			}
		}
	}
	var all []command.User
	for _, u := range folded {
		if u.ID != "" {
			all = append(all, u)
		}
	}
	return all, v.at, nil
}

func record(t testing.TB, log command.Log, stream events.Stream, facts ...events.Fact) events.Seq {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: commandtest.Noon}
	seq, err := command.Record(context.Background(), log, stream, meta, facts...)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// run runs a register until the test ends.
func run(t testing.TB, r *rights.Register) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-ended })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// shortly is for what never comes.
func shortly(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// same compares a register with a fold of the log from its beginning.
func same(r *rights.Register, log *commandtest.Memory) string {
	ctx := context.Background()
	governed, _, err := command.Load[command.Governance](ctx, log, events.GovernanceStream())
	if err != nil {
		return err.Error()
	}
	objects := governed.Objects
	if governed.Version == 0 {
		objects = policy.Initial()
	}
	want := policy.Compile(governed.Version, objects)
	if got := r.Governance(); got.Version != want.Version || !cmp.Equal(got.Objects, want.Objects) {
		return fmt.Sprintf("governance: version %d, want %d", got.Version, want.Version)
	}
	spots := []policy.Spot{{}, want.Spot("c", ""), want.Spot("c", "x/1"), want.Spot("d", "x")}
	for _, id := range everybody {
		user, _, err := command.Load[command.User](ctx, log, events.UserStream(id))
		if err != nil {
			return err.Error()
		}
		if diff := cmp.Diff(user, r.User(id), cmpopts.IgnoreUnexported(command.User{}), cmpopts.EquateEmpty()); user.ID != "" && diff != "" {
			return string(id) + " (-want +got):\n" + diff
		}
		powers := want.Powers(rights.SubjectOf(user))
		for _, p := range policy.Catalogue() {
			for _, at := range spots {
				if w, g := powers.Hold(p, at, commandtest.Noon), r.Powers(id).Hold(p, at, commandtest.Noon); w != g {
					return fmt.Sprintf("%s %s at %+v: %v, want %v", id, p, at, g, w)
				}
			}
		}
	}
	return ""
}

func anyCommit(r *rapid.T, version int) (events.Stream, []events.Fact) {
	who := rapid.SampledFrom(everybody).Draw(r, "who")
	grant := events.GrantID(rapid.SampledFrom([]string{"g_1", "g_2", "g_3"}).Draw(r, "grant"))
	scope := rapid.SampledFrom([]events.Scope{{}, {Connection: "c"}, {Connection: "c", Prefix: "x"}, {Project: "p"}, {Kind: events.Production}, {Team: "t"}}).Draw(r, "scope")
	role := rapid.SampledFrom([]string{policy.RoleDeveloper, policy.RoleAdmin, "reader", "none"}).Draw(r, "role")
	object := func(kind events.ObjectKind, name string, spec events.Spec) events.Object {
		return events.Object{Kind: kind, Name: name, Spec: spec}
	}
	governance := []events.Object{
		object(events.KindRole, "reader", events.Role{Permissions: []string{string(policy.AuditRead)}}),
		object(events.KindGroup, "g", events.Group{Members: []events.UserID{who}, Claim: "claim", Grants: []events.Grant{{Role: role, Scope: scope}}}),
		object(events.KindProject, "p", events.Project{Team: "t", Environments: []events.Environment{{Name: "live", Kind: events.Production}}}),
		object(events.KindBinding, "b", events.Binding{Connection: "c", Prefix: "x", Project: "p", Environment: "live"}),
		object(events.KindTeam, "t", events.Team{Heads: []events.UserID{who}}),
	}
	switch rapid.IntRange(0, 9).Draw(r, "what") {
	case 0, 1:
		return events.GovernanceStream(), []events.Fact{events.GovernanceChanged{Version: version, Set: []events.Object{rapid.SampledFrom(governance).Draw(r, "object")}}}
	case 2:
		return events.GovernanceStream(), []events.Fact{events.AmendmentProposed{Amendment: "am_1", By: who, On: version}}
	case 3:
		return events.AccessStream(events.UserActor(who)), []events.Fact{events.SignedIn{User: who}}
	}
	return events.UserStream(who), []events.Fact{rapid.SampledFrom([]events.Fact{
		events.UserAdded{User: who, Kind: events.UserPerson}, events.UserAdded{User: who, Kind: events.UserPerson},
		events.GrantGiven{Grant: grant, Role: role, Scope: scope}, events.GrantGiven{Grant: grant, Role: role, Scope: scope},
		events.GrantGiven{Grant: grant, Role: role, Until: commandtest.Noon},
		events.GrantTaken{Grant: grant}, events.GroupsTold{Groups: []string{"g"}}, events.GroupsTold{},
		events.UserDisabled{}, events.UserEnabled{}, events.UserErased{},
	}).Draw(r, "fact")}
}

// The views may be anywhere behind the log, and the governance, which is read after them, ahead
// of them: whatever comes in between is neither lost nor folded twice.
func TestTheRegisterIsAFoldFromZeroWhereverTheViewsStand(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		log := &commandtest.Memory{}
		version := 0
		add := func(n int) {
			for range n {
				stream, facts := anyCommit(r, version+1)
				if _, ok := facts[0].(events.GovernanceChanged); ok {
					version++
				}
				record(t, log, stream, facts...)
			}
		}
		add(rapid.IntRange(0, 25).Draw(r, "before"))
		last, _ := log.Last(context.Background())
		reg := rights.New(log, log, views{log, events.Seq(rapid.IntRange(0, int(last)).Draw(r, "views"))})
		stop := run(t, reg)
		defer func() { _ = stop() }()
		if err := reg.Fresh(patient(t)); err != nil {
			r.Fatal(err)
		}
		if diff := same(reg, log); diff != "" {
			r.Fatal(diff)
		}
		add(rapid.IntRange(0, 10).Draw(r, "after"))
		if err := reg.Fresh(patient(t)); err != nil {
			r.Fatal(err)
		}
		if diff := same(reg, log); diff != "" {
			r.Fatal(diff)
		}
	})
}

func TestNobodyMayDoAnythingBeforeTheRegisterRuns(t *testing.T) {
	log := &commandtest.Memory{}
	record(t, log, events.UserStream("u_a"), events.UserAdded{User: "u_a", Kind: events.UserPerson}, events.GrantGiven{Grant: "g_1", Role: policy.RoleAdmin})
	reg := rights.New(log, log, views{log, 1})
	if err := reg.Fresh(shortly(t)); !errors.Is(err, rights.ErrBehind) {
		t.Errorf("fresh: %v", err)
	}
	if got := reg.Powers("u_a").Permissions(commandtest.Noon); len(got) != 0 {
		t.Errorf("may %v", got)
	}
	run(t, reg)
	if err := reg.Fresh(patient(t)); err != nil || !reg.Powers("u_a").Hold(policy.AgentManage, policy.Spot{}, commandtest.Noon) {
		t.Errorf("after it runs: %v", err)
	}
}

// doctored are views that somebody wrote to.
type doctored struct{ views }

func (d doctored) Users(ctx context.Context) ([]command.User, events.Seq, error) {
	all, at, err := d.views.Users(ctx)
	for i := range all {
		all[i].Grants = []events.GrantGiven{{Grant: "g_0", Role: policy.RoleAdmin}}
		all[i].State = command.UserActive
	}
	return append(all, command.User{ID: "u_nobody", State: command.UserActive, Grants: []events.GrantGiven{{Grant: "g_0", Role: policy.RoleAdmin}}}), at, err
}

func TestWhoWritesToTheViewsGivesNobodyRights(t *testing.T) {
	log := &commandtest.Memory{}
	record(t, log, events.UserStream("u_a"), events.UserAdded{User: "u_a", Kind: events.UserPerson}, events.GrantGiven{Grant: "g_1", Role: policy.RoleDeveloper})
	record(t, log, events.UserStream("u_b"), events.UserAdded{User: "u_b", Kind: events.UserPerson}, events.UserDisabled{})
	reg := rights.New(log, log, doctored{views{log, 2}})
	run(t, reg)
	if err := reg.Fresh(patient(t)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []events.UserID{"u_a", "u_b", "u_nobody"} {
		if reg.Powers(id).Anywhere(policy.AgentManage, commandtest.Noon) {
			t.Errorf("%s got rights from a row", id)
		}
	}
	if diff := same(reg, log); diff != "" {
		t.Error(diff)
	}
}

// gated is a feed that delivers while its gate is open, and ends when it is told to.
type gated struct {
	*commandtest.Memory
	gate  sync.RWMutex // held while it is closed
	fails atomic.Bool
}

var errFeed = errors.New("the feed broke")

func (g *gated) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	return g.Memory.Follow(ctx, after, limit, func(ctx context.Context, commits []events.Recorded) error {
		g.gate.RLock()
		defer g.gate.RUnlock()
		if g.fails.Load() {
			return errFeed
		}
		return deliver(ctx, commits)
	})
}

func TestAGrantThatWasTakenIsWaitedFor(t *testing.T) {
	log := &gated{Memory: &commandtest.Memory{}}
	record(t, log, events.UserStream("u_a"), events.UserAdded{User: "u_a", Kind: events.UserPerson}, events.GrantGiven{Grant: "g_1", Role: policy.RoleAdmin})
	reg := rights.New(log, log, views{log.Memory, 0})
	run(t, reg)
	if err := reg.Fresh(patient(t)); err != nil {
		t.Fatal(err)
	}
	log.gate.Lock()
	seq := record(t, log, events.UserStream("u_a"), events.GrantTaken{Grant: "g_1"})
	if err := reg.Fresh(shortly(t)); !errors.Is(err, rights.ErrBehind) {
		t.Errorf("fresh, while the feed stands: %v", err)
	}
	log.gate.Unlock()
	if err := reg.WaitFor(patient(t), seq); err != nil {
		t.Fatal(err)
	}
	if reg.Powers("u_a").Anywhere(policy.AgentManage, commandtest.Noon) {
		t.Error("the grant still decides")
	}
}

func TestARegisterGoesOnWhereItsFeedBroke(t *testing.T) {
	log := &gated{Memory: &commandtest.Memory{}}
	record(t, log, events.UserStream("u_a"), events.UserAdded{User: "u_a", Kind: events.UserPerson}, events.GrantGiven{Grant: "g_1", Role: policy.RoleAdmin})
	reg := rights.New(log, log, views{log.Memory, 1}) // views that never move
	first := run(t, reg)
	record(t, log, events.UserStream("u_a"), events.GrantTaken{Grant: "g_1"})
	if err := reg.Fresh(patient(t)); err != nil {
		t.Fatal(err)
	}
	log.fails.Store(true)
	record(t, log, events.AccessStream("user:u_a"), events.SignedIn{User: "u_a"})
	if err := reg.Fresh(shortly(t)); !errors.Is(err, rights.ErrBehind) {
		t.Errorf("fresh, while the feed is broken: %v", err)
	}
	if err := first(); !errors.Is(err, errFeed) && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	log.fails.Store(false)
	run(t, reg)
	// From the first moment on: the views, which still have the grant, are not asked again.
	if reg.Powers("u_a").Anywhere(policy.AgentManage, commandtest.Noon) {
		t.Error("a grant that was taken is back")
	}
	if err := reg.Fresh(patient(t)); err != nil {
		t.Fatal(err)
	}
	if diff := same(reg, log.Memory); diff != "" {
		t.Error(diff)
	}
}

// Somebody takes a grant while others ask, and while the register starts: whoever asks after the
// taking was acknowledged is told that it is gone.
func TestAGrantDecidesNothingAfterItsTakingWasAcknowledged(t *testing.T) {
	t.Parallel()
	for round := range 200 {
		log := &commandtest.Memory{}
		record(t, log, events.UserStream("u_a"), events.UserAdded{User: "u_a", Kind: events.UserPerson}, events.GrantGiven{Grant: "g_1", Role: policy.RoleAdmin})
		reg := rights.New(log, log, views{log, events.Seq(round % 2)})
		stop := run(t, reg)
		var taken atomic.Bool
		var wg sync.WaitGroup
		start := make(chan struct{})
		wg.Go(func() {
			<-start
			for range round % 7 {
				record(t, log, events.AccessStream("user:u_b"), events.SignedIn{User: "u_b"})
			}
			record(t, log, events.UserStream("u_a"), events.GrantTaken{Grant: "g_1"})
			taken.Store(true)
		})
		for range 4 {
			wg.Go(func() {
				<-start
				for asked := 0; asked < 3; {
					gone := taken.Load()
					if err := reg.Fresh(patient(t)); err != nil {
						t.Error(err)
						return
					}
					held := reg.Powers("u_a").Hold(policy.AgentManage, policy.Spot{}, commandtest.Noon)
					if gone && held {
						t.Errorf("round %d: it still decides", round)
					}
					if gone {
						asked++
					}
				}
			})
		}
		close(start)
		wg.Wait()
		_ = stop()
	}
}

func TestDelegationsCountWhileTheyRunAndTheirGiverIsActive(t *testing.T) {
	log := &commandtest.Memory{}
	noon := commandtest.Noon
	record(t, log, events.UserStream("u_a"), events.UserAdded{User: "u_a", Kind: events.UserPerson},
		events.DelegationGiven{Delegation: "d_1", To: "u_b", Since: noon, Until: noon.Add(time.Hour)})
	reg := rights.New(log, log, views{log, 0})
	run(t, reg)
	at := func(now time.Time) []events.UserID {
		if err := reg.Fresh(patient(t)); err != nil {
			t.Fatal(err)
		}
		return reg.Delegators("u_b", now)
	}
	for when, want := range map[time.Time]int{noon.Add(-1): 0, noon: 1, noon.Add(time.Hour - 1): 1, noon.Add(time.Hour): 0} {
		if got := at(when); len(got) != want {
			t.Errorf("at %v: %v", when, got)
		}
	}
	record(t, log, events.UserStream("u_a"), events.UserDisabled{})
	if got := at(noon); len(got) != 0 {
		t.Errorf("of somebody disabled: %v", got)
	}
}
