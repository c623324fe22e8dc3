package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/store"
)

const issuer = "https://login.example"

// TestAnIdentityIsOnePersonHoweverOftenItComesAtOnce: sixteen first sign-ins of one subject.
func TestAnIdentityIsOnePersonHoweverOftenItComesAtOnce(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	ids := store.Identities{Pool: db.App, Rows: vouching}
	var made, linked atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, err := ids.Create(t.Context(), issuer, "ann", store.Person{Email: "Ann@Example.org", Name: "Ann"})
			switch {
			case err == nil:
				made.Add(1)
			case errors.Is(err, store.ErrLinked):
				linked.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if made.Load() != 1 || linked.Load() != 15 {
		t.Errorf("%d made, %d linked", made.Load(), linked.Load())
	}
	person, err := ids.Find(t.Context(), issuer, "ann")
	if err != nil || person.Email != "ann@example.org" {
		t.Errorf("%+v, %v", person, err)
	}
	_, err = ids.Create(t.Context(), "https://other.example", "ann", store.Person{Email: "ann@example.org", Name: "Ann"})
	wantErr(t, "the same e-mail by another issuer", err, store.ErrConflict)
	_, err = ids.Find(t.Context(), "https://other.example", "ann")
	wantErr(t, "the same subject by another issuer", err, store.ErrNotFound)
	_, err = (store.People{Pool: db.App, Rows: vouching}).Verify(t.Context(), "ann@example.org", text(""), "192.0.2.1")
	if err == nil {
		t.Error("an empty password opens an account without one")
	}
	if err := (store.People{Pool: db.App, Rows: vouching}).Erase(t.Context(), person.ID); err != nil {
		t.Fatal(err)
	}
	_, err = ids.Find(t.Context(), issuer, "ann")
	wantErr(t, "an identity of somebody who was erased", err, store.ErrNotFound)
}

func TestSignInsUnderWayAreTakenOnceAndHaveAnEnd(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	ids := store.Identities{Pool: db.App, Rows: vouching, Now: clock.Now}
	login := store.Login{
		State: sha256.Sum256([]byte("state")), Cookie: sha256.Sum256([]byte("cookie")), Nonce: "n", Verifier: "v", Return: "/a", Port: 4000, Challenge: "c",
		Ends: clock.Now().Add(10 * time.Minute),
	}
	if err := ids.Begin(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	var took atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			got, err := ids.Take(t.Context(), login.State)
			if err == nil {
				took.Add(1)
				if got.Ends = got.Ends.UTC(); got != login {
					t.Errorf("%+v, want %+v", got, login)
				}
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if took.Load() != 1 {
		t.Errorf("taken %d times", took.Load())
	}

	// So many that there is no place for one more, until they have ended.
	if _, err := db.Owner.Exec(t.Context(), `
		INSERT INTO private.logins (state_hash, cookie_hash, nonce, verifier, return_to, cli_port, challenge, ends_at)
		SELECT sha256(n::text::bytea), sha256(n::text::bytea), '', '', '/', 0, '', $1
		FROM   generate_series(1, 20000) n`, clock.Now().Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "one too many", ids.Begin(t.Context(), login), store.ErrFull)
	clock.Add(10 * time.Minute)
	login.Ends = clock.Now().Add(time.Minute)
	if err := ids.Begin(t.Context(), login); err != nil {
		t.Errorf("after the others have ended: %v", err)
	}
	clock.Add(time.Minute)
	_, err := ids.Take(t.Context(), login.State)
	wantErr(t, "one that has ended", err, store.ErrNotFound)
}

func TestAnIDTokenOpensWithItsSessionAlone(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	ids := store.Identities{Pool: db.App, Rows: vouching}
	person, err := ids.Create(t.Context(), issuer, "ann", store.Person{Email: "ann@example.org", Name: "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	const canary = "eyJ.canary-of-an-id-token-77e0.sig"
	opened, token, err := ids.Open(t.Context(), person.ID, seal.VerifyKey{}, store.Origin{Issuer: issuer, Subject: "ann", Session: "s1", Token: text(canary)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ids.IDToken(t.Context(), opened.ID, token)
	if err != nil || string(got.Expose()) != canary {
		t.Errorf("%q, %v", got.Expose(), err)
	}
	if _, err := ids.IDToken(t.Context(), opened.ID, text("another")); err == nil {
		t.Error("another token opens it")
	}
	var row []byte
	if err := db.Owner.QueryRow(t.Context(), "SELECT oidc_id_token FROM private.sessions").Scan(&row); err != nil {
		t.Fatal(err)
	}
	if len(row) == 0 || bytes.Contains(row, []byte("canary")) {
		t.Errorf("%q", row)
	}
	long := secret.New(bytes.Repeat([]byte("x"), 9<<10))
	opened, token, err = ids.Open(t.Context(), person.ID, seal.VerifyKey{}, store.Origin{Issuer: issuer, Subject: "ann", Token: long})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ids.IDToken(t.Context(), opened.ID, token); err != nil || len(got.Expose()) != 0 {
		t.Errorf("a long one is kept: %d bytes, %v", len(got.Expose()), err)
	}
}

// TestALogOutIsAllOrNothing: what is not recorded does not happen, and of sixteen at once one does.
func TestALogOutIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	ids, sessions := store.Identities{Pool: db.App, Rows: vouching}, store.Sessions{Pool: db.App, Rows: vouching}
	person, err := ids.Create(t.Context(), issuer, "ann", store.Person{Email: "ann@example.org", Name: "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := ids.Open(t.Context(), person.ID, seal.VerifyKey{}, store.Origin{Issuer: issuer, Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	_, local, err := sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
	if err != nil {
		t.Fatal(err)
	}
	// A session whose own at the provider is not known is one of the subject's.
	asked := store.Logout{Issuer: issuer, Subject: "ann", Session: "s1", TokenID: "j1", Ends: time.Now().Add(time.Minute)}
	refused := errors.New("not recorded")
	wantErr(t, "what is not recorded", ids.End(t.Context(), asked, func([]store.Ended) error { return refused }), refused)
	if _, err := sessions.Lookup(t.Context(), token); err != nil {
		t.Errorf("it happened: %v", err)
	}
	var obeyed, replayed atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			err := ids.End(t.Context(), asked, func(ended []store.Ended) error {
				if len(ended) != 1 || ended[0].Person != person.ID {
					t.Errorf("ended %+v", ended)
				}
				return nil
			})
			switch {
			case err == nil:
				obeyed.Add(1)
			case errors.Is(err, store.ErrReplayed):
				replayed.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if obeyed.Load() != 1 || replayed.Load() != 15 {
		t.Errorf("obeyed %d times, replayed %d", obeyed.Load(), replayed.Load())
	}
	_, err = sessions.Lookup(t.Context(), token)
	wantErr(t, "the session of the provider", err, store.ErrNotFound)
	if _, err := sessions.Lookup(t.Context(), local); err != nil {
		t.Errorf("a session by password ended: %v", err)
	}
}
