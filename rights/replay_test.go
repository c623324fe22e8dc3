package rights_test

import (
	"context"
	"errors"
	"testing"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/rights"
)

// spliced is a log whose feed goes on with commits that somebody put behind it.
type spliced struct {
	*commandtest.Memory
	more []events.Recorded
}

func (s spliced) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	last, err := s.Last(ctx)
	if err != nil {
		return err
	}
	for seq := after + 1; seq <= last; seq++ {
		c, err := s.At(ctx, seq)
		if err == nil {
			err = deliver(ctx, []events.Recorded{c})
		}
		if err != nil {
			return err
		}
	}
	for i, c := range s.more {
		c.Seq = last + events.Seq(i) + 1
		if err := deliver(ctx, []events.Recorded{c}); err != nil {
			return err
		}
	}
	return errCaughtUp
}

// TestWhatWasTakenIsNotGivenBackByARepetition puts true commits behind the log once more.
func TestWhatWasTakenIsNotGivenBackByARepetition(t *testing.T) {
	log := &commandtest.Memory{}
	ann, ben := events.UserStream("u_ann"), events.UserStream("u_ben")
	added, changed := events.UserAdded{User: "u_ann", Kind: events.UserPerson}, events.GovernanceChanged{Version: 1}
	given := events.GrantGiven{Grant: "gr_1", Role: "admin"}
	append1 := func(stream events.Stream, expected events.Seq, fact events.Fact) events.Recorded {
		t.Helper()
		id := events.NewCommandID()
		seq, err := log.Append(t.Context(), stream, expected, []events.Event{{
			ID: events.EventIDOf(id, 0), Stream: stream, Time: commandtest.Noon, Actor: events.SystemActor("test"), Command: id, Fact: fact,
		}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := log.At(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	begin := append1(ann, 0, added)
	grant := append1(ann, begin.Seq, given)
	anyhow := append1(ann, events.AnySeq, events.RecoveryCodesMade{Count: 10})
	take := append1(ann, anyhow.Seq, events.GrantTaken{Grant: "gr_1"})
	governed := append1(events.GovernanceStream(), 0, changed)
	append1(ben, events.AnySeq, events.RecoveryCodesMade{Count: 10}) // of somebody who was never added

	next := events.Recorded{Stream: ann, After: take.Seq, Events: []events.Event{{Command: "c_next", Fact: events.UserEnabled{}}}}
	late := events.Recorded{Stream: ben, After: 6, Events: []events.Event{{Command: "c_ben", Fact: events.UserAdded{User: "u_ben", Kind: events.UserPerson}}}}
	for name, test := range map[string]struct {
		more []events.Recorded
		err  error
	}{
		"what follows":                          {[]events.Recorded{next, late}, errCaughtUp},
		"a grant that was taken":                {[]events.Recorded{grant}, command.LogReplayed},
		"the beginning":                         {[]events.Recorded{begin}, command.LogReplayed},
		"what expected nothing":                 {[]events.Recorded{anyhow}, command.LogReplayed},
		"a governance that was before":          {[]events.Recorded{governed}, command.LogReplayed},
		"what was to follow, twice":             {[]events.Recorded{next, next}, command.LogReplayed},
		"what was to follow, and another place": {[]events.Recorded{{Stream: ann, After: grant.Seq, Events: next.Events}}, command.LogReplayed},
	} {
		for _, at := range []events.Seq{0, 6} { // of the views that it starts from
			r := rights.New(log, spliced{log, test.more}, views{log, at})
			err := r.Run(t.Context())
			if !errors.Is(err, test.err) {
				t.Errorf("%s, from %d: %v, want %v", name, at, err, test.err)
			}
			if grants := r.User("u_ann").Grants; len(grants) != 0 {
				t.Errorf("%s, from %d: grants are %v", name, at, grants)
			}
		}
	}
}
