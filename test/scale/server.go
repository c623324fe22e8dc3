package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

const password = "demo-password-of-the-scale"

// server is one sb-server with a private Postgres and embedded NATS, in a folder of its own.
type server struct {
	dir, bin, log string

	cmd  *exec.Cmd
	url  string
	ops  string
	http *http.Client

	signing sync.Mutex // one signs in at a time; before mu
	mu      sync.Mutex
	tokens  map[string]string

	repeated  atomic.Int64 // calls that were made again
	operators sync.Mutex
	invited   []func() error // operators, by their number
}

func startServer(bin, dir string) (*server, error) {
	s := &server{dir: filepath.Join(dir, "data"), tokens: map[string]string{}}
	ops, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.ops, s.bin, s.log = ops.Addr().String(), filepath.Join(bin, "sb-server"), filepath.Join(dir, "server.log")
	_ = ops.Close()
	return s, s.start()
}

// start starts it, or starts it again after stop.
func (s *server) start() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.bin, "dev")
	s.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "SB_DATA_DIR=" + s.dir, "SB_HTTP_ADDR=127.0.0.1:0", "SB_OPS_ADDR=" + s.ops,
		"SB_DEMO_PASSWORD=" + password, "SB_LOG_LEVEL=WARN", "SB_TRUSTED_PROXIES=127.0.0.1", "SB_OPEN_REQUESTS=10000", "SB_CALLS_PER_PERSON=100000", "SB_CALLS_PER_ADDRESS=1000000",
	}
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	url := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), "Secrets Bridge runs at "); ok {
				at, _, _ := strings.Cut(rest, " ")
				url <- at
			}
		}
	}()
	select {
	case s.url = <-url:
	case <-time.After(2 * time.Minute):
		s.stop()
		return fmt.Errorf("the server does not start; see %s", log.Name())
	}
	pem, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64}}
	return nil
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	ended := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill()
		<-ended
	}
}

// call is one call as one of the demo people; an answer that is no success is an error.
func (s *server) call(who, method, path string, body, into any) error {
	token, err := s.token(who)
	if err != nil {
		return err
	}
	return s.send("", token, method, path, body, into)
}

// token is that of somebody's only session.
func (s *server) token(who string) (string, error) {
	known := func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.tokens[who]
	}
	if token := known(); token != "" {
		return token, nil
	}
	s.signing.Lock()
	defer s.signing.Unlock()
	if token := known(); token != "" {
		return token, nil
	}
	var opened api.Session
	if err := s.send("", "", "POST", "/sessions", api.SignIn{Email: who + "@demo.local", Password: password}, &opened); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[who] = opened.Token
	return opened.Token, nil
}

// callPatience is for how long a call is repeated that was not answered, or 503.
const callPatience = time.Minute

// send makes a call, and repeats it as the same one while the server has no answer to it, as clients do.
func (s *server) send(from, token, method, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	key := rand.Text()
	for end := time.Now().Add(callPatience); ; time.Sleep(100 * time.Millisecond) {
		answer, status, err := s.once(from, token, method, path, key, raw)
		again := err != nil || status == http.StatusServiceUnavailable || status == http.StatusConflict && bytes.Contains(answer, []byte("idempotency_in_flight"))
		switch {
		case again && time.Now().Before(end):
			s.repeated.Add(1)
		case err != nil:
			return err
		case status >= 400:
			return fmt.Errorf("%s %s: %d: %s", method, path, status, answer)
		case into == nil:
			return nil
		default:
			return json.Unmarshal(answer, into)
		}
	}
}

