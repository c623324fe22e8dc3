// Package e2e drives the real binaries as their users do: sb-server dev with its private
// Postgres, embedded NATS and demo agent, and sb beside it.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"secretsbridge/seal"
	"secretsbridge/test/leaks"
	"secretsbridge/web/api"
)

const password = "demo-password-of-the-tests"

// startTime bounds a start: a private Postgres, NATS and the demo agent.
const startTime = 90 * time.Second

var bin string // folder of the binaries

func TestMain(m *testing.M) {
	leaks.Holder()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "sb-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		build := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", bin+"/", "secretsbridge/cmd/...")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=runtimesecret") // as make build does
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the binaries: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// control is one control plane in a data directory of its own, which outlives kills.
type control struct {
	dir string
	env []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	url    string
	client *http.Client
	ended  chan struct{} // closed when the process of cmd has ended
	logs   bytes.Buffer  // stderr of every start, the agent's included
	stdout bytes.Buffer  // of every start
	tokens map[string]string

	reader seal.RecipientKey // of the people here, who reveal by the API
	reveal api.Reveal        // names it
}

// start starts a control plane and stops it when the test ends. env adds settings.
func start(t testing.TB, env ...string) *control {
	t.Helper()
	c := &control{dir: filepath.Join(short(t), "data"), env: env, tokens: map[string]string{}}
	reader, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	c.reader, c.reveal = reader, api.Reveal{Recipient: reader.Public().String()}
	c.up(t)
	t.Cleanup(func() {
		c.stop(t)
		if t.Failed() {
			t.Logf("log of the server and its agent:\n%s", tail(c.log(), 200))
		}
	})
	return c
}

// short is a temporary folder with a short path, for unix sockets, that the user
// postgres may pass through.
func short(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// up starts the server and waits until it says that it runs.
func (c *control) up(t testing.TB) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sb-server"), "dev")
	cmd.Env = append(clean(os.Environ()), "SB_DATA_DIR="+c.dir, "SB_HTTP_ADDR=127.0.0.1:0", "SB_DEMO_PASSWORD="+password,
		"SB_CALLS_PER_PERSON=100000", "SB_CALLS_PER_ADDRESS=1000000") // tests and benchmarks call faster than an office
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Stderr = locked{&c.mu, &c.logs}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	url := make(chan string, 1)
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(locked{&c.mu, &c.stdout}, lines.Text())
			if rest, ok := strings.CutPrefix(lines.Text(), "Secrets Bridge runs at "); ok {
				at, _, _ := strings.Cut(rest, " ")
				url <- at
			}
		}
		_ = cmd.Wait()
	}()
	c.mu.Lock()
	c.cmd, c.ended = cmd, ended
	c.mu.Unlock()
	select {
	case at := <-url:
		c.connect(t, at)
	case <-ended:
		t.Fatalf("the server ended instead of starting:\n%s", tail(c.log(), 60))
	case <-time.After(startTime):
		t.Fatalf("the server does not start:\n%s", tail(c.log(), 60))
	}
}

func (c *control) connect(t testing.TB, url string) {
	t.Helper()
	pem, err := os.ReadFile(c.ca())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("ca.pem holds no certificate")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.url = url
	c.client = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func (c *control) ca() string { return filepath.Join(c.dir, "ca.pem") }

func (c *control) log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logs.String()
}

// stop is Ctrl-C: everything must be gone within the agent's drain time.
func (c *control) stop(t testing.TB) {
	t.Helper()
	c.signal(t, syscall.SIGINT)
	select {
	case <-c.ended:
	case <-time.After(45 * time.Second):
		t.Error("the server does not stop")
		c.kill(t)
	}
}

// kill is kill -9 of the server alone; what it started must notice.
func (c *control) kill(t testing.TB) {
	t.Helper()
	c.signal(t, syscall.SIGKILL)
	<-c.ended
}

func (c *control) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	select {
	case <-c.ended:
	default:
		if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	}
}

