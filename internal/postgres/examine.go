package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Server is what a server tells of itself.
type Server struct {
	Version string // such as 15.8
	Number  int    // such as 150008
	Standby bool   // it only reads

	FSync, FullPageWrites, SynchronousCommit string // settings

	// Connections that there may be, those kept for superusers taken off, and those of everybody now.
	// Login is how many the login that asks may have, less than 0 for no bound.
	Connections, Connected, Login int

	// Clock is what its clock said between two moments of ours.
	Clock         time.Time
	Before, After time.Time
}

// Examine asks a server about itself.
func Examine(ctx context.Context, db Querier) (Server, error) {
	s := Server{Before: time.Now()}
	if err := db.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&s.Clock); err != nil {
		return s, fmt.Errorf("ask Postgres for the time: %w", err)
	}
	s.After = time.Now()
	err := db.QueryRow(ctx, `
		SELECT current_setting('server_version'),
		       current_setting('server_version_num')::int,
		       pg_is_in_recovery(),
		       current_setting('fsync'),
		       current_setting('full_page_writes'),
		       current_setting('synchronous_commit'),
		       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		       (SELECT count(*)
		        FROM   pg_stat_activity
		        WHERE  backend_type = 'client backend'
		        OR     backend_type IS NULL AND datid IS NOT NULL)::int,
		       (SELECT rolconnlimit
		        FROM   pg_roles
		        WHERE  rolname = current_user)`).Scan(
		&s.Version, &s.Number, &s.Standby, &s.FSync, &s.FullPageWrites, &s.SynchronousCommit, &s.Connections, &s.Connected, &s.Login)
	if err != nil {
		return s, fmt.Errorf("ask Postgres about itself: %w", err)
	}
	s.Version, _, _ = strings.Cut(s.Version, " ") // Debian's says more
	return s, nil
}

// Login is what a login may do beyond reading and writing rows.
type Login struct {
	Name   string
	Powers []string // of the role, such as SUPERUSER
	Owner  bool     // it may act as [OwnerRole]
	Owns   []string // tables that are its own
	Makes  []string // schemas in which it may make objects
}

// ExamineLogin asks what the login that asks may do in the schemas.
func ExamineLogin(ctx context.Context, db Querier, schemas []string) (Login, error) {
	var l Login
	err := db.QueryRow(ctx, `
		SELECT r.rolname,
		       array_remove(ARRAY[
		           CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
		           CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
		           CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
		           CASE WHEN r.rolreplication THEN 'REPLICATION' END,
		           CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL),
		       EXISTS (SELECT
		               FROM   pg_roles o
		               WHERE  o.rolname = $2
		               AND    pg_has_role(r.oid, o.oid, 'MEMBER')),
		       ARRAY(SELECT n.nspname || '.' || c.relname
		             FROM   pg_class c
		             JOIN   pg_namespace n ON n.oid = c.relnamespace
		             WHERE  n.nspname = ANY ($1)
		             AND    c.relowner = r.oid
		             AND    c.relkind IN ('r', 'p')
		             ORDER  BY 1),
		       ARRAY(SELECT n.nspname::text
		             FROM   pg_namespace n
		             WHERE  n.nspname = ANY ($1)
		             AND    has_schema_privilege(r.oid, n.oid, 'CREATE')
		             ORDER  BY 1)
		FROM   pg_roles r
		WHERE  r.rolname = current_user`, schemas, OwnerRole).Scan(&l.Name, &l.Powers, &l.Owner, &l.Owns, &l.Makes)
	if err != nil {
		return l, fmt.Errorf("ask Postgres what the login may do: %w", err)
	}
	return l, nil
}

// RunningDSN is the application's login at the private cluster of a folder, which another process
// runs now; "" where none does. This process must be that one's user, or root.
func RunningDSN(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	s := &server{data: filepath.Join(dir, "data")}
	pid := s.running()
	if pid == 0 {
		return "", nil
	}
	// The fifth line is the folder of the socket (Postgres, "postmaster.pid").
	text, err := os.ReadFile(filepath.Join(s.data, "postmaster.pid"))
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 5 || strings.TrimSpace(lines[4]) == "" {
		return "", nil // it only begins
	}
	host := strings.TrimSpace(lines[4])
	if own, ok := strings.CutPrefix(host, "/proc/self/"); ok { // a name that only the server itself has for it
		if host, err = os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, own)); err != nil {
			return "", fmt.Errorf("find the socket of the private Postgres: %w", err)
		}
	}
	return (&Private{host: host}).AppDSN(), nil
}
