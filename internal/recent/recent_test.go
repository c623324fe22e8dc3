package recent_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"secretsbridge/internal/recent"
)

func text(t *testing.T, l *recent.Lines) string {
	t.Helper()
	var b strings.Builder
	if _, err := l.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheNewestLinesAreKept(t *testing.T) {
	l := recent.New(10, 3)
	for _, line := range []string{"a\n", "b\n", "c\n", "d\n"} {
		if _, err := io.WriteString(l, line); err != nil {
			t.Fatal(err)
		}
	}
	if got := text(t, l); got != "b\nc\nd\n" || l.Lost() != 1 {
		t.Errorf("%q, %d lost", got, l.Lost())
	}
	_, _ = io.WriteString(l, "123456\n")
	if got := text(t, l); got != "d\n123456\n" || l.Lost() != 3 {
		t.Errorf("%q, %d lost", got, l.Lost())
	}
	_, _ = io.WriteString(l, strings.Repeat("x", 11))
	if got := text(t, l); got != "" || l.Lost() != 6 {
		t.Errorf("%q, %d lost", got, l.Lost())
	}
}

// TestWhatIsLoggedIsKeptAsJSON logs through a handler of text, with attributes and groups, from many
// goroutines.
func TestWhatIsLoggedIsKeptAsJSON(t *testing.T) {
	l := recent.New(1<<20, 10_000)
	var out bytes.Buffer
	log := slog.New(l.Handler(slog.NewTextHandler(&out, nil), nil)).With("agent", "a_1").WithGroup("of")
	log.Debug("this is not logged")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { log.Info("a job is done", "job", "j_1") })
	}
	all.Wait()
	lines := strings.Split(strings.TrimSpace(text(t, l)), "\n")
	if len(lines) != 50 || strings.Count(out.String(), "msg=\"a job is done\" agent=a_1 of.job=j_1") != 50 {
		t.Fatalf("%d lines are kept; logged: %s", len(lines), &out)
	}
	for _, line := range lines {
		var got struct {
			Msg, Agent string
			Of         struct{ Job string }
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Msg != "a job is done" || got.Agent != "a_1" || got.Of.Job != "j_1" {
			t.Errorf("%s, %v", line, err)
		}
	}
}
