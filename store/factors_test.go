package store_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/identity/factors"
	"secretsbridge/identity/factors/factorstest"
	"secretsbridge/kms/local"
	"secretsbridge/seal"
	"secretsbridge/store"
)

var _ factors.Store = store.Factors{}

// TestFactorsMoveToAnotherKeyAndStillCount rotates and rewraps, after which the old key is not
// needed, and an app that was enrolled under it steps up.
func TestFactorsMoveToAnotherKeyAndStillCount(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	person := ada(t, db.App)
	keys, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	party, err := factors.NewParty("localhost", []string{"https://localhost"})
	if err != nil {
		t.Fatal(err)
	}
	log := &commandtest.Memory{}
	added := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: commandtest.Noon}
	if _, err := command.Record(t.Context(), log, events.UserStream(person.ID), added, events.UserAdded{User: person.ID, Kind: events.UserPerson}); err != nil {
		t.Fatal(err)
	}
	keeper := factors.New(factors.Config{
		Log: log, Store: store.Factors{Pool: db.App, Rows: vouching}, Spent: &factorstest.Spent{}, Keys: keys, Party: party,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return commandtest.Noon },
	})
	at := func(minutes int) command.Meta {
		return command.Meta{Command: events.NewCommandID(), Actor: events.UserActor(person.ID), Time: commandtest.Noon.Add(time.Duration(minutes) * time.Minute)}
	}
	app, err := keeper.StartTOTP(t.Context(), at(0), "phone", person.Email)
	if err != nil {
		t.Fatal(err)
	}
	code := func(minutes int) string {
		c, err := totp.GenerateCode(app.Secret, at(minutes).Time)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, err := keeper.ConfirmTOTP(t.Context(), at(0), app.Factor, code(0), true); err != nil {
		t.Fatal(err)
	}
	old, err := keys.PrimaryKeyID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := keys.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := store.Envelopes{Pool: db.App}
	if counts, err := rows.CountByKey(t.Context()); err != nil || counts[old] != 1 {
		t.Errorf("before the rewrap: %v, %v", counts, err)
	}
	done, err := custody.Rewrap(t.Context(), keys, rows, func(custody.Rewrapped) error { return nil })
	if err != nil || done.Moved != 1 || done.Failed != 0 {
		t.Fatalf("rewrap: %+v, %v", done, err)
	}
	if counts, err := rows.CountByKey(t.Context()); err != nil || counts[old] != 0 || counts[fresh] != 1 {
		t.Errorf("after the rewrap: %v, %v", counts, err)
	}
	if got, err := keeper.ByTOTP(t.Context(), at(1), code(1)); err != nil || got != app.Factor {
		t.Errorf("step-up after the rewrap: %s, %v", got, err)
	}
}

func TestASessionIsSteppedUpUntilAFactorGoes(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	person := ada(t, db.App)
	sessions, rows := store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}, store.Factors{Pool: db.App, Rows: vouching}
	session, token, err := sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "no such session", sessions.StepUp(t.Context(), events.NewSessionID(), events.FactorTOTP, clock.Now()), store.ErrNotFound)
	if err := sessions.StepUp(t.Context(), session.ID, events.FactorTOTP, clock.Now()); err != nil {
		t.Fatal(err)
	}
	if found, err := sessions.Lookup(t.Context(), token); err != nil || !found.SteppedUp.Equal(clock.Now()) {
		t.Fatalf("stepped up %s, %v", found.SteppedUp, err)
	}
	f := factors.Factor{
		ID: events.NewFactorID(), User: person.ID, Kind: events.FactorPasskey, Credential: []byte("credential"), Box: []byte("box"), Wrapped: []byte("key"),
		KMSKey: "k", Created: clock.Now(), Enrolled: clock.Now(),
	}
	if err := rows.Enrol(t.Context(), f, true, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := rows.PutCodes(t.Context(), person.ID, [][]byte{make([]byte, 32)}, clock.Now(), kept); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "somebody else's", rows.Retire(t.Context(), events.NewUserID(), f.ID, factors.CauseOwner), factors.ErrUnknown)
	if err := rows.Retire(t.Context(), person.ID, f.ID, factors.CauseOwner); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "twice", rows.Retire(t.Context(), person.ID, f.ID, factors.CauseOwner), factors.ErrUnknown)
	if found, err := sessions.Lookup(t.Context(), token); err != nil || !found.SteppedUp.IsZero() {
		t.Errorf("stepped up %s after a factor went, %v", found.SteppedUp, err)
	}
	if standing, err := rows.Standing(t.Context(), person.ID); err != nil || standing.Any() {
		t.Errorf("with the last factor go the recovery codes: %+v, %v", standing, err)
	}
}

func TestAFactorThatCannotBeRecordedIsNotThere(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	person := ada(t, db.App)
	rows := store.Factors{Pool: db.App, Rows: vouching}
	f := factors.Factor{
		ID: events.NewFactorID(), User: person.ID, Kind: events.FactorPasskey, Credential: []byte("credential"), Box: []byte("box"), Wrapped: []byte("key"),
		KMSKey: "k", Created: commandtest.Noon, Enrolled: commandtest.Noon,
	}
	away := errors.New("the log is away")
	wantErr(t, "no log", rows.Enrol(t.Context(), f, true, func() error { return away }), away)
	if standing, err := rows.Standing(t.Context(), person.ID); err != nil || standing.Any() {
		t.Errorf("it counts all the same: %+v, %v", standing, err)
	}
	if err := rows.Enrol(t.Context(), f, true, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	other := f
	other.ID = events.NewFactorID()
	recorded := func() error { t.Error("what is refused is recorded"); return nil }
	wantErr(t, "the same passkey", rows.Enrol(t.Context(), other, false, recorded), factors.ErrExists)
	wantErr(t, "another first one", rows.Enrol(t.Context(), other, true, recorded), factors.ErrNotFirst)
}

func TestAppsThatWereNotConfirmedInTimeAreDestroyed(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	person := ada(t, db.App)
	rows := store.Factors{Pool: db.App, Rows: vouching}
	pending := func() factors.Factor {
		return factors.Factor{ID: events.NewFactorID(), User: person.ID, Kind: events.FactorTOTP, Box: []byte("box"), Wrapped: []byte("key"), KMSKey: "k", Created: clock.Now()}
	}
	count := func() (n int) {
		t.Helper()
		if err := db.App.QueryRow(t.Context(), "SELECT count(*) FROM private.factors").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 2 {
		if err := rows.AddPending(t.Context(), pending()); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(); n != 1 {
		t.Errorf("%d apps wait, want the newest alone", n)
	}
	clock.Add(factors.PendingLife - time.Second)
	sessions := store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}
	for want := 1; want >= 0; want-- {
		if err := sessions.DeleteStale(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != want {
			t.Errorf("%d apps wait, want %d", n, want)
		}
		clock.Add(time.Second)
	}
}
