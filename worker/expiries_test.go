package worker_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/worker"
)

// folded is what a register would know, read from the log each time.
type folded struct {
	t *testing.T
	w *world
}

func (f folded) Users() (all []command.User) {
	for _, id := range []events.UserID{"u_ann", "u_bot"} {
		user, _, err := command.Load[command.User](context.Background(), &f.w.Memory, events.UserStream(id))
		if err != nil {
			f.t.Error(err)
		}
		all = append(all, user)
	}
	return all
}

func (f folded) History() command.Governance {
	g, _, err := command.Load[command.Governance](context.Background(), &f.w.Memory, events.GovernanceStream())
	if err != nil {
		f.t.Error(err)
	}
	return g
}

// told are the types of facts that the worker told of a stream, in order, and in how many commits.
func (w *world) told(t *testing.T, stream events.Stream) (types []string, commits int) {
	t.Helper()
	for _, c := range w.all(t.Context()) {
		if c.Stream != stream || c.Events[0].Actor != events.SystemActor("worker") {
			continue
		}
		commits++
		for _, e := range c.Events {
			typ, err := events.TypeOf(e.Fact)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, typ)
		}
	}
	return types, commits
}

func TestWhatIsGivenForAWhileEndsWithAFactAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		until := time.Now().Add(time.Hour)
		ann, bot := events.UserStream("u_ann"), events.UserStream("u_bot")
		w.record(t, ann,
			events.UserAdded{User: "u_ann", Kind: events.UserPerson},
			events.LinkIssued{Purpose: events.LinkReset, Until: until.Add(-time.Minute)},
			events.LinkIssued{Purpose: events.LinkReset, Until: until}, // in place of the first
			events.DelegationGiven{Delegation: "d_1", To: "u_bob", Since: time.Now(), Until: until},
			events.DelegationGiven{Delegation: "d_2", To: "u_bob", Since: time.Now(), Until: until}, events.DelegationEnded{Delegation: "d_2"},
			events.FactorBegun{Factor: "f_1", Kind: events.FactorTOTP, Until: until},
			events.FactorBegun{Factor: "f_2", Kind: events.FactorPasskey, Until: until}, events.FactorEnrolled{Factor: "f_2", Kind: events.FactorPasskey},
		)
		w.record(t, bot,
			events.UserAdded{User: "u_bot", Kind: events.UserMachine},
			events.TokenIssued{Token: "t_1", Until: until}, events.TokenIssued{Token: "t_2", Until: until.Add(time.Hour)},
			events.TokenIssued{Token: "t_3", Until: until}, events.TokenRevoked{Token: "t_3"},
		)
		w.record(t, events.GovernanceStream(), events.AmendmentProposed{Amendment: "m_1", By: "u_ann", Until: until}, events.AmendmentProposed{Amendment: "m_2", By: "u_ann", Until: until})
		w.record(t, events.GovernanceStream(), events.AmendmentWithdrawn{Amendment: "m_2"})

		loop := worker.Expiries(&w.Memory, folded{t, w}, time.Now)
		again := worker.Expiries(&w.Memory, folded{t, w}, time.Now) // another holder that was stopped, and woke
		again.Name = "again"
		w.start(t, loop, again)
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		for _, stream := range []events.Stream{ann, bot, events.GovernanceStream()} {
			if types, _ := w.told(t, stream); len(types) != 0 {
				t.Errorf("before its time: %v", types)
			}
		}
		faults := []commandtest.Fault{commandtest.Fails, commandtest.StoresThenSilent, commandtest.LosesThenSilent}
		w.OnAppend = func(events.Stream, []events.Event) commandtest.Fault {
			if len(faults) == 0 {
				return commandtest.Works
			}
			next := faults[0]
			faults = faults[1:]
			return next
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for stream, want := range map[events.Stream][]string{
			ann:                       {"sb.user.link_expired.v1", "sb.user.delegation_expired.v1", "sb.user.factor_abandoned.v1"},
			bot:                       {"sb.user.token_expired.v1"},
			events.GovernanceStream(): {"sb.governance.amendment_expired.v1"},
		} {
			if types, commits := w.told(t, stream); !slices.Equal(types, want) || commits != 1 {
				t.Errorf("%s: %v in %d commits, want %v in one", stream, types, commits, want)
			}
		}
		if left := (folded{t, w}).Users()[1].Tokens; len(left) != 1 || left[0].Token != "t_2" {
			t.Errorf("tokens that are left: %v", left)
		}
		if a, _ := (folded{t, w}).History().Amendment("m_1"); a.State != command.AmendmentOver {
			t.Errorf("the amendment is %s", a.State)
		}
	})
}
