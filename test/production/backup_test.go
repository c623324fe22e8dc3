package production

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"secretsbridge/internal/postgres"
)

var asOfCommit = regexp.MustCompile(`as of commit (\d+), root (\S+)[:,]`)

// restores backs up while people work and once more when all servers have stopped, empties NATS and
// Postgres, and restores into them. The servers start with empty folders; agents link by themselves.
func (r *Rig) restores(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identity, under, last := r.path("backup.key"), r.path("under-load.age"), r.path("last.age")
	if err := os.WriteFile(identity, []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Servers {
		p.Stop(t) // one that runs already
		p.Start(t)
	}
	l := r.startLoad()
	l.advance(t, 1)
	r.Command(t, 0, "backup", "--to", under, "--recipient", key.Recipient().String())
	l.advance(t, 1)
	l.end(t)
	r.Command(t, 1, "backup", "verify", "--from", under, "--identity", identity)
	for _, p := range r.Servers {
		p.Stop(t)
	}
	said := asOfCommit.FindStringSubmatch(r.Command(t, 1, "backup", "--to", last, "--recipient", key.Recipient().String()))
	if said == nil {
		t.Fatal("the backup does not say what it is of")
	}

	owned := append(r.Env(0), "SB_DATABASE_OWNER_URL="+r.Postgres.OwnerURL())
	if _, err := r.try(owned, "", "sb-server", "restore", "--from", last, "--identity", identity, "--keep-values"); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Fatalf("restored into what is there: %v", err)
	}
	if _, err := os.Stat(r.path("server-0", "restoring")); err == nil {
		t.Error("a restore that was refused keeps the server from starting")
	}
	r.empty(t)
	restored := r.run(t, owned, "", "sb-server", "restore", "--from", last, "--identity", identity, "--keep-values")
	if got := asOfCommit.FindAllStringSubmatch(restored, -1); len(got) != 1 || got[0][1] != said[1] || got[0][2] != said[2] {
		t.Errorf("restored: %s\nwant commit %s, root %s", restored, said[1], said[2])
	}
	for _, p := range r.Servers {
		p.Start(t)
	}
	for i := range r.Agents[:r.options.Agents] {
		r.link(t, fmt.Sprint("agent-", i), "up")
	}
	r.tokens = map[string]string{} // sessions are in no backup
	l = r.startLoad()
	l.advance(t, 2)
	l.end(t)
	for _, p := range r.Servers {
		p.Stop(t)
	}
	r.run(t, owned, "", "sb-server", "rebuild", "--verify")
}

// empty leaves the NATS servers, the database and the servers' folders as new.
func (r *Rig) empty(t *testing.T) {
	t.Helper()
	for _, p := range r.Nodes {
		p.Stop(t)
	}
	for _, n := range r.Plan.Nodes {
		if err := os.RemoveAll(n.Store); err != nil {
			t.Fatal(err)
		}
	}
	for i := range r.Servers {
		if err := os.RemoveAll(r.path(fmt.Sprint("server-", i))); err != nil {
			t.Fatal(err)
		}
	}
	for _, schema := range []string{"private", "views", "audit"} {
		r.Postgres.Exec(t, postgres.Database, "DROP SCHEMA "+schema+" CASCADE")
	}
	var all sync.WaitGroup
	for _, p := range r.Nodes {
		all.Go(func() { p.Start(t) })
	}
	all.Wait()
}
