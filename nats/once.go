package nats

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/nats/subject"
)

// Take marks something as used, on all servers, and reports false where it was used before. It is
// remembered for a time, of whole seconds, or for good where that is 0. What it is shows as a digest only.
func (m *Marks) Take(ctx context.Context, what string, remember time.Duration) (bool, error) {
	_, err := m.kv.Create(ctx, subject.Once(what), nil, lasting(remember)...)
	if errors.Is(err, jetstream.ErrKeyExists) || isConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mark as used: %w: %w", command.ErrLogAway, err)
	}
	return true, nil
}

// advanceTries is how often a number that others move as well is read again.
const advanceTries = 5

// Advance moves a number that only grows from where the caller knows it to be, on all servers, and
// reports false where it is further already: what the caller knows is old. What was never moved is
// believed. It is remembered for a time, of whole seconds, or for good where that is 0.
func (m *Marks) Advance(ctx context.Context, what string, from, to int64, remember time.Duration) (bool, error) {
	key := subject.Once("number " + what)
	for range advanceTries {
		entry, err := m.kv.Get(ctx, key)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			_, err = m.kv.Create(ctx, key, binary.BigEndian.AppendUint64(nil, uint64(to)), lasting(remember)...)
			if errors.Is(err, jetstream.ErrKeyExists) || isConflict(err) {
				continue
			}
		case err != nil:
		case len(entry.Value()) != 8 || int64(binary.BigEndian.Uint64(entry.Value())) > from:
			return false, nil
		default:
			options := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(entry.Revision())}
			if remember != 0 {
				options = append(options, jetstream.WithMsgTTL(wholeSeconds(remember)))
			}
			_, err = m.js.Publish(ctx, subject.KeyValue(subject.MarksBucket, key), binary.BigEndian.AppendUint64(nil, uint64(to)), options...)
			if isConflict(err) {
				continue
			}
		}
		if err != nil {
			return false, fmt.Errorf("move a number on: %w: %w", command.ErrLogAway, err)
		}
		return true, nil
	}
	return false, fmt.Errorf("move a number on: %w: others move it, too", command.ErrLogAway)
}

// lasting is how long a key is remembered; 0: for good.
func lasting(remember time.Duration) []jetstream.KVCreateOpt {
	if remember == 0 {
		return nil
	}
	return []jetstream.KVCreateOpt{jetstream.KeyTTL(wholeSeconds(remember))}
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
