package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// learnPause lies between two questions for new keys: a flood of forged tickets must
// not become a flood of calls.
const learnPause = 5 * time.Second

var (
	// errStranger: the control plane was asked, and does not sign with that key.
	errStranger = errors.New("the signer is none of the control plane's keys")

	// errNotLearnt: it could not be asked now, so nothing is known about the signer.
	errNotLearnt = errors.New("nobody can say now whether the signer is the control plane")
)

// learning is who asks for new keys; at most one at a time.
type learning struct {
	turn  chan struct{} // holds one token; who has it owns what follows
	asked time.Time     // when it was answered last
}

func newLearning() learning {
	l := learning{turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// trusted returns the control plane's keys that count now.
func (a *Agent) trusted() seal.VerifyKeys { return a.Trust.TrustedKeys().At(time.Now()) }

// learn asks the control plane whether it signs with a key that is unknown here, and
// keeps what follows from the keys that are trusted. It returns nil if the key is
// trusted now, else errStranger or errNotLearnt.
func (a *Agent) learn(ctx context.Context, signer string) error {
	select {
	case <-a.learning.turn:
		defer func() { a.learning.turn <- struct{}{} }()
	case <-ctx.Done():
		return errNotLearnt
	}
	if _, known := a.trusted().ByID(signer); known {
		return nil // somebody else has asked
	}
	if since := time.Since(a.learning.asked); !a.learning.asked.IsZero() && since < learnPause {
		return errNotLearnt
	}
	fresh, err := a.askTrust(ctx)
	switch {
	case errors.Is(err, ErrChain):
		a.learning.asked = time.Now()
		a.Logger.Error("new signing keys of the control plane are refused; if it was set up anew, enrol the agent again", "err", err)
		return errStranger
	case err != nil:
		return fmt.Errorf("%w: %w", errNotLearnt, err)
	}
	a.learning.asked = time.Now()
	if before := a.Trust.TrustedKeys(); len(fresh) > len(before) {
		if err := a.Trust.KeepTrust(fresh); err != nil {
			a.Logger.Error("new signing keys of the control plane cannot be kept; they are not used", "err", err)
			return fmt.Errorf("%w: %w", errNotLearnt, err)
		}
		a.Logger.Info("the control plane signs with another key, which the one before vouches for", "serial", fresh.Newest().Serial)
	}
	if _, known := a.trusted().ByID(signer); !known {
		return errStranger
	}
	return nil
}

// askTrust asks for the chain and follows it. The answer is signed by a key that only
// the chain in it can introduce: so the chain is read first, which proves itself by the
// keys that are trusted, and then it must be the chain's keys that signed the answer.
func (a *Agent) askTrust(ctx context.Context) (TrustedKeys, error) {
	trusted := a.Trust.TrustedKeys()
	frame, answer, err := a.ask(ctx, events.ServiceTrust, events.AskTrust{After: trusted.Newest().Serial})
	if err != nil {
		return nil, err
	}
	body, err := seal.PeekReply(answer)
	if err != nil {
		return nil, a.altered(events.ServiceTrust, err)
	}
	var reply events.ServiceReply[events.Trust]
	if json.Unmarshal(body, &reply) != nil || reply.Result == nil {
		return nil, fmt.Errorf("call %s: %w", events.ServiceTrust, errUnreadable)
	}
	fresh, err := trusted.Extend(reply.Result.Statements)
	if err != nil {
		return nil, err
	}
	if _, err := a.callOf(events.ServiceTrust).OpenReply(fresh.At(time.Now()), frame, answer); err != nil {
		return nil, a.altered(events.ServiceTrust, err)
	}
	return fresh, nil
}
