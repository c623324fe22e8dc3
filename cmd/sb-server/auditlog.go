package main

import (
	"context"
	"slices"

	"secretsbridge/ledger"
	"secretsbridge/store"
	"secretsbridge/transparency"
	"secretsbridge/web"
)

// auditLog is what auditors are shown of the log's proof.
type auditLog struct {
	*ledger.Keeper
	checkpoints store.Checkpoints
	keys        *checkpointKeys
}

// Cosigned implements [web.Ledger]. Each checkpoint that is kept was compared with the log by every
// server that reads it, so an older one needs no other look.
func (l auditLog) Cosigned(ctx context.Context, witnesses int) (ledger.Checkpoint, error) {
	return l.checkpoints.Cosigned(ctx, witnesses)
}

// Keys implements [web.Ledger].
func (l auditLog) Keys(context.Context) (web.LogKeys, error) {
	keys := web.LogKeys{Origin: l.keys.origin(), Keys: l.keys.signing()}
	for _, w := range l.Witnesses {
		keys.Witnesses = append(keys.Witnesses, web.LogWitness{Witness: transparency.Witness{Name: w.Name, Key: w.Key}})
	}
	return keys, nil
}

// signing are the keys of verifiers that sign now, the current one first.
func (c *checkpointKeys) signing() []web.LogKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := []web.LogKey{{Key: c.doc.Public[c.doc.Serial-1]}}
	for i, p := range c.doc.Previous { // the newest first, as their public halves are the last
		if at := c.doc.Serial - 2 - i; at >= 0 {
			keys = append(keys, web.LogKey{Key: c.doc.Public[at], Until: p.Until})
		}
	}
	return slices.Clip(keys)
}
