package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/internal/turns"
	"secretsbridge/internal/window"
	"secretsbridge/nats/subject"
)

const (
	// takeAttempts is how often a count is tried against other servers. In this process
	// people wait for their turn, so only so many servers collide at once.
	takeAttempts = 8

	// takePatience bounds a count. Calls end after 8 seconds, and count up to four times.
	takePatience = 2 * time.Second

	// contended is what to wait after the attempts were lost: somebody who is counted that
	// often at once is waited for, not let through.
	contended = time.Second

	// windowGrace is how much longer a key lives than its count, because its end is the
	// server's time and the count is the caller's.
	windowGrace = 5 * time.Second

	// maxRecalled bounds what a process remembers of counts, to save round trips.
	maxRecalled = 20_000

	// windowKeySize is the least for HMAC-SHA256 (RFC 2104, section 3).
	windowKeySize = 32
)

// WindowsConfig is what [OpenWindows] needs. Every field is.
type WindowsConfig struct {
	Conn *natsgo.Conn // to CORE

	// Key hides who is counted from whoever reads NATS: 32 bytes or more, the same at all
	// servers of an installation. It becomes the windows'.
	Key []byte

	Rates window.Rates
	Now   func() time.Time
}

// Windows counts what people and addresses do, for all servers together. The bucket
// holds one time a key, and nothing else can be put there.
type Windows struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	key    []byte
	rates  window.Rates
	now    func() time.Time
	turns  turns.Turns[string] // by key: whoever is counted here waits for the one before

	mu       sync.Mutex // guards what follows
	recalled *simplelru.LRU[string, counted]
}

// counted is what the bucket holds under a key.
type counted struct {
	until    time.Time // when all that was taken is given back
	revision uint64    // of the newest message under the key; 0 if there is none
	ours     time.Time // what this process goes by instead of until, where a clock that is ahead wrote that
}

// OpenWindows uses the bucket that [Streams.Provision] made.
func OpenWindows(ctx context.Context, cfg WindowsConfig) (*Windows, error) {
	if len(cfg.Key) < windowKeySize {
		return nil, fmt.Errorf("open rate windows: a key of %d bytes", len(cfg.Key))
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, fmt.Errorf("open rate windows: %w", err)
	}
	stream, err := js.Stream(ctx, subject.BucketStream(subject.WindowsBucket))
	if err != nil {
		return nil, fmt.Errorf("open rate windows: %w", err)
	}
	recalled, err := simplelru.NewLRU[string, counted](maxRecalled, nil)
	if err != nil {
		return nil, fmt.Errorf("open rate windows: %w", err)
	}
	return &Windows{js: js, stream: stream, key: cfg.Key, rates: cfg.Rates, now: cfg.Now, recalled: recalled}, nil
}

// Limit is the limit of a purpose, as it is set here.
func (w *Windows) Limit(purpose window.Purpose) window.Limit {
	limit, _ := w.rates.Of(purpose)
	return limit
}

// Take counts a cost, 1 or more, of whoever does something. If wait is 0 it is granted,
// and left is how much more is granted now. Otherwise nothing was counted, and it is
// granted after wait if nothing else is. Where it cannot be counted, because NATS is away,
// the error says so and nothing is granted.
//
// Several servers that count the same at once try again, some times; then it is too much.
func (w *Windows) Take(ctx context.Context, purpose window.Purpose, who string, cost int) (wait time.Duration, left int, err error) {
	limit, ok := w.rates.Of(purpose)
	if !ok || who == "" || cost < 1 || cost > limit.Burst {
		return 0, 0, fmt.Errorf("count %q: nobody may take %d of it", purpose, cost)
	}
	ctx, cancel := context.WithTimeout(ctx, takePatience)
	defer cancel()
	key := subject.Window(w.key, purpose.String(), who)
	give, err := w.turns.Take(ctx, key)
	if err != nil {
		return 0, 0, fmt.Errorf("count %q: %w", purpose, err)
	}
	defer give()
	if wait, left, err = w.take(ctx, key, limit, cost); err != nil {
		return 0, 0, fmt.Errorf("count %q: %w", purpose, err)
	}
	return wait, left, nil
}

