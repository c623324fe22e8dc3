package agent_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// memory of the log, as tests have it: each answer is another checkpoint, and what See says is
// the test's affair.
type logMemory struct {
	mu     sync.Mutex
	size   int64
	broken error
	see    func() error
}

func (m *logMemory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *logMemory) Ask() events.AskCheckpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	ask := events.AskCheckpoint{Size: m.size}
	if m.broken != nil {
		ask.Trouble = events.LogForked
	}
	return ask
}

func (m *logMemory) See(_ events.AskCheckpoint, _ events.ShownCheckpoint) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return false, m.broken
	}
	if m.see != nil {
		if err := m.see(); err != nil {
			if errors.Is(err, agent.ErrLogBroken) {
				m.broken = err
			}
			return false, err
		}
	}
	m.size++
	return m.size%2 == 1, nil
}

func (m *logMemory) Broken() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

func (m *logMemory) Status() agent.LogStatus { return agent.LogStatus{} }

var errFork = fmt.Errorf("%w: another past", agent.ErrLogBroken)

func watching(m *logMemory) func(*agent.Config) {
	return func(c *agent.Config) { c.Witness = m }
}

func TestNoJobIsBegunBeforeTheLogWasSeen(t *testing.T) {
	bubble(t, watching(&logMemory{}), func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		back := time.Now().Add(time.Minute)
		r.onCall(func(s events.Service, _ int) fault {
			return fault{before: s == events.ServiceWitness && time.Now().Before(back)}
		})
		r.settle(5 * time.Second) // the first look may have been before
		q := r.approve("a")
		r.settle(50 * time.Second)
		seen := r.count(events.ServiceStart) > 0
		r.settle(time.Minute)
		r.want(t, q, "executed", "done")
		if seen && !strings.Contains(r.log.String(), "the log was not shown") {
			t.Error("the test's fault came too late")
		}
	})
}

// A control plane that shows no log gets no jobs done after a while, and does again as soon as
// it shows it.
func TestAnAgentThatSeesNoLogStopsWorking(t *testing.T) {
	bubble(t, watching(&logMemory{}), func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.settle(time.Second)
		back := time.Now().Add(10 * time.Minute)
		r.onCall(func(s events.Service, _ int) fault {
			return fault{before: s == events.ServiceWitness && time.Now().Before(back)}
		})
		r.settle(4 * time.Minute)
		near := r.approve("a")
		r.settle(2 * time.Second)
		r.want(t, near, "executed", "done")
		r.settle(time.Minute)
		far := r.approve("a")
		r.settle(4 * time.Minute)
		r.want(t, far, "approved", "")
		r.settle(time.Minute)
		r.want(t, far, "executed", "done")
	})
}

func TestAnotherLogEndsTheJobsInHandAndAllThatFollow(t *testing.T) {
	m := &logMemory{}
	bubble(t, watching(m), func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.settle(time.Second)
		r.onRead(slow(14 * time.Second))
		inHand := r.approve("a")
		r.settle(time.Second)
		if r.count(events.ServiceStart) != 1 {
			t.Fatal("the job was not begun")
		}
		m.set(func() { m.see = func() error { return errFork } })
		r.settle(11 * time.Second)
		if how := r.deliveries[0].how(); how != "later" {
			t.Errorf("the job in hand ended as %q", how)
		}
		r.want(t, inHand, "running", "") // it came again, and nobody takes it
		told := r.count(events.ServiceWitness)
		if n := strings.Count(string(bytes.Join(r.sent, nil)), `"trouble":"forked"`); n != 1 {
			t.Errorf("the control plane was told %d times within a second", n)
		}
		later := r.approve("a")
		r.settle(time.Hour / 2)
		r.want(t, later, "approved", "")
		if r.count(events.ServiceStart) != 1 || r.count(events.ServiceHandOver) != 0 {
			t.Errorf("%d jobs were begun, %d values handed over", r.count(events.ServiceStart), r.count(events.ServiceHandOver))
		}
		if r.count(events.ServiceWitness) < told+100 || time.Since(r.agent.Status().Heartbeat) > 11*time.Second {
			t.Error("the agent fell silent")
		}
		// The operator accepts the other log.
		m.set(func() { m.see, m.broken = nil, nil })
		r.onRead(nil)
		r.settle(20 * time.Second)
		r.want(t, later, "executed", "done")
	})
}

func TestAnAgentThatStartsWithABrokenLogDoesNothing(t *testing.T) {
	bubble(t, watching(&logMemory{broken: errFork}), func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		q := r.approve("a")
		r.settle(10 * time.Minute)
		r.want(t, q, "approved", "")
	})
}

// An older control plane has no such service. Nothing is done for it, and the log says why.
func TestAControlPlaneThatShowsNoLogIsNamed(t *testing.T) {
	bubble(t, watching(&logMemory{}), func(t *testing.T, r *rig) {
		r.onCall(func(s events.Service, _ int) (f fault) {
			if s == events.ServiceWitness {
				f.reply = &events.ServiceError{Code: "service_unknown", Detail: "this control plane has no such agent service"}
			}
			return f
		})
		r.settle(12 * time.Minute)
		q := r.approve("a")
		r.settle(time.Minute)
		r.want(t, q, "approved", "")
		if !strings.Contains(r.log.String(), "does not show its log") {
			t.Error("the log does not say it")
		}
	})
}
