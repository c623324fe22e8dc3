package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"secretsbridge/test/production"
	"secretsbridge/web/api"
)

// part is something that falls silent: its processes are stopped, so that its connections stand
// and nobody answers on them.
type part struct {
	name string
	pids func(r *production.Rig) []int
}

func processes(of func(*production.Rig) []*production.Process) func(*production.Rig) []int {
	return func(r *production.Rig) (pids []int) {
		for _, p := range of(r) {
			pids = append(pids, p.PID())
		}
		return pids
	}
}

var (
	natsMajority = part{"two of three NATS servers", processes(func(r *production.Rig) []*production.Process { return r.Nodes[:2] })}
	parts        = []part{
		{"a server", processes(func(r *production.Rig) []*production.Process { return r.Servers[:1] })},
		{"a NATS server", processes(func(r *production.Rig) []*production.Process { return r.Nodes[2:] })},
		{"Postgres", func(r *production.Rig) []int { return childrenOf(os.Getpid(), "postgres") }},
		{"the key manager", func(r *production.Rig) []int { return []int{r.Vault.PID} }},
		{"the agent", processes(func(r *production.Rig) []*production.Process { return r.Agents })},
		natsMajority,
	}
)

// signal sends a signal to what there is of a part.
func (p part) signal(t *testing.T, pids []int, sig syscall.Signal) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
}

// silence is how long a part says nothing: longer than a server's lease of its loops. People give a
// call up after patience and make it again, elsewhere; who was stopped meanwhile does it when woken.
const (
	silence  = 15 * time.Second
	patience = 5 * time.Second
)

// silentParts stops each part of an installation of two servers for a while and wakes it again,
// while requests go through.
func silentParts(t *testing.T, w world) (string, error) {
	r, servers, reveal := several(t, 2, patience)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*90*time.Second+3*time.Minute)
	defer cancel()
	var c caller = &anywhere{sites: servers}
	if w.control {
		c = impatient{c}
	}
	var all []life
	var told []string
	for n := range w.trials {
		p := parts[n%len(parts)]
		done := make(chan []life, 1)
		go func() { done <- lives(ctx, c, reveal, 12, 6) }()
		time.Sleep(300 * time.Millisecond)
		pids := p.pids(r)
		if len(pids) == 0 {
			t.Fatalf("%s has no processes", p.name)
		}
		p.signal(t, pids, syscall.SIGSTOP)
		select {
		case <-time.After(silence):
		case <-ctx.Done():
		}
		p.signal(t, pids, syscall.SIGCONT)
		all = append(all, <-done...)
		if _, broken := judge(c, all); broken != nil {
			return "", fmt.Errorf("%s: %w", p.name, broken)
		}
		told = append(told, p.name)
	}
	seen, broken := judge(c, all)
	if broken != nil {
		return "", broken
	}
	if err := revealedOnce(t, r); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s each; %s", strings.Join(told[:min(len(told), len(parts))], ", "), silence, seen), nil
}

// revealedOnce reads the log as NATS holds it: no value was revealed by two facts.
func revealedOnce(t *testing.T, r *production.Rig) error {
	t.Helper()
	for stream, facts := range r.Facts(t) {
		if n := facts["sb.request.envelope_revealed.v1"]; n > 1 { // each has one value
			return fmt.Errorf("%s has %d reveals", stream, n)
		}
	}
	return nil
}

// blockedAudit stops most of NATS, so that no fact can be stored, and asks for a value that waits.
// The control asks while NATS answers.
func blockedAudit(t *testing.T, w world) (string, error) {
	r, servers, reveal := several(t, 2, patience)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*60*time.Second+2*time.Minute)
	defer cancel()
	refused := 0
	var slowest time.Duration
	for range w.trials {
		l := life{reason: "blocked " + fresh()}
		ready := l.ready(ctx, servers[0])
		if len(ready.Envelopes) != 1 {
			t.Fatalf("request %s is %s", l.id, ready.State)
		}
		path := "/requests/" + l.id + "/envelopes/" + ready.Envelopes[0].ID + "/reveal"
		pids := natsMajority.pids(r)
		if !w.control {
			natsMajority.signal(t, pids, syscall.SIGSTOP)
		}
		for n := range 4 {
			var value api.Revealed
			began := time.Now()
			status, _ := servers[n%2].call("developer", "POST", path, fresh(), reveal, &value)
			slowest = max(slowest, time.Since(began))
			if status == http.StatusOK || len(value.Sealed) > 0 {
				natsMajority.signal(t, pids, syscall.SIGCONT)
				return "", fmt.Errorf("a value was revealed")
			}
			refused++
		}
		natsMajority.signal(t, pids, syscall.SIGCONT)
		var value api.Revealed
		again := life{}
		if status := again.insist(ctx, servers[0], "developer", "POST", path, reveal, &value); status != http.StatusOK && status != http.StatusGone {
			return "", fmt.Errorf("after NATS is back a reveal is answered %d", status)
		}
	}
	if err := revealedOnce(t, r); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d reveals while no fact could be stored: none showed a value; the slowest refusal took %.1f s", refused, slowest.Seconds()), nil
}

// childrenOf are the processes of a name that descend from a process.
func childrenOf(ancestor int, name string) (pids []int) {
	parent, named := map[int]int{}, []int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		text := string(raw)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		parent[pid], _ = strconv.Atoi(fields[1])
		if strings.HasSuffix(text[:strings.LastIndexByte(text, ')')], "("+name) {
			named = append(named, pid)
		}
	}
	for _, pid := range named {
		for up := pid; up > 1; up = parent[up] {
			if up == ancestor {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}
