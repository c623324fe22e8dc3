// Package serverlog passes the lines of an embedded NATS server on to slog.
package serverlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// Log implements the server's logger. It keeps what the server would have exited for:
// embedded, it only says so and goes on half alive.
type Log struct {
	slog *slog.Logger

	mu      sync.Mutex
	died    error
	storing error
}

// faults are what the server says as it gives up writing to a store. A full disk that
// is freed again does not make it try again; only a restart does. Of a stream without
// replicas its health says nothing of it. (nats-server v2.15: filestore.go, setWriteErr;
// stream.go, processJetStreamMsg; jetstream.go, handleOutOfSpace.)
var faults = []string{
	"Critical write error", "JetStream failed to store a msg", "will be DISABLED", "disabling JetStream",
}

// New passes lines on to a logger; notices become debug lines.
func New(to *slog.Logger) *Log { return &Log{slog: to} }

// Fatal returns what the server would have exited for, or nil.
func (l *Log) Fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

// StoreFault returns the first thing that the server said of a store that it will not
// write to any more, or nil.
func (l *Log) StoreFault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.storing
}

// Noticef and its siblings implement the server's logger.
func (l *Log) Noticef(format string, v ...any) { l.line(slog.LevelDebug, format, v) }
func (l *Log) Warnf(format string, v ...any)   { l.line(slog.LevelWarn, format, v) }
func (l *Log) Errorf(format string, v ...any)  { l.line(slog.LevelError, format, v) }
func (l *Log) Debugf(string, ...any)           {}
func (l *Log) Tracef(string, ...any)           {}

// Fatalf keeps the line as an error.
func (l *Log) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.died = errors.Join(l.died, fmt.Errorf(format, v...))
	l.mu.Unlock()
	l.line(slog.LevelError, format, v)
}

func (l *Log) line(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if level >= slog.LevelWarn {
		l.noticeFault(text)
	}
	l.slog.Log(context.Background(), level, "nats server says", "text", text)
}

func (l *Log) noticeFault(text string) {
	for _, fault := range faults {
		if strings.Contains(text, fault) {
			l.mu.Lock()
			if l.storing == nil {
				l.storing = errors.New(text)
			}
			l.mu.Unlock()
			return
		}
	}
}
