package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/store"
)

// tab is a browser with a session, on a clock that a test moves.
type tab struct {
	t        *testing.T
	clock    *clock
	db       *postgrestest.DB
	sessions store.Sessions
	person   store.Person
	token    secret.Value // of the cookie
}

func newTab(t *testing.T) *tab {
	t.Helper()
	db, clock := cluster.New(t), newClock()
	b := &tab{t: t, clock: clock, db: db, sessions: store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}, person: ada(t, db.App)}
	opened, token, err := b.sessions.OpenBrowser(t.Context(), b.person.ID)
	if err != nil || !opened.Browser {
		t.Fatalf("%+v, %v", opened, err)
	}
	b.token = token
	return b
}

// renew renews by a token, and returns the one that follows.
func (b *tab) renew(token secret.Value) (secret.Value, error) {
	found, err := b.sessions.Lookup(b.t.Context(), token)
	if err != nil {
		return secret.Value{}, err
	}
	return b.sessions.Renew(b.t.Context(), found, token, kept)
}

func (b *tab) mustRenew(token secret.Value) secret.Value {
	b.t.Helper()
	next, err := b.renew(token)
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

func (b *tab) lookup(token secret.Value) error {
	_, err := b.sessions.Lookup(b.t.Context(), token)
	return err
}

func same(a, b secret.Value) bool { return string(a.Expose()) == string(b.Expose()) }

// kept is a fact that was stored.
func kept() error { return nil }

func TestABrowsersSessionLastsWhileItIsRenewedAndNotWhileItIsUsed(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	b.clock.Add(10 * time.Minute)
	found, err := b.sessions.Lookup(t.Context(), b.token)
	if err != nil || !found.Browser {
		t.Fatalf("%+v, %v", found, err)
	}
	if err := b.sessions.Touch(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	b.clock.Add(5*time.Minute - time.Microsecond)
	if err := b.lookup(b.token); err != nil {
		t.Errorf("just before its end: %v", err)
	}
	b.clock.Add(time.Microsecond)
	wantErr(t, "used, and not renewed", b.lookup(b.token), store.ErrNotFound)
	_, err = b.sessions.Renew(t.Context(), found, b.token, kept)
	wantErr(t, "renewed too late", err, store.ErrNotFound)
	_, err = b.sessions.ByID(t.Context(), found.ID)
	wantErr(t, "looked up by its id", err, store.ErrNotFound)
	if open, err := b.sessions.List(t.Context(), b.person.ID); err != nil || len(open) != 0 {
		t.Errorf("listed: %+v, %v", open, err)
	}
	wantEnded(t, b.sessions, store.EndedSession{ID: found.ID, Person: b.person.ID, Ended: b.clock.Now(), Cause: "idle"})

	_, token, err := b.sessions.OpenBrowser(t.Context(), b.person.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 8*60/10 - 1 {
		b.clock.Add(10 * time.Minute)
		token = b.mustRenew(token)
	}
	b.clock.Add(10 * time.Minute)
	wantErr(t, "at the absolute end", b.lookup(token), store.ErrNotFound)

	// What is no browser's is not renewed.
	other, bearer, err := b.sessions.Open(t.Context(), b.person.ID, seal.VerifyKey{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.sessions.Renew(t.Context(), other, bearer, kept)
	wantErr(t, "no browser's", err, store.ErrNotFound)
}

func TestATokenThatWasReplacedCountsForAMomentAndThenBetraysACopy(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	if next := b.mustRenew(b.token); !same(next, b.token) {
		t.Error("a fresh token was replaced")
	}
	b.clock.Add(time.Minute)
	first := b.mustRenew(b.token)
	if same(first, b.token) || len(first.Expose()) != 43 {
		t.Fatalf("%d bytes", len(first.Expose()))
	}
	b.clock.Add(30*time.Second - time.Microsecond)
	if err := errors.Join(b.lookup(b.token), b.lookup(first)); err != nil {
		t.Errorf("a moment later: %v", err)
	}
	if again := b.mustRenew(b.token); !same(again, first) {
		t.Error("the token before is followed by another one")
	}
	b.clock.Add(time.Microsecond)
	copied, err := b.sessions.Lookup(t.Context(), b.token)
	wantErr(t, "after that", err, store.ErrCopied)
	if copied.Person.ID != b.person.ID {
		t.Errorf("nobody's: %+v", copied)
	}
	if err := b.lookup(first); err != nil {
		t.Errorf("looking ended it: %v", err)
	}
	b.clock.Add(time.Minute)
	second := b.mustRenew(first)
	b.clock.Add(time.Hour / 6)
	wantErr(t, "an older one", b.lookup(b.token), store.ErrCopied)
	_, err = b.sessions.Renew(t.Context(), copied, b.token, kept)
	wantErr(t, "renewed by an older one", err, store.ErrNotFound)

	// What is not recorded does not happen, and it happens once.
	refused := errors.New("not recorded")
	wantErr(t, "not recorded", b.sessions.End(t.Context(), copied.ID, func() error { return refused }), refused)
	if err := b.lookup(second); err != nil {
		t.Errorf("it happened: %v", err)
	}
	recorded := 0
	for range 2 {
		if err := b.sessions.End(t.Context(), copied.ID, func() error { recorded++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if recorded != 1 {
		t.Errorf("recorded %d times", recorded)
	}
	for _, token := range []secret.Value{b.token, first, second} {
		wantErr(t, "of a session that has ended", b.lookup(token), store.ErrNotFound)
	}
}

// TestTabsThatRenewAtOnceShareOneToken is why a token is made of the one before: whichever answer
// comes last, the cookie is the one that counts.
func TestTabsThatRenewAtOnceShareOneToken(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	for range 3 {
		b.clock.Add(2 * time.Minute)
		found, err := b.sessions.Lookup(t.Context(), b.token)
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		got := make([]secret.Value, 16)
		for i := range got {
			group.Go(func() {
				var err error
				if got[i], err = b.sessions.Renew(t.Context(), found, b.token, kept); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, next := range got {
			if !same(next, got[0]) || same(next, b.token) {
				t.Fatal("tabs have different tokens, or the old one")
			}
		}
		b.token = got[0]
	}
	var former int
	if err := b.db.Owner.QueryRow(t.Context(), "SELECT count(*) FROM private.former_tokens").Scan(&former); err != nil || former != 3 {
		t.Errorf("%d former tokens, %v", former, err)
	}
}

// TestTheDatabaseHasNoTokenOfABrowser looks for the tokens and at what makes them.
func TestTheDatabaseHasNoTokenOfABrowser(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	b.clock.Add(time.Minute)
	next := b.mustRenew(b.token)
	for _, token := range []secret.Value{b.token, next} {
		var found bool
		err := b.db.Owner.QueryRow(t.Context(), `
			SELECT strpos(s::text || f::text, $1) > 0
			FROM   private.sessions s, private.former_tokens f`, string(token.Expose())).Scan(&found)
		if err != nil || found {
			t.Errorf("a token is there: %t, %v", found, err)
		}
	}
	if _, err := b.db.Owner.Exec(t.Context(), "UPDATE private.former_tokens SET salt = '\\x00'"); err != nil {
		t.Fatal(err)
	}
	told := 0
	b.sessions.Rows = rowsTelling(func(store.Denounced) { told++ })
	_, err := b.renew(b.token)
	wantErr(t, "made of other bytes it is another one", err, store.ErrNotFound)
	if told != 1 {
		t.Errorf("denounced %d times", told)
	}
}

func TestAnIDTokenFollowsTheTokenOfItsSession(t *testing.T) {
	t.Parallel()
	db, clock := cluster.New(t), newClock()
	ids, sessions := store.Identities{Pool: db.App, Rows: vouching, Now: clock.Now}, store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}
	person, err := ids.Create(t.Context(), issuer, "ann", store.Person{Email: "ann@example.org", Name: "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	const canary = "eyJ.canary-of-an-id-token-91c4.sig"
	opened, token, err := ids.Open(t.Context(), person.ID, seal.VerifyKey{}, store.Origin{Issuer: issuer, Subject: "ann", Token: text(canary)})
	if err != nil || !opened.Browser {
		t.Fatalf("%+v, %v", opened, err)
	}
	clock.Add(time.Minute)
	next, err := sessions.Renew(t.Context(), opened, token, kept)
	if err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]secret.Value{"the new token": next, "the one before": token} {
		if got, err := ids.IDToken(t.Context(), opened.ID, by); err != nil || string(got.Expose()) != canary {
			t.Errorf("by %s: %q, %v", name, got.Expose(), err)
		}
	}
	clock.Add(time.Minute)
	if _, err := sessions.Renew(t.Context(), opened, next, kept); err != nil {
		t.Fatal(err)
	}
	if _, err := ids.IDToken(t.Context(), opened.ID, token); err == nil {
		t.Error("an older token opens it")
	}
}
