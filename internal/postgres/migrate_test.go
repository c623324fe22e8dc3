package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
)

var files = fstest.MapFS{
	"001_notes.sql": {Data: []byte("CREATE TABLE notes (id bigint PRIMARY KEY);\nGRANT SELECT ON notes TO sb_app;\n")},
	"002_words.sql": {Data: []byte("ALTER TABLE notes ADD words text;\n")},
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	private := start(t, t.TempDir())
	var group sync.WaitGroup
	for range 4 { // servers that start side by side
		group.Go(func() {
			conn, err := pgx.Connect(t.Context(), private.OwnerDSN())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(context.Background())
			for range 2 {
				if err := postgres.Migrate(t.Context(), conn, files, "notebook"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := exec1(t, private.OwnerDSN(), "SELECT tableowner::text FROM pg_tables WHERE tablename = 'notes'"); got != postgres.OwnerRole {
		t.Errorf("the table belongs to %q, want %q", got, postgres.OwnerRole)
	}
	exec1(t, private.AppDSN(), "SELECT words FROM notebook.notes")
	conn, err := pgx.Connect(t.Context(), private.AppDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, forbidden := range []string{"DROP TABLE notebook.notes", "INSERT INTO notebook.notes VALUES (1)", "SET ROLE sb_owner", "CREATE TABLE notebook.mine ()"} {
		if _, err := conn.Exec(t.Context(), forbidden); err == nil {
			t.Errorf("the application may: %s", forbidden)
		}
	}
}

// In production the migrating login is seldom a superuser.
func TestMigrateAsAnOrdinaryLogin(t *testing.T) {
	t.Parallel()
	private := start(t, t.TempDir())
	exec1(t, private.OwnerDSN(), "CREATE ROLE operator LOGIN CREATEROLE")
	exec1(t, private.OwnerDSN(), "ALTER DATABASE "+postgres.Database+" OWNER TO operator")
	conn, err := pgx.Connect(t.Context(), strings.Replace(private.OwnerDSN(), "user=postgres", "user=operator", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for range 2 {
		if err := postgres.Migrate(t.Context(), conn, files, "notebook"); err != nil {
			t.Fatal(err)
		}
	}
	var role, path string
	if err := conn.QueryRow(t.Context(), "SELECT current_user::text, current_setting('search_path')").Scan(&role, &path); err != nil {
		t.Fatal(err)
	}
	if role != "operator" || !strings.Contains(path, "public") {
		t.Errorf("afterwards role %q and path %q", role, path)
	}
}
