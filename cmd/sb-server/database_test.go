package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
)

func openTestDatabase(t *testing.T, s settings) error {
	t.Helper()
	d, err := openDatabase(t.Context(), s, slog.New(slog.DiscardHandler))
	if err == nil {
		d.close()
	}
	return err
}

// migrated is a database as sb-server migrate leaves it, and the settings for it.
func migrated(t *testing.T) (*postgrestest.DB, settings) {
	t.Helper()
	db := cluster.New(t)
	if err := migrateSchemas(t.Context(), db.OwnerDSN); err != nil {
		t.Fatal(err)
	}
	return db, settings{DatabaseURL: db.AppDSN, DatabaseOwnerURL: db.OwnerDSN}
}

func TestSchemasOfOtherVersionsAreRefused(t *testing.T) {
	for _, schema := range []string{"private", "views", "audit"} {
		db, s := migrated(t)
		if err := openTestDatabase(t, s); err != nil {
			t.Fatal(err)
		}
		for _, change := range []struct{ sql, want string }{
			{"UPDATE " + schema + ".schema_version SET version = version - 1", "run sb-server migrate"},
			{"UPDATE " + schema + ".schema_version SET version = 900", "this binary is older than the schema"},
			{"REVOKE SELECT ON " + schema + ".schema_version FROM sb_app", "run sb-server migrate"}, // of a version that told nobody
			{"ALTER SCHEMA " + schema + " RENAME TO elsewhere", "run sb-server migrate"},
		} {
			if _, err := db.Owner.Exec(t.Context(), change.sql); err != nil {
				t.Fatal(err)
			}
			if err := openTestDatabase(t, s); err == nil || !strings.Contains(err.Error(), "schema "+schema) || !strings.Contains(err.Error(), change.want) {
				t.Errorf("after %s: %v", change.sql, err)
			}
		}
	}
	db, s := migrated(t)
	if err := migrateSchemas(t.Context(), db.OwnerDSN); err != nil {
		t.Errorf("migrate again: %v", err)
	}
	if _, err := db.Owner.Exec(t.Context(), "UPDATE private.schema_version SET version = 900"); err != nil {
		t.Fatal(err)
	}
	if err := migrateSchemas(t.Context(), s.DatabaseOwnerURL); err == nil || !strings.Contains(err.Error(), "this binary is older") {
		t.Errorf("migrate a newer schema: %v", err)
	}
}

func TestALogOfANewerVersionIsRefused(t *testing.T) {
	db, s := migrated(t)
	log := &commandtest.Memory{}
	var last events.Seq
	for _, fact := range []events.Fact{events.SignInFailed{Code: "unknown_person"}, events.KMSKeyRotated{KMSKey: "k"}, events.KMSKeyRotated{KMSKey: "l"}} {
		stream := events.SettingKMS()
		if _, denied := fact.(events.SignInFailed); denied {
			stream = events.AccessStream(operator)
		}
		var err error
		meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: tomorrow}
		if last, err = command.Record(t.Context(), log, stream, meta, fact); err != nil {
			t.Fatal(err)
		}
	}
	progress := projections.NewProgress(db.App)
	ctx, stop := context.WithCancel(t.Context())
	folded := make(chan error, 1)
	go func() { folded <- (&projections.Follower{Pool: db.App, Progress: progress}).Run(ctx, log) }()
	if err := progress.WaitFor(ctx, last); err != nil {
		t.Fatal(err)
	}
	stop()
	<-folded
	if err := openTestDatabase(t, s); err != nil {
		t.Fatal(err)
	}
	types, err := projections.Types(t.Context(), db.App)
	if err != nil || len(types) != 2 {
		t.Fatalf("%v, %v", types, err)
	}
	if _, err := db.Owner.Exec(t.Context(), "ALTER TABLE audit.events DISABLE TRIGGER ALL; UPDATE audit.events SET type = 'sb.request.teleported.v1' WHERE seq = 1"); err != nil {
		t.Fatal(err)
	}
	var unknown *events.UnknownTypeError
	if err := openTestDatabase(t, s); !errors.Is(err, errNewerLog) || !errors.As(err, &unknown) || unknown.Type != "sb.request.teleported.v1" {
		t.Errorf("a fact of a newer version: %v", err)
	}
	if newerLog(context.Canceled) != nil {
		t.Error("another error is taken for a newer log")
	}
}
