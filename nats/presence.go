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

// Beat says that an agent was heard now.
func (p *Presence) Beat(ctx context.Context, agent events.AgentID) error {
	if _, err := p.kv.Put(ctx, string(agent), nil); err != nil {
		return fmt.Errorf("note presence of agent %s: %w", agent, err)
	}
	return nil
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
