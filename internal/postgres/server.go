package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The server gets its folders as open files: 3 is the data, 4 the socket's. So the
// user postgres needs no way through the folders above them, which belong to root and
// may be closed; and the socket's path is short for the server (decision 0041).
const (
	dataFD   = "/proc/self/fd/3"
	socketFD = "/proc/self/fd/4"
)

// restartPause is how long to wait before starting a server that died: its children
// notice within milliseconds, and until then the shared memory is taken.
const restartPause = 200 * time.Millisecond

// stopTimeout bounds a clean stop; afterwards the server is ended as if by a crash,
// from which it recovers at the next start.
const stopTimeout = 20 * time.Second

// server runs one postgres process and starts it again when it dies.
type server struct {
	bin       string
	account   *syscall.Credential // nil: our own
	data      string
	sockets   string
	temporary string // the socket's folder when it is not in the cluster's own
	logFile   string
	forgetful bool // see [Config]
	log       *slog.Logger

	mu       sync.Mutex
	process  *os.Process // nil while there is none
	stopping bool

	firstExit chan struct{} // closed when the first process ends
	done      chan struct{} // closed when no process will follow
}

// serverAccount is whom the server runs as. Postgres refuses root.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup(superuser)
	if err != nil {
		return nil, fmt.Errorf("postgres does not run as root and there is no user %q: %w", superuser, ErrNotInstalled)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user id of %s: %w", superuser, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group id of %s: %w", superuser, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// socketFolder chooses where the socket is: in dir, or in a short temporary folder
// when its path there would be longer than a socket's may be.
func (s *server) socketFolder(dir string) error {
	s.sockets = filepath.Join(dir, "run")
	if len(filepath.Join(s.sockets, socketName)) > maxSocketPath {
		temporary, err := os.MkdirTemp("/tmp", "sb-postgres-")
		if err != nil {
			return err
		}
		s.sockets, s.temporary = temporary, temporary
	}
	return s.ownFolder(s.sockets)
}

func (s *server) ownFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if s.account == nil {
		return nil
	}
	return os.Chown(path, int(s.account.Uid), int(s.account.Gid))
}

// initialise makes the cluster unless it exists. initdb removes what it began when it
// fails; a kill in between leaves a folder without PG_VERSION's last companions, which
// the mark tells apart from a whole one.
func (s *server) initialise(ctx context.Context) error {
	mark := filepath.Join(filepath.Dir(s.data), "initialised")
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := os.RemoveAll(s.data); err != nil {
		return err
	}
	if err := s.ownFolder(s.data); err != nil {
		return err
	}
	args := []string{"-D", dataFD, "-U", superuser, "--data-checksums", "--auth=trust", "--encoding=UTF8", "--locale=C"}
	if s.forgetful {
		args = append(args, "--no-sync")
	}
	cmd, err := s.command("initdb", args...)
	if err != nil {
		return err
	}
	defer closeAll(cmd.ExtraFiles)
	out, err := runBound(ctx, cmd)
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(out))
	}
	return os.WriteFile(mark, nil, 0o600)
}

// command prepares a binary of the server. The caller closes its ExtraFiles.
func (s *server) command(name string, args ...string) (*exec.Cmd, error) {
	data, err := os.Open(s.data)
	if err != nil {
		return nil, err
	}
	sockets, err := os.Open(s.sockets)
	if err != nil {
		_ = data.Close()
		return nil, err
	}
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.ExtraFiles = []*os.File{data, sockets}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: s.account,
		Setpgid:    true,           // an interrupt typed at the terminal is ours to handle
		Pdeathsig:  syscall.SIGINT, // fast shutdown, when we are gone
	}
	return cmd, nil
}

// run starts the server and keeps it running until stop.
func (s *server) run() {
	s.firstExit, s.done = make(chan struct{}), make(chan struct{})
	go func() {
		// Pdeathsig fires when the thread that started the process ends (prctl(2)), so
		// this goroutine keeps its thread, which ends with it.
		runtime.LockOSThread()
		defer close(s.done)
		for first := true; ; first = false {
			err := s.once()
			if first {
				close(s.firstExit)
			}
			s.mu.Lock()
			stopping := s.stopping
			s.mu.Unlock()
			if stopping {
				return
			}
			s.log.Warn("the private Postgres ended; starting it again", "err", err)
			time.Sleep(restartPause)
		}
	}()
}

func (s *server) once() error {
	if err := s.removeStaleLocks(); err != nil {
		return err
	}
	safe := "on" // from a machine that loses its power
	if s.forgetful {
		safe = "off"
	}
	cmd, err := s.command("postgres", "-D", dataFD,
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+socketFD, "-c", "unix_socket_permissions=0700",
		"-c", "fsync="+safe, "-c", "synchronous_commit=on", "-c", "full_page_writes="+safe,
		"-c", "log_min_messages=warning", "-c", "log_min_error_statement=panic")
	if err != nil {
		return err
	}
	defer closeAll(cmd.ExtraFiles)
	words, err := os.OpenFile(s.logFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer words.Close()
	cmd.Stdout, cmd.Stderr = words, words
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return nil
	}
	err = cmd.Start()
	s.process = cmd.Process
	s.mu.Unlock()
	if err != nil {
		return err
	}
	err = cmd.Wait()
	s.mu.Lock()
	s.process = nil
	s.mu.Unlock()
	return err
}

func (s *server) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	if s.done == nil {
		return // never ran
	}
	for _, end := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		s.signal(end)
		select {
		case <-s.done:
			return
		case <-time.After(stopTimeout):
		}
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Signal(sig)
	}
}

// lastWords returns the end of the server's log, for an error.
func (s *server) lastWords() string {
	b, err := os.ReadFile(s.logFile)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-1000):]))
}

// runBound runs a command and ends it with ctx. It keeps its thread: see run.
func runBound(ctx context.Context, cmd *exec.Cmd) (string, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ctx.Done():
			_ = cmd.Process.Kill()
		case <-ended:
		}
	}()
	err := cmd.Wait()
	return out.String(), errors.Join(err, ctx.Err())
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
