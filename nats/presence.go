package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// Presence remembers for [PresenceTTL] when agents were last heard, by any server. It
// lives in memory: after a restart of NATS agents are heard again within a heartbeat.
type Presence struct{ kv jetstream.KeyValue }

// OpenPresence uses the bucket that [Streams.Provision] made.
func OpenPresence(ctx context.Context, nc *natsgo.Conn) (*Presence, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open presence: %w", err)
	}
	kv, err := js.KeyValue(ctx, subject.PresenceBucket)
	if err != nil {
		return nil, fmt.Errorf("open presence: %w", err)
	}
	return &Presence{kv: kv}, nil
}

// Beat says that an agent was heard now. heard is the control plane's time that it
// proved to know: one that is not later than what was noted before is a repetition,
// which counts for nothing, and fresh is false.
func (p *Presence) Beat(ctx context.Context, agent events.AgentID, heard time.Time) (fresh bool, err error) {
	fresh, err = p.beat(ctx, string(agent), heard)
	if err != nil {
		return false, fmt.Errorf("note presence of agent %s: %w", agent, err)
	}
	return fresh, nil
}

func (p *Presence) beat(ctx context.Context, key string, heard time.Time) (bool, error) {
	noted := []byte(heard.UTC().Format(time.RFC3339Nano))
	before, err := p.kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		_, err = p.kv.Create(ctx, key, noted)
	case err == nil && !later(heard, before.Value()):
		return false, nil
	case err == nil:
		_, err = p.kv.Update(ctx, key, noted, before.Revision())
	}
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return false, nil // another heartbeat came first, and counts
	}
	return err == nil, err
}

func later(heard time.Time, noted []byte) bool {
	last, err := time.Parse(time.RFC3339Nano, string(noted))
	return err != nil || heard.After(last)
}

// Seen returns when each agent was last heard, by the clock of the NATS server. Those
// unheard for [PresenceTTL] are not in it.
func (p *Presence) Seen(ctx context.Context) (map[events.AgentID]time.Time, error) {
	watch, err := p.kv.WatchAll(ctx, jetstream.MetaOnly(), jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("list presence: %w", err)
	}
	defer func() { _ = watch.Stop() }()
	seen := map[events.AgentID]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("list presence: %w", ctx.Err())
		case entry, open := <-watch.Updates():
			switch {
			case !open:
				return nil, errors.New("list presence: the connection was lost")
			case entry == nil: // all that is there has been delivered
				return seen, nil
			}
			seen[events.AgentID(entry.Key())] = entry.Created()
		}
	}
}
