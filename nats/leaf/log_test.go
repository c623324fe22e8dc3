package leaf

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/nats/internal/serverlog"
)

func TestLinesThatSayTheSameComeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newLines(serverlog.New(slog.New(slog.NewTextHandler(&out, nil))))
		for try := range 600 { // ten minutes
			l.Errorf("Error trying to connect to %q (attempt %v): refused", "hub:7422", try+1)
			time.Sleep(time.Second)
		}
		l.Warnf("something else")
		if got := strings.Count(out.String(), "\n"); got != 2 {
			t.Errorf("%d lines:\n%s", got, &out)
		}
		l.Errorf("Error trying to connect to %q (attempt %v): refused", "hub:7422", 601)
		if want := "(attempt 601): refused (and 599 times more in the 10m0s before)"; !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
		for i := range 10 * knownLines {
			l.Warnf("%s", strings.Repeat("x", i))
		}
		if len(l.known) > knownLines {
			t.Errorf("%d lines are remembered", len(l.known))
		}
	})
}

func TestARefusalIsNoticedAndNotPassedOn(t *testing.T) {
	for text, want := range map[string]bool{
		"10.0.0.1:7422 - lid:9 - Leafnode Error 'Authorization Violation'":     true,
		"10.0.0.1:7422 - lid:9 - Leafnode Error 'User Authentication Expired'": true,
		"10.0.0.1:7422 - lid:9 - Leafnode Error 'Authentication Timeout'":      false, // of a slow way
		"10.0.0.1:7422 - lid:9 - read error: EOF":                              false,
	} {
		var out bytes.Buffer
		l := newLines(serverlog.New(slog.New(slog.NewTextHandler(&out, nil))))
		l.Errorf("%s", text)
		if got := l.refused.Load(); got != want || (out.Len() > 0) == want {
			t.Errorf("%s: refused %v, and in the log: %q", text, got, &out)
		}
	}
}

func TestThePauseGrowsAndHasAnEnd(t *testing.T) {
	for refused, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 5: 16 * time.Second, 6: longestPause, 1000: longestPause,
	} {
		if got := pauseAfter(refused); got < want*9/10 || got > want*11/10 {
			t.Errorf("after %d refusals: %s, want about %s", refused, got, want)
		}
	}
}
