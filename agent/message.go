package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"secretsbridge/seal"
)

// errNoSuchKey says that something was sealed to a key that is not on this host: the
// directory came out of a backup, or somebody enrolled again in its name.
var errNoSuchKey = errors.New("it is sealed to a key that this agent does not have; enrol the agent again")

// openMessage opens what the control plane sealed to one of this agent's keys: the one
// that the binding names, which may have been rotated meanwhile.
func (a *Agent) openMessage(ctx context.Context, b seal.Binding, message []byte) ([]byte, error) {
	return a.unseal(ctx, b, message, seal.OpenMessage)
}

// openValueMessage likewise, for a value.
func (a *Agent) openValueMessage(ctx context.Context, b seal.Binding, message []byte) ([]byte, error) {
	return a.unseal(ctx, b, message, seal.OpenValueMessage)
}

// opener is one of the two ways to open a message (package seal).
type opener func(seal.RecipientKey, seal.VerifyKeys, seal.Binding, time.Time, []byte) ([]byte, error)

func (a *Agent) unseal(ctx context.Context, b seal.Binding, message []byte, open opener) ([]byte, error) {
	key, here := a.Keys.Find(b.AgentKey)
	if !here {
		return nil, fmt.Errorf("open message: %w", errNoSuchKey)
	}
	plain, err := open(key, a.trusted(), b, time.Now(), message)
	var unknown *seal.UnknownSignerError
	if errors.As(err, &unknown) && a.learn(ctx, unknown.ID) == nil {
		return open(key, a.trusted(), b, time.Now(), message)
	}
	return plain, err
}
