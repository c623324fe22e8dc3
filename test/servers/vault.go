// Package servers builds and runs the real servers that tests and local try-outs talk
// to. Each lives in a folder of its own with its own go.mod, so that nothing of it
// enters the product's modules; see README.md.
package servers

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// buildTime bounds building Vault: 6.4 CPU minutes with cold caches.
	buildTime = 30 * time.Minute

	// startTime bounds the time from exec to the line that says it serves: about a
	// second when idle.
	startTime = time.Minute
)

// VaultServer is a running Vault with its storage in memory, unsealed.
type VaultServer struct {
	Address   string   `json:"address"`    // http://127.0.0.1:PORT
	RootToken string   `json:"root_token"` // may do everything, never expires
	Unseal    []string `json:"unseal"`     // hex; all are needed
	PID       int      `json:"pid"`

	process
}

// Vault starts a Vault of its own for t, building it first if need be, and stops it
// when t ends. A test that needs Vault gets one or fails.
func Vault(t testing.TB) *VaultServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	binary, err := BuildVault(ctx)
	if err != nil {
		t.Fatal(err)
	}
	server, err := StartVault(ctx, binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

// StartVault runs a binary from [BuildVault] and returns when it serves. The server
// ends with Stop, and also when this process dies.
func StartVault(ctx context.Context, binary string) (*VaultServer, error) {
	server := &VaultServer{}
	var err error
	if server.process, err = start(ctx, "vault", binary, server); err != nil {
		return nil, err
	}
	return server, nil
}

// process is a running server that ends with this process.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// start runs a server's binary and decodes the line that says it serves.
func start(ctx context.Context, name, binary string, ready any) (process, error) {
	cmd := exec.Command(binary, "--listen", "127.0.0.1:0")
	// Vault reads many VAULT_* variables; none of ours is meant for it.
	cmd.Env = []string{"HOME=" + os.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return process{}, fmt.Errorf("start %s: %w", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return process{}, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", name, err)
	}
	p := process{cmd: cmd, stdin: stdin}

	lines := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(stdout).ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, ready)
		}
		lines <- err
	}()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case err = <-lines:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		p.Stop()
		return process{}, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Stop ends the server and waits for it. What it held is gone.
func (p process) Stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// BuildVault returns the path of the Vault binary; see [build].
func BuildVault(ctx context.Context) (string, error) { return build(ctx, "vault") }

// build returns the path of a server's binary, building it once for each state of its source
// and Go version. Binaries are kept under SB_CACHE_DIR, or secrets-bridge in the user's cache
// folder; several processes may ask at once. The current folder must lie inside the
// product's module.
func build(ctx context.Context, server string) (string, error) {
	source, err := sourceDir(ctx, server)
	if err != nil {
		return "", fmt.Errorf("find %s's source: %w", server, err)
	}
	key, err := buildKey(source)
	if err != nil {
		return "", fmt.Errorf("find %s's source: %w", server, err)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	binary := filepath.Join(cache, server+"-"+key)
	unlock, err := lock(filepath.Join(cache, server+".lock"))
	if err != nil {
		return "", fmt.Errorf("lock the cache folder: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	fresh := binary + ".new"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", fresh, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", server, err, out)
	}
	if err := os.Rename(fresh, binary); err != nil {
		return "", fmt.Errorf("build %s: %w", server, err)
	}
	return binary, nil
}

// sourceDir is a server's folder in the module that the current folder belongs to.
func sourceDir(ctx context.Context, server string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	module := strings.TrimSpace(string(out))
	if module == "" || module == os.DevNull {
		return "", errors.New("the current folder is in no module")
	}
	return filepath.Join(filepath.Dir(module), "test", "servers", server), nil
}

// buildKey names the state of a server's source: modules, their sums, our own files.
func buildKey(source string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	names, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil || len(names) == 0 {
		return "", errors.Join(err, fmt.Errorf("no Go files in %s", source))
	}
	for _, name := range append([]string{filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum")}, names...) {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, filepath.Base(name), len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

func cacheDir() (string, error) {
	dir := os.Getenv("SB_CACHE_DIR")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "secrets-bridge")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// lock waits for the lock on path; the system gives it back if this process dies.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}
