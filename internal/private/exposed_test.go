package private_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"secretsbridge/internal/private"
)

// nobody is an account that owns nothing here.
const nobody = 65532

// TestWhoseFilesAreExposed asks for files of root as root and, in a child, as somebody else.
func TestWhoseFilesAreExposed(t *testing.T) {
	if path := os.Getenv("SB_TEST_FILE"); path != "" {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("exposed %t\n", private.Exposed(info))
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("this test makes files of root: run it as root")
	}
	dir, err := os.MkdirTemp("", "sb") // t.TempDir is in a folder that others may not pass through
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	child := filepath.Join(dir, "child")
	if err := os.WriteFile(child, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		owner   int
		mode    fs.FileMode
		as      uint32
		exposed string
	}{
		{"its owner's alone", nobody, 0o600, nobody, "false"},
		{"its owner's, and a group's", nobody, 0o640, nobody, "true"},
		{"root's, for a group", 0, 0o440, nobody, "false"},
		{"root's, and a group may write", 0, 0o460, nobody, "true"},
		{"root's, for everybody", 0, 0o444, nobody, "true"},
		{"root's, for a group, as root", 0, 0o440, 0, "true"},
		{"somebody's, for a group", 1, 0o440, nobody, "true"},
	} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, c.owner, nobody); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(child, "-test.run", "^TestWhoseFilesAreExposed$", "-test.count", "1")
		cmd.Dir, cmd.Env = "/", []string{"SB_TEST_FILE=" + path}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.as, Gid: c.as}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "exposed "+c.exposed+"\n") {
			t.Errorf("%s: want exposed %s: %v\n%s", c.name, c.exposed, err, out)
		}
	}
}
