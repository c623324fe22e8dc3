package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// SignersName is the name of an authority's signing keys, beside its seeds ([SeedNames]). An
// authority that was never rotated has none: its seeds sign.
const SignersName = "signers.json"

// ErrSigners says that signing keys cannot be read, or are not those of this authority.
var ErrSigners = errors.New("the signing keys of NATS are damaged or of a newer version")

// signers are what signs in the place of the seeds, which stay what accounts and operator are
// called (decision 0163). They are kept as one document, and every step of a rotation replaces it.
type signers struct {
	Format int `json:"format"` // 1
	Serial int `json:"serial"` // grows with every change

	Operator signer `json:"operator"`
	Core     signer `json:"core"`
	System   signer `json:"system"`
	Agents   signer `json:"agents"`
}

// signer is the key of one purpose, with the one that comes and those that went. Seeds are text
// of nkeys.
type signer struct {
	Seed     string         `json:"seed,omitempty"`     // that signs; "" means that the authority's own seed does
	Since    time.Time      `json:"since,omitzero"`     // it signs
	Next     string         `json:"next,omitempty"`     // is trusted, and does not sign yet
	Previous []formerSigner `json:"previous,omitempty"` // are trusted, and sign no more
}

// formerSigner is a key whose private half is gone.
type formerSigner struct {
	Key   string    `json:"key"` // public
	Until time.Time `json:"until"`
}

// Rotates says which signing keys a step of a rotation is for.
type Rotates int

const (
	AccountKeys  Rotates = iota + 1 // of CORE, SYS and all agents' accounts: accounts name them
	OperatorKeys                    // the servers' own configuration names them
)

func (d *signers) of(what Rotates) []*signer {
	if what == OperatorKeys {
		return []*signer{&d.Operator}
	}
	return []*signer{&d.Core, &d.System, &d.Agents}
}

// signing is what an authority signs with, as of one document.
type signing struct {
	doc                            signers
	operator, core, system, agents nkeys.KeyPair // that sign now
	operatorPub                    string        // of operator
	operatorClaims                 *jwt.OperatorClaims
	operatorJWT                    string // of operatorClaims

	// What accounts name, the one that signs first. Those of CORE and SYS are empty until the
	// first rotation.
	coreKeys, systemKeys, agentKeys []string
	issuers                         []string // who signed accounts that may stand
}

// Use has the authority sign with the keys of a document as [Authority.Prepared] and those after
// it return, which may be nil for an authority that was never rotated. Users that are signed from
// now on, accounts and activations are by these keys. It clears doc.
func (a *Authority) Use(doc []byte) error {
	defer clear(doc)
	s := &signing{doc: signers{Format: 1}}
	if doc != nil {
		dec := json.NewDecoder(bytes.NewReader(doc))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&s.doc); err != nil || s.doc.Format != 1 || s.doc.Serial < 1 {
			return ErrSigners
		}
	}
	for _, role := range []struct {
		of       *signer
		identity nkeys.KeyPair
		prefix   nkeys.PrefixByte
		into     *nkeys.KeyPair
		keys     *[]string
	}{
		{&s.doc.Operator, a.operator, nkeys.PrefixByteOperator, &s.operator, nil},
		{&s.doc.Core, a.core, nkeys.PrefixByteAccount, &s.core, &s.coreKeys},
		{&s.doc.System, a.system, nkeys.PrefixByteAccount, &s.system, &s.systemKeys},
		{&s.doc.Agents, a.agents, nkeys.PrefixByteAccount, &s.agents, &s.agentKeys},
	} {
		*role.into = role.identity
		if role.of.Seed != "" {
			pair, err := parseSeed([]byte(role.of.Seed), role.prefix)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrSigners, err)
			}
			*role.into = pair
		}
		if role.keys == nil {
			continue
		}
		trusted, err := role.of.trusted(role.prefix)
		if err != nil {
			return err
		}
		*role.keys = trusted
	}
	if s.doc.Agents.Seed == "" { // this seed is a signing key from the beginning
		s.agentKeys = append([]string{a.agentsPub}, s.agentKeys...)
	}
	if err := a.deriveOperator(s); err != nil {
		return err
	}
	a.now.Store(s)
	return nil
}

// trusted are the public keys of one purpose, without the identity.
func (r signer) trusted(prefix nkeys.PrefixByte) ([]string, error) {
	var keys []string
	for _, seed := range []string{r.Seed, r.Next} {
		if seed == "" {
			continue
		}
		pub, err := publicOf(seed, prefix)
		if err != nil {
			return nil, err
		}
		keys = append(keys, pub)
	}
	for _, p := range r.Previous {
		keys = append(keys, p.Key)
	}
	return keys, nil
}

func publicOf(seed string, prefix nkeys.PrefixByte) (string, error) {
	pair, err := parseSeed([]byte(seed), prefix)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSigners, err)
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

