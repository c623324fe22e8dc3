package faults_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
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
	"secretsbridge/web/api"
)

const (
	password = "demo-password-of-the-faults"
	secret   = "file/prod/db/password" // that every installation of the demo has

	startTime = 90 * time.Second
	stopTime  = 45 * time.Second
)

// plant is a whole system: sb-server dev with its private Postgres, NATS and agent.
type plant struct {
	dir string
	env []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has ended
	url    string
	http   *http.Client
	stderr bytes.Buffer
	tokens map[string]string

	reveal api.Reveal // names the key that values are revealed to
}

// binaries builds the product as make does.
func binaries(t testing.TB) {
	t.Helper()
	if err := os.Setenv("GOEXPERIMENT", "runtimesecret"); err != nil {
		t.Fatal(err)
	}
	tool(t, ".", "-tags", "grpcnotrace", "-o", tools.dir+"/", "secretsbridge/cmd/sb-server", "secretsbridge/cmd/sb-agent")
}

// newPlant prepares one in a folder of its own, which up starts.
func newPlant(t *testing.T, env ...string) *plant {
	t.Helper()
	binaries(t)
	key, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	return &plant{dir: filepath.Join(short(t), "data"), env: env, tokens: map[string]string{}, reveal: api.Reveal{Recipient: key.Public().String()}}
}

// start is newPlant that runs.
func start(t *testing.T, env ...string) *plant {
	t.Helper()
	p := newPlant(t, env...)
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	return p
}

// up starts the server, under another program if wrap names one, and waits until it serves.
func (p *plant) up(t *testing.T, wrap ...string) {
	t.Helper()
	if err := p.tryUp(wrap...); err != nil {
		t.Fatalf("%v:\n%s", err, p.log(60))
	}
}

// tryUp is up for a server that may have a reason not to start.
func (p *plant) tryUp(wrap ...string) error {
	args := append(slices.Clone(wrap), filepath.Join(tools.dir, "sb-server"), "dev")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(bare(os.Environ()), "SB_DATA_DIR="+p.dir, "SB_HTTP_ADDR=127.0.0.1:0", "SB_DEMO_PASSWORD="+password,
		"SB_LOG_LEVEL=WARN", "SB_LEASE=3s", "SB_CALLS_PER_PERSON=100000", "SB_CALLS_PER_ADDRESS=1000000", "SB_OPEN_REQUESTS=10000")
	cmd.Env = append(cmd.Env, p.env...)
	cmd.Stderr = locked{&p.mu, &p.stderr}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended, url := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "Secrets Bridge runs at "); ok {
				at, _, _ := strings.Cut(rest, " ")
				url <- at
			}
		}
		_ = cmd.Wait()
	}()
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.mu.Unlock()
	select {
	case at := <-url:
		return p.reach(at)
	case <-ended:
		return fmt.Errorf("the server ended instead of starting")
	case <-time.After(startTime):
		_ = cmd.Process.Kill()
		return fmt.Errorf("the server does not start within %s", startTime)
	}
}

// reach has calls go to a server that has the certificate authority of this plant.
func (p *plant) reach(url string) error {
	pem, err := os.ReadFile(filepath.Join(p.dir, "ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.url = url
	p.http = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64}}
	return nil
}

func (p *plant) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		t.Error("the server does not stop")
		p.kill()
	}
}

// kill is kill -9 of the server alone; what it started must notice.
func (p *plant) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// log is the end of what server and agent said.
func (p *plant) log(lines int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := strings.Split(p.stderr.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// agentPID is the agent's process, 0 if there is none now.
func (p *plant) agentPID() int {
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range found {
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte("sb-agent\x00run\x00--dir\x00"+p.dir+"/")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

// postgresPID is the private postmaster, 0 if there is none now.
func (p *plant) postgresPID() int {
	text, err := os.ReadFile(filepath.Join(p.dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(first))
	return pid
}

// verify compares every view with the log. The server must be down.
func (p *plant) verify() error {
	cmd := exec.Command(filepath.Join(tools.dir, "sb-server"), "rebuild", "--verify")
	cmd.Env = append(bare(os.Environ()), "SB_DATA_DIR="+p.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the views are not those of the log: %s", lastLine(string(out)))
	}
	return nil
}

// call is one call as one of the demo people. Status 0 means that no answer came.
func (p *plant) call(who, method, path, key string, body, into any) (status int, code string) {
	p.mu.Lock()
	token := p.tokens[who]
	p.mu.Unlock()
	if token == "" {
		var opened api.Session
		if status, code = p.send("", "POST", "/sessions", "", api.SignIn{Email: who + "@demo.local", Password: password}, &opened); opened.Token == "" {
			return status, code
		}
		token = opened.Token
		p.mu.Lock()
		p.tokens[who] = token
		p.mu.Unlock()
	}
	return p.send(token, method, path, key, body, into)
}

func (p *plant) send(token, method, path, key string, body, into any) (status int, code string) {
	p.mu.Lock()
	url, client := p.url, p.http
	p.mu.Unlock()
	return send(client, url, token, method, path, key, body, into)
}

func send(client *http.Client, url, token, method, path, key string, body, into any) (status int, code string) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		payload = bytes.NewReader(raw)
	}
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
		var problem api.Problem
		_ = json.Unmarshal(raw, &problem)
		return resp.StatusCode, problem.Code
	}
	if into != nil && json.Unmarshal(raw, into) != nil {
		return 0, ""
	}
	return resp.StatusCode, ""
}

// answered says that a call came to an end: by success, or by a rule.
func answered(status int, code string) bool {
	return status != 0 && status < 500 && status != http.StatusTooManyRequests && code != "idempotency_in_flight"
}

// fresh is a key of one call, for all its repetitions.
func fresh() string { return rand.Text() }

// bare leaves out what would configure the binaries behind the programme's back.
func bare(env []string) []string {
	var kept []string
	for _, e := range env {
		family, _, _ := strings.Cut(e, "_")
		if !slices.Contains([]string{"SB", "VAULT", "AWS", "AZURE", "GOOGLE", "GCE", "OTEL"}, family) {
			kept = append(kept, e)
		}
	}
	return kept
}

// locked is a writer under somebody's lock.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
