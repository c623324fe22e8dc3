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
			"discover file: running 2s, 500 secrets, 1 page, 42/s, 1 ne…\x1b[K",
			"discover file: running 2s, 500 secrets, 1 page, 42/s, 1 ne…\x1b[K",
			`discover fi\x1b[2Jle: running 0s, ` + strings.Repeat("w", 24) + "…\x1b[K",
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

func TestWhatSpeaksOfAgentsAndOfScansIsSaidWhereItIsTrue(t *testing.T) {
	now := time.Now()
	for want, j := range map[string]api.Job{
		"discover file: queued 0s, none is online":                                               {Type: "discover", State: "queued", Waiting: "none is online"},
		"discover file: running 0s, one is at it":                                                {Type: "discover", State: "running", Waiting: "one is at it", Attempt: 1},
		"discover file: running 0s, 1 secret, 0 pages, 0/s, 0 new or back, 0 changed, attempt 2": {Type: "discover", State: "running", Waiting: "one is at it", Attempt: 2, Progress: &api.Progress{Secrets: 1}},
		"fingerprint file: running 0s, 1 secret, 0 pages, 0/s":                                   {Type: "fingerprint", State: "running", Waiting: "one is at it", Progress: &api.Progress{Secrets: 1}},
	} {
		j.Connection, j.QueuedAt = "file", now
		if got := (&progress{now: func() time.Time { return now }, job: j}).text(); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
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
		time.Sleep(25500 * time.Millisecond) // nothing happens
		for pages := range 12 {
			p.show(scanAt(start, pages))
			time.Sleep(time.Second)
		}
		p.clear()
		stop()
		time.Sleep(time.Minute)
		want := "discover file: queued 0s, no agent is online\n" +
			"discover file: queued 10s, no agent is online\n" +
			"discover file: queued 20s, no agent is online\n" +
			"discover file: running 26s, 0 secrets, 0 pages, 42/s, 0 new or back, 0 changed\n" +
			"discover file: running 36s, 5000 secrets, 10 pages, 42/s, 10 new or back, 0 changed\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
