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

// Read is a value that an agent reads from a provider for a requester.
const Read Direction = "read"

// Binding is all that gives an envelope its meaning. It is not secret, it is not
// transmitted, and both sides must arrive at it on their own: opening succeeds only
// if every field is the one that was sealed.
type Binding struct {
	Direction  Direction
	Request    string // id of the request
	Envelope   string // id of the envelope: one value of one request
	Job        string // id of the job that carries the request out
	Attempt    uint64 // the fence of the job's lease; 1 is the first attempt
	Key        string // key name inside the bundle
	Connection string // id of the connection
	Ref        string // cleaned path inside the connection
	Agent      string // id of the agent
	AgentKey   string // [RecipientPublic.ID] of the agent's key

	// NotAfter is the end, exclusive. Whole seconds: what is finer is cut off. The
	// location plays no part.
	NotAfter time.Time
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
	return appendNumber(out, uint64(b.NotAfter.Unix()))
}

// Expired reports whether now is at or after the end.
func (b Binding) Expired(now time.Time) bool { return now.Unix() >= b.NotAfter.Unix() }

// check refuses what must not be sealed: an empty field would bind to nothing. The
// direction decides which fields there are; an unknown one is refused.
func (b Binding) check() error {
	if b.Direction != Read {
		return fmt.Errorf("%w: unknown direction %q", ErrBinding, b.Direction)
	}
	for _, field := range []struct{ name, value string }{
		{"request", b.Request}, {"envelope", b.Envelope}, {"job", b.Job}, {"key", b.Key},
		{"connection", b.Connection}, {"ref", b.Ref}, {"agent", b.Agent}, {"agent key", b.AgentKey},
	} {
		if field.value == "" {
			return fmt.Errorf("%w: no %s", ErrBinding, field.name)
		}
	}
	if b.Attempt == 0 {
		return fmt.Errorf("%w: no attempt", ErrBinding)
	}
	if b.NotAfter.Unix() <= 0 {
		return fmt.Errorf("%w: no end", ErrBinding)
	}
	return nil
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
