package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
	"secretsbridge/test/leaks"
)

// everywhere searches every place while all of it runs. A place without a hit is in the
// answer, too.
func (c *canaries) everywhere(t *testing.T, search *leaks.Search) map[string][]leaks.Hit {
	t.Helper()
	found := c.memory(t, search)
	maps.Copy(found, c.disk(t, search)) // what is written and not yet in its table's file
	conn := c.connect(t)
	found["tables"] = c.tables(t, search, conn)
	found["dump"] = c.dump(t, search)
	found["views"] = c.views(t, search)
	if _, err := conn.Exec(t.Context(), "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	for place, hits := range c.disk(t, search) {
		found[place] = append(found[place], hits...)
	}
	return found
}

// memory searches the server, its agent and all processes of its Postgres.
func (c *canaries) memory(t *testing.T, search *leaks.Search) map[string][]leaks.Hit {
	t.Helper()
	found := map[string][]leaks.Hit{}
	for name, pids := range c.processes(t) {
		hits, read, err := search.Memory(pids...)
		if err != nil {
			t.Fatal(err)
		}
		found["memory of "+name] = hits
		t.Logf("memory of %s: %d processes, %d MB, %d hits", name, len(pids), read>>20, len(hits))
	}
	return found
}

func (c *canaries) processes(t *testing.T) map[string][]int {
	t.Helper()
	agent, postmaster := c.agentPID(), c.postgresPID()
	if agent == 0 || postmaster == 0 {
		t.Fatalf("agent %d, postgres %d", agent, postmaster)
	}
	all := map[string][]int{"sb-server": {c.cmd.Process.Pid}, "sb-agent": {agent}, "Postgres": {postmaster}}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		all["Postgres"] = append(all["Postgres"], pid)
	}
	if c.field != nil {
		all["the other agent"] = []int{c.field.cmd.Process.Pid}
	}
	for name, pid := range c.holder {
		all[name] = []int{pid}
	}
	return all
}

// disk searches all files of the installation, the agent's among them, and what the
// programs said.
func (c *canaries) disk(t *testing.T, search *leaks.Search) map[string][]leaks.Hit {
	t.Helper()
	hits, files, err := search.Files(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]leaks.Hit{"logs": nil, "NATS store": nil, "write-ahead log": nil, "files of Postgres": nil, "other files": nil}
	if c.field != nil {
		its, n, err := search.Files(filepath.Dir(c.field.dir)) // with its configuration
		if err != nil || n == 0 {
			t.Fatalf("%d files of the other agent: %v", n, err)
		}
		found["files of the other agent"] = its
	}
	c.mu.Lock()
	said := map[string]string{"standard error": c.logs.String(), "standard output": c.stdout.String()}
	c.mu.Unlock()
	t.Logf("%d files, %d bytes of log; %d hits in files", files, len(said["standard error"]), len(hits))
	for place, text := range said {
		found["logs"] = append(found["logs"], search.Block(place, 0, []byte(text))...)
	}
	for _, hit := range hits {
		place := "other files"
		switch {
		case strings.Contains(hit.Where, "/pg_wal/"):
			place = "write-ahead log"
		case strings.HasPrefix(hit.Where, filepath.Join(c.dir, "postgres")+"/"):
			place = "files of Postgres"
		case strings.HasPrefix(hit.Where, filepath.Join(c.dir, "nats")+"/"):
			place = "NATS store"
		}
		found[place] = append(found[place], hit)
	}
	return found
}

// connect signs in as the owner of everything, over the private socket.
func (c *canaries) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s user=postgres dbname=%s", c.socket(), postgres.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func (c *canaries) socket() string { return filepath.Join(c.dir, "postgres", "run") }

// tables searches everything that SQL can see, as text: the tables of all schemas with what
// lies beside them (TOAST), the catalogues with their statistics, the queries of others.
func (c *canaries) tables(t *testing.T, search *leaks.Search, conn *pgx.Conn) (hits []leaks.Hit) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT format('%I.%I', nspname, relname)
		FROM   pg_class
		JOIN   pg_namespace ON pg_namespace.oid = relnamespace
		WHERE  relkind IN ('r', 'p', 'm', 'v', 't', 'S')
		ORDER  BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, name := range names {
		text, into := io.Pipe()
		go func() {
			_, err := conn.PgConn().CopyTo(t.Context(), into, "COPY (SELECT * FROM "+name+") TO STDOUT")
			_ = into.CloseWithError(err)
		}()
		found, n, err := search.Reader(name, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		hits, total = append(hits, found...), total+n
	}
	t.Logf("%d tables and views, %d kB as text, %d hits", len(names), total>>10, len(hits))
	return hits
}

// dump searches what a backup is made of.
func (c *canaries) dump(t *testing.T, search *leaks.Search) []leaks.Hit {
	t.Helper()
	folder, err := postgres.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(folder, "pg_dump"), "--host", c.socket(), "--username", "postgres", postgres.Database)
	cmd.Stderr = os.Stderr
	text, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hits, size, err := search.Reader("pg_dump", text)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("dump: %d kB, %d hits", size>>10, len(hits))
	return hits
}
