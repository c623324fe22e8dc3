package production

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// build builds the binaries into .cache/production of this checkout, one process at a time. What is
// up to date stays as it is.
func build(t testing.TB) (dir string) {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatalf("build the binaries: %v", err)
	}
	return dir
}

var built = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", err
	}
	root := strings.TrimSpace(string(out))
	dir := filepath.Join(root, ".cache", "production")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	for _, what := range [][]string{
		{"-tags", "grpcnotrace", "secretsbridge/cmd/..."}, // as make build does
		{"github.com/nats-io/nats-server/v2"},             // of the version that agents and servers link
	} {
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", dir + "/"}, what...)...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "GOEXPERIMENT=runtimesecret")
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", &exec.Error{Name: strings.Join(what, " ") + ": " + string(said), Err: err}
		}
	}
	return dir, nil
})
