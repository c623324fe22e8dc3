package nats

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/nats/subject"
	"secretsbridge/worker"
)

const (
	// LeaseTTL is how long a lease lives at the server after it was last renewed: three
	// renewals of the worker.
	LeaseTTL = 15 * time.Second

	// leaseMargin is how much earlier a holder stops to count on its lease. It covers that
	// two clocks run differently fast, and an effect that began just before.
	leaseMargin = LeaseTTL / 5

	// leasePatience bounds one call: two of them fit between the first renewal that fails
	// and the end.
	leasePatience = 2 * time.Second

	// leasePoll is how often a held lease is asked for, beside being told that it is free.
	// Refusals cost the server no write. Up to leaseJitter is added.
	leasePoll   = LeaseTTL / 3
	leaseJitter = time.Second
)

// leaseEpoch is where the upper half of fencing tokens begins to count.
var leaseEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Leases lets one server at a time work at a loop: [worker.Leases] on a bucket. A key is
// the loop's name, and the value is who holds it, a random text of each process; nothing
// else can be put there.
type Leases struct {
	js     jetstream.JetStream
	kv     jetstream.KeyValue
	holder string
	ttl    time.Duration // [LeaseTTL]; less in tests
}

var _ worker.Leases = (*Leases)(nil)

// OpenLeases uses the bucket that [Streams.Provision] made.
func OpenLeases(ctx context.Context, nc *natsgo.Conn) (*Leases, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open leases: %w", err)
	}
	kv, err := js.KeyValue(ctx, subject.LeasesBucket)
	if err != nil {
		return nil, fmt.Errorf("open leases: %w", err)
	}
	return &Leases{js: js, kv: kv, holder: rand.Text(), ttl: LeaseTTL}, nil
}

// Take implements [worker.Leases].
func (l *Leases) Take(ctx context.Context, name worker.LoopName) (worker.Lease, error) {
	if !name.Valid() {
		return nil, fmt.Errorf("take a lease: %q is no name of a loop", name)
	}
	lease, err := l.try(ctx, name)
	if lease != nil || err != nil {
		return lease, err
	}
	watch, err := l.kv.Watch(ctx, string(name), jetstream.UpdatesOnly(), jetstream.MetaOnly())
	if err != nil {
		return nil, fmt.Errorf("wait for lease %s: %w", name, err)
	}
	defer func() { _ = watch.Stop() }()
	for {
		lease, err := l.try(ctx, name) // again: it may have become free before the watch began
		if lease != nil || err != nil {
			return lease, err
		}
		if err := untilFreed(ctx, watch); err != nil {
			return nil, fmt.Errorf("wait for lease %s: %w", name, err)
		}
	}
}

// untilFreed returns when a lease was released or has ended, or it is time to ask.
func untilFreed(ctx context.Context, watch jetstream.KeyWatcher) error {
	poll := time.NewTimer(leasePoll + mathrand.N(leaseJitter))
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
			return nil
		case entry, open := <-watch.Updates():
			switch {
			case !open:
				return errors.New("the connection was lost")
			case entry != nil && entry.Operation() != jetstream.KeyValuePut:
				return nil
			}
		}
	}
}

// try takes a lease if it is free. Nil without an error means that somebody holds it. One
// that is this process's own, because an answer was lost, is taken anew.
func (l *Leases) try(ctx context.Context, name worker.LoopName) (worker.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// What was sent is waited for even if ctx ends, so that fewer leases are nobody's.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*leasePatience)
	defer cancel()
	sent := time.Now()
	revision, err := l.kv.Create(ctx, string(name), []byte(l.holder), jetstream.KeyTTL(l.ttl))
	if errors.Is(err, jetstream.ErrKeyExists) || isConflict(err) {
		mine, found, readErr := l.mine(ctx, name)
		if readErr != nil || !mine {
			return nil, readErr
		}
		if revision, err = l.replace(ctx, name, found); isConflict(err) {
			return nil, nil // it ended this moment
		}
	}
	if err != nil {
		return nil, fmt.Errorf("take lease %s: %w", name, err)
	}
	status, err := l.kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("take lease %s: %w", name, err)
	}
	return &Lease{
		of: l, name: name, fence: fenceOf(status, revision), revision: revision, until: l.until(sent),
	}, nil
}

