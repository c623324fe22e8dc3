package nats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/nats/leaf"
)

// A revoked agent says so once, tries more and more seldom, and never gives up.
func TestARevokedAgentSaysSoOnce(t *testing.T) {
	n := newNetwork(t, 0, func(c *HubConfig) { c.WebAddr = "127.0.0.1:0" })
	for name, url := range map[string]string{"tls": n.hub().LeafURL(), "wss": n.hub().WebURL()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := n.enrol(t, events.ClusterID("revoked-"+name))
			log := &logged{}
			l := n.linkLogged(t, a, log, url)
			eventually(t, "link", linked(l))

			n.hub().Revoke(a.Account)
			eventually(t, "refusal", stands(l, leaf.Refused))
			tried := log.tries.Load()
			time.Sleep(5 * time.Second) // two tries at most, where it tried each second before
			if more := log.tries.Load() - tried; more > 2 {
				t.Errorf("%d more tries in five seconds", more)
			}
			if got := log.count("level=WARN"); got != 1 || log.count("it was revoked") != 1 {
				t.Errorf("%d warnings:\n%s", got, log)
			}
			// The line of the cut itself: its account may have no link any more.
			if log.count("level=ERROR") != log.count("connections exceeded") || log.count("the link to the control plane changed") != 2 {
				t.Errorf("more than was asked for:\n%s", log)
			}
			if l.State() != leaf.Refused {
				t.Errorf("the link is %s", l.State())
			}
		})
	}
}

// A control plane that restarts may refuse until it has read its registry.
func TestARefusalDoesNotLast(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "patient")
	log := &logged{}
	l := n.linkLogged(t, a, log, n.hub().LeafURL())
	eventually(t, "link", linked(l))

	notYet := func(context.Context) error { return errors.New("the registry is not read yet") }
	n.setBefore(notYet)
	restart(t, n.hub(), 0)
	eventually(t, "a first try", func(context.Context) error {
		if log.tries.Load() < 2 {
			return errors.New("none")
		}
		return nil
	})
	if l.State() != leaf.Down {
		t.Errorf("one refusal is believed: %s", l.State())
	}
	n.setBefore(nil)
	eventually(t, "relink", linked(l))
	if log.count("level=WARN") != 0 {
		t.Errorf("a short refusal is no warning:\n%s", log)
	}

	n.setBefore(notYet)
	restart(t, n.hub(), 0)
	eventually(t, "refusal", stands(l, leaf.Refused))
	n.setBefore(nil)
	eventually(t, "relink", linked(l))
	if log.count("level=WARN") != 1 || log.count("accepts this agent's credentials again") != 1 || l.State() != leaf.Up {
		t.Errorf("the link is %s:\n%s", l.State(), log)
	}
	n.publish(t, a.Cluster, "j_after")
	if err := next(t, l, "j_after").Done(t.Context()); err != nil {
		t.Error(err)
	}
}

// linkLogged is [network.linkLater] with a log that the test reads.
func (n *network) linkLogged(t testing.TB, a *testAgent, log *logged, url string) *leaf.Link {
	t.Helper()
	l, err := leaf.Start(t.Context(), leaf.Config{
		URLs: []string{url}, CA: n.ca, Account: a.Account, ServerName: string(events.NewAgentID()),
		Credentials: a.credentials, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Sign: func(nonce []byte) ([]byte, error) { log.tries.Add(1); return a.key.Sign(nonce) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func (n *network) setBefore(before func(context.Context) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.before = before
}

func stands(l *leaf.Link, want leaf.State) func(context.Context) error {
	return func(context.Context) error {
		if got := l.State(); got != want {
			return fmt.Errorf("the link is %s", got)
		}
		return nil
	}
}

// logged is what one link did: its log, and how often it signed in.
type logged struct {
	tries atomic.Int32

	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) count(text string) int { return strings.Count(l.String(), text) }
