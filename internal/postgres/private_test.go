package postgres_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
)

func start(t *testing.T, dir string) *postgres.Private {
	t.Helper()
	private, err := postgres.StartPrivate(t.Context(), postgres.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(private.Stop)
	return private
}

func exec1(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(got, " ")
}

func TestASecondRunKeepsTheData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	exec1(t, first.OwnerDSN(), "CREATE TABLE kept AS SELECT 'yes' AS said")
	first.Stop()
	second := start(t, dir)
	if got := exec1(t, second.OwnerDSN(), "SELECT said FROM kept"); got != "yes" {
		t.Errorf("kept table says %q", got)
	}
}

func TestTheServerIsDurableAndPrivate(t *testing.T) {
	t.Parallel()
	private := start(t, t.TempDir())
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on", "listen_addresses": "",
	} {
		if got := exec1(t, private.OwnerDSN(), "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestAFolderBehindAClosedOneWorks(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	private := start(t, filepath.Join(closed, "pg"))
	exec1(t, private.OwnerDSN(), "SELECT 'reached'")
}

func TestALongFolderNameWorks(t *testing.T) {
	t.Parallel()
	private := start(t, filepath.Join(t.TempDir(), strings.Repeat("long", 40), "it's"))
	exec1(t, private.OwnerDSN(), "SELECT 'reached'")
}

func TestTwoProcessesCannotShareAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir)
	if _, err := postgres.StartPrivate(t.Context(), postgres.Config{Dir: dir}); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("second start: %v, want %v", err, postgres.ErrInUse)
	}
}

func TestAKilledServerIsStartedAgainWithItsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private := start(t, dir)
	exec1(t, private.OwnerDSN(), "CREATE TABLE kept AS SELECT 'yes' AS said")
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := pgx.Connect(t.Context(), private.OwnerDSN())
		if err == nil {
			conn.Close(t.Context())
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server did not come back: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks, not a wait
	}
	if got := exec1(t, private.OwnerDSN(), "SELECT said FROM kept"); got != "yes" {
		t.Errorf("kept table says %q", got)
	}
}

// A stale postmaster.pid that names a living stranger must not stop a start.
// A server that was killed leaves processes, which hold its memory until they notice.
func TestTheRestOfAKilledServerIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	conn, err := pgx.Connect(t.Context(), first.OwnerDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rest, killed := int(conn.PgConn().PID()), postmaster(t, dir)
	if err := errors.Join(syscall.Kill(rest, syscall.SIGSTOP), syscall.Kill(killed, syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	type started struct {
		private *postgres.Private
		err     error
	}
	again := make(chan started, 1)
	go func() {
		private, err := postgres.StartPrivate(t.Context(), postgres.Config{Dir: dir})
		again <- started{private, err}
	}()
	refused := func() bool {
		words, _ := os.ReadFile(filepath.Join(dir, "postgres.log"))
		return strings.Contains(string(words), "shared memory block")
	}
	for !refused() {
		select {
		case got := <-again:
			t.Fatalf("the start ended before it met the rest: %v", got.err)
		case <-t.Context().Done():
			t.Fatal("the server does not meet the rest of the one before")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := syscall.Kill(rest, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got := <-again
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.private.Stop()
}

func TestAStaleLockOfALivingStrangerIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).Stop()
	stale := filepath.Join(dir, "data", "postmaster.pid")
	if err := os.WriteFile(stale, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	private := start(t, dir)
	exec1(t, private.OwnerDSN(), "SELECT 'reached'")
}

// The server dies with the process that started it, and the next start finds the data.
func TestTheServerDiesWithAKilledProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "START_PRIVATE_IN="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the child did not start: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	private := start(t, dir)
	if got := exec1(t, private.OwnerDSN(), "SELECT said FROM kept"); got != "yes" {
		t.Errorf("kept table says %q", got)
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("START_PRIVATE_IN"); dir != "" {
		runChild(dir)
	}
	os.Exit(m.Run())
}

// runChild starts a server, writes to it, says so and waits to be killed.
func runChild(dir string) {
	ctx := context.Background()
	private, err := postgres.StartPrivate(ctx, postgres.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	conn, err := pgx.Connect(ctx, private.OwnerDSN())
	if err != nil {
		panic(err)
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE kept AS SELECT 'yes' AS said"); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.Write([]byte("!"))
	select {}
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
