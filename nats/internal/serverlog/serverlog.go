// Package serverlog passes the lines of an embedded NATS server on to slog.
package serverlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Log implements the server's logger. It keeps what the server would have exited for:
// embedded, it only says so and goes on half alive.
type Log struct {
	slog *slog.Logger

	mu   sync.Mutex
	died error
}

// New passes lines on to a logger; notices become debug lines.
func New(to *slog.Logger) *Log { return &Log{slog: to} }

// Fatal returns what the server would have exited for, or nil.
func (l *Log) Fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
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
	l.slog.Log(context.Background(), level, "nats server says", "text", fmt.Sprintf(format, v...))
}
