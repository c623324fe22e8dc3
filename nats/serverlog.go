package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog passes the server's own lines on, and keeps what the server would have
// exited for: embedded, it only says so and goes on half alive.
type serverLog struct {
	slog *slog.Logger

	mu   sync.Mutex
	died error
}

func (l *serverLog) Noticef(format string, v ...any) { l.line(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.line(slog.LevelWarn, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.line(slog.LevelError, format, v) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.died = errors.Join(l.died, fmt.Errorf(format, v...))
	l.mu.Unlock()
	l.line(slog.LevelError, format, v)
}

func (l *serverLog) line(level slog.Level, format string, v []any) {
	l.slog.Log(context.Background(), level, "nats server says", "text", fmt.Sprintf(format, v...))
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}
