package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/web/api"
)

func scanAt(start time.Time, pages int) api.Job {
	return api.Job{Type: "discover", State: "running", Connection: "file", QueuedAt: start, Attempt: 1,
		Progress: &api.Progress{Pages: pages, Secrets: 500 * pages, Found: pages, PerSecond: 41.6}}
}

func TestOnATerminalProgressIsOneLineThatIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		p := &progress{out: &out, now: time.Now, columns: func() int { return 60 }}
		stop := p.run()
		time.Sleep(1500 * time.Millisecond) // nothing is known yet, so there is no line
		p.show(scanAt(start, 1))
		time.Sleep(time.Second) // the clock goes on by itself
		p.show(api.Job{Type: "discover", State: "running", Connection: "fi\x1b[2Jle", QueuedAt: start.Add(time.Hour), Waiting: strings.Repeat("w", 99)})
		stop()
		want := []string{"",
			"discover file: running, 1 page, 500 secrets, 1 new, 0 chan…\x1b[K",
			"discover file: running, 1 page, 500 secrets, 1 new, 0 chan…\x1b[K",
			`discover fi\x1b[2Jle: running, ` + strings.Repeat("w", 27) + "…\x1b[K",
			"\x1b[K",
		}
		if diff := cmp.Diff(want, strings.Split(out.String(), "\r")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		out.Reset()
		time.Sleep(time.Minute)
		if out.Len() > 0 {
			t.Errorf("after its end it writes %q", out.String())
		}
	})
}

func TestElsewhereProgressIsALineNowAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		p := &progress{out: &out, now: time.Now}
		stop := p.run()
		queued := api.Job{Type: "discover", State: "queued", Connection: "file", QueuedAt: start, Waiting: "no agent is online"}
		p.show(queued)
		p.show(queued)
		for pages := range 25 {
			time.Sleep(time.Second)
			p.show(scanAt(start, pages))
		}
		p.clear()
		stop()
		want := "discover file: queued, no agent is online, 0s\n" +
			"discover file: running, 0 pages, 0 secrets, 0 new, 0 changed, 42/s, 1s\n" +
			"discover file: running, 10 pages, 5000 secrets, 10 new, 0 changed, 42/s, 11s\n" +
			"discover file: running, 20 pages, 10000 secrets, 20 new, 0 changed, 42/s, 21s\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
