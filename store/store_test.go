package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/store"
)

var _ custody.Envelopes = store.Envelopes{}

var cluster = postgrestest.Cluster{Prepare: store.Migrate}

// vouching are the MACs of rows in tests, which denounce what no test means to be denounced.
var vouching = rowsTelling(func(d store.Denounced) { panic(fmt.Sprintf("denounced: %+v", d)) })

func rowsTelling(told func(store.Denounced)) *store.Rows {
	rows, err := store.NewRows(make([]byte, 32), func(_ context.Context, d store.Denounced) { told(d) })
	if err != nil {
		panic(err)
	}
	return rows
}

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func text(s string) secret.Value { return secret.New([]byte(s)) }

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func ada(t *testing.T, pool *pgxpool.Pool) store.Person {
	t.Helper()
	person, err := store.People{Pool: pool, Rows: vouching}.Create(t.Context(), store.Person{Email: "Ada@Example.org ", Name: "Ada"}, text("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	return person
}

func TestPeopleAreFoundHoweverTheEmailIsWritten(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	people := store.People{Pool: db.App, Rows: vouching}
	person := ada(t, db.App)
	for _, find := range []func() (store.Person, error){
		func() (store.Person, error) { return people.ByID(t.Context(), person.ID) },
		func() (store.Person, error) { return people.ByEmail(t.Context(), " ADA@example.ORG") },
		func() (store.Person, error) {
			return people.Verify(t.Context(), "aDa@example.org", text("correct horse"), "n")
		},
	} {
		got, err := find()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(person, got); diff != "" {
			t.Errorf("person (-want +got):\n%s", diff)
		}
	}
	_, err := people.Create(t.Context(), store.Person{Email: "ADA@example.org"}, text("x"))
	wantErr(t, "same e-mail", err, store.ErrConflict)
	_, err = people.ByEmail(t.Context(), "eve@example.org")
	wantErr(t, "stranger", err, store.ErrNotFound)
}

func TestVerifySaysWhyButOnlyTheIDOfWhom(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	people := store.People{Pool: db.App, Rows: vouching}
	person := ada(t, db.App)
	got, err := people.Verify(t.Context(), person.Email, text("wrong"), "n")
	wantErr(t, "wrong password", err, store.ErrWrongPassword)
	if diff := cmp.Diff(store.Person{ID: person.ID}, got); diff != "" {
		t.Errorf("with an error (-want +got):\n%s", diff)
	}
	_, err = people.Verify(t.Context(), "eve@example.org", text("wrong"), "n")
	wantErr(t, "stranger", err, store.ErrNotFound)
	if err := people.SetDisabled(t.Context(), person.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = people.Verify(t.Context(), person.Email, text("correct horse"), "n")
	wantErr(t, "disabled", err, store.ErrDisabled)
}

func TestWrongPasswordsLockForLongerAndLongerUpToAQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	people := store.People{Pool: db.App, Rows: vouching, Now: clock.Now}
	person := ada(t, db.App)
	try := func(password string) error {
		_, err := people.Verify(t.Context(), person.Email, text(password), "n")
		return err
	}
	for range 4 {
		wantErr(t, "a free failure", try("wrong"), store.ErrWrongPassword)
	}
	for _, lock := range []time.Duration{15, 30, 60, 120, 240, 480, 900, 900} {
		lock *= time.Second
		wantErr(t, "a failure that locks", try("wrong"), store.ErrWrongPassword)
		clock.Add(lock - time.Microsecond)
		wantErr(t, "wrong while locked", try("wrong"), store.ErrLocked)
		wantErr(t, "right while locked", try("correct horse"), store.ErrLocked)
		clock.Add(time.Microsecond)
	}
	if err := try("correct horse"); err != nil {
		t.Errorf("after the lock: %v", err)
	}
	for range 4 {
		wantErr(t, "the count begins anew", try("wrong"), store.ErrWrongPassword)
	}
	if err := try("correct horse"); err != nil {
		t.Errorf("before the next lock: %v", err)
	}
}

func TestSessionsEndIdleAbsolutelyAndByRevocation(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	person := ada(t, db.App)
	sessions := store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}
	open := func() (store.Session, secret.Value) {
		session, token, err := sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
		if err != nil {
			t.Fatal(err)
		}
		return session, token
	}
	lookup := func(token secret.Value) error { // and use
		found, err := sessions.Lookup(t.Context(), token)
		if err != nil {
			return err
		}
		return sessions.Touch(t.Context(), found)
	}

	opened, token := open()
	got, err := sessions.Lookup(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(opened, got, cmp.Comparer(sameKey)); diff != "" {
		t.Errorf("session (-opened +got):\n%s", diff)
	}
	clock.Add(30*time.Minute - time.Microsecond)
	if err := lookup(token); err != nil {
		t.Errorf("just before the idle end: %v", err)
	}
	clock.Add(30 * time.Minute)
	wantErr(t, "at the idle end", lookup(token), store.ErrNotFound)

	_, token = open()
	clock.Add(29 * time.Minute)
	if _, err := sessions.Lookup(t.Context(), token); err != nil {
		t.Errorf("look before the idle end: %v", err)
	}
	clock.Add(time.Minute)
	_, err = sessions.Lookup(t.Context(), token)
	wantErr(t, "looking is no use, so the session is over", err, store.ErrNotFound)

	_, token = open()
	for range 8*60/20 - 1 { // used every 20 minutes
		clock.Add(20 * time.Minute)
		if err := lookup(token); err != nil {
			t.Fatalf("in use: %v", err)
		}
	}
	clock.Add(20 * time.Minute)
	wantErr(t, "at the absolute end", lookup(token), store.ErrNotFound)
	if ended, err := sessions.Ended(t.Context(), 2); err != nil || len(ended) != 2 {
		t.Errorf("%d ended sessions, %v; want two at most", len(ended), err)
	}
	causes := map[string]int{}
	for _, s := range forgetEnded(t, sessions) {
		causes[s.Cause]++
	}
	if diff := cmp.Diff(map[string]int{"idle": 2, "absolute": 1}, causes); diff != "" {
		t.Errorf("why sessions ended (-want +got)\n%s", diff)
	}

	one, token := open()
	_, other := open()
	if err := sessions.Revoke(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "revoked", lookup(token), store.ErrNotFound)
	if err := lookup(other); err != nil {
		t.Errorf("the other session: %v", err)
	}
	if n, err := sessions.RevokeAll(t.Context(), person.ID); err != nil || n != 1 {
		t.Errorf("revoked %d, %v; want 1", n, err)
	}
	wantErr(t, "all revoked", lookup(other), store.ErrNotFound)
	wantErr(t, "no token at all", lookup(secret.Value{}), store.ErrNotFound)
}

func TestWhatHappensToAPersonActsOnOpenSessionsAtOnce(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	people, sessions := store.People{Pool: db.App, Rows: vouching}, store.Sessions{Pool: db.App, Rows: vouching}
	person := ada(t, db.App)
	_, token, err := sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
	if err != nil {
		t.Fatal(err)
	}
	if err := people.SetDisabled(t.Context(), person.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = sessions.Lookup(t.Context(), token)
	wantErr(t, "lookup of a disabled person", err, store.ErrNotFound)
	_, _, err = sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
	wantErr(t, "open for a disabled person", err, store.ErrNotFound)
	if err := people.SetDisabled(t.Context(), person.ID, false); err != nil {
		t.Fatal(err)
	}
	if err := people.Erase(t.Context(), person.ID); err != nil {
		t.Fatal(err)
	}
	_, err = sessions.Lookup(t.Context(), token)
	wantErr(t, "lookup of an erased person", err, store.ErrNotFound)
	names, err := people.Names(t.Context(), []events.UserID{person.ID})
	if err != nil || len(names) != 0 {
		t.Errorf("names of an erased person: %v, %v", names, err)
	}
}

func sameKey(a, b seal.VerifyKey) bool { return a == b }

// A session that has a key says so whenever it is looked up, and its key opens no other.
func TestAKeyOpensOneSession(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	sessions, person := store.Sessions{Pool: db.App, Rows: vouching}, ada(t, db.App)
	signing, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	key := signing.Public()
	opened, token, err := sessions.Open(t.Context(), person.ID, key)
	if err != nil || opened.Key != key {
		t.Fatalf("opened with %q, %v", opened.Key, err)
	}
	if got, err := sessions.Lookup(t.Context(), token); err != nil || got.Key != key {
		t.Errorf("look up: key %q, %v", got.Key, err)
	}
	_, _, err = sessions.Open(t.Context(), person.ID, key)
	wantErr(t, "a second session of one key", err, store.ErrKeyUsed)
	for range 2 {
		bearer, token, err := sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
		if err != nil || bearer.Key != (seal.VerifyKey{}) {
			t.Fatalf("a session without a key has %q, %v", bearer.Key, err)
		}
		if got, err := sessions.Lookup(t.Context(), token); err != nil || got.Key != (seal.VerifyKey{}) {
			t.Errorf("look up: key %q, %v", got.Key, err)
		}
	}
	if _, err := db.Owner.Exec(t.Context(), "UPDATE private.sessions SET public_key = 'ed25519:AAAA' WHERE id = $1", opened.ID); err != nil {
		t.Fatal(err)
	}
	told := 0
	sessions.Rows = rowsTelling(func(store.Denounced) { told++ })
	if _, err := sessions.Lookup(t.Context(), token); err == nil || told != 1 {
		t.Errorf("a session with half a key was found: %v, denounced %d times", err, told)
	}
}

// The token itself is nowhere in the row.
func TestOnlyTheHashOfATokenIsStored(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	_, token, err := store.Sessions{Pool: db.App, Rows: vouching}.Open(t.Context(), ada(t, db.App).ID, seal.VerifyKey{})
	if err != nil {
		t.Fatal(err)
	}
	var found bool
	err = db.App.QueryRow(t.Context(), "SELECT strpos(s::text, $1) > 0 OR s.token_hash = $1::text::bytea FROM private.sessions s", string(token.Expose())).Scan(&found)
	if err != nil || found {
		t.Errorf("token found in its row: %v, %v", found, err)
	}
}

func envelope(now time.Time) custody.Envelope {
	return custody.Envelope{
		Direction: seal.Read,
		ID:        events.EnvelopeOf(events.JobOf(events.RequestOf(events.NewCommandID())), 2, "password"), Request: events.RequestOf(events.NewCommandID()), Job: "j_1", Attempt: 2, Key: "password",
		Connection: "file", Ref: "prod/db", Agent: events.NewAgentID(), AgentKey: "key-id",
		Expires: now.Add(time.Hour), Box: []byte{1, 2}, Wrapped: []byte{3, 0}, KMSKey: "local:1", Fingerprint: "f", Created: now,
	}
}

func TestPutIsIdempotentForTheSameEnvelopeOnly(t *testing.T) {
	t.Parallel()
	envelopes := store.Envelopes{Pool: cluster.New(t).App}
	now := newClock().Now()
	want := envelope(now)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := envelopes.Put(t.Context(), want); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	later := want
	later.Created = now.Add(time.Second)
	if err := envelopes.Put(t.Context(), later); err != nil {
		t.Errorf("the same, later: %v", err)
	}
	for name, change := range map[string]func(*custody.Envelope){
		"box":     func(e *custody.Envelope) { e.Box = []byte{9} },
		"attempt": func(e *custody.Envelope) { e.Attempt++ },
		"expires": func(e *custody.Envelope) { e.Expires = e.Expires.Add(time.Second) },
	} {
		other := want
		change(&other)
		wantErr(t, "another "+name, envelopes.Put(t.Context(), other), store.ErrConflict)
	}
	got, err := envelopes.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
}

func TestEnvelopesAreDestroyedOneByOneAndAtTheirEnd(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	envelopes := store.Envelopes{Pool: db.App}
	now := newClock().Now()
	var stored []events.EnvelopeID
	request := events.RequestOf(events.NewCommandID())
	for i := range 5 {
		e := envelope(now.Add(time.Duration(i) * time.Minute))
		e.Request = request
		if err := envelopes.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, e.ID)
	}
	for range 2 {
		if err := envelopes.Delete(t.Context(), stored[4]); err != nil {
			t.Error(err)
		}
	}
	_, err := envelopes.Get(t.Context(), stored[4])
	wantErr(t, "a deleted envelope", err, custody.ErrNoEnvelope)

	end := now.Add(time.Hour + 2*time.Minute) // the third one's, exclusive
	var gone []events.EnvelopeID
	for range 2 {
		ids, err := envelopes.DeleteExpired(t.Context(), end, 2)
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, ids...)
	}
	if len(gone) != 3 {
		t.Errorf("expired: %v, want the first three", gone)
	}
	left, err := envelopes.ListByRequest(t.Context(), request)
	if err != nil || len(left) != 1 || left[0].ID != stored[3] {
		t.Errorf("left: %v, %v; want only %s", left, err, stored[3])
	}
}

// TestProposalsAreReplacedAtRestAndChangedUnderALock: the same submit may come twice, and
// a delivery happens once whoever races for it.
func TestProposalsAreReplacedAtRestAndChangedUnderALock(t *testing.T) {
	t.Parallel()
	ctx, envelopes := t.Context(), store.Envelopes{Pool: cluster.New(t).App}
	row := envelope(newClock().Now())
	row.Direction, row.Agent, row.AgentKey, row.Attempt = seal.Patch, "", "", 0
	if err := envelopes.PutProposals(ctx, []custody.Envelope{row}); err != nil {
		t.Fatal(err)
	}
	row.Box = []byte("sealed again")
	if err := envelopes.PutProposals(ctx, []custody.Envelope{row}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if _, err := envelopes.Change(ctx, row.ID, func(v custody.Envelope) (custody.Envelope, error) {
		v.AgentKey = "k0"
		return v, refused
	}); !errors.Is(err, refused) {
		t.Fatalf("a refused change: %v", err)
	}
	var opened atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := envelopes.Change(ctx, row.ID, func(v custody.Envelope) (custody.Envelope, error) {
				if v.AgentKey == "" {
					opened.Add(1)
					v.Agent, v.AgentKey, v.Box, v.Wrapped, v.KMSKey = "a_1", fmt.Sprint("k", i+1), []byte("delivered"), []byte{}, ""
				}
				return v, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := opened.Load(); n != 1 {
		t.Errorf("it was opened %d times", n)
	}
	if err := envelopes.PutProposals(ctx, []custody.Envelope{row}); err != nil {
		t.Fatal(err)
	}
	if got, err := envelopes.Get(ctx, row.ID); err != nil || string(got.Box) != "delivered" || len(got.Wrapped) != 0 {
		t.Errorf("a delivered value was replaced: %+v, %v", got, err)
	}
	if _, err := envelopes.Change(ctx, "e_none", func(v custody.Envelope) (custody.Envelope, error) { return v, nil }); !errors.Is(err, custody.ErrNoEnvelope) {
		t.Errorf("one that is not there: %v", err)
	}
}
