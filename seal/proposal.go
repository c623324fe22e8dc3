package seal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// The parts of a proposal, in their order: kind, version, the three numbers of the HPKE
// suite, recipient key id, encapsulated key, commitment; then ciphertext and tag. It is
// a message without a signature: who proposes is whoever has the session.
const (
	proposalKind    = 'P'
	proposalVersion = 1
	proposalFixed   = 2 + 6 + sha256.Size // up to the encapsulated key
)

const proposalLabel = "secretsbridge proposal info v1"

// SealProposal encrypts a value to the control plane's intake key, padded. The binding is
// of direction [Propose] or [SignIn] and names that key, else [ErrBinding]; above
// [MaxValue] it is [ErrTooLarge]. The caller keeps value and clears it.
func SealProposal(to RecipientPublic, b Binding, value []byte) ([]byte, error) {
	if len(value) > MaxValue {
		return nil, fmt.Errorf("seal proposal of %d bytes, at most %d: %w", len(value), MaxValue, ErrTooLarge)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("seal proposal: %w", err)
	}
	if b.Direction != Propose && b.Direction != SignIn || b.AgentKey != to.ID() {
		return nil, fmt.Errorf("seal proposal: %w: not to the recipient's key, or not a proposal", ErrBinding)
	}
	padded := pad(value)
	defer clear(padded)
	recipient := to.id()
	prefix := appendSuite([]byte{proposalKind, proposalVersion}, to.suite)
	header, ciphertext, err := sealTo(to, proposalInfo(to.suite, b), append(prefix, recipient[:]...), padded)
	if err != nil {
		return nil, fmt.Errorf("seal proposal: %w", err)
	}
	return append(header, ciphertext...), nil
}

// OpenProposal decrypts a proposal. It returns [ErrMalformed] for what is none, [ErrSuite]
// for another version or suite, [ErrKey] where it was sealed to another key (such as one
// that is gone), and [ErrOpen] for all else. The value is the caller's to clear.
//
// A proposal opens as often as it comes: that it counts once follows from the
// Idempotency-Key in its binding, or of [SignIn] from the public key inside.
func OpenProposal(key RecipientKey, b Binding, proposal []byte) ([]byte, error) {
	p, err := parseProposal(proposal)
	if err != nil {
		return nil, fmt.Errorf("open proposal: %w", err)
	}
	if key.private == nil || key.Public().id() != p.recipient {
		return nil, fmt.Errorf("open proposal: %w", ErrKey)
	}
	plain, err := openFrom(key, proposalInfo(p.suite, b), p.header, p.enc, p.commitment, p.ciphertext)
	if err != nil {
		return nil, fmt.Errorf("open proposal: %w", err)
	}
	value, err := unpadded(plain)
	if err != nil {
		return nil, fmt.Errorf("open proposal: %w", err)
	}
	return value, nil
}

// parseProposal returns windows into b.
func parseProposal(b []byte) (message, error) {
	if len(b) < 2 || b[0] != proposalKind {
		return message{}, ErrMalformed
	}
	if b[1] != proposalVersion {
		return message{}, ErrSuite
	}
	if len(b) < proposalFixed {
		return message{}, ErrMalformed
	}
	m := message{suite: Suite(binary.BigEndian.Uint16(b[2:]))}
	if m.suite.encSize() == 0 || string(b[2:8]) != string(appendSuite(nil, m.suite)) {
		return message{}, ErrSuite
	}
	copy(m.recipient[:], b[8:])
	encEnd := proposalFixed + m.suite.encSize()
	headerEnd := encEnd + commitmentSize
	padded := len(b) - headerEnd - tagSize
	if padded < padStep || padded%padStep != 0 || padded > paddedSize(MaxValue) {
		return message{}, ErrMalformed
	}
	m.header, m.enc, m.commitment, m.ciphertext = b[:headerEnd], b[proposalFixed:encEnd], b[encEnd:headerEnd], b[headerEnd:]
	return m, nil
}

// proposalInfo is HPKE's info: label, suite, binding.
func proposalInfo(s Suite, b Binding) []byte {
	return appendField(appendField(appendField(nil, proposalLabel), appendSuite(nil, s)), b.Bytes())
}
