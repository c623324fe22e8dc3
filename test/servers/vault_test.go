package servers_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"secretsbridge/test/servers"
)

func TestVaultServesUntilItIsStopped(t *testing.T) {
	server := servers.Vault(t)
	res, err := http.Get(server.Address + "/v1/sys/health")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("health: %s", res.Status)
	}
	server.Stop()
	if err := syscall.Kill(server.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("after Stop, signalling it says %v, want no such process", err)
	}
}

func TestVaultEndsWithTheProcessThatStartedIt(t *testing.T) {
	binary, err := servers.BuildVault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary)
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = ours
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close() // what the system does when the parent dies
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

func TestVaultRefusesAnAddressThatOthersReach(t *testing.T) {
	binary, err := servers.BuildVault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), binary, "--listen", "0.0.0.0:0").CombinedOutput(); err == nil {
		t.Errorf("it served: %s", out)
	}
}
