package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/policy"
	"secretsbridge/rights"
	"secretsbridge/store"
)

// older is a database of an installation from before rights were facts, which is started by this
// version: people have roles in their rows.
func older(t *testing.T, people map[events.UserID][]string) *postgrestest.DB {
	t.Helper()
	db := cluster.New(t)
	for id, roles := range people {
		_, err := db.Owner.Exec(t.Context(), `
			INSERT INTO private.people (id, email, name, password_hash, roles, disabled, created_at)
			VALUES ($1, $1 || '@example.org', 'Name', 'hash', $2, $3, now())`, id, roles, id == "u_disabled")
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.ConnectConfig(t.Context(), db.Owner.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := store.Migrate(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	// What a later migration does, on the same start.
	if _, err := db.Owner.Exec(t.Context(), "ALTER TABLE private.people DROP COLUMN roles"); err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return db
}

func mayOf(t *testing.T, log *commandtest.Memory, id events.UserID) []policy.Permission {
	t.Helper()
	user, _, err := command.Load[command.User](t.Context(), log, events.UserStream(id))
	if err != nil {
		t.Fatal(err)
	}
	return policy.Compile(0, nil).Powers(rights.SubjectOf(user)).Permissions(commandtest.Noon)
}

func TestRolesOfAnOlderInstallationBecomeFactsOnce(t *testing.T) {
	t.Parallel()
	people := map[events.UserID][]string{
		"u_both": {"approver", "admin"}, "u_one": {"developer"}, "u_none": {}, "u_odd": {"owner"}, "u_disabled": {"admin"}, "u_taken": {"admin"},
	}
	db := older(t, people)
	log := &commandtest.Memory{}
	// Somebody of whom facts tell already, and who lost the role since.
	meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: commandtest.Noon}
	if _, err := command.Record(t.Context(), log, events.UserStream("u_taken"), meta, events.UserAdded{User: "u_taken", Kind: events.UserPerson}); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return commandtest.Noon }
	rows := store.FormerRoles{Pool: db.App}
	// The first start stops after two people: one append fails, another is stored in silence.
	appends := 0
	log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault {
		switch appends++; appends {
		case 2:
			return commandtest.StoresThenSilent
		case 3:
			return commandtest.Fails
		}
		return commandtest.Works
	}
	if err := moveRoles(t.Context(), log, rows, now); err == nil {
		t.Fatal("no error from a log that fails")
	}
	log.OnAppend = nil
	for range 2 { // the next start finishes it, and the one after that finds nothing to do
		if err := moveRoles(t.Context(), log, rows, now); err != nil {
			t.Fatal(err)
		}
	}
	for id, roles := range people {
		want := permissionsOf(roles)
		if id == "u_disabled" || id == "u_taken" {
			want = nil
		}
		if diff := cmp.Diff(want, mayOf(t, log, id)); diff != "" {
			t.Errorf("%s may (-want +got):\n%s", id, diff)
		}
		history, err := log.Load(t.Context(), events.UserStream(id))
		if err != nil || len(history) != 1 {
			t.Errorf("%s: %d commits, %v", id, len(history), err)
			continue
		}
		if by := history[0].Events[0].Actor; id != "u_taken" && by != migration {
			t.Errorf("%s was moved by %s", id, by)
		}
	}
	if left, err := rows.All(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestANewInstallationHasNoRolesToMove(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	if all, err := (store.FormerRoles{Pool: db.App}).All(context.Background()); err != nil || all != nil {
		t.Errorf("%v, %v", all, err)
	}
}

// permissionsOf are those of some system roles, in order, each once.
func permissionsOf(roles []string) (all []policy.Permission) {
	for _, role := range roles {
		for _, p := range policy.System[role].Permissions {
			all = append(all, policy.Permission(p))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
