package store_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/store"
)

// TestEveryPrivateTableIsCopiedOrLeftOut holds backups to the schema: a table that a migration adds
// must be in one of both lists.
func TestEveryPrivateTableIsCopiedOrLeftOut(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	rows, err := db.Owner.Query(t.Context(), `
		SELECT relname::text
		FROM   pg_class
		JOIN   pg_namespace n ON n.oid = relnamespace
		WHERE  nspname = 'private'
		AND    relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	copied, leftOut := store.CopiedTables()
	for _, name := range tables {
		_, out := leftOut[name]
		if in := copied[name]; in == out {
			t.Errorf("table %s: copied %t, left out %t", name, in, out)
		}
		delete(copied, name)
		delete(leftOut, name)
	}
	if len(copied)+len(leftOut) > 0 {
		t.Errorf("there are no tables %v, %v", copied, leftOut)
	}
}

// TestRowsAreCopied fills a database, copies it as of one moment, and compares.
func TestRowsAreCopied(t *testing.T) {
	t.Parallel()
	from := cluster.New(t)
	ctx := t.Context()
	ada(t, from.App)
	if _, err := from.App.Exec(ctx, `
		INSERT INTO private.loops (name, seq, fence) VALUES ('dispatch', 4, 77);
		INSERT INTO private.deliveries (id, recipient, kind, event, seq, request, at, state, due_at, held, message, attempts, code)
		VALUES ('d_1', 'u_1', 'k', 'e', 1, 'r_1', now(), 'waiting', now(), false, E'a\ttab\nand a line', 0, '');
		INSERT INTO private.links (person, purpose, token_hash, ends_at)
		SELECT id, 'invite', decode(repeat('00', 32), 'hex'), now() FROM private.people`); err != nil {
		t.Fatal(err)
	}
	checkpoints := store.Checkpoints{Pool: from.App}
	if err := checkpoints.Begin(ctx, 5); err != nil {
		t.Fatal(err)
	}
	for size := int64(1); size <= 3; size++ {
		k := ledger.Checkpoint{Tree: tlog.Tree{N: size}, Signed: fmt.Appendf(nil, "of %d\n", size), At: time.Now()}
		if err := checkpoints.Keep(ctx, 5, k); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkpoints.Cosign(ctx, 2, "w", "— w x\n"); err != nil {
		t.Fatal(err)
	}

	moment, err := store.OpenSnapshot(ctx, from.App)
	if err != nil {
		t.Fatal(err)
	}
	defer moment.Close(ctx)
	if _, err := from.Owner.Exec(ctx, "DELETE FROM private.loops"); err != nil { // after the moment
		t.Fatal(err)
	}
	if newest, err := moment.Newest(ctx); err != nil || !slices.Equal(newest, []string{"of 3\n", "of 2\n— w x\n"}) {
		t.Errorf("the newest checkpoints are %q, %v", newest, err)
	}
	tables, err := moment.Tables(ctx)
	if err != nil {
		t.Fatal(err)
	}
	to := cluster.New(t)
	owner, err := pgx.Connect(ctx, to.OwnerDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if unused, err := store.Unused(ctx, owner); err != nil || !unused {
		t.Errorf("an empty database is unused: %t, %v", unused, err)
	}
	want := map[string]string{}
	err = pgx.BeginFunc(ctx, owner, func(tx pgx.Tx) error {
		for _, table := range tables {
			var out bytes.Buffer
			n, err := moment.CopyOut(ctx, table, &out)
			if err != nil {
				return err
			}
			if got, err := store.CopyIn(ctx, tx, table, strings.NewReader(out.String())); err != nil || got != n {
				return fmt.Errorf("%s: %d of %d rows: %w", table.Name, got, n, err)
			}
			want[table.Name] = out.String()
		}
		return store.Copied(ctx, tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	want["loops"] = "dispatch\t4\t0\ncheckpoints\t3\t0\n"
	again, err := store.OpenSnapshot(ctx, to.App)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(ctx)
	got := map[string]string{}
	for _, table := range tables {
		var out bytes.Buffer
		if _, err := again.CopyOut(ctx, table, &out); err != nil {
			t.Fatal(err)
		}
		got[table.Name] = out.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was copied (-want +got):\n%s", diff)
	}
	if unused, err := store.Unused(ctx, owner); err != nil || unused {
		t.Errorf("a full database is unused: %t, %v", unused, err)
	}
	var next int64
	err = to.App.QueryRow(ctx, `
		INSERT INTO private.deliveries (id, recipient, kind, event, seq, request, at, state, due_at, held, message, attempts, code)
		VALUES ('d_2', 'u_1', 'k', 'e', 1, 'r_1', now(), 'waiting', now(), false, '', 0, '')
		RETURNING number`).Scan(&next)
	if err != nil || next != 2 {
		t.Errorf("the next delivery has number %d, %v", next, err)
	}
	if at, err := (store.Loops{Pool: to.App}).Begin(ctx, "dispatch", 1, 0); err != nil || at != events.Seq(4) {
		t.Errorf("a loop goes on at %d, %v", at, err)
	}
}

// TestASchemaIsMadeAsAnOlderVersionHadIt migrates to some versions, and then from each to the newest.
func TestASchemaIsMadeAsAnOlderVersionHadIt(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	ctx := t.Context()
	newest, err := store.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []int32{1, 5, 9, 13, newest} {
		if _, err := db.Owner.Exec(ctx, "DROP SCHEMA IF EXISTS private CASCADE"); err != nil {
			t.Fatal(err)
		}
		owner, err := pgx.Connect(ctx, db.OwnerDSN)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.MigrateTo(ctx, owner, version); err != nil {
			t.Errorf("to version %d: %v", version, err)
		}
		var has int32
		if err := owner.QueryRow(ctx, "SELECT version FROM private.schema_version").Scan(&has); err != nil || has != version {
			t.Errorf("version %d was made as %d, %v", version, has, err)
		}
		if _, err := owner.Exec(ctx, "INSERT INTO private.people (id, email, name, password_hash, roles, created_at) VALUES ('u_1', 'a@b.c', 'Ada', 'x', '{}', now())"); err != nil {
			t.Errorf("a person in version %d: %v", version, err)
		}
		if err := store.Migrate(ctx, owner); err != nil {
			t.Errorf("from version %d: %v", version, err)
		}
		if err := owner.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Adopt(ctx, db.App, vouching, time.Now(), func(events.UserID) command.User { return command.User{} }); err != nil {
			t.Errorf("rows of version %d: %v", version, err)
		}
		if _, err := (store.People{Pool: db.App, Rows: vouching}).ByID(ctx, "u_1"); err != nil {
			t.Errorf("the person of version %d: %v", version, err)
		}
	}
	if err := store.MigrateTo(ctx, nil, newest+1); err == nil {
		t.Error("a version that this program does not know")
	}
}
