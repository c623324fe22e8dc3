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

// IntakeSalt returns the salt that all servers have of an epoch: what the first of them brought. It
// is forgotten after a time, of whole seconds. It is random, and opens nothing by itself (decision 0142).
func (m *Marks) IntakeSalt(ctx context.Context, epoch time.Time, mine [32]byte, remember time.Duration) ([32]byte, error) {
	name := "intake " + epoch.UTC().Format(time.RFC3339)
	key := subject.Once("share " + name)
	_, err := m.kv.Create(ctx, key, mine[:], jetstream.KeyTTL(wholeSeconds(remember)))
	if err == nil {
		return mine, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) && !isConflict(err) {
		return [32]byte{}, fmt.Errorf("share the salt of %s: %w: %w", name, command.ErrLogAway, err)
	}
	entry, err := m.kv.Get(ctx, key)
	if err != nil {
		return [32]byte{}, fmt.Errorf("share the salt of %s: %w: %w", name, command.ErrLogAway, err)
	}
	if len(entry.Value()) != len(mine) {
		return [32]byte{}, fmt.Errorf("the salt of %s has %d bytes and must have %d: it was written by somebody else", name, len(entry.Value()), len(mine))
	}
	return [32]byte(entry.Value()), nil
}

func wholeSeconds(d time.Duration) time.Duration {
	return max(d.Truncate(time.Second), time.Second)
}
