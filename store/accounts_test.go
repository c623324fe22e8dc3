package store_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/store"
)

func isLocked(err error) bool { return errors.Is(err, store.ErrLocked) }

func machine(t *testing.T, people store.People, name string) store.Account {
	t.Helper()
	made, err := people.Add(t.Context(), store.Account{ID: events.NewUserID(), Kind: events.UserMachine, Name: name, Description: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestALinkWorksOnceHoweverManyComeAtOnce: of sixteen one sets the password, and only after
// it is recorded.
func TestALinkWorksOnceHoweverManyComeAtOnce(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	people := store.People{Pool: db.App, Rows: vouching, Now: clock.Now}
	links, sessions := store.Links{Pool: db.App, Rows: vouching, Now: clock.Now}, store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}
	person := ada(t, db.App)
	opened, session, err := sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := links.Issue(t.Context(), person.ID, events.LinkReset, clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("not recorded")
	err = links.Redeem(t.Context(), token, text("battery staple"), "c_test", func(store.Link, []events.SessionID) error { return refused })
	wantErr(t, "what is not recorded does not happen", err, refused)
	if _, err := sessions.Lookup(t.Context(), session); err != nil {
		t.Errorf("a session ended by what did not happen: %v", err)
	}
	var won, lost atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			err := links.Redeem(t.Context(), token, text("battery staple"), "c_test", func(l store.Link, ended []events.SessionID) error {
				if l.Person.ID != person.ID || l.Purpose != events.LinkReset || !slices.Equal(ended, []events.SessionID{opened.ID}) {
					t.Errorf("redeemed %+v, ended %v", l, ended)
				}
				return nil
			})
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, store.ErrNotFound):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d won and %d lost", won.Load(), lost.Load())
	}
	_, err = sessions.Lookup(t.Context(), session)
	wantErr(t, "a session of the old password", err, store.ErrNotFound)
	_, err = people.Verify(t.Context(), person.Email, text("correct horse"), "n")
	wantErr(t, "the old password", err, store.ErrWrongPassword)
	if _, err := people.Verify(t.Context(), person.Email, text("battery staple"), "n"); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestALinkEndsByItsTimeByANewerOneAndWithItsPerson(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	people, links := store.People{Pool: db.App, Rows: vouching, Now: clock.Now}, store.Links{Pool: db.App, Rows: vouching, Now: clock.Now}
	person := ada(t, db.App)
	issue := func(purpose events.LinkPurpose) secret.Value {
		token, err := links.Issue(t.Context(), person.ID, purpose, clock.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	look := func(token secret.Value) error { _, err := links.Look(t.Context(), token); return err }
	older, other := issue(events.LinkReset), issue(events.LinkInvitation)
	newer := issue(events.LinkReset)
	wantErr(t, "one before it of the same purpose", look(older), store.ErrNotFound)
	if err := errors.Join(look(other), look(newer)); err != nil {
		t.Error(err)
	}
	if err := people.SetDisabled(t.Context(), person.ID, true); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "of somebody who is disabled", look(newer), store.ErrNotFound)
	if err := people.SetDisabled(t.Context(), person.ID, false); err != nil {
		t.Fatal(err)
	}
	clock.Add(time.Hour)
	wantErr(t, "at its end", look(newer), store.ErrNotFound)
	err := links.Redeem(t.Context(), newer, text("battery staple"), "c_test", func(store.Link, []events.SessionID) error { return nil })
	wantErr(t, "redeemed at its end", err, store.ErrNotFound)
	if _, err := links.Issue(t.Context(), machine(t, people, "ci").ID, events.LinkReset, clock.Now().Add(time.Hour)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a link for a machine: %v", err)
	}
	for _, bad := range []string{"", "sbl_", string(newer.Expose()[:52]), string(newer.Expose()) + "0", strings.Replace(string(newer.Expose()), "sbl_", "sbt_", 1)} {
		wantErr(t, "a text that is none", look(text(bad)), store.ErrNotFound)
	}
}

func TestAMachinesTokenEndsByItsTimeByRevocationAndWithItsMachine(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	people, tokens := store.People{Pool: db.App, Rows: vouching, Now: clock.Now}, store.Tokens{Pool: db.App, Rows: vouching, Now: clock.Now}
	ci := machine(t, people, "ci")
	n := 0
	issue := func() (events.TokenID, secret.Value) {
		n++
		id := events.TokenOf(events.NewCommandID())
		token, err := tokens.Issue(t.Context(), ci.ID, id, clock.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return id, token
	}
	lookup := func(token secret.Value) error { _, err := tokens.Lookup(t.Context(), token); return err }
	id, token := issue()
	if !store.IsToken(string(token.Expose())) || len(token.Expose()) != 53 {
		t.Errorf("a token of %d bytes has no form", len(token.Expose()))
	}
	_, err := tokens.Issue(t.Context(), ci.ID, id, clock.Now().Add(time.Hour))
	wantErr(t, "a second token of one id", err, store.ErrConflict)
	got, err := tokens.Lookup(t.Context(), token)
	if err != nil || got.ID != id || got.Machine.ID != ci.ID || !got.Used.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if err := tokens.Touch(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	used, err := tokens.Used(t.Context(), ci.ID)
	if err != nil || !used[id].Equal(clock.Now()) {
		t.Errorf("used %v, %v", used, err)
	}
	clock.Add(time.Minute - time.Microsecond)
	if got, err = tokens.Lookup(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := tokens.Touch(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if again, _ := tokens.Used(t.Context(), ci.ID); !again[id].Equal(used[id]) {
		t.Errorf("use was written down again after less than a minute")
	}
	if err := tokens.Revoke(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "revoked", lookup(token), store.ErrNotFound)
	_, token = issue()
	if err := people.ShutOut(t.Context(), ci.ID, func([]events.SessionID) error { return nil }); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "of a machine that is shut out", lookup(token), store.ErrNotFound)
	if err := people.SetDisabled(t.Context(), ci.ID, false); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "and does not come back with it", lookup(token), store.ErrNotFound)
	_, token = issue()
	clock.Add(time.Hour)
	wantErr(t, "at its end", lookup(token), store.ErrNotFound)
	_, token = issue()
	if err := people.Erase(t.Context(), ci.ID); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "of an erased machine", lookup(token), store.ErrNotFound)
	_, err = tokens.Issue(t.Context(), ada(t, db.App).ID, events.TokenOf("c_1"), clock.Now().Add(time.Hour))
	wantErr(t, "a token of a person", err, store.ErrNotFound)
}

// TestErasedPeopleLeaveNoRow looks into every table that says who somebody is.
func TestErasedPeopleLeaveNoRow(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	people := store.People{Pool: db.App, Rows: vouching}
	person := ada(t, db.App)
	for range 5 {
		_, _ = people.Verify(t.Context(), person.Email, text("wrong"), "n")
	}
	if _, err := people.Verify(t.Context(), person.Email, text("correct horse"), "home"); err != nil {
		t.Fatal(err)
	}
	if _, err := (store.Links{Pool: db.App, Rows: vouching}).Issue(t.Context(), person.ID, events.LinkReset, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (store.Sessions{Pool: db.App, Rows: vouching}).Open(t.Context(), person.ID, seal.VerifyKey{}); err != nil {
		t.Fatal(err)
	}
	left := func() (n int) {
		err := db.Owner.QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM private.people) + (SELECT count(*) FROM private.sessions) + (SELECT count(*) FROM private.links)
			     + (SELECT count(*) FROM private.failures) + (SELECT count(*) FROM private.known_networks) + (SELECT count(*) FROM private.tokens)`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := left(); n != 6 {
		t.Errorf("%d rows before, want 6", n)
	}
	if err := people.Erase(t.Context(), person.ID); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestEMailsAndNamesOfMachinesAreTakenOnce(t *testing.T) {
	t.Parallel()
	people := store.People{Pool: cluster.New(t).App, Rows: vouching, Now: newClock().Now}
	invited, err := people.Add(t.Context(), store.Account{ID: events.NewUserID(), Kind: events.UserPerson, Email: " EVE@example.org", Name: "Eve"})
	if err != nil {
		t.Fatal(err)
	}
	there, err := people.Add(t.Context(), store.Account{ID: events.NewUserID(), Kind: events.UserPerson, Email: "eve@EXAMPLE.org", Name: "Other"})
	wantErr(t, "the same e-mail", err, store.ErrConflict)
	if there != invited {
		t.Errorf("who has it: %+v, want %+v", there, invited)
	}
	_, err = people.Verify(t.Context(), "eve@example.org", text(""), "n")
	wantErr(t, "whoever has no password yet", err, store.ErrWrongPassword)
	machine(t, people, "eve")
	_, err = people.Add(t.Context(), store.Account{ID: events.NewUserID(), Kind: events.UserMachine, Name: "eve"})
	wantErr(t, "the same name of a machine", err, store.ErrConflict)
	all, err := people.Accounts(t.Context(), events.UserPerson, store.Place{}, 10)
	if err != nil || len(all) != 1 || all[0] != invited {
		t.Errorf("people: %+v, %v", all, err)
	}
	rest, err := people.Accounts(t.Context(), events.UserPerson, store.Place{Created: invited.Created, ID: invited.ID}, 10)
	if err != nil || len(rest) != 0 {
		t.Errorf("after the last: %+v, %v", rest, err)
	}
}
