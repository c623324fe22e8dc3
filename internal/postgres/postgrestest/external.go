package postgrestest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
)

// External is a Postgres as an operator runs one: on TCP, with passwords, and with a login for
// migrations that is no superuser. It outlives stops, and dies with the test.
type External struct {
	dir, bin, password string
	port               int
	account            *syscall.Credential // nil: the user of this process

	mu    sync.Mutex
	cmd   *exec.Cmd     // nil: it does not run
	ended chan struct{} // closed when cmd has ended
}

// The operator's login, and how long the server may take to come up.
const (
	operatorLogin = "operator"
	externalStart = time.Minute
)

// StartExternal makes and starts one, and ends it with the test.
func StartExternal(t testing.TB) *External {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb-pg-")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := postgres.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	e := &External{dir: dir, bin: bin, password: rand.Text()}
	t.Cleanup(func() {
		e.Stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := e.initialise(); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	e.Exec(t, "postgres", "CREATE ROLE "+operatorLogin+" LOGIN CREATEROLE PASSWORD '"+e.password+"'")
	e.Exec(t, "postgres", "CREATE DATABASE "+postgres.Database+" OWNER "+operatorLogin)
	return e
}

// OwnerURL is the login that migrates. AppURL is the application's, once [External.LetIn] gave it
// a password.
func (e *External) OwnerURL() string { return e.url(operatorLogin, postgres.Database) }
func (e *External) AppURL() string   { return e.url(postgres.AppRole, postgres.Database) }

// Addr is where it listens.
func (e *External) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(e.port)) }

// Password is that of all logins: no log may have it.
func (e *External) Password() string { return e.password }

// LetIn gives the application's login its password, as an operator does after the migration.
func (e *External) LetIn(t testing.TB) {
	t.Helper()
	e.Exec(t, "postgres", "ALTER ROLE "+postgres.AppRole+" PASSWORD '"+e.password+"'")
}

// Exec runs a statement in a database, as the superuser.
func (e *External) Exec(t testing.TB, database, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, e.url("postgres", database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

func (e *External) url(login, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(login, e.password), Host: e.Addr(), Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

func (e *External) initialise() error {
	if os.Geteuid() == 0 { // postgres refuses to run as root
		account, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.ParseUint(account.Uid, 10, 32)
		gid, _ := strconv.ParseUint(account.Gid, 10, 32)
		e.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(e.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e.port = listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return err
	}
	secret := filepath.Join(e.dir, "password")
	if err := os.WriteFile(secret, []byte(e.password), 0o644); err != nil {
		return err
	}
	out, err := e.command("initdb", "-D", e.data(), "-U", "postgres", "--auth=scram-sha-256", "--pwfile="+secret, "--encoding=UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return os.Remove(secret)
}

func (e *External) data() string { return filepath.Join(e.dir, "data") }

func (e *External) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(e.bin, name), args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + e.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: e.account, Setpgid: true, Pdeathsig: syscall.SIGINT}
	return cmd
}

// Start starts the server and waits until it answers.
func (e *External) Start() error {
	cmd := e.command("postgres", "-D", e.data(), "-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(e.port), "-c", "unix_socket_directories=", "-c", "max_connections=200")
	ready := make(chan error, 1)
	ended := make(chan struct{})
	go func() { // Pdeathsig goes by the thread that started the child (prctl(2))
		runtime.LockOSThread()
		err := cmd.Start()
		ready <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-ready; err != nil {
		return err
	}
	e.mu.Lock()
	e.cmd, e.ended = cmd, ended
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), externalStart)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, e.url("postgres", "postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ended:
			return fmt.Errorf("postgres ended: %s", cmd.ProcessState)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server after what it has committed is safe. Start starts it again.
func (e *External) Stop() { e.end(syscall.SIGINT) }

// Kill is kill -9.
func (e *External) Kill() { e.end(syscall.SIGKILL) }

func (e *External) end(sig syscall.Signal) {
	e.mu.Lock()
	cmd, ended := e.cmd, e.ended
	e.cmd = nil
	e.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(sig)
	<-ended
}
