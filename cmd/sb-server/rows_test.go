package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/identity/factors"
	"secretsbridge/internal/secret"
	"secretsbridge/kms/local"
	"secretsbridge/store"
)

// vouching are the MACs of rows in tests, in which nobody forges any.
var vouching = vouchingWith(func(d store.Denounced) { panic(fmt.Sprintf("denounced: %+v", d)) })

func vouchingWith(told func(store.Denounced)) *store.Rows {
	rows, err := store.NewRows(make([]byte, 32), func(_ context.Context, d store.Denounced) { told(d) })
	if err != nil {
		panic(err)
	}
	return rows
}

// TestRowsOfAnOlderVersionAreTakenOverOnce: those that the log knows get their MACs at the first
// start, sessions end, and what is written without one after that opens nothing, whatever starts.
func TestRowsOfAnOlderVersionAreTakenOverOnce(t *testing.T) {
	t.Parallel()
	ctx, db, log := t.Context(), cluster.New(t), &commandtest.Memory{}
	told := 0
	rows := vouchingWith(func(store.Denounced) { told++ })
	people, sessions, tokens := store.People{Pool: db.App, Rows: rows}, store.Sessions{Pool: db.App, Rows: rows}, store.Tokens{Pool: db.App, Rows: rows}
	password := func() secret.Value { return secret.New([]byte("correct horse battery")) }
	ada, err := people.Create(ctx, store.Person{Email: "ada@example.org", Name: "Ada"}, password())
	if err != nil {
		t.Fatal(err)
	}
	machine, err := people.Add(ctx, store.Account{ID: events.NewUserID(), Kind: events.UserMachine, Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	known, err := tokens.Issue(ctx, machine.ID, "t_known", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := tokens.Issue(ctx, machine.ID, "t_unknown", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte("token"))
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := db.Owner.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("INSERT INTO private.sessions (id, token_hash, person, created_at, touched_at, ends_at) VALUES ('s_old', $1, $2, now(), now(), now() + interval '1 hour')", hash[:], ada.ID)
	for _, table := range []string{"people", "tokens"} {
		exec("UPDATE private." + table + " SET mac = NULL")
	}

	meta := command.Meta{Command: "c_set", Actor: operator, Time: time.Now()}
	for stream, facts := range map[events.Stream][]events.Fact{
		events.UserStream(ada.ID):     {events.UserAdded{User: ada.ID, Kind: events.UserPerson}, events.PasswordSet{By: "invitation"}},
		events.UserStream(machine.ID): {events.UserAdded{User: machine.ID, Kind: events.UserMachine}, events.TokenIssued{Token: "t_known", Name: "ci", Until: time.Now().Add(time.Hour)}},
	} {
		if _, err := command.Record(ctx, log, stream, meta, facts...); err != nil {
			t.Fatal(err)
		}
	}
	user := func(id events.UserID) command.User {
		u, _, err := command.Load[command.User](ctx, log, events.UserStream(id))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	adopted, err := store.Adopt(ctx, db.App, rows, time.Now(), user)
	if want := (events.RowsAdopted{People: 2, Tokens: 1, Left: 1}); err != nil || adopted != want {
		t.Fatalf("%+v, %v; want %+v", adopted, err, want)
	}
	if told > 0 {
		t.Errorf("%d rows were denounced while they were taken over", told)
	}
	found, err := people.Verify(ctx, "ada@example.org", password(), "n")
	if newest := user(ada.ID).Password; err != nil || found.PasswordBy != newest || newest == "" {
		t.Errorf("the password counts as that of %q, %v", found.PasswordBy, err)
	}
	if _, err := tokens.Lookup(ctx, known); err != nil {
		t.Errorf("a token that the log knows: %v", err)
	}
	if _, err := tokens.Lookup(ctx, unknown); err == nil {
		t.Error("a token that the log does not know opens something")
	}
	if _, err := sessions.Lookup(ctx, secret.New([]byte("token"))); err == nil {
		t.Error("a session of before goes on")
	}
	if ended, err := sessions.Ended(ctx, 10); err != nil || len(ended) != 1 || ended[0].ID != "s_old" {
		t.Errorf("its end is to be told: %v, %v", ended, err)
	}

	// Once is a fact: the decision is silent from then on.
	decide := func(r command.Rows) ([]events.Fact, error) { return r.Adopt(adopted) }
	for want := 1; want >= 0; want-- {
		meta.Command = events.NewCommandID()
		done, err := command.Execute(ctx, log, events.RowsStream(), meta, decide)
		if err != nil || len(done.Events) != want {
			t.Errorf("%d facts, %v; want %d", len(done.Events), err, want)
		}
	}
	if r, _, err := command.Load[command.Rows](ctx, log, events.RowsStream()); err != nil || !r.Adopted {
		t.Errorf("adopted: %t, %v", r.Adopted, err)
	}
}

// TestFactorsThatTheDatabaseLostAreEndedFromTheHost: the log knows of one, and its row is gone.
func TestFactorsThatTheDatabaseLostAreEndedFromTheHost(t *testing.T) {
	t.Parallel()
	ctx, db, log := t.Context(), cluster.New(t), &commandtest.Memory{}
	told := 0
	rows := vouchingWith(func(d store.Denounced) {
		if told++; d.Why != store.RowMissing || d.Row != "f_lost" {
			t.Errorf("denounced: %+v", d)
		}
	})
	keys, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	keeper := factors.New(factors.Config{Log: log, Store: store.Factors{Pool: db.App, Rows: rows}, Keys: keys, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	id := events.NewUserID()
	meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: time.Now()}
	if _, err := command.Record(ctx, log, events.UserStream(id), meta,
		events.UserAdded{User: id, Kind: events.UserPerson}, events.FactorEnrolled{Factor: "f_lost", Kind: events.FactorTOTP}); err != nil {
		t.Fatal(err)
	}
	if standing, err := keeper.Standing(ctx, id); err != nil || !standing.Any() || len(standing.Lost) != 1 || told == 0 {
		t.Errorf("a factor that is gone is as if it had never been: %+v, %v, denounced %d times", standing, err, told)
	}
	if done, err := endFactors(ctx, log, keeper, id); err != nil || done.Ended != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if standing, err := keeper.Standing(ctx, id); err != nil || standing.Any() {
		t.Errorf("after they ended: %+v, %v", standing, err)
	}
}