// deriveOperator signs the operator's claims: what servers are to trust. Once a signing key signs,
// accounts and users that are signed by an identity count nowhere (StrictSigningKeyUsage).
func (a *Authority) deriveOperator(s *signing) error {
	var err error
	if s.operatorPub, err = s.operator.PublicKey(); err != nil {
		return err
	}
	claims := jwt.NewOperatorClaims(a.operatorID)
	claims.Name = "secrets-bridge"
	claims.SystemAccount = a.systemPub
	claims.StrictSigningKeyUsage = s.doc.Operator.Seed != ""
	now := s.doc.Operator
	now.Previous = nil // ends with the configuration that names it
	if claims.SigningKeys, err = now.trusted(nkeys.PrefixByteOperator); err != nil {
		return err
	}
	if s.issuers, err = s.doc.Operator.trusted(nkeys.PrefixByteOperator); err != nil {
		return err
	}
	if s.doc.Operator.Seed == "" {
		s.issuers = append(s.issuers, a.operatorID)
	}
	if s.operatorJWT, err = claims.Encode(a.operator); err != nil {
		return fmt.Errorf("sign operator: %w", err)
	}
	s.operatorClaims, err = jwt.DecodeOperatorClaims(s.operatorJWT)
	return err
}

// Prepared is step 1 of a rotation: a document in which fresh keys are trusted and do not sign
// yet, or nil if there is one already. The document of one authority follows that of the moment.
func (a *Authority) Prepared(what Rotates) ([]byte, error) {
	return a.step(func(d *signers) (bool, error) {
		changed := false
		for _, r := range d.of(what) {
			if r.Next != "" {
				continue
			}
			name := coreFile
			if what == OperatorKeys {
				name = operatorFile
			}
			seed, err := NewSeed(name)
			if err != nil {
				return false, err
			}
			r.Next, changed = string(seed), true
			clear(seed)
		}
		return changed, nil
	})
}

// Promoted is step 2, after all servers trust the fresh keys: they sign, and the private halves of
// those before are gone. These are trusted until a time.
func (a *Authority) Promoted(what Rotates, at, until time.Time) ([]byte, error) {
	now := a.now.Load()
	return a.step(func(d *signers) (bool, error) {
		pairs := []nkeys.KeyPair{now.core, now.system, now.agents}
		if what == OperatorKeys {
			pairs = []nkeys.KeyPair{now.operator}
		}
		for i, r := range d.of(what) {
			if r.Next == "" {
				return false, errors.New("no rotation was begun")
			}
			pub, err := pairs[i].PublicKey()
			if err != nil {
				return false, err
			}
			// An identity is no signing key: servers take it until they are strict.
			if r.Seed != "" || what == OperatorKeys || pub == a.agentsPub {
				r.Previous = append(slices.Clone(r.Previous), formerSigner{Key: pub, Until: until.UTC()})
			}
			r.Seed, r.Next, r.Since = r.Next, "", at.UTC()
		}
		return true, nil
	})
}

// Dropped is step 3: a document without the former keys whose time is over at a time, or nil if
// there are none.
func (a *Authority) Dropped(what Rotates, at time.Time) ([]byte, error) {
	return a.step(func(d *signers) (bool, error) {
		changed := false
		for _, r := range d.of(what) {
			kept := slices.DeleteFunc(slices.Clone(r.Previous), func(p formerSigner) bool { return !at.Before(p.Until) })
			changed = changed || len(kept) != len(r.Previous)
			r.Previous = kept
		}
		return changed, nil
	})
}

// step makes the next document out of the one of the moment.
func (a *Authority) step(change func(*signers) (bool, error)) ([]byte, error) {
	d := a.now.Load().doc
	changed, err := change(&d)
	if err != nil || !changed {
		return nil, err
	}
	d.Serial++
	return json.MarshalIndent(d, "", "  ")
}

// KeyState is how far a rotation of keys is.
type KeyState struct {
	Serial  int       // of the document; 0 where nothing was ever rotated
	Own     bool      // the authority's own seeds sign
	Begun   bool      // fresh keys are trusted and do not sign
	Former  int       // keys that are trusted and sign no more
	Until   time.Time // the last of them ends; zero where there are none
	Current []string  // public keys that sign
}

// State says how far the rotation of keys is.
func (a *Authority) State(what Rotates) KeyState {
	s := a.now.Load()
	k := KeyState{Serial: s.doc.Serial}
	for _, r := range s.doc.of(what) {
		k.Own = k.Own || r.Seed == ""
		k.Begun = k.Begun || r.Next != ""
		k.Former += len(r.Previous)
		for _, p := range r.Previous {
			if p.Until.After(k.Until) {
				k.Until = p.Until
			}
		}
	}
	pairs := []nkeys.KeyPair{s.core, s.system, s.agents}
	if what == OperatorKeys {
		pairs = []nkeys.KeyPair{s.operator}
	}
	for _, p := range pairs {
		if pub, err := p.PublicKey(); err == nil {
			k.Current = append(k.Current, pub)
		}
	}
	return k
}

// takenUp is how long a server may sign agents' users with a former key after a rotation: it looks
// every five seconds, and may miss a look.
const takenUp = 15 * time.Second

// Current is from when on whatever agents' credentials are issued is by the key of now; zero where
// none was ever rotated.
func (a *Authority) Current() time.Time {
	if since := a.now.Load().doc.Agents.Since; !since.IsZero() {
		return since.Add(takenUp)
	}
	return time.Time{}
}

// readSigners is the document of an authority, nil where it has none.
func readSigners(read func(name string) ([]byte, error)) ([]byte, error) {
	doc, err := read(SignersName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return doc, err
}
