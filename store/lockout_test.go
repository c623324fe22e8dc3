package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/store"
)

// cheap gives a person a password whose hash costs next to nothing, so that a test can guess
// thousands of times.
func cheap(t *testing.T, db *postgrestest.DB, person events.UserID, password string) {
	t.Helper()
	hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Owner.Exec(t.Context(), "UPDATE private.people SET password_hash = $2, mac = NULL WHERE id = $1", person, hash); err != nil {
		t.Fatal(err)
	}
	adopt(t, db)
}

// adopt gives rows that a test wrote their MACs.
func adopt(t *testing.T, db *postgrestest.DB) {
	t.Helper()
	_, err := store.Adopt(t.Context(), db.Owner, vouching, time.Now(), func(events.UserID) command.User { return command.User{} })
	if err != nil {
		t.Fatal(err)
	}
}

func breakGlass(t *testing.T, db *postgrestest.DB, person events.UserID) {
	t.Helper()
	if _, err := db.Owner.Exec(t.Context(), "UPDATE private.people SET break_glass = true, mac = NULL WHERE id = $1", person); err != nil {
		t.Fatal(err)
	}
	adopt(t, db)
}

// TestTenThousandWrongGuessesFromElsewhereNeverKeepABreakGlassOwnerOut guesses from a hundred
// networks, and lets the owner in from one of their own in between and at the end.
func TestTenThousandWrongGuessesFromElsewhereNeverKeepABreakGlassOwnerOut(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	people := store.People{Pool: db.App, Rows: vouching, Now: clock.Now}
	person := ada(t, db.App)
	cheap(t, db, person.ID, "correct horse")
	breakGlass(t, db, person.ID)
	for round := range 4 {
		var group sync.WaitGroup
		for worker := range 4 {
			group.Go(func() {
				for i := range 10_000 / 16 {
					if _, err := people.Verify(t.Context(), person.Email, text("wrong"), fmt.Sprint("net-", worker, "-", i%25)); err == nil {
						t.Error("a wrong password was taken")
					}
				}
			})
		}
		group.Wait()
		if _, err := people.Verify(t.Context(), person.Email, text("correct horse"), fmt.Sprint("home-", round)); err != nil {
			t.Fatalf("the owner is kept out after %d guesses: %v", (round+1)*2500, err)
		}
		_, err := people.Verify(t.Context(), person.Email, text("correct horse"), "net-0-0")
		wantErr(t, "who guessed there is locked there", err, store.ErrLocked)
	}
}

// TestOthersCannotLockAPersonOutForEver: those who guess from everywhere make the account wait,
// half a minute at most, and not at all where its owner was before.
func TestOthersCannotLockAPersonOutForEver(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	people := store.People{Pool: db.App, Rows: vouching, Now: clock.Now}
	person := ada(t, db.App)
	cheap(t, db, person.ID, "correct horse")
	try := func(password, network string) error {
		_, err := people.Verify(t.Context(), person.Email, text(password), network)
		return err
	}
	if err := try("correct horse", "home"); err != nil {
		t.Fatal(err)
	}
	elsewhere := 0
	guess := func() error { elsewhere++; return try("wrong", fmt.Sprint("net-", elsewhere)) }
	for range 31 {
		wantErr(t, "a guess from elsewhere", guess(), store.ErrWrongPassword)
	}
	wantErr(t, "the account waits", guess(), store.ErrLocked)
	for range 20 { // as long as they like
		clock.Add(30 * time.Second)
		wantErr(t, "a guess after each lock", guess(), store.ErrWrongPassword)
		wantErr(t, "from where its owner never was", try("correct horse", "café"), store.ErrLocked)
		if err := try("correct horse", "home"); err != nil {
			t.Fatalf("the owner is locked out at home: %v", err)
		}
	}
	clock.Add(30 * time.Second)
	if err := try("correct horse", "café"); err != nil {
		t.Errorf("30 seconds after the last guess: %v", err)
	}
}

// TestFailuresAreForgottenAfterTheLock is the gap of a neighbour, whose counter stayed when
// the lock lapsed, so that one more failure locked again for good.
func TestFailuresAreForgottenAfterTheLock(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	people := store.People{Pool: db.App, Rows: vouching, Now: clock.Now}
	person := ada(t, db.App)
	cheap(t, db, person.ID, "correct horse")
	try := func(password string) error {
		_, err := people.Verify(t.Context(), person.Email, text(password), "n")
		return err
	}
	for range 5 {
		wantErr(t, "a failure", try("wrong"), store.ErrWrongPassword)
	}
	wantErr(t, "locked", try("wrong"), store.ErrLocked)
	clock.Add(15*time.Second + 15*time.Minute)
	for range 4 {
		wantErr(t, "free again", try("wrong"), store.ErrWrongPassword)
	}
	if err := try("correct horse"); err != nil {
		t.Errorf("no lock from what is forgotten: %v", err)
	}
	for range 4 {
		_ = try("wrong")
	}
	clock.Add(31 * time.Minute)
	if err := (store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}).DeleteStale(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.Owner.QueryRow(t.Context(), "SELECT count(*) FROM private.failures").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d counts are kept, %v", left, err)
	}
}

// TestGuessesThatRunAtOnceCountOneByOne: sixteen at once are no way around the lock.
func TestGuessesThatRunAtOnceCountOneByOne(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	people := store.People{Pool: db.App, Rows: vouching, Now: newClock().Now}
	person := ada(t, db.App)
	var mu sync.Mutex
	counted := 0
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, err := people.Verify(t.Context(), person.Email, text("wrong"), "n")
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !isLocked(err) {
				counted++
			}
		})
	}
	group.Wait()
	if counted != 5 {
		t.Errorf("%d guesses were answered before the lock fell, want 5", counted)
	}
}
