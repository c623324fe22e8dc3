// Package postgrestest gives each test a database of its own on a real Postgres. One
// private cluster serves a test binary and ends with it.
package postgrestest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/internal/postgres"
)

// Cluster is the cluster of one test binary. Use it as
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
//
// The zero value is ready; Prepare, if set, fills the template that every database
// of a test is a copy of.
type Cluster struct {
	Prepare func(ctx context.Context, owner *pgx.Conn) error

	private *postgres.Private
	copying sync.Mutex // a template can be copied by one at a time
	count   atomic.Int64
}

// Main starts the cluster, runs the tests and stops it. It returns the exit code.
func (c *Cluster) Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sb-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	flag.Parse()
	measures := flag.Lookup("test.bench").Value.String() != "" // what is measured is measured with a disk
	if c.private, err = postgres.StartPrivate(ctx, postgres.Config{Dir: dir, Forgetful: !measures}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.private.Stop()
	if err := c.prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func (c *Cluster) prepare(ctx context.Context) error {
	if c.Prepare == nil {
		return nil
	}
	owner, err := pgx.Connect(ctx, c.private.OwnerDSN())
	if err != nil {
		return err
	}
	defer owner.Close(ctx)
	return c.Prepare(ctx, owner)
}

// DB is the database of one test. App is the application's login, Owner the one that
// migrates; the DSNs are theirs.
type DB struct {
	App, Owner       *pgxpool.Pool
	AppDSN, OwnerDSN string
}

// New makes a database for a test, as Prepare left the template, and drops it with it.
func (c *Cluster) New(t testing.TB) *DB {
	t.Helper()
	ctx := context.Background()
	name := fmt.Sprintf("test_%d", c.count.Add(1))
	c.copying.Lock()
	err := c.admin(ctx, "CREATE DATABASE "+name+" TEMPLATE "+postgres.Database+" STRATEGY file_copy")
	c.copying.Unlock()
	if err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	db := &DB{AppDSN: c.dsn(c.private.AppDSN(), name), OwnerDSN: c.dsn(c.private.OwnerDSN(), name)}
	db.App, db.Owner = open(t, db.AppDSN), open(t, db.OwnerDSN)
	t.Cleanup(func() {
		db.App.Close()
		db.Owner.Close()
		if err := c.admin(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop a test database: %v", err)
		}
	})
	return db
}

func (c *Cluster) dsn(dsn, name string) string {
	return strings.Replace(dsn, "dbname="+postgres.Database, "dbname="+name, 1)
}

func (c *Cluster) admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, c.dsn(c.private.OwnerDSN(), "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// open makes a lazy pool: the application's login exists only once something has
// migrated.
func open(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), dsn)
	if err != nil {
		t.Fatalf("open a pool: %v", err)
	}
	return pool
}
