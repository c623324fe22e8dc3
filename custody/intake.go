package custody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

const (
	// intakeLife is how often the intake keys are made anew. Those of a server that runs alone
	// are in memory only: what was recorded on the way cannot be opened by anybody once they are
	// gone. Those that servers share follow from a seed (decision 0142).
	intakeLife = time.Hour

	// intakeOverlap is how long the keys before are still taken.
	intakeOverlap = 10 * time.Minute
)

// IntakeEnd is how long after it was made an intake key is still taken. What was sealed to
// it opens no longer than that.
const IntakeEnd = intakeLife + intakeOverlap

// ErrIntakeKey refuses a value that was sealed to keys that are gone, or never were ours.
var ErrIntakeKey = &command.Rejection{Code: "intake_key_unknown", Detail: "the values are sealed to a key that this server does not have (any more); fetch its keys and seal them again"}

// ErrSignIn refuses a sealed sign-in that does not open.
var ErrSignIn = &command.Rejection{Code: "sign_in_unreadable", Detail: "the sealed sign-in does not open, or is none; see docs/security/envelopes.md"}

// intake holds the keys that values are sealed to on their way here, of a server that runs alone.
type intake struct {
	mu      sync.Mutex // guards what follows
	current intakeKeys
	before  intakeKeys
}

// intakeNow are the keys that are handed out now.
func (c *Custody) intakeNow(ctx context.Context) (intakeKeys, error) {
	if c.shared != nil {
		return c.shared.of(ctx, c.Now().UTC().Truncate(intakeLife))
	}
	return c.intake.at(c.Now())
}

// intakeKeys are one key for each suite, the preferred first.
type intakeKeys struct {
	keys []seal.RecipientKey
	made time.Time
}

var intakeSuites = []seal.Suite{seal.XWing, seal.X25519}

// at returns the keys of the moment and makes new ones when it is time.
func (i *intake) at(now time.Time) (intakeKeys, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.current.keys) > 0 && now.Before(i.current.made.Add(intakeLife)) {
		return i.current, nil
	}
	fresh := intakeKeys{made: now}
	for _, suite := range intakeSuites {
		key, err := seal.GenerateRecipientKey(suite)
		if err != nil {
			return intakeKeys{}, err
		}
		fresh.keys = append(fresh.keys, key)
	}
	i.before, i.current = i.current, fresh
	return fresh, nil
}

// taken are the keys that are taken now.
func (i *intake) taken(now time.Time) []seal.RecipientKey {
	i.forget(now)
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Concat(i.current.keys, i.before.keys)
}

// forget lets keys go that are not taken any more, also where nobody asks for new ones:
// what was recorded on the way must not open for whoever gets into this process later.
func (i *intake) forget(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range []*intakeKeys{&i.current, &i.before} {
		if !now.Before(k.made.Add(IntakeEnd)) {
			*k = intakeKeys{}
		}
	}
}

// OpenSignIn opens what somebody sealed to sign in, for the caller to clear. [ErrIntakeKey]
// if it was sealed to a key that is gone, [ErrSignIn] if it does not open.
func (c *Custody) OpenSignIn(ctx context.Context, sealed []byte) ([]byte, error) {
	return c.openIntake(ctx, seal.Binding{Direction: seal.SignIn}, sealed, ErrSignIn)
}

// openIntake opens what is sealed to one of the keys that are taken now, for the caller to
// clear. [ErrIntakeKey] if it is another's, broken if it does not open.
func (c *Custody) openIntake(ctx context.Context, b seal.Binding, sealed []byte, broken error) ([]byte, error) {
	try := func(held intakeKeys) ([]byte, bool, error) {
		for _, k := range held.keys {
			b.AgentKey = k.Public().ID()
			plain, err := seal.OpenProposal(k, b, sealed)
			switch {
			case errors.Is(err, seal.ErrKey):
				continue
			case err != nil:
				return nil, true, broken
			}
			return plain, true, nil
		}
		return nil, false, nil
	}
	if c.shared != nil {
		return c.shared.open(ctx, c.Now(), try)
	}
	if plain, ours, err := try(intakeKeys{keys: c.intake.taken(c.Now())}); ours {
		return plain, err
	}
	return nil, ErrIntakeKey
}

// Intake returns the keys to seal values to, signed.
func (c *Custody) Intake(ctx context.Context) (events.SignedIntakeKeys, error) {
	current, err := c.intakeNow(ctx)
	if err != nil {
		return events.SignedIntakeKeys{}, fmt.Errorf("intake keys: %w", err)
	}
	said := events.IntakeKeys{NotAfter: current.made.Add(IntakeEnd).UTC()}
	for _, key := range current.keys {
		said.Keys = append(said.Keys, key.Public().String())
	}
	text, err := json.Marshal(said)
	if err != nil {
		return events.SignedIntakeKeys{}, fmt.Errorf("intake keys: %w", err)
	}
	return events.SignedIntakeKeys{
		IntakeKeys: text, SigningKey: c.Signer.Public().String(), Signature: c.Signer.Sign(events.IntakeDomain, text),
	}, nil
}
