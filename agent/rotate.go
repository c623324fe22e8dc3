package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// DefaultKeyLife is how long what was recorded can be opened by whoever takes the host:
// a key is replaced when half of it is over, and destroyed soon after.
const DefaultKeyLife = 24 * time.Hour

// Pauses of the key's rotation. A key that was replaced is needed for a quarter of an
// hour at least (package gateway).
const (
	rotatePause        = 5 * time.Second
	longestRotatePause = 5 * time.Minute
	retirePause        = 5 * time.Minute
)

// nextSuite is the suite of the next key: the first of those that the control plane
// lists and this build knows. It never leads from X-Wing to X25519 while X-Wing is
// listed, and stays where nothing is listed.
func nextSuite(have seal.Suite, listed []string) seal.Suite {
	if slices.Contains(listed, have.String()) && have == seal.XWing {
		return have
	}
	for _, name := range listed {
		if suite, err := seal.ParseSuite(name); err == nil {
			return suite
		}
	}
	return have
}

// rotateDue is when the next key is to be asked for: at half life, or at once where one
// waits for its answer or the control plane does not take the suite any more.
func (a *Agent) rotateDue() time.Time {
	key, since := a.Keys.Current()
	have, listed := key.Public().Suite(), a.suites()
	if a.Keys.Waiting() || len(listed) > 0 && !slices.Contains(listed, have.String()) && nextSuite(have, listed) != have {
		return time.Time{}
	}
	return since.Add(a.KeyLife / 2)
}

// rotateKeys gives the agent fresh keys until ctx ends.
func (a *Agent) rotateKeys(ctx context.Context) {
	pause := rotatePause
	for {
		timer := time.NewTimer(max(time.Until(a.rotateDue()), 0))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-a.pulse.changed: // what the control plane takes
			timer.Stop()
			continue
		case <-timer.C:
		}
		err := a.rotateOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = rotatePause
			continue
		}
		a.Logger.Warn("the key is not rotated; it is tried again", "after", pause, "err", err)
		if sleep(ctx, jitter(pause)) != nil {
			return
		}
		pause = min(2*pause, longestRotatePause)
	}
}

func (a *Agent) rotateOnce(ctx context.Context) error {
	current, _ := a.Keys.Current()
	next, err := a.Keys.Next(nextSuite(current.Public().Suite(), a.suites()))
	if err != nil {
		return fmt.Errorf("make the next key: %w", err)
	}
	// The private half is on disk. Whatever becomes of the call, what is sealed to either
	// key opens here, and the same key is asked for until there is an answer.
	_, err = call[events.Done](ctx, a, events.ServiceRotate, events.RotateKey{BoxKey: next.String()})
	switch refusedWith(err) {
	case "agent_key_used", "agent_suite_refused", "agent_key_invalid":
		if abandoned := a.Keys.Abandon(); abandoned != nil {
			return fmt.Errorf("give a key up: %w", abandoned)
		}
	}
	if err != nil {
		return err
	}
	if err := a.Keys.Taken(next.ID()); err != nil {
		return fmt.Errorf("keep the next key: %w", err)
	}
	a.Logger.Info("the key is rotated", "suite", next.Suite())
	return nil
}

// retireKeys destroys earlier keys that nothing may need any more, until ctx ends.
func (a *Agent) retireKeys(ctx context.Context) {
	for sleep(ctx, jitter(retirePause)) == nil {
		if err := a.retireOnce(ctx); err != nil && ctx.Err() == nil {
			a.Logger.Warn("old keys are kept for now", "err", err)
		}
	}
}

func (a *Agent) retireOnce(ctx context.Context) error {
	held := a.Keys.Earlier()
	if len(held) == 0 {
		return nil
	}
	needed, err := call[events.NeededKeys](ctx, a, events.ServiceRetire, events.RetireKeys{Keys: held})
	if err != nil {
		return err
	}
	useless := slices.DeleteFunc(held, func(id string) bool { return slices.Contains(needed.Keys, id) })
	if len(useless) == 0 {
		return nil
	}
	if err := a.Keys.Drop(useless...); err != nil {
		return fmt.Errorf("destroy old keys: %w", err)
	}
	a.Logger.Info("old keys are destroyed", "keys", len(useless))
	return nil
}
