package agent

import (
	"context"
	"fmt"

	"secretsbridge/events"
)

// Bounds of the names of one secret's keys: how many there may be, and their length
// together in bytes. A bundle that is larger than that has no names that people read.
const (
	maxNames      = 1000
	maxNamesBytes = 64 << 10
)

// names reads a secret and returns the names of its keys, in ascending order. Its values
// are zeroed before anybody is told.
func (j job) names(ctx context.Context) (said events.FinishJob, err error) {
	ref, err := ParseRef(j.ticket.Ref)
	if err != nil {
		return said, err
	}
	provider, err := j.Connections.Open(j.ticket.Connection, j.ticket.Provider)
	if err != nil {
		return said, err
	}
	err = j.guard(func() error {
		bundle, err := j.read(ctx, provider, ref)
		if err != nil {
			return err
		}
		bundle.Zero()
		said.Keys, said.Version = bundle.Keys(), string(bundle.Version)
		return nil
	})
	if err != nil {
		return events.FinishJob{}, err
	}
	size := 0
	for _, key := range said.Keys {
		size += len(key)
	}
	if len(said.Keys) > maxNames || size > maxNamesBytes {
		return events.FinishJob{}, fmt.Errorf("%w: %d names of %d bytes together", ErrTooLarge, len(said.Keys), size)
	}
	return said, nil
}
