// Package recent keeps the newest lines of a log in memory, for whoever asks what was logged lately.
package recent

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// Lines are the newest lines of a log, as JSON, up to a bound of bytes and of lines. They are safe for
// concurrent use.
type Lines struct {
	maxBytes, maxLines int

	mu    sync.Mutex
	kept  [][]byte // oldest first, each with the end of its line
	bytes int
	lost  uint64 // lines that were dropped for newer ones
}

// New keeps so much at most. A line that is longer than all of it is dropped.
func New(maxBytes, maxLines int) *Lines { return &Lines{maxBytes: maxBytes, maxLines: maxLines} }

// Write implements [io.Writer] for a handler that writes one line at a time.
func (l *Lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, append([]byte(nil), line...))
	l.bytes += len(line)
	gone := 0
	for ; l.bytes > l.maxBytes || len(l.kept)-gone > l.maxLines; gone++ {
		l.bytes -= len(l.kept[gone])
		l.kept[gone] = nil
	}
	l.kept, l.lost = l.kept[gone:], l.lost+uint64(gone)
	return len(line), nil
}

// WriteTo writes what is kept, oldest first.
func (l *Lines) WriteTo(to io.Writer) (int64, error) {
	l.mu.Lock()
	kept := append([][]byte(nil), l.kept...)
	l.mu.Unlock()
	var all int64
	for _, line := range kept {
		n, err := to.Write(line)
		all += int64(n)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// Lost is how many lines were dropped for newer ones.
func (l *Lines) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Handler has the lines that a handler writes be kept as well.
func (l *Lines) Handler(next slog.Handler, options *slog.HandlerOptions) slog.Handler {
	return both{next, slog.NewJSONHandler(l, options)}
}

// both hands a record to two handlers.
type both struct{ to, also slog.Handler }

func (b both) Enabled(ctx context.Context, level slog.Level) bool { return b.to.Enabled(ctx, level) }

func (b both) Handle(ctx context.Context, r slog.Record) error {
	_ = b.also.Handle(ctx, r.Clone()) // memory takes it
	return b.to.Handle(ctx, r)
}

func (b both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return both{b.to.WithAttrs(attrs), b.also.WithAttrs(attrs)}
}

func (b both) WithGroup(name string) slog.Handler {
	return both{b.to.WithGroup(name), b.also.WithGroup(name)}
}
