package docs_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const password = "demo-password-of-the-docs"

// patience bounds a start, a stop, and one block: what takes longer hangs.
const patience = 90 * time.Second

// people are who can be signed in, by the word that a page says.
var people = map[string]string{"developer": "developer@demo.local", "approver": "approver@demo.local", "admin": "admin@demo.local", auditor: "auditor@example.org"}

// auditor is invited by the test: make run has none.
const auditor = "auditor"

// An installation is what make run starts: a server with its database, and the demo agent.
type installation struct {
	data string // SB_DATA_DIR
	url  string
	key  string // SB_SERVER_KEY

	world string // folder with the governance that pages speak of, which they apply before their first block

	mu  sync.Mutex
	log bytes.Buffer
}

func install(t *testing.T) *installation {
	t.Helper()
	world, err := filepath.Abs("testdata/world")
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{data: filepath.Join(bin, "data"), world: world}
	server := exec.Command(filepath.Join(bin, "sb-server"), "dev")
	server.Env = append(ownEnvironment(), "SB_DATA_DIR="+in.data, "SB_HTTP_ADDR=127.0.0.1:0", "SB_DEMO_PASSWORD="+password,
		"SB_GITOPS_ENABLED=true",
		"SB_CALLS_PER_PERSON=100000", "SB_CALLS_PER_ADDRESS=1000000") // pages are read faster than by people
	server.Stderr = in
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "Secrets Bridge runs at "); ok {
				in.url, _, _ = strings.Cut(rest, " ")
			}
			if _, key, ok := strings.Cut(lines.Text(), "export SB_SERVER_KEY="); ok {
				in.key = key
			}
			if strings.HasPrefix(lines.Text(), "Ctrl-C stops everything") {
				close(ready)
			}
		}
		_ = server.Wait()
	}()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = server.Process.Kill()
			t.Error("the server does not stop")
		}
		if t.Failed() {
			t.Logf("log of the server:\n%s", in.tail())
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("the server ended instead of starting:\n%s", in.tail())
	case <-time.After(patience):
		t.Fatalf("the server does not start:\n%s", in.tail())
	}
	return in
}

// Write takes what the server says on standard error.
func (in *installation) Write(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.log.Write(p)
}

func (in *installation) tail() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	text := in.log.String()
	return text[max(0, len(text)-8000):]
}

// ownEnvironment is ours without settings of the product, so that a page finds what a reader has.
func ownEnvironment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SB_") && !strings.HasPrefix(v, "VAULT_") && !strings.HasPrefix(v, "AWS_") {
			kept = append(kept, v)
		}
	}
	return kept
}
