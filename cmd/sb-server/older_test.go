package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/internal/postgres"
	"secretsbridge/internal/secret"
	"secretsbridge/projections"
)

// unpackOlder brings an installation of testdata into a data directory, with a Postgres of its own.
func unpackOlder(t *testing.T, name, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name, "data.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for from := tar.NewReader(packed); ; {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || !filepath.IsLocal(h.Name) {
			t.Fatalf("%v, %v", h, err)
		}
		at := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(at, 0o700)
		} else {
			var content []byte
			if content, err = io.ReadAll(from); err == nil {
				err = os.WriteFile(at, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sql, err := os.ReadFile(filepath.Join(dir, "database.sql"))
	if err != nil {
		t.Fatal(err)
	}
	private, err := postgres.StartPrivate(t.Context(), postgres.Config{Dir: filepath.Join(dir, "postgres")})
	if err != nil {
		t.Fatal(err)
	}
	defer private.Stop()
	owner, err := pgx.Connect(t.Context(), private.OwnerDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.WithoutCancel(t.Context()))
	if _, err := owner.PgConn().Exec(t.Context(), "CREATE ROLE sb_owner NOLOGIN; CREATE ROLE sb_app LOGIN;\n"+string(sql)).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// TestAnOlderInstallationIsTakenOver starts this version on the data of an older one, from before
// migrations 016 and 017: schemas are migrated, the log is proven to be the one that was signed,
// the views are what it says, and people sign in with their passwords.
func TestAnOlderInstallationIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SB_DATA_DIR", dir)
	t.Setenv("SB_OPS_ADDR", "127.0.0.1:0")
	t.Setenv("SB_LOG_LEVEL", "WARN")
	s, err := loadSettings()
	if err != nil {
		t.Fatal(err)
	}
	unpackOlder(t, "schema-015", dir)
	password, err := os.ReadFile(filepath.Join(dir, "demo-password"))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := openDataDir(s)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.close()

	looked := errors.New("looked at all of it")
	look := func(ctx context.Context, st *stack) error {
		versions, err := SchemaVersions(ctx, st.pool)
		if err != nil || fitting(versions) != nil {
			return fmt.Errorf("schemas are %+v, %w", versions, err)
		}
		var size int64
		var root tlog.Hash
		var raw []byte
		// What the older version signed last, as the dump has it.
		if err := st.pool.QueryRow(ctx, "SELECT size, root FROM private.checkpoints WHERE size <= 40 ORDER BY size DESC LIMIT 1").Scan(&size, &raw); err != nil {
			return err
		}
		copy(root[:], raw)
		if got, ok := st.ledger.At(size); !ok || got != root || size < 30 {
			t.Errorf("the log has root %s at %d commits, and %s was signed", got, size, root)
		}
		states := map[string]int{}
		rows, err := st.pool.Query(ctx, "SELECT state FROM views.requests")
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, state := range all {
			if state == "expired" { // this version has ended what nobody decided in time
				state = "pending"
			}
			states[state]++
		}
		if diff := cmp.Diff(map[string]int{"executed": 3, "rejected": 1, "pending": 1}, states); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		for _, who := range []string{"developer", "approver", "admin"} {
			if _, err := st.people.Verify(ctx, who+"@demo.local", secret.New([]byte(strings.TrimSpace(string(password)))), "127.0.0.1"); err != nil {
				t.Errorf("%s does not sign in: %v", who, err)
			}
		}
		agent, err := views{pool: st.pool, progress: st.progress}.clusters(ctx)
		if err != nil || fmt.Sprint(agent) != "[demo]" {
			t.Errorf("clusters of agents: %v, %v", agent, err)
		}
		return looked
	}
	// Twice: the second start finds what the first one made of it.
	for range 2 {
		st, err := openStack(t.Context(), s, s.logger(), ground{})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.run(t.Context(), func(ctx context.Context) error { return look(ctx, st) }); !errors.Is(err, looked) {
			t.Errorf("it ends with %v", err)
		}
		st.close()
	}
	if err := offlineIn(t.Context(), s, func(st *stack) error {
		owner, err := st.database.openOwner(t.Context())
		if err != nil {
			return err
		}
		defer owner.Close()
		done, err := projections.Compare(t.Context(), owner, st.store, func(d projections.Difference) error {
			t.Errorf("%+v", d)
			return nil
		})
		if err == nil && done.Differences > 0 {
			err = fmt.Errorf("%d rows differ", done.Differences)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
