package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An auditor without a server makes all views of a moment in a Postgres of their own, and drops them
// as they are told.
func TestAReplayIntoASchemaOfAnAuditor(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	path := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(path, fakeEventsFile(t), 0o600); err != nil {
		t.Fatal(err)
	}
	replay := func(args ...string) (string, error) {
		t.Helper()
		c := command()
		var out, said bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&said)
		c.SetArgs(append([]string{"audit", "replay", "--events", path, "--database", db.Owner.Config().ConnString()}, args...))
		err := c.ExecuteContext(t.Context())
		return out.String() + said.String(), err
	}
	said, err := replay("--at", "5", "--schema", "once")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"schema once", "schema once_audit", "commit 5", `DROP SCHEMA IF EXISTS "once" CASCADE; DROP SCHEMA IF EXISTS "once_audit" CASCADE`, "folded 5 commits"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in:\n%s", want, said)
		}
	}
	var state, connection string
	var commits int
	err = db.Owner.QueryRow(t.Context(), `
		SELECT r.state, c.state, (SELECT count(*) FROM once_audit.commits)
		FROM   "once".requests r
		JOIN   "once".connections c ON c.name = r.connection`).Scan(&state, &connection, &commits)
	if err != nil || state != "approved" || connection != "disabled" || commits != 5 {
		t.Errorf("the request is %q, its connection %q, of %d commits, %v", state, connection, commits, err)
	}
	if _, err := replay("--at", "3", "--schema", "once"); err == nil || !strings.Contains(err.Error(), "schema_exists") {
		t.Errorf("the same schema again: %v", err)
	}
	if _, err := db.Owner.Exec(context.Background(), `DROP SCHEMA IF EXISTS "once" CASCADE; DROP SCHEMA IF EXISTS "once_audit" CASCADE`); err != nil {
		t.Error(err)
	}
	if said, err := replay("--at", "3", "--schema", "once", "--output", "json"); err != nil || !strings.Contains(said, `"seq":3`) {
		t.Errorf("once it is dropped: %v %s", err, said)
	}
}
