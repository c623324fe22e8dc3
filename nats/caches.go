package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// Cache names what servers keep in memory of people.
type Cache string

// Contacts are the addresses of people and how they want to be told.
const Contacts Cache = "contacts"

const (
	// cacheTerm is how long a server watches before it drops everything and begins anew: so
	// a call that was lost, whatever lost it, counts after that at the latest.
	cacheTerm = time.Minute

	// cachePause is what a server waits before it watches again after a fault.
	cachePause = time.Second
)

// Caches tells all servers that what they keep of somebody is old. The bucket holds whom,
// for a minute, and no value: there is nothing that a value could be put into.
type Caches struct {
	nc *natsgo.Conn
	kv jetstream.KeyValue
}

// OpenCaches uses the bucket that [Streams.Provision] made.
func OpenCaches(ctx context.Context, nc *natsgo.Conn) (*Caches, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open caches: %w", err)
	}
	kv, err := js.KeyValue(ctx, subject.CachesBucket)
	if err != nil {
		return nil, fmt.Errorf("open caches: %w", err)
	}
	return &Caches{nc: nc, kv: kv}, nil
}

// Invalidate makes every server that watches a cache forget somebody. Call it after the
// change is stored: what is read then is new.
func (c *Caches) Invalidate(ctx context.Context, cache Cache, id events.UserID) error {
	if cache != Contacts || !events.ValidID(string(id), "u_") {
		return fmt.Errorf("invalidate %s of %q: there is no such cache, or that is no id of a person", cache, id)
	}
	if _, err := c.kv.Put(ctx, string(cache)+"."+string(id), nil); err != nil {
		return fmt.Errorf("invalidate %s of %s: %w", cache, id, err)
	}
	return nil
}

// Watch calls forget for everybody who is invalidated, in a few milliseconds, until ctx ends.
// It calls all when it begins, once a minute, and after each fault, because somebody may have
// been missed: so nothing is kept longer than a minute after it became old, while NATS is
// there. While it is not, nothing is dropped. Whoever fills a cache must not keep what was
// read before the last call of either.
func (c *Caches) Watch(ctx context.Context, cache Cache, forget func(events.UserID), all func()) error {
	for {
		err := c.watch(ctx, cache, forget, all)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(cachePause):
		}
	}
}

// watch returns when it is to begin anew.
func (c *Caches) watch(ctx context.Context, cache Cache, forget func(events.UserID), all func()) error {
	ctx, cancel := context.WithTimeout(ctx, cacheTerm)
	defer cancel()
	relinked := c.nc.StatusChanged(natsgo.CONNECTED) // what came meanwhile is lost
	defer c.nc.RemoveStatusListener(relinked)
	prefix := string(cache) + "."
	watch, err := c.kv.Watch(ctx, prefix+"*", jetstream.UpdatesOnly(), jetstream.MetaOnly())
	if err != nil {
		return fmt.Errorf("watch cache %s: %w", cache, err)
	}
	defer func() { _ = watch.Stop() }()
	all()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-relinked:
			return nil
		case entry, open := <-watch.Updates():
			switch {
			case !open:
				return errors.New("the connection was lost")
			case entry != nil && entry.Operation() == jetstream.KeyValuePut:
				forget(events.UserID(strings.TrimPrefix(entry.Key(), prefix)))
			}
		}
	}
}
