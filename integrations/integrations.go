// Package integrations joins what facts say of integrations with their secrets, which lie sealed
// beside the facts: addresses of incoming webhooks, tokens and signing keys. It also keeps the
// addresses by which people have themselves told.
//
// A secret is taken in once, and comes out only as a [secret.Value], for one attempt to reach the
// other side. It is stored under a data key of its own that the key manager wraps, and bound to
// its owner, its kind and its version: a row does not open as anybody else's.
package integrations

import (
	"context"
	"errors"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/kms"
)

// ErrUnset says that there is no such secret: it was never set, or its integration was removed.
var ErrUnset = errors.New("there is no such secret")

// errBox says that what is stored does not open as that secret of that owner.
var errBox = errors.New("the secret does not open")

// ErrMoved says to a writer that somebody else set the secret between the look and the write.
var ErrMoved = errors.New("another secret was set meanwhile")

// Owner is whose a secret is: an integration's or a person's.
type Owner struct {
	Integration events.IntegrationID
	Person      events.UserID
}

// String is the one that there is. No name of an integration looks like the id of a person.
func (o Owner) String() string {
	if o.Person != "" {
		return string(o.Person)
	}
	return string(o.Integration)
}

// Sealed is one secret as it is stored.
type Sealed struct {
	ID      events.SealedID
	Owner   Owner
	Secret  events.IntegrationSecret
	Version int
	Box     []byte // package seal, value box
	Wrapped []byte // its data key, wrapped
	KMSKey  string // by this key
	Created time.Time
}

// Store keeps sealed secrets. Package store has it on Postgres.
type Store interface {
	// Put stores secrets of one owner, each in place of the versions before. The newest of
	// those counts until the end that overlaps has for that secret; where there is none, it is
	// destroyed, and older ones are in any case. All of it happens if record does not fail, and
	// nothing otherwise; the owner's other writers wait meanwhile. Errors: [ErrMoved] where
	// such a version is stored, or a newer one.
	Put(ctx context.Context, owner Owner, fresh []Sealed, overlaps map[events.IntegrationSecret]time.Time, record func() error) error

	// Live returns the versions of a secret that count at a time, newest first.
	Live(ctx context.Context, owner Owner, what events.IntegrationSecret, now time.Time) ([]Sealed, error)

	// Newest is the newest version that is stored, 0 if there is none.
	Newest(ctx context.Context, owner Owner, what events.IntegrationSecret) (int, error)

	// Destroy removes all secrets of an owner.
	Destroy(ctx context.Context, owner Owner) error

	// DestroyOverlapped removes those whose overlap has ended, and returns how many.
	DestroyOverlapped(ctx context.Context, now time.Time) (int, error)

	// Integrations are those that have secrets.
	Integrations(ctx context.Context) ([]events.IntegrationID, error)
}

// Integrations decides over integrations and keeps their secrets. Every field is needed.
type Integrations struct {
	Log   command.Log
	Store Store
	Keys  kms.KeyManager
	Now   func() time.Time
}

// Secrets opens secrets for one attempt to reach the other side. [Integrations] has it.
type Secrets interface {
	// Open returns the versions that count, newest first: of a signing key perhaps two. Whoever
	// asks clears them. Errors: [ErrUnset].
	Open(ctx context.Context, id events.IntegrationID, what events.IntegrationSecret) ([]secret.Value, error)

	// OpenPersonal returns the address by which somebody has themselves told. Errors: [ErrUnset].
	OpenPersonal(ctx context.Context, user events.UserID) (secret.Value, error)
}

var _ Secrets = (*Integrations)(nil)

// ErrNoDelivery says that there is no such delivery that was given up.
var ErrNoDelivery = errors.New("there is no such delivery that was given up")

// Delivery is one message to an integration, without what it said.
type Delivery struct {
	ID       events.DeliveryID
	Notice   events.NoticeKind
	State    string // waiting, sent, dead, unset, moot
	Attempts int
	Code     events.DeliveryCode // of the last attempt
	Request  events.RequestID    // that it is about
	At       time.Time
	Next     time.Time // of one that waits
	Ended    time.Time // of one that does not
}

// Application is one that an integration has, as it stood when it was asked.
type Application struct {
	Target       events.RolloutTarget
	Project      string // of Argo CD; empty if it says none
	Sync, Health string
}

// Suggestion is a mapping that somebody could take: something in the cluster reads that secret.
type Suggestion struct {
	Connection events.ConnectionID
	Ref        string
	Target     events.RolloutTarget
}
