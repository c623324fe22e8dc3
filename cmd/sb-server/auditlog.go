package main

import (
	"context"
	"fmt"
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/transparency"
	"secretsbridge/web"
)

// auditLog is what auditors are shown of the log's proof.
type auditLog struct {
	*ledger.Keeper
	checkpoints store.Checkpoints
	keys        *checkpointKeys
	log         command.Log
}

// Cosigned implements [web.Ledger]. Each checkpoint that is kept was compared with the log by every
// server that reads it, so an older one needs no other look.
func (l auditLog) Cosigned(ctx context.Context, least int, witnesses []string) (ledger.Checkpoint, error) {
	return l.checkpoints.Cosigned(ctx, least, witnesses)
}

// Keys implements [web.Ledger]. Agents are those that have cosigned and may still do so, by the keys
// that the log has of them.
func (l auditLog) Keys(ctx context.Context) (web.LogKeys, error) {
	keys := web.LogKeys{Origin: l.keys.origin(), Keys: l.keys.signing()}
	for _, w := range l.Witnesses {
		keys.Witnesses = append(keys.Witnesses, web.LogWitness{Witness: transparency.Witness{Name: w.Name, Key: w.Key}})
	}
	seen, err := l.checkpoints.Witnessed(ctx)
	if err != nil {
		return web.LogKeys{}, err
	}
	for name := range seen {
		id, ok := transparency.WitnessAgent(name)
		if !ok {
			continue
		}
		agent, _, err := command.Load[command.Agent](ctx, l.log, events.AgentStream(id))
		if err != nil {
			return web.LogKeys{}, err
		}
		if agent.State != events.AgentOnline && agent.State != events.AgentOffline {
			continue
		}
		witness, err := agentWitness(id, agent.Enrolled.SignKey)
		if err != nil {
			return web.LogKeys{}, err
		}
		keys.Witnesses = append(keys.Witnesses, witness)
	}
	return keys, nil
}

func agentWitness(id events.AgentID, key string) (web.LogWitness, error) {
	public, err := seal.ParseVerifyKey(key)
	if err != nil {
		return web.LogWitness{}, fmt.Errorf("key of agent %s: %w", id, err)
	}
	text, err := transparency.AgentKey(id, public.Bytes())
	return web.LogWitness{Witness: transparency.Witness{Name: transparency.AgentWitness(id), Key: text}, Agent: true}, err
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
