package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/nats/subject"
)

// Take marks something as used, on all servers, and reports false where it was used before. It is
// remembered for a time, of whole seconds. What it is shows as a digest only.
func (m *Marks) Take(ctx context.Context, what string, remember time.Duration) (bool, error) {
	_, err := m.kv.Create(ctx, subject.Once(what), nil, jetstream.KeyTTL(wholeSeconds(remember)))
	if errors.Is(err, jetstream.ErrKeyExists) || isConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mark as used: %w: %w", command.ErrLogAway, err)
	}
	return true, nil
}

// Share returns what all servers have under a name: what the first of them brought. It is forgotten
// after a time, of whole seconds, and must be worth nothing by itself.
func (m *Marks) Share(ctx context.Context, name string, mine []byte, remember time.Duration) ([]byte, error) {
	key := subject.Once("share " + name)
	_, err := m.kv.Create(ctx, key, mine, jetstream.KeyTTL(wholeSeconds(remember)))
	if err == nil {
		return mine, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) && !isConflict(err) {
		return nil, fmt.Errorf("share %s: %w: %w", name, command.ErrLogAway, err)
	}
	entry, err := m.kv.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("share %s: %w: %w", name, command.ErrLogAway, err)
	}
	return entry.Value(), nil
}

func wholeSeconds(d time.Duration) time.Duration {
	return max(d.Truncate(time.Second), time.Second)
}
