package ground

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/deploy/container"
)

// What a test knows in a network of its own, where nothing can be built: programs that were.
const (
	inside     = "SB_TEST_ALONE"
	vaultIs    = "SB_TEST_VAULT"
	natsIs     = "SB_TEST_NATS_SERVER"
	ownTestRun = "-test.run"
)

// Alone runs a test once more, in a process with a network of its own, because ports are fixed where
// things are deployed; names are hosts that are addresses of its loopback. Outside it reports the
// result, and the test returns if Alone says so.
func Alone(t *testing.T, names map[string]string) (outside bool) {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return false
	}
	root, err := container.Repository()
	if err != nil {
		t.Fatal(err)
	}
	hosts := "127.0.0.1 localhost\n"
	for name, address := range names {
		hosts += address + " " + name + "\n"
	}
	file := filepath.Join(Folder(t), "hosts")
	if err := os.WriteFile(file, []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--net", "--mount", "sh", "-c", `ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@"`, file, self, ownTestRun, "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+t.Name(), vaultIs+"="+vaultBinary(t, root), natsIs+"="+natsBinary(t, root))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
	return true
}

// vaultBinary builds the Vault that tests run, or finds it built.
func vaultBinary(t *testing.T, root string) string {
	t.Helper()
	cmd := exec.Command("go", "run", "./test/servers/cmd/vault-binary")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build Vault: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// natsBinary builds the server of NATS whose version the product is made for.
func natsBinary(t *testing.T, root string) string {
	t.Helper()
	path := filepath.Join(root, ".cache", "deploy", "nats-server")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "github.com/nats-io/nats-server/v2")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOEXPERIMENT=runtimesecret", "CGO_ENABLED=0") // as make build does, so that nothing is compiled twice
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build nats-server: %w\n%s", err, out))
	}
	return path
}
