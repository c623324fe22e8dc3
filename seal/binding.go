package seal

import (
	"encoding/binary"
	"fmt"
	"time"
)

// bindingLabel opens every encoded binding. A new field is a new label.
const bindingLabel = "secretsbridge binding v1"

// Direction says which way a value travels, so that an envelope made for one way
// never opens on the other.
type Direction string

// The ways of a value, or of a key. Each has fields of its own ([Binding]).
const (
	// Read is a value that an agent reads from a provider for a requester.
	Read Direction = "read"

	// Propose is a value on its way from a requester to the control plane, before there
	// is a request.
	Propose Direction = "propose"

	// Patch is a proposed value at rest at the control plane, until its job.
	Patch Direction = "patch"

	// Deliver is a proposed value on its way to the agent that writes it.
	Deliver Direction = "deliver"

	// Reveal is a value on its way from the control plane to its requester.
	Reveal Direction = "reveal"

	// Compare is the fingerprint key of a connection on its way to an agent.
	Compare Direction = "compare"

	// SignIn is an e-mail, a password and a public key on their way to the control plane.
	SignIn Direction = "sign-in"

	// Factor is a second factor at rest at the control plane.
	Factor Direction = "factor"

	// Integration is a secret of an integration, or the address by which a person is told, at
	// rest at the control plane.
	Integration Direction = "integration"

	// Keyring is a key of the installation at rest at the control plane.
	Keyring Direction = "keyring"
)

// Binding is all that gives an envelope its meaning. It is not secret, it is not
// transmitted, and both sides must arrive at it on their own: opening succeeds only
// if every field is the one that was sealed. The direction decides which fields there
// are; the others are empty.
type Binding struct {
	Direction  Direction
	Request    string // id of the request; of Propose, the Idempotency-Key of the submit
	Envelope   string // id of the envelope: one value of one request; of Factor, of the factor; of Integration, of the row
	Job        string // id of the job that carries the request out
	Attempt    uint64 // the fence of the job's lease; 1 is the first attempt; of Integration, the version; of Keyring, the revision
	Key        string // key name inside the bundle; of Factor, its kind; of Integration, which secret; of Keyring, its name
	Connection string // id of the connection
	Ref        string // cleaned path inside the connection
	Agent      string // id of the agent; of Propose and Reveal, of the requester; of Factor and Integration, of its owner
	AgentKey   string // [RecipientPublic.ID] of the key at that end, or of Propose and SignIn at ours

	// NotAfter is the end, exclusive. Whole seconds: what is finer is cut off. The
	// location plays no part.
	NotAfter time.Time
}

// field is one field of a binding.
type field uint

const (
	hasRequest field = 1 << iota
	hasEnvelope
	hasJob
	hasAttempt
	hasKey
	hasConnection
	hasRef
	hasAgent
	hasAgentKey
	hasEnd
)

// hasPlace is where a value belongs at its provider.
const hasPlace = hasConnection | hasRef

// fieldsOf says which fields a direction has, no more and no less. Deliver has no attempt:
// a value is sealed to an agent's key once, and another attempt of that agent gets the
// same bytes. Propose has no end: the Idempotency-Key makes it count once. SignIn has only
// the key: nobody is anybody yet, and the public key inside makes it count once. Factor has
// no end: it counts until it is removed, and Integration and Keyring likewise, until there is a newer one.
var fieldsOf = map[Direction]field{
	Read:    hasRequest | hasEnvelope | hasJob | hasAttempt | hasKey | hasPlace | hasAgent | hasAgentKey | hasEnd,
	Propose: hasRequest | hasKey | hasPlace | hasAgent | hasAgentKey,
	Patch:   hasRequest | hasEnvelope | hasJob | hasKey | hasPlace | hasEnd,
	Deliver: hasRequest | hasEnvelope | hasJob | hasKey | hasPlace | hasAgent | hasAgentKey | hasEnd,
	Reveal:  hasRequest | hasEnvelope | hasKey | hasPlace | hasAgent | hasAgentKey | hasEnd,
	Compare: hasRequest | hasJob | hasPlace | hasAgent | hasAgentKey | hasEnd,
	SignIn:  hasAgentKey,
	Factor:  hasEnvelope | hasKey | hasAgent,

	Integration: hasEnvelope | hasAttempt | hasKey | hasAgent,
	Keyring:     hasAttempt | hasKey,
}

// Bytes encodes the binding in the one way there is: the label and then each field
// in the order of the struct, each behind its length as four bytes, big endian.
// Attempt and NotAfter (Unix seconds) are eight bytes, big endian.
func (b Binding) Bytes() []byte {
	out := make([]byte, 0, 512)
	out = appendField(out, bindingLabel)
	out = appendField(out, b.Direction)
	out = appendField(out, b.Request)
	out = appendField(out, b.Envelope)
	out = appendField(out, b.Job)
	out = appendNumber(out, b.Attempt)
	out = appendField(out, b.Key)
	out = appendField(out, b.Connection)
	out = appendField(out, b.Ref)
	out = appendField(out, b.Agent)
	out = appendField(out, b.AgentKey)
	return appendNumber(out, uint64(b.end()))
}

// Expired reports whether now is at or after the end.
func (b Binding) Expired(now time.Time) bool { return now.Unix() >= b.end() }

// check refuses what must not be sealed: a field that is missing would bind to nothing,
// and one too many would be bound by one side only. An unknown direction is refused.
func (b Binding) check() error {
	want, known := fieldsOf[b.Direction]
	if !known {
		return fmt.Errorf("%w: unknown direction %q", ErrBinding, b.Direction)
	}
	for _, f := range []struct {
		field field
		name  string
		there bool
	}{
		{hasRequest, "request", b.Request != ""}, {hasEnvelope, "envelope", b.Envelope != ""}, {hasJob, "job", b.Job != ""},
		{hasAttempt, "attempt", b.Attempt != 0}, {hasKey, "key", b.Key != ""}, {hasConnection, "connection", b.Connection != ""},
		{hasRef, "ref", b.Ref != ""}, {hasAgent, "agent", b.Agent != ""}, {hasAgentKey, "agent key", b.AgentKey != ""},
		{hasEnd, "end", b.end() > 0},
	} {
		switch {
		case want&f.field != 0 && !f.there:
			return fmt.Errorf("%w: no %s", ErrBinding, f.name)
		case want&f.field == 0 && f.there:
			return fmt.Errorf("%w: %s in direction %q", ErrBinding, f.name, b.Direction)
		}
	}
	return nil
}

// end is NotAfter in Unix seconds, 0 for none.
func (b Binding) end() int64 {
	if b.NotAfter.IsZero() {
		return 0
	}
	return b.NotAfter.Unix()
}

// appendField appends a field behind its length. Lengths make the encoding
// injective: no two lists of fields share their bytes.
func appendField[T ~string | ~[]byte](out []byte, field T) []byte {
	return append(appendLength(out, len(field)), field...)
}

// appendNumber appends a number as a field of eight bytes.
func appendNumber(out []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(appendLength(out, 8), n)
}

// appendLength appends the length of a field whose bytes the caller adds elsewhere.
func appendLength(out []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(out, uint32(n))
}
