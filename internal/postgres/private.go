package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrInUse says that another process runs the private cluster of that folder.
var ErrInUse = errors.New("another process runs the private Postgres of this folder")

// Database is the database that [StartPrivate] makes.
const Database = "secretsbridge"

// superuser is the first login of a private cluster. It migrates.
const superuser = "postgres"

// startTimeout bounds a start. Recovery after a crash reads at most a few hundred MB
// of write-ahead log (max_wal_size, 1 GB).
const startTimeout = time.Minute

// maxSocketPath is how long the path of a unix socket may be (unix(7), sun_path).
const maxSocketPath = 107

const socketName = ".s.PGSQL.5432"

// Config describes a private cluster.
type Config struct {
	// Dir holds everything that the cluster keeps. It is created; only its owner may
	// enter it.
	Dir string

	// Forgetful leaves out what has data survive a machine that loses its power. It is for tests,
	// which throw theirs away: a database made and dropped costs half, and does not wait for a disk.
	Forgetful bool

	// Log hears when the server had to be started again; nil means nobody does.
	Log *slog.Logger
}

// Private is a running cluster that only this machine's user can reach: no TCP, one
// unix socket in a closed folder. It is started again when it dies, and it dies with
// this process, whatever ends it.
type Private struct {
	host   string // folder of the socket
	server *server
	lock   *os.File
	stop   sync.Once
}

// StartPrivate starts the cluster of a folder, which it makes at the first call.
// Data outlives the process, also one that was killed. As root, the server runs as
// the user postgres. The caller must Stop it. Errors: [ErrNotInstalled], [ErrInUse].
func StartPrivate(ctx context.Context, config Config) (*Private, error) {
	p, err := startPrivate(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("start a private Postgres in %s: %w", config.Dir, err)
	}
	return p, nil
}

func startPrivate(ctx context.Context, config Config) (*Private, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, err
	}
	bin, err := Binaries()
	if err != nil {
		return nil, err
	}
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, account: account, data: filepath.Join(dir, "data"), log: config.Log, forgetful: config.Forgetful, logFile: filepath.Join(dir, "postgres.log")}
	p := &Private{server: s, lock: lock}
	if err := p.start(ctx, dir); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Private) start(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s := p.server
	if err := s.socketFolder(dir); err != nil {
		return err
	}
	p.host = s.sockets
	if err := s.initialise(ctx); err != nil {
		return err
	}
	if err := s.awaitPredecessor(ctx); err != nil {
		return err
	}
	s.run()
	if err := p.awaitReady(ctx); err != nil {
		return fmt.Errorf("%w; %s says: %s", err, s.logFile, s.lastWords())
	}
	return p.createDatabase(ctx)
}

// OwnerDSN is the login that migrates; AppDSN is the application's, and works once
// [Migrate] has run. Both are good for this process and its children.
func (p *Private) OwnerDSN() string { return p.dsn(superuser) }
func (p *Private) AppDSN() string   { return p.dsn(AppRole) }

func (p *Private) dsn(user string) string {
	return fmt.Sprintf("host='%s' user=%s dbname=%s", quote(p.host), user, Database)
}

// quote escapes a value of a DSN (libpq, section 34.1.1.1).
func quote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s)
}

// Stop ends the server after what it has committed is safe, and waits for it.
func (p *Private) Stop() {
	p.stop.Do(func() {
		p.server.stop()
		if p.server.temporary != "" {
			_ = os.RemoveAll(p.server.temporary)
		}
		_ = p.lock.Close()
	})
}

func (p *Private) awaitReady(ctx context.Context) error {
	ended := p.server.firstExit
	for {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("host='%s' user=%s dbname=postgres", quote(p.host), superuser))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until it answers: %w", err)
		case <-ended:
			if !p.server.memoryHeld() {
				return errors.New("the server ended at once")
			}
			ended = nil // it is started again until ctx ends
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *Private) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host='%s' user=%s dbname=postgres", quote(p.host), superuser))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", Database).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+Database)
	return err
}

// lockFolder keeps a second process out for as long as this one lives.
func lockFolder(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, err
	}
	return lock, nil
}
