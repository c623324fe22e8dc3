package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/nats/leaf"
)

// restart stops a hub and starts it again on the same ports, after pause.
func restart(t testing.TB, h *Hub, pause time.Duration) {
	t.Helper()
	if h.config.LeafAddr != "" {
		h.config.LeafAddr = strings.TrimPrefix(h.LeafURL(), "tls://")
	}
	h.Shutdown()
	time.Sleep(pause)
	if err := h.start(); err != nil {
		t.Fatal(err)
	}
}

func TestLinkComesBackAfterARestart(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "back")
	l := n.link(t, a)
	n.publish(t, a.Cluster, "j_held")
	held := next(t, l, "j_held")
	waiting := make(chan error, 1)
	go func() {
		d, err := l.Next(t.Context()) // a pull that is under way when the link breaks
		if err == nil && string(d.Data()) != "ticket j_new" {
			err = fmt.Errorf("got %s", d.Data())
		}
		waiting <- err
	}()
	time.Sleep(100 * time.Millisecond)
	restart(t, n.hub(), 200*time.Millisecond)
	eventually(t, "publish", func(ctx context.Context) error {
		return n.jobs.Publish(ctx, a.Cluster, events.OperationRead, "j_new", []byte("ticket j_new"))
	})
	eventually(t, "relink", linked(l))
	began := time.Now()
	if err := receive(t, waiting); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(began); waited > 2*time.Second {
		t.Errorf("the waiting job came %s after the link", waited)
	}
	// What was in hand still is, and can be ended.
	eventually(t, "end the job", func(ctx context.Context) error { return held.Done(ctx) })
}

func TestCallsFailWhileTheLinkIsDown(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "down")
	l := n.link(t, a)
	cut := make(chan error, 1)
	go func() {
		_, err := l.Call(t.Context(), events.ServiceStart, nil) // which nobody answers
		cut <- err
	}()
	time.Sleep(100 * time.Millisecond)
	n.hub().Shutdown()
	if err := receive(t, cut); !errors.Is(err, agent.ErrLinkDown) {
		t.Errorf("call while the link breaks: %v", err)
	}
	eventually(t, "notice", func(context.Context) error {
		if l.Connected() {
			return errors.New("still linked")
		}
		return nil
	})
	if _, err := l.Call(t.Context(), events.ServiceStart, nil); !errors.Is(err, agent.ErrLinkDown) {
		t.Errorf("call without a link: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Next: %v, want to wait", err)
	}
}

func TestRevokeCutsTheLinkAtOnce(t *testing.T) {
	n := newNetwork(t, 0)
	a, b := n.enrol(t, "same"), n.enrol(t, "same")
	l, bystander := n.link(t, a), n.link(t, b)
	credentials := NewCredentials(n.authority, n.hub(), 0)
	began := time.Now()
	if err := credentials.Cut(t.Context(), a.Account); err != nil {
		t.Fatal(err)
	}
	eventually(t, "cut", func(context.Context) error {
		if n.hub().Links() != 1 {
			return fmt.Errorf("%d links", n.hub().Links())
		}
		return nil
	})
	if took := time.Since(began); took > time.Second {
		t.Errorf("the link was cut after %s", took)
	}
	n.publish(t, "same", "j_1")
	if err := next(t, bystander, "j_1").Done(t.Context()); err != nil {
		t.Error(err)
	}
	again := n.linkLater(t, a) // the same credentials, by a fresh process
	time.Sleep(2500 * time.Millisecond)
	if l.Connected() || again.Connected() {
		t.Error("a revoked agent has linked again")
	}
	// Over a restart the registry remembers; an unknown account is refused likewise.
	n.mu.Lock()
	a.Revoked = true
	n.agents[a.Account] = a.Agent
	n.mu.Unlock()
	restart(t, n.hub(), 0)
	eventually(t, "bystander", linked(bystander))
	time.Sleep(2500 * time.Millisecond)
	if l.Connected() || again.Connected() {
		t.Error("a revoked agent has linked after a restart")
	}
	if _, err := n.authority.Credentials(a.Agent, time.Hour); err == nil {
		t.Error("a revoked agent got credentials")
	}
}

func TestCredentialsAreRenewedWithAJobInHand(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "renew")
	a.renew(t, n, 2*time.Second)
	l := n.link(t, a)
	n.publish(t, a.Cluster, "j_1")
	d := next(t, l, "j_1")
	a.renew(t, n, time.Hour)
	if err := l.Reconnect(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "drop", func(context.Context) error {
		if l.Connected() {
			return errors.New("still linked")
		}
		return nil
	})
	eventually(t, "relink", linked(l))
	time.Sleep(2500 * time.Millisecond) // the first credentials have ended
	if !l.Connected() {
		t.Error("the link ended with credentials that were renewed")
	}
	if err := d.Done(t.Context()); err != nil {
		t.Error(err)
	}
	nothingMore(t, l)
}

func TestLinkEndsWithItsCredentials(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "expire")
	a.renew(t, n, 2*time.Second)
	l := n.link(t, a)
	eventually(t, "expire", func(context.Context) error {
		if l.Connected() {
			return errors.New("still linked")
		}
		return nil
	})
	time.Sleep(2500 * time.Millisecond)
	if l.Connected() {
		t.Error("expired credentials linked again")
	}
}

func linked(l *leaf.Link) func(context.Context) error {
	return func(context.Context) error {
		if !l.Connected() {
			return errors.New("not linked")
		}
		return nil
	}
}
