package leaf

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"secretsbridge/nats/internal/serverlog"
)

// How the local server's lines are thinned out: it tries to link once a second for as
// long as it takes, and has a line for each try.
const (
	quietFor   = 10 * time.Minute // between two lines that say the same
	knownLines = 64               // what is remembered; then it begins anew
)

// refusals are what the control plane's server says as it turns a link away, or ends
// one, because of its credentials. It is the only sign: the local server keeps no reason.
// (nats-server v2.15: client.go, authViolation and authExpired; accounts.go, Revoked.)
var refusals = []string{
	"Authorization Violation", "User Authentication Expired", "User Authentication Revoked", "Account Authentication Expired",
}

// lines passes the local server's lines on, each once in a while, and notices refusals.
type lines struct {
	*serverlog.Log
	refused atomic.Bool // since the last look; the link's own goroutine looks

	mu    sync.Mutex
	known map[string]*repetition // by the line without its numbers
}

type repetition struct {
	last    time.Time // when it was passed on
	skipped int       // since then
}

func newLines(to *serverlog.Log) *lines { return &lines{Log: to, known: map[string]*repetition{}} }

// Warnf and Errorf implement the server's logger.
func (l *lines) Warnf(format string, v ...any) {
	if text, ok := l.pass(format, v); ok {
		l.Log.Warnf("%s", text)
	}
}

func (l *lines) Errorf(format string, v ...any) {
	text, ok := l.pass(format, v)
	for _, refusal := range refusals {
		if strings.Contains(text, refusal) {
			l.refused.Store(true)
			l.Noticef("%s", text) // the link says what it means, once
			return
		}
	}
	if ok {
		l.Log.Errorf("%s", text)
	}
}

// pass returns the line, and whether it is to be passed on. Lines that differ only in
// numbers, such as those of tries and of connections, are the same.
func (l *lines) pass(format string, v []any) (text string, ok bool) {
	text = fmt.Sprintf(format, v...)
	key := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.known[key]
	if before != nil && now.Sub(before.last) < quietFor {
		before.skipped++
		return text, false
	}
	if before != nil && before.skipped > 0 {
		text = fmt.Sprintf("%s (and %d times more in the %s before)", text, before.skipped, now.Sub(before.last).Round(time.Second))
	}
	if len(l.known) >= knownLines {
		clear(l.known)
	}
	l.known[key] = &repetition{last: now}
	return text, true
}
