package main

import (
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

// A control plane comes back with another log. The agent says so, on its host, and goes on when
// its operator says that the other log is the right one.
func TestAnAgentOfAnotherLogWaitsForItsOperator(t *testing.T) {
	h := startHub(t, time.Hour)
	p := startAgent(t, h)
	if _, stderr, code := sbAgent(t, "accept-log", "--dir", p.dir); code != 1 || !strings.Contains(stderr, "no trouble with the log") {
		t.Errorf("nothing to accept: %d, %s", code, stderr)
	}
	p.await(t, "the log to be seen", func() bool { r, ok := p.status(t); return ok && r.Log != nil && !r.Log.Seen.IsZero() })
	if text, _, _ := sbAgent(t, "status", "--dir", p.dir); !strings.Contains(text, "1 commits, root ") {
		t.Errorf("status:\n%s", text)
	}
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.log)
	}
	tree := h.show(t, "another past")
	p.start(t)
	p.await(t, "the trouble", func() bool { r, ok := p.status(t); return ok && r.Log.Trouble == events.LogForked })
	text, _, _ := sbAgent(t, "status", "--dir", p.dir)
	if !strings.Contains(text, "NO JOBS ARE DONE") || !strings.Contains(text, "sb-agent accept-log") || !strings.Contains(text, "log-evidence-") {
		t.Errorf("status:\n%s", text)
	}
	text, _, code := sbAgent(t, "accept-log", "--dir", p.dir)
	if code != 0 || !strings.Contains(text, "--root "+tree.Hash.String()) || !strings.Contains(text, p.dir+"/log-evidence-") {
		t.Errorf("what there is to accept: %d\n%s", code, text)
	}
	if _, stderr, code := sbAgent(t, "accept-log", "--dir", p.dir, "--root", "rubbish"); code != 2 {
		t.Errorf("a root that is none: %d, %s", code, stderr)
	}
	if text, stderr, code := sbAgent(t, "accept-log", "--dir", p.dir, "--root", tree.Hash.String()); code != 0 || !strings.Contains(text, "is accepted") {
		t.Errorf("accepted: %d, %s%s", code, text, stderr)
	}
	p.stop(t)
	p.start(t)
	p.await(t, "the accepted log", func() bool {
		r, ok := p.status(t)
		return ok && r.Log.Trouble == "" && r.Log.Root == tree.Hash.String() && !r.Log.Seen.IsZero()
	})
}
