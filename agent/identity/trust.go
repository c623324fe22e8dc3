package identity

import (
	"errors"
	"fmt"
	"time"

	"secretsbridge/agent"
	"secretsbridge/seal"
)

// trustedKey is a key of the control plane in identity.json.
type trustedKey struct {
	Serial int       `json:"serial"`
	Key    string    `json:"key"`
	Until  time.Time `json:"until,omitzero"`
}

// trust reads the keys of a document. Their serials rise one by one, and only the last
// has no end: everything else was put there by somebody else.
func (d document) trust() (agent.TrustedKeys, error) {
	if len(d.Trusted) == 0 || d.Trusted[0].Serial < 1 {
		return nil, errors.New("no key of the control plane is trusted")
	}
	keys := make(agent.TrustedKeys, len(d.Trusted))
	for i, k := range d.Trusted {
		key, err := seal.ParseVerifyKey(k.Key)
		if err != nil {
			return nil, err
		}
		if k.Serial != d.Trusted[0].Serial+i || k.Until.IsZero() != (i == len(d.Trusted)-1) {
			return nil, errors.New("the control plane's keys do not follow each other")
		}
		keys[i] = agent.TrustedKey{Serial: k.Serial, Key: key, Until: k.Until}
	}
	return keys, nil
}

// TrustedKeys implements [agent.Trust].
func (id *Identity) TrustedKeys() agent.TrustedKeys {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.trust
}

// KeepTrust implements [agent.Trust]. Fewer keys than before, or another newest serial
// than a later one, is refused: trust only grows.
func (id *Identity) KeepTrust(keys agent.TrustedKeys) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	next := id.state
	next.Trusted = make([]trustedKey, len(keys))
	for i, k := range keys {
		next.Trusted[i] = trustedKey{Serial: k.Serial, Key: k.Key.String(), Until: k.Until.UTC()}
	}
	trust, err := next.trust()
	if err != nil {
		return fmt.Errorf("keep trusted keys: %w", err)
	}
	if trust.Newest().Serial <= id.trust.Newest().Serial {
		return errors.New("keep trusted keys: they are not newer than those that are kept")
	}
	if err := next.write(id.dir); err != nil {
		return fmt.Errorf("keep trusted keys: %w", err)
	}
	id.state, id.trust = next, trust
	return nil
}