// until is how long a holder counts on a lease that it asked for at a time.
func (l *Leases) until(sent time.Time) time.Time {
	return sent.Add(l.ttl - min(leaseMargin, l.ttl/5))
}

// fenceOf makes a fencing token of a revision, which grows with every change of the bucket.
// A bucket that was lost and made again begins anew, so when it was made comes first:
// 2^32 changes are decades of renewals.
func fenceOf(status jetstream.KeyValueStatus, revision uint64) uint64 {
	var made time.Time
	if s, ok := status.(*jetstream.KeyValueBucketStatus); ok {
		made = s.StreamInfo().Created
	}
	return uint64(max(made.Sub(leaseEpoch)/time.Second, 0))<<32 + revision
}

// mine reports whether this process holds a lease, and at which revision.
func (l *Leases) mine(ctx context.Context, name worker.LoopName) (bool, uint64, error) {
	entry, err := l.kv.Get(ctx, string(name))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, fmt.Errorf("read lease %s: %w", name, err)
	}
	return string(entry.Value()) == l.holder, entry.Revision(), nil
}

// replace writes a lease over a revision. An update through the bucket would drop the time
// to live, and the lease would never end.
func (l *Leases) replace(ctx context.Context, name worker.LoopName, revision uint64) (uint64, error) {
	ack, err := l.js.Publish(ctx, subject.KeyValue(subject.LeasesBucket, string(name)), []byte(l.holder),
		jetstream.WithMsgTTL(l.ttl), jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// Vacate frees all leases. It is for a process that knows that no other can hold one: the
// embedded server is reached from its own process only, so whoever held them is dead.
func (l *Leases) Vacate(ctx context.Context) error {
	names, err := l.kv.ListKeys(ctx)
	if err != nil {
		return fmt.Errorf("free the leases of dead holders: %w", err)
	}
	for name := range names.Keys() {
		if err := l.kv.Delete(ctx, name); err != nil {
			return fmt.Errorf("free lease %s of a dead holder: %w", name, err)
		}
	}
	return nil
}

// Lease is one holding. Its methods may be called by several goroutines.
type Lease struct {
	of    *Leases
	name  worker.LoopName
	fence uint64

	mu       sync.Mutex
	revision uint64
	until    time.Time
}

// Fence implements [worker.Lease].
func (l *Lease) Fence() uint64 { return l.fence }

// Until implements [worker.Lease].
func (l *Lease) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// Renew implements [worker.Lease]. A renewal that was sent is waited for even if ctx ends:
// its revision is needed to release the lease.
func (l *Lease) Renew(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leasePatience)
	defer cancel()
	sent := time.Now()
	revision, err := l.of.replace(ctx, l.name, l.at())
	if isConflict(err) { // unless the answer to an earlier renewal was lost, it is over
		mine, found, readErr := l.of.mine(ctx, l.name)
		switch {
		case readErr != nil:
			return readErr
		case !mine:
			return fmt.Errorf("renew lease %s: %w", l.name, worker.ErrLeaseLost)
		}
		revision, err = l.of.replace(ctx, l.name, found)
	}
	if err != nil {
		return fmt.Errorf("renew lease %s: %w", l.name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.until = revision, l.of.until(sent)
	return nil
}

// Release implements [worker.Lease].
func (l *Lease) Release(ctx context.Context) error {
	err := l.of.kv.Delete(ctx, string(l.name), jetstream.LastRevision(l.at()))
	if isConflict(err) {
		mine, found, readErr := l.of.mine(ctx, l.name)
		if readErr != nil || !mine {
			return readErr // it has ended
		}
		err = l.of.kv.Delete(ctx, string(l.name), jetstream.LastRevision(found))
	}
	if err != nil {
		return fmt.Errorf("release lease %s: %w", l.name, err)
	}
	return nil
}

func (l *Lease) at() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision
}
