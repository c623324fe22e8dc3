// Package custody keeps envelopes: it issues the data key that an agent seals a value
// with, takes the sealed value in, and opens it once, for the requester.
//
// It is the one room of the control plane where plaintext may pass, inside
// [Custody.Propose], [Custody.Fetch] and [Custody.Reveal] and nowhere else; what it leaves
// in memory is erased (package erase). Whether somebody may do something is decided by
// package command; the cryptography is package seal's; the keys are the KMS's.
package custody

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

// ErrNoEnvelope says that there is no envelope of that id in the store.
var ErrNoEnvelope = errors.New("no such envelope is stored")

// Envelopes stores sealed values until they are used or end. Rows are destroyed, not
// marked. Package store has it on Postgres.
type Envelopes interface {
	// Put stores an envelope. The same one again is fine; another of the same id is
	// an error.
	Put(ctx context.Context, e Envelope) error

	// Get returns one, or [ErrNoEnvelope].
	Get(ctx context.Context, id events.EnvelopeID) (Envelope, error)

	// ListByRequest returns all envelopes of requests, of every attempt.
	ListByRequest(ctx context.Context, requests ...events.RequestID) ([]Envelope, error)

	// Count is how many envelopes a request has beside one.
	Count(ctx context.Context, request events.RequestID, beside events.EnvelopeID) (int, error)

	// HeldKeys returns the ids of an agent's keys that a stored envelope needs.
	HeldKeys(ctx context.Context, agent events.AgentID) ([]string, error)

	// Delete destroys envelopes. One that is not there is fine.
	Delete(ctx context.Context, ids ...events.EnvelopeID) error

	// PutProposals stores proposed values at rest, all or none. One of the same id that
	// is still at rest is replaced; one that was delivered stays.
	PutProposals(ctx context.Context, all []Envelope) error

	// Change replaces an envelope by what change makes of it, under a lock that lets
	// nobody else change or destroy it meanwhile, or returns [ErrNoEnvelope]. Where change
	// returns an error, that is returned and nothing changes.
	Change(ctx context.Context, id events.EnvelopeID, change func(Envelope) (Envelope, error)) (Envelope, error)

	// DeleteExpired destroys at most limit envelopes whose end is at or before a time.
	DeleteExpired(ctx context.Context, before time.Time, limit int) ([]events.EnvelopeID, error)
}

// Envelope is one sealed value at rest, with all that its binding is made of. A proposed
// value has no agent and no wrapped key at the same time: at first its data key is wrapped
// by the KMS; once delivered, Box is a message to the agent's key and nothing else opens it.
type Envelope struct {
	ID          events.EnvelopeID
	Request     events.RequestID
	Job         events.JobID
	Attempt     int
	Key         string
	Connection  events.ConnectionID
	Ref         string
	Agent       events.AgentID
	AgentKey    string    // id of the agent's HPKE key
	Expires     time.Time // whole seconds
	Box         []byte    // package seal, value box
	Wrapped     []byte    // the data key, wrapped
	KMSKey      string    // by this key
	Fingerprint string
	Created     time.Time
	Direction   seal.Direction // Read or Patch; of what [WrappedKeys] lists also Factor, Integration and Keyring
}

func (e Envelope) binding() seal.Binding {
	if e.Direction == seal.Factor { // no envelope, but its data key moves with those of envelopes
		return seal.Binding{Direction: seal.Factor, Envelope: string(e.ID), Key: e.Key, Agent: string(e.Agent)}
	}
	if e.Direction == seal.Integration { // likewise
		return seal.Binding{Direction: seal.Integration, Envelope: string(e.ID), Attempt: uint64(e.Attempt), Key: e.Key, Agent: string(e.Agent)}
	}
	if e.Direction == seal.Keyring { // likewise
		return seal.Binding{Direction: seal.Keyring, Attempt: uint64(e.Attempt), Key: e.Key}
	}
	if e.Direction == seal.Patch {
		b := seal.Binding{
			Direction: seal.Patch, Request: string(e.Request), Envelope: string(e.ID), Job: string(e.Job),
			Key: e.Key, Connection: string(e.Connection), Ref: e.Ref, NotAfter: e.Expires,
		}
		if e.AgentKey != "" {
			b.Direction, b.Agent, b.AgentKey = seal.Deliver, string(e.Agent), e.AgentKey
		}
		return b
	}
	return seal.Binding{
		Direction: seal.Read, Request: string(e.Request), Envelope: string(e.ID), Job: string(e.Job),
		Attempt: uint64(e.Attempt), Key: e.Key, Connection: string(e.Connection), Ref: e.Ref,
		Agent: string(e.Agent), AgentKey: e.AgentKey, NotAfter: e.Expires,
	}
}

// Holder is an agent as its own history tells, never as a message claims.
type Holder struct {
	Agent   events.AgentID
	Cluster events.ClusterID
	Key     seal.RecipientPublic
	Had     []string // ids of the keys that a grant which still counts may name
}

// Config is what custody works with. Every field is needed.
type Config struct {
	Log       command.Log
	Keys      kms.KeyManager
	Envelopes Envelopes
	Signer    seal.SigningKey
	Logger    *slog.Logger
	Now       func() time.Time
}

// Custody is safe for concurrent use, over several servers.
type Custody struct {
	Config
	intake intake
}

// New makes a custody.
func New(cfg Config) *Custody { return &Custody{Config: cfg} }