func (s *server) once(from, token, method, path, key string, body []byte) ([]byte, int, error) {
	req, err := http.NewRequest(method, s.url+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if from != "" {
		req.Header.Set("X-Forwarded-For", from)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if method != http.MethodGet {
		req.Header.Set(api.HeaderIdempotencyKey, key)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return answer, resp.StatusCode, err
}

// perOperator is how many agents one person invites: in an hour nobody invites more than 100
// (docs/reference/limits.md).
const perOperator = 90

// operator is who invites an agent: an administrator whom the host let in. The next one is let in meanwhile.
func (s *server) operator(n int) (string, error) {
	number := n / perOperator
	s.operators.Lock()
	for next := len(s.invited); next <= number+1; next++ {
		s.invited = append(s.invited, sync.OnceValue(func() error { return s.invite(next) }))
	}
	ready, next := s.invited[number], s.invited[number+1]
	s.operators.Unlock()
	if n%perOperator == 0 {
		go func() { _ = next() }() // who needs it sees the error
	}
	return operatorName(number), ready()
}

func operatorName(number int) string { return fmt.Sprintf("operator-%d", number) }

const inviteAttempts = 5

// invite lets an operator in, and signs them in.
func (s *server) invite(number int) error {
	who := operatorName(number)
	var out []byte
	var err error
	for range inviteAttempts { // a server that is busy may have no time for its host
		cmd := exec.Command(s.cmd.Path, "person", "invite", who+"@demo.local", "--name", who, "--role", "admin")
		cmd.Env = s.cmd.Env
		if out, err = cmd.Output(); err == nil {
			break
		}
		s.repeated.Add(1)
	}
	if err != nil {
		return fmt.Errorf("invite %s: %w", who, err)
	}
	_, token, ok := strings.Cut(strings.TrimSpace(string(out)), "#link=")
	if !ok {
		return fmt.Errorf("invite %s: %q has no token", who, out)
	}
	if err := s.send(address(1<<23+number), "", "POST", "/links/redeem", api.Redeem{Token: token, Password: password}, nil); err != nil {
		return err
	}
	return s.call(who, "GET", "/me", nil, nil)
}

// address is one of its own for each agent: one address has few attempts.
func address(n int) string { return fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255) }

// enrol invites an agent and trades its token.
func (s *server) enrol(n int, cluster string, m events.Enrol) (events.Enrolment, error) {
	who, err := s.operator(n)
	if err != nil {
		return events.Enrolment{}, err
	}
	var invited api.Invitation
	if err := s.call(who, "POST", "/agents/invitations", api.Invite{Name: fmt.Sprintf("agent-%d", n), Cluster: cluster}, &invited); err != nil {
		return events.Enrolment{}, err
	}
	m.Token = invited.Token
	var e events.Enrolment
	err = s.send(address(n), "", "POST", "/agents/enrol", m, &e)
	return e, err
}

// metric reads one of the server's figures, summed over its labels.
func (s *server) metric(name string) (float64, error) {
	resp, err := http.Get("http://" + s.ops + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	sum, found := 0.0, false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		series, value, ok := strings.Cut(lines.Text(), " ")
		if bare, _, _ := strings.Cut(series, "{"); ok && bare == name {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			sum, found = sum+v, true
		}
	}
	if !found {
		return 0, fmt.Errorf("there is no metric %s", name)
	}
	return sum, nil
}

// usage is what processes used.
type usage struct {
	CPU time.Duration
	RSS int64 // bytes
}

// ticksPerSecond is the unit of times in /proc (proc(5), "USER_HZ").
const ticksPerSecond = 100

// used reads what a process used since it began, or for Postgres all of its processes: those of
// which the server is an ancestor.
func (s *server) used() (own, postgres usage) {
	parents, of := map[int]int{}, map[int]usage{}
	names := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		open, shut := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
		f := strings.Fields(string(raw[shut+1:]))
		at := func(field int) int64 { n, _ := strconv.ParseInt(f[field-3], 10, 64); return n }
		parents[pid], names[pid] = int(at(4)), string(raw[open+1:shut])
		of[pid] = usage{time.Duration(at(14)+at(15)+at(16)+at(17)) * time.Second / ticksPerSecond, at(24) * int64(os.Getpagesize())}
	}
	me := s.cmd.Process.Pid
	own = of[me]
	// A child that has ended counts for its parent, so Postgres is taken from its own first process.
	for pid := range parents {
		if names[pid] == "postgres" && (parents[pid] == me || parents[parents[pid]] == me) {
			postgres.CPU += of[pid].CPU
			postgres.RSS += of[pid].RSS
		}
	}
	return own, postgres
}

// self is what this process used: the fleet and the callers.
func self() usage {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	raw, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	return usage{time.Duration(u.Utime.Nano() + u.Stime.Nano()), pages * int64(os.Getpagesize())}
}

// sizeOf is what a folder holds, in bytes.
func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

// quantile is of durations, which it sorts.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}

// idle lets the server alone for a while and returns what it uses meanwhile, in cores.
func (s *server) idle(ctx context.Context, pause time.Duration) (own, postgres float64) {
	a, b := s.used()
	began := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
	c, d := s.used()
	took := time.Since(began).Seconds()
	return (c.CPU - a.CPU).Seconds() / took, (d.CPU - b.CPU).Seconds() / took
}