// agentPID is the demo agent's process, 0 if there is none now.
func (c *control) agentPID() int {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte("sb-agent\x00run\x00--dir\x00"+c.dir+"/")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

// postgresPID is the private postmaster, 0 if there is none now.
func (c *control) postgresPID() int {
	found, _ := filepath.Glob(filepath.Join(c.dir, "postgres", "*", "postmaster.pid"))
	direct, _ := filepath.Glob(filepath.Join(c.dir, "postgres", "postmaster.pid"))
	for _, path := range append(found, direct...) {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, _ := strconv.Atoi(strings.TrimSpace(first))
		return pid
	}
	return 0
}

// said is what a run of sb printed and how it ended.
type said struct {
	stdout, stderr string
	code           int
}

// sb runs the command line as one of the demo people: developer, approver or admin.
func (c *control) sb(t testing.TB, who string, args ...string) said {
	t.Helper()
	return c.sbIn(t, who, "", args...)
}

func (c *control) sbIn(t testing.TB, who, stdin string, args ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "sb"), append([]string{"--server", c.url, "--ca", c.ca()}, args...)...)
	cmd.Env = append(clean(os.Environ()), "SB_TOKEN_FILE="+filepath.Join(c.dir, "token-"+who))
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must is sb that succeeds, and returns what it printed.
func (c *control) must(t testing.TB, who string, args ...string) string {
	t.Helper()
	got := c.sb(t, who, args...)
	if got.code != 0 {
		t.Fatalf("sb %s: exit %d: %s", strings.Join(args, " "), got.code, got.stderr)
	}
	return got.stdout
}

func (c *control) login(t testing.TB, people ...string) {
	t.Helper()
	for _, who := range people {
		got := c.sbIn(t, who, password+"\n", "login", "--email", who+"@demo.local", "--password-stdin")
		if got.code != 0 {
			t.Fatalf("sign in as %s: exit %d: %s", who, got.code, got.stderr)
		}
	}
}

// call is one call of the API as one of the people, who signs in when needed. Status 0
// means that no answer came.
func (c *control) call(who, method, path, key string, body, into any) (status int, code string) {
	token, status := c.token(who)
	if token == "" {
		return status, ""
	}
	return c.send(token, method, path, key, body, into)
}

func (c *control) token(who string) (token string, status int) {
	c.mu.Lock()
	token = c.tokens[who]
	c.mu.Unlock()
	if token != "" {
		return token, 0
	}
	var opened api.Session
	status, _ = c.send("", "POST", "/sessions", "", api.SignIn{Email: who + "@demo.local", Password: password}, &opened)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[who] = opened.Token
	return opened.Token, status
}

func (c *control) send(token, method, path, key string, body, into any) (status int, code string) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		payload = bytes.NewReader(raw)
	}
	c.mu.Lock()
	url, client := c.url, c.client
	c.mu.Unlock()
	req, err := http.NewRequest(method, url+"/api/v1"+path, payload)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		req.Header.Set(api.HeaderIdempotencyKey, key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	if resp.StatusCode >= 400 {
		var p api.Problem
		_ = json.Unmarshal(raw, &p)
		return resp.StatusCode, p.Code
	}
	if into != nil && json.Unmarshal(raw, into) != nil {
		return 0, ""
	}
	return resp.StatusCode, ""
}

// opened opens what the developer revealed.
func (c *control) opened(t testing.TB, r api.Request, envelope string, got api.Revealed) string {
	t.Helper()
	var intake api.Intake
	if status, _ := c.call("developer", "GET", "/intake", "", nil, &intake); status != http.StatusOK {
		t.Fatalf("intake: %d", status)
	}
	signer, err := seal.ParseVerifyKey(intake.SigningKey)
	if err != nil {
		t.Fatal(err)
	}
	value, err := seal.OpenValueMessage(c.reader, seal.VerifyKeys{signer}, seal.Binding{
		Direction: seal.Reveal, Request: r.ID, Envelope: envelope, Key: got.Key, Connection: r.Connection, Ref: r.Ref,
		Agent: r.Requester.ID, AgentKey: c.reader.Public().ID(), NotAfter: got.NotAfter,
	}, got.NotAfter.Add(-time.Second), got.Sealed)
	if err != nil {
		t.Fatalf("open what was revealed: %v", err)
	}
	return string(value)
}

// request shows a request as the admin sees it.
func (c *control) request(t testing.TB, id string) api.Request {
	t.Helper()
	var r api.Request
	if status, code := c.call("admin", "GET", "/requests/"+id, "", nil, &r); status != http.StatusOK {
		t.Fatalf("show %s: %d %s", id, status, code)
	}
	return r
}

// eventually polls, because it watches from outside; a condition that does not come in
// time fails the test.
func eventually(t testing.TB, patience time.Duration, what string, condition func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(end) {
			t.Fatalf("after %s: not %s", patience, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func newKey() string { return rand.Text() }

// clean leaves out what would configure the binaries behind the test's back.
func clean(env []string) []string {
	var kept []string
	for _, e := range env {
		family, _, _ := strings.Cut(e, "_")
		if !slices.Contains([]string{"SB", "VAULT", "AWS", "AZURE", "GOOGLE", "GCE"}, family) {
			kept = append(kept, e)
		}
	}
	return kept
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// locked is a writer under somebody's lock.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
