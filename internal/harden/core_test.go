package harden_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"secretsbridge/internal/harden"
)

// TestNoCore runs itself as a child, whose limits it may spoil.
func TestNoCore(t *testing.T) {
	if os.Getenv("HARDEN_CHILD") != "" {
		if err := harden.NoCore(); err != nil {
			t.Fatal(err)
		}
		limits, err := os.ReadFile("/proc/self/limits")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(limits)) {
			if strings.HasPrefix(line, "Max core file size") && len(strings.Fields(line)) > 5 {
				if f := strings.Fields(line); f[4] != "0" || f[5] != "0" {
					t.Errorf("core limit is %s", line)
				}
				return
			}
		}
		t.Fatal("no core limit listed")
	}
	cmd := exec.Command(os.Args[0], "-test.run=TestNoCore", "-test.v")
	cmd.Env = append(os.Environ(), "HARDEN_CHILD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
