package nats

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/events"
)

const (
	// writerHeader stands on each message of EVENTS: "v1 " and the MAC of whoever wrote it, in
	// base64url without padding.
	writerHeader = "Sb-Writer"
	writerForm   = "v1 "

	// writerDomain keeps these MACs apart from all else that may ever be made with the key.
	writerDomain = "secrets-bridge log writer v1"

	// WriterKeySize is the length of its key in bytes.
	WriterKeySize = 32
)

// Writer proves that the control plane wrote a commit, to itself: all servers of an installation
// derive one key from the key manager, which no server of NATS has (decision 0119). A MAC binds
// the body to its subject and to the commit that it was to follow, so that a true message counts
// in no other place. It is safe for concurrent use.
type Writer struct {
	from uint64 // the first commit that must have a MAC
	macs sync.Pool
}

// NewWriter takes a key of [WriterKeySize] bytes, and the sequence from which on each commit must
// have a MAC: 1, or more in a log that was begun by a version that wrote none.
func NewWriter(key []byte, from events.Seq) (*Writer, error) {
	if len(key) != WriterKeySize {
		return nil, fmt.Errorf("the key of the log's writer has %d bytes, want %d", len(key), WriterKeySize)
	}
	if from == 0 {
		return nil, errors.New("the first commit that needs a MAC of its writer is 1 or later")
	}
	key = append([]byte(nil), key...)
	return &Writer{from: uint64(from), macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}, nil
}

// sign makes the value of the header.
func (w *Writer) sign(name string, expected events.Seq, raw []byte) string {
	var sum [sha256.Size]byte
	return writerForm + base64.RawURLEncoding.EncodeToString(w.sum(sum[:0], name, expected, raw))
}

// sum is over what stands before the body, each with its length, and the body.
func (w *Writer) sum(to []byte, name string, expected events.Seq, raw []byte) []byte {
	mac := w.macs.Get().(hash.Hash)
	defer w.macs.Put(mac)
	mac.Reset()
	head := make([]byte, 0, 256)
	for _, part := range []string{writerDomain, name, expectation(expected)} {
		head = binary.BigEndian.AppendUint32(head, uint32(len(part)))
		head = append(head, part...)
	}
	mac.Write(head)
	mac.Write(raw)
	return mac.Sum(to)
}

// expectation is the text of what a commit was to follow.
func expectation(expected events.Seq) string {
	if expected == events.AnySeq {
		return "any"
	}
	return strconv.FormatUint(uint64(expected), 10)
}

// check returns what a stored message was to follow, if the control plane wrote it; otherwise
// the error is [command.LogForeign]. Of commits from before there were MACs nobody knows, and
// their expectation is what the message says.
func (w *Writer) check(seq uint64, name string, header natsgo.Header, raw []byte) (after events.Seq, err error) {
	after = events.AnySeq
	if text := header.Get(jetstream.ExpectedLastSubjSeqHeader); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || events.Seq(n) == events.AnySeq {
			return 0, fmt.Errorf("%w: commit %d on %q was to follow %q", command.LogForeign, seq, name, text)
		}
		after = events.Seq(n)
	}
	if seq < w.from {
		return after, nil
	}
	text, ok := strings.CutPrefix(header.Get(writerHeader), writerForm)
	if !ok {
		return 0, fmt.Errorf("%w: commit %d on %q has no MAC of its writer", command.LogForeign, seq, name)
	}
	var had [sha256.Size + 1]byte
	n, err := base64.RawURLEncoding.Strict().Decode(had[:], []byte(text[:min(len(text), 43)]))
	var want [sha256.Size]byte
	if err != nil || len(text) != 43 || !hmac.Equal(had[:n], w.sum(want[:0], name, after, raw)) {
		return 0, fmt.Errorf("%w: commit %d on %q has a MAC of something else", command.LogForeign, seq, name)
	}
	return after, nil
}
