package nats

import (
	"bytes"
	"sync/atomic"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

const (
	// decodedKept is how many of the newest commits stay decoded: the loops of a server
	// follow the log some hundred commits apart. It is a power of two.
	decodedKept = 4096

	// maxDecoded is how many stored bytes one of them has at most, so that all take 32 MiB
	// beside what decoding makes of them. Most commits have less than one kB.
	maxDecoded = 8 << 10
)

// decoded keeps commits as they were decoded, so that a process that follows the log in
// several loops decodes each once. It is never an answer by itself: one is used in place of
// decoding bytes that are the same, under the same subject and sequence, after their MAC was
// checked. It is safe for
// concurrent use, and what it holds is shared and never written to.
type decoded [decodedKept]atomic.Pointer[events.Recorded]

// read returns what [recorded] does.
func (d *decoded) read(seq uint64, name string, after events.Seq, raw []byte) (events.Recorded, error) {
	slot := &d[seq%decodedKept]
	if c := slot.Load(); c != nil && uint64(c.Seq) == seq && c.After == after && bytes.Equal(c.Raw, raw) {
		if stream, ok := subject.ParseEvents(name); ok && stream == c.Stream {
			return *c, nil
		}
	}
	c, err := recorded(seq, name, after, raw)
	if err == nil && len(raw) <= maxDecoded {
		slot.Store(&c)
	}
	return c, err
}
