package main

import (
	"context"
	"errors"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// errKeysMoved says that a key was rotated while this server ran.
var errKeysMoved = errors.New("a key was rotated elsewhere")

// lookForKeys is how often a server looks whether its keys are still those of the log. Between a
// rotation and this look it signs with the key before, which counts as long as the rotation said.
const lookForKeys = 5 * time.Second

// moved returns [errKeysMoved] once the log tells of another key than this server signs with: the
// server starts anew with it, which takes seconds.
func (st *stack) moved(ctx context.Context) error {
	signing, checkpoints := st.keys.signing.doc.Serial, len(st.keys.checkpoints.public())
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookForKeys):
		}
		key, _, err := command.Load[command.Signing](ctx, st.store, events.SigningStream())
		if err == nil && key.Serial > signing {
			st.log.Info("the signing key was rotated", "serial", key.Serial)
			return errKeysMoved
		}
		proof, _, also := command.Load[command.CheckpointKeys](ctx, st.store, events.CheckpointStream())
		if also == nil && proof.Serial > checkpoints {
			st.log.Info("the key of checkpoints was rotated", "serial", proof.Serial)
			return errKeysMoved
		}
		if err := errors.Join(err, also); err != nil && ctx.Err() == nil {
			st.log.Warn("this server cannot look for rotated keys, and tries again", "err", err)
		}
	}
}
