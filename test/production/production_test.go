package production

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// The load of the tests here: requests that are made, approved, executed by an agent, and awaited.
const (
	loadPeople   = 3 // at the same time
	loadPatience = time.Minute
)

// whole is the environment variable by which `make faults` has the keys of NATS rotated here as well:
// it takes minutes, and every node starts twice. `make test` rotates them on servers within a test.
const whole = "PRODUCTION"

// load takes requests through until it is told to stop.
type load struct {
	rig  *Rig
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	made     []string // ids of requests that the API acknowledged
	failures []string
	through  atomic.Int64 // requests that came to their end
}

func (r *Rig) startLoad() *load {
	l := &load{rig: r, stop: make(chan struct{})}
	for n := range loadPeople {
		l.done.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				if err := l.one(fmt.Sprintf("load %d of %d", i, n)); err != nil {
					l.mu.Lock()
					l.failures = append(l.failures, err.Error())
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

// one is one request from submit to execution.
func (l *load) one(reason string) error {
	var submitted api.Submitted
	if _, err := l.rig.Insist(loadPatience, "developer", "POST", "/requests", api.Submit{Secret: Secret, Keys: []string{"password"}, Reason: reason}, &submitted); err != nil {
		return err
	}
	l.mu.Lock()
	l.made = append(l.made, submitted.ID)
	l.mu.Unlock()
	if _, err := l.rig.Insist(loadPatience, "approver", "POST", "/requests/"+submitted.ID+"/approve", api.Verdict{}, nil); err != nil {
		return err
	}
	var state string
	for end := time.Now().Add(loadPatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var r api.Request
		if status, _ := l.rig.Call("developer", "GET", "/requests/"+submitted.ID, "", nil, &r); status == http.StatusOK {
			if state = r.State; state == "executed" {
				l.through.Add(1)
				return nil
			}
		}
	}
	return fmt.Errorf("%s, %s, is %s after %s", submitted.ID, reason, state, loadPatience)
}

// advance waits until some more requests came to their end.
func (l *load) advance(t *testing.T, more int64) {
	t.Helper()
	want := l.through.Load() + more
	for end := time.Now().Add(loadPatience); l.through.Load() < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %d requests come through within %s", more, loadPatience)
		}
	}
}

// end ends the load and holds it against the log: each request that was acknowledged is there with
// each of its facts once, and came to its end.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	for _, f := range l.failures {
		t.Error(f)
	}
	facts := l.rig.Facts(t)
	t.Logf("%d requests came through", len(l.made))
	for _, id := range l.made {
		count := facts[events.RequestStream(events.RequestID(id))]
		for _, once := range []string{"sb.request.submitted.v1", "sb.request.approved.v1", "sb.request.executed.v1"} {
			if count[once] != 1 {
				t.Errorf("%s has %s %d times: %v", id, once, count[once], count)
			}
		}
	}
}

// TestProduction is the documented form of production. One rig serves all parts, in this order.
func TestProduction(t *testing.T) {
	t.Parallel()
	r := Start(t, Options{Servers: 2, Agents: 2})
	t.Run("every node goes and comes back, and nothing is lost", func(t *testing.T) {
		l := r.startLoad()
		l.advance(t, 2)
		for i, p := range r.Nodes {
			if end := p.Stop; i == 1 {
				p.Kill(t)
			} else {
				end(t)
			}
			l.advance(t, 2) // while it is away
			p.Start(t)
			l.advance(t, 2)
		}
		l.end(t)
		for i := range r.Agents {
			r.link(t, fmt.Sprint("agent-", i), "up")
		}
	})
	t.Run("every server goes and comes back, and nothing is lost", func(t *testing.T) {
		l := r.startLoad()
		l.advance(t, 2)
		for i, p := range r.Servers {
			if i == 1 {
				p.Kill(t)
			} else {
				p.Stop(t)
			}
			l.advance(t, 2)
			p.Start(t)
			l.advance(t, 2)
		}
		l.end(t)
	})
	t.Run("agents come and go while a node is away", r.comesAndGoes)
	t.Run("the doctor finds what is wrong, and nothing else", r.examines)
	if os.Getenv(whole) == "full" {
		t.Run("signing keys of NATS are rotated", r.rotatesAccounts)
		t.Run("the key that signs accounts is rotated", r.rotatesOperator)
	}
	t.Run("the views are what the log says", func(t *testing.T) {
		for _, p := range r.Servers {
			p.Stop(t)
		}
		env := append(r.Env(0), "SB_DATABASE_OWNER_URL="+r.Postgres.OwnerURL())
		r.run(t, env, "", "sb-server", "rebuild", "--verify")
	})
	t.Run("everything is restored into empty servers", r.restores)
}

// link waits until an agent's link stands so.
func (r *Rig) link(t *testing.T, name, want string) {
	t.Helper()
	for end := time.Now().Add(loadPatience); r.LinkOf(name) != want; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the link of %s is %q and not %q after %s", name, r.LinkOf(name), want, loadPatience)
		}
	}
}

// comesAndGoes has an agent enrol while a node is away, and be revoked while another one is.
func (r *Rig) comesAndGoes(t *testing.T) {
	r.Nodes[2].Stop(t)
	r.AddAgent(t, "late")
	r.Nodes[2].Start(t)
	for i := range r.Agents[:r.options.Agents] {
		r.link(t, fmt.Sprint("agent-", i), "up")
	}
	r.Nodes[0].Kill(t)
	if _, err := r.Insist(loadPatience, "admin", "POST", "/agents/"+r.AgentID(t, "late")+"/revoke", api.Reason{Reason: "the host was stolen"}, nil); err != nil {
		t.Fatal(err)
	}
	r.link(t, "late", "refused")
	r.Nodes[0].Start(t)
	r.link(t, "late", "refused")
}
