package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// takeover is when a call that never finished counts as dead: above the longest time
// that a call may take.
const takeover = 30 * time.Second

var (
	// ErrKeyReused says that an idempotency key came before with another body.
	ErrKeyReused = errors.New("the idempotency key was used for something else")

	// ErrInFlight says that the same call is being answered now.
	ErrInFlight = errors.New("the same call is still being answered")

	// ErrMarkLost says that a call took so long that another took its mark over.
	ErrMarkLost = errors.New("the mark was taken over")
)

// Marks remembers what was answered to whom under which idempotency key, for
// [MarkTTL]. Bodies are kept as they are, so none may hold a secret value.
type Marks struct {
	js jetstream.JetStream
	kv jetstream.KeyValue
}

// MarkResult is the answer to repeat.
type MarkResult struct {
	Status int
	Body   []byte
}

// Mark is the right to answer one call.
type Mark struct {
	key      string
	hash     [32]byte
	revision uint64
}

// mark is what the bucket holds.
type mark struct {
	Hash   [32]byte  `json:"hash"` // of the call's body
	Since  time.Time `json:"since"`
	Done   bool      `json:"done"`
	Status int       `json:"status,omitempty"`
	Body   []byte    `json:"body,omitempty"`
}

// OpenMarks uses the bucket that [Streams.Provision] made.
func OpenMarks(ctx context.Context, nc *natsgo.Conn) (*Marks, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open idempotency marks: %w", err)
	}
	kv, err := js.KeyValue(ctx, subject.MarksBucket)
	if err != nil {
		return nil, fmt.Errorf("open idempotency marks: %w", err)
	}
	return &Marks{js: js, kv: kv}, nil
}

// Begin marks a call. If it was answered before, stored is that answer. Otherwise the
// caller answers it and ends the mark with [Marks.Finish] or [Marks.Abandon]. Errors:
// [ErrKeyReused], [ErrInFlight]. A call that did not end for 30 s is taken over.
func (m *Marks) Begin(ctx context.Context, actor events.Actor, key string, bodyHash [32]byte) (begun Mark, stored *MarkResult, err error) {
	begun = Mark{key: subject.Mark(actor, key), hash: bodyHash}
	fresh, err := json.Marshal(mark{Hash: bodyHash, Since: time.Now().UTC()})
	if err != nil {
		return Mark{}, nil, fmt.Errorf("mark call: %w", err)
	}
	begun.revision, err = m.kv.Create(ctx, begun.key, fresh, jetstream.KeyTTL(MarkTTL))
	if err == nil {
		return begun, nil, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) && !isConflict(err) {
		return Mark{}, nil, fmt.Errorf("mark call: %w", err)
	}
	entry, err := m.kv.Get(ctx, begun.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Mark{}, nil, ErrInFlight // it ended this moment; the next try finds it free
	}
	if err != nil {
		return Mark{}, nil, fmt.Errorf("read mark: %w", err)
	}
	var found mark
	if err := json.Unmarshal(entry.Value(), &found); err != nil {
		return Mark{}, nil, fmt.Errorf("read mark: %w", err)
	}
	switch {
	case found.Hash != bodyHash:
		return Mark{}, nil, ErrKeyReused
	case found.Done:
		return Mark{}, &MarkResult{Status: found.Status, Body: found.Body}, nil
	case time.Since(found.Since) < takeover:
		return Mark{}, nil, ErrInFlight
	}
	begun.revision, err = m.replace(ctx, begun.key, entry.Revision(), fresh)
	if errors.Is(err, ErrMarkLost) {
		return Mark{}, nil, ErrInFlight // somebody else was faster
	}
	return begun, nil, err
}

// Finish keeps the answer for whoever calls again. It returns [ErrMarkLost] if the
// mark was taken over meanwhile.
func (m *Marks) Finish(ctx context.Context, begun Mark, result MarkResult) error {
	done, err := json.Marshal(mark{Hash: begun.hash, Since: time.Now().UTC(), Done: true, Status: result.Status, Body: result.Body})
	if err != nil {
		return fmt.Errorf("finish mark: %w", err)
	}
	_, err = m.replace(ctx, begun.key, begun.revision, done)
	return err
}

// Abandon frees the key: the call had no effect and may be tried again at once.
func (m *Marks) Abandon(ctx context.Context, begun Mark) error {
	err := m.kv.Delete(ctx, begun.key, jetstream.LastRevision(begun.revision))
	if isConflict(err) {
		return ErrMarkLost
	}
	if err != nil {
		return fmt.Errorf("abandon mark: %w", err)
	}
	return nil
}

// replace writes a mark over the revision that was read. An update through the bucket
// would drop the time to live, and the mark would stay for ever.
func (m *Marks) replace(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	ack, err := m.js.Publish(ctx, subject.KeyValue(subject.MarksBucket, key), value,
		jetstream.WithMsgTTL(MarkTTL), jetstream.WithExpectLastSequencePerSubject(revision))
	if isConflict(err) {
		return 0, ErrMarkLost
	}
	if err != nil {
		return 0, fmt.Errorf("write mark: %w", err)
	}
	return ack.Sequence, nil
}
