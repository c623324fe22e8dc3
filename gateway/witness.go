package gateway

import (
	"context"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// Ledger shows the log to agents, which are its witnesses, and takes what they say of it. Package
// ledger has it.
type Ledger interface {
	// Show answers an agent. key is that of its enrolment, as a witness of c2sp.org/tlog-cosignature.
	// What cannot be answered now, and may be later, is no [command.Rejection].
	Show(ctx context.Context, by events.AgentID, key []byte, m events.AskCheckpoint) (events.ShownCheckpoint, error)
}

// ErrLogNotKept says that this control plane has no proof of its log.
var ErrLogNotKept = &command.Rejection{Code: "log_not_shown", Detail: "this control plane shows no log"}

// witness changes nothing but the cosignatures that are kept beside the log.
func (g *Gateway) witness(ctx context.Context, agent caller, m events.AskCheckpoint) (events.ShownCheckpoint, error) {
	if g.Ledger == nil {
		return events.ShownCheckpoint{}, ErrLogNotKept
	}
	key, err := seal.ParseVerifyKey(agent.Enrolled.SignKey)
	if err != nil {
		return events.ShownCheckpoint{}, fmt.Errorf("signing key of agent %s: %w", agent.ID, err)
	}
	return g.Ledger.Show(ctx, agent.ID, key.Bytes(), m)
}
