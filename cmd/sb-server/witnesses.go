package main

import (
	"context"
	"time"

	"secretsbridge/ledger"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/transparency"
)

// witnesses shows the log to agents, which cosign it.
type witnesses struct {
	*ledger.Agents
	kept store.Checkpoints

	// proven takes the first alarm that an agent's checkpoint proved.
	proven chan error
}

func (st *stack) openWitnesses() *witnesses {
	kept := store.Checkpoints{Pool: st.pool}
	w := &witnesses{kept: kept, proven: make(chan error, 1)}
	w.Agents = ledger.NewAgents(ledger.AgentsConfig{
		Latest: st.ledger.Latest, Last: st.store.Last, Tiles: projections.Tree{Pool: st.pool}, Cosign: kept.Cosign,
		Keys: st.keys.checkpoints.public, Alarm: w.alarm, Logger: st.log, Now: time.Now,
	})
	return w
}

func (w *witnesses) alarm(err error) {
	select {
	case w.proven <- err:
	default: // one is enough
	}
}

// watch ends with the alarm, if an agent proves one, or with ctx.
func (w *witnesses) watch(ctx context.Context) error {
	select {
	case err := <-w.proven:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// largest is the size of the largest checkpoint that an agent cosigned, 0 if none did.
func (w *witnesses) largest(ctx context.Context) (int64, error) {
	sizes, err := w.kept.Witnessed(ctx)
	largest := int64(0)
	for name, size := range sizes {
		if _, agent := transparency.WitnessAgent(name); agent {
			largest = max(largest, size)
		}
	}
	return largest, err
}
