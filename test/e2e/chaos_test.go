package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"secretsbridge/web/api"
)

const (
	chaosRequests = 200
	chaosPeople   = 8 // at the same time
	chaosKills    = 12
	chaosPause    = 1500 * time.Millisecond // between kills: shorter than some restarts
	chaosPatience = 4 * time.Minute
)

// outcome is what one request came to, as its requester saw it.
type outcome struct {
	id       string
	state    string
	revealed int  // how often a value arrived
	burnt    bool // a reveal whose answer was lost, and that counts
}

// TestKillsLoseNothingAcknowledged kills the server, the agent and Postgres at random
// while 200 requests go through. Every acknowledged request reaches a legal end, no
// envelope is opened twice, and the views are what the log says.
func TestKillsLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_LEASE=3s", "SB_LOG_LEVEL=WARN")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	work := make(chan int)
	outcomes := make([]outcome, chaosRequests)
	var people sync.WaitGroup
	for range chaosPeople {
		people.Go(func() {
			for n := range work {
				outcomes[n] = takeThrough(c, n)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range chaosRequests {
			work <- n
		}
		close(work)
		people.Wait()
	}()
	kills := map[string]int{}
	for range chaosKills {
		select {
		case <-done:
		case <-time.After(chaosPause):
			kills[killOne(t, c, random)]++
		}
	}
	select {
	case <-done:
	case <-time.After(chaosPatience):
		t.Fatal("the requests do not come to an end")
	}
	t.Logf("killed %v", kills)

	states := map[string]int{}
	for n, o := range outcomes {
		states[o.state]++
		if o.revealed > 1 {
			t.Errorf("request %s was revealed %d times", o.id, o.revealed)
		}
		if o.state == "executed" && o.revealed == 0 && !o.burnt {
			t.Errorf("request %d, %s, was executed and its value was never shown", n, o.id)
		}
	}
	t.Logf("outcomes %v", states)
	for state := range states {
		if !slices.Contains([]string{"executed", "failed"}, state) {
			t.Errorf("%d requests ended as %q", states[state], state)
		}
	}
	if states["executed"] < chaosRequests*9/10 {
		t.Errorf("only %d of %d requests were executed", states["executed"], chaosRequests)
	}
	c.stop(t)
	verify := exec.Command(filepath.Join(bin, "sb-server"), "rebuild", "--verify")
	verify.Env = append(clean(os.Environ()), "SB_DATA_DIR="+c.dir)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("the views differ from the log: %v\n%s", err, out)
	}
}

// killOne kills one part with kill -9. The server is started again here, the others
// by whoever runs them.
func killOne(t *testing.T, c *control, random *rand.Rand) string {
	pid, name := 0, ""
	switch random.IntN(3) {
	case 0:
		name = "server"
		c.kill(t)
		c.up(t)
		return name
	case 1:
		name, pid = "agent", c.agentPID()
	case 2:
		name, pid = "postgres", c.postgresPID()
	}
	if pid == 0 {
		return name + " (was down)"
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return name + " (was gone)"
	}
	return name
}

// takeThrough is one request from submit to reveal by people who try again until they
// are answered, each time as the same call.
func takeThrough(c *control, n int) outcome {
	var submitted api.Submitted
	body := api.Submit{Secret: "file/prod/db/password", Keys: []string{"password"}, Reason: fmt.Sprintf("chaos %d", n)}
	insist(c, "developer", "POST", "/requests", newKey(), body, &submitted)
	o := outcome{id: submitted.ID}
	insist(c, "approver", "POST", "/requests/"+o.id+"/approve", newKey(), api.Verdict{}, nil)
	var r api.Request
	for deadline := time.Now().Add(chaosPatience / 2); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if status, _ := c.call("developer", "GET", "/requests/"+o.id, "", nil, &r); status == http.StatusOK && final(r.State) {
			break
		}
	}
	o.state = r.State
	for _, e := range r.Envelopes {
		path := "/requests/" + o.id + "/envelopes/" + e.ID + "/reveal"
		var got api.Revealed
		if status := insist(c, "developer", "POST", path, newKey(), c.reveal, &got); status == http.StatusOK && len(got.Sealed) > 0 {
			o.revealed++
		} else {
			o.burnt = true
		}
		// Once more, as another call: it must be refused now, whatever came before.
		got = api.Revealed{}
		if status := insist(c, "developer", "POST", path, newKey(), c.reveal, &got); status == http.StatusOK {
			o.revealed++
		}
	}
	return o
}

func final(state string) bool {
	return !slices.Contains([]string{"", "pending", "approved", "running"}, state)
}

// insist repeats a call until it is answered: by success, or by a rule.
func insist(c *control, who, method, path, key string, body, into any) int {
	for {
		status, code := c.call(who, method, path, key, body, into)
		switch {
		case status == 0, status >= 500, status == http.StatusTooManyRequests, code == "idempotency_in_flight":
			time.Sleep(100 * time.Millisecond)
		default:
			return status
		}
	}
}