func (w *Windows) take(ctx context.Context, key string, limit window.Limit, cost int) (time.Duration, int, error) {
	at, known := w.recall(key, limit.Per)
	for range takeAttempts {
		if !known {
			var err error
			ours := at.ours
			if at, err = w.read(ctx, key); err != nil {
				return 0, 0, err
			}
			at.ours = ours
		}
		// What is remembered may be old. It was true once, and a count only grows: who was
		// over it still is, and whoever is not is let through by the bucket alone.
		now := w.now()
		from := at.by(now, limit.Per)
		next, wait, left := limit.Take(from, now, cost)
		if wait > 0 {
			w.remember(key, at)
			return wait, left, nil
		}
		kept := counted{until: next}
		if !at.ours.IsZero() { // the count of whose clock is ahead goes on, so that it gives nothing back there
			taken := next.Sub(now)
			if from.After(now) {
				taken = next.Sub(from)
			}
			kept = counted{until: at.until.Add(taken), ours: next}
		}
		var err error
		kept.revision, err = w.write(ctx, key, at.revision, kept.until, limit.Per+windowGrace)
		if err == nil {
			w.remember(key, kept)
			return 0, left, nil
		}
		w.forget(key)
		if !isConflict(err) {
			return 0, 0, err // it may be counted: then somebody has a little less
		}
		known = false
	}
	return contended, 0, nil
}

// by is the count that is gone by at a time. No clock that is right counts further than a whole per.
// What is further ahead, beyond a grace, is of a clock that is ahead, or this one is behind: nobody can
// say how much of it was taken lately, so all was, and this process gives it back by its own clock.
// Several servers do so each by itself, until the clocks meet or the key ends.
func (c *counted) by(now time.Time, per time.Duration) time.Time {
	if !c.until.After(now.Add(per + windowGrace)) {
		c.ours = time.Time{}
		return c.until
	}
	if full := now.Add(per); c.ours.IsZero() || c.ours.After(full) {
		c.ours = full
	}
	return c.ours
}

// read asks for the newest message under a key. There is none if its time is over, or if
// the bucket was full and forgot it.
func (w *Windows) read(ctx context.Context, key string) (counted, error) {
	msg, err := w.stream.GetLastMsgForSubject(ctx, subject.KeyValue(subject.WindowsBucket, key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return counted{}, nil
	}
	if err != nil {
		return counted{}, fmt.Errorf("read window: %w", err)
	}
	until, err := time.Parse(time.RFC3339Nano, string(msg.Data))
	if err != nil {
		return counted{}, fmt.Errorf("read window: %w", err)
	}
	return counted{until: until, revision: msg.Sequence}, nil
}

// write keeps a count over the revision that was read.
func (w *Windows) write(ctx context.Context, key string, revision uint64, until time.Time, life time.Duration) (uint64, error) {
	ack, err := w.js.Publish(ctx, subject.KeyValue(subject.WindowsBucket, key), []byte(until.UTC().Format(time.RFC3339Nano)),
		jetstream.WithMsgTTL(life), jetstream.WithExpectLastSequencePerSubject(revision))
	if err != nil {
		return 0, fmt.Errorf("write window: %w", err)
	}
	return ack.Sequence, nil
}

// recall returns a count that this process read or wrote, if its key still lives: it was
// given a grace beyond the count. A count that is further ahead than a whole per was made by
// a clock that is ahead, this process's own perhaps, and its key ends long before it: only
// what this process goes by instead is good.
func (w *Windows) recall(key string, per time.Duration) (counted, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, known := w.recalled.Get(key)
	now := w.now()
	return at, known && at.until.Add(windowGrace).After(now) && !at.until.After(now.Add(per))
}

func (w *Windows) remember(key string, at counted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recalled.Add(key, at)
}

func (w *Windows) forget(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recalled.Remove(key)
}
