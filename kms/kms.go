// Package kms is the port to whatever holds the keys that data keys are wrapped with,
// so that whoever steals the database holds nothing that opens.
//
// A backend is a folder of this one and passes the suite in kmstest. The port asks
// only for what both Vault Transit (encrypt, decrypt with associated_data, hmac) and
// AWS KMS (Encrypt, Decrypt with an encryption context, GenerateMac) can do: data
// keys are made locally, wrapping is authenticated encryption over an exact context,
// and fingerprint keys come from a keyed hash that never leaves the backend.
package kms

import (
	"context"
	"errors"

	"secretsbridge/seal"
)

// Errors that callers branch on. A context that ended comes back as it is, too:
// errors.Is finds context.Canceled and context.DeadlineExceeded. No error carries key
// material, plaintext or ciphertext.
var (
	// ErrUnavailable says that the backend gave no answer, or asked to be left alone
	// for a while. Whether it did the work is unknown, which is harmless: wrapping
	// and unwrapping change nothing. Try again later.
	ErrUnavailable = errors.New("key manager is unavailable")

	// ErrWrongContext says that the ciphertext does not open under the key it names
	// and the context given. AWS KMS and Vault do not tell a wrong context from a
	// swapped or damaged ciphertext, so no backend does. Trying again is useless.
	ErrWrongContext = errors.New("wrapped key does not open in this context")

	// ErrUnknownKey says that the backend has no key of that id (any more).
	ErrUnknownKey = errors.New("unknown wrapping key")

	// ErrWrongKey says, at start, that the configured key cannot serve: another key
	// than the one configured, or one that is not for wrapping.
	ErrWrongKey = errors.New("configured key cannot wrap data keys")

	// ErrRefused says that the backend has the key and will not use it: disabled, not
	// permitted, worn out, or not allowed here; or that the request can be served by
	// no backend. An operator must act.
	ErrRefused = errors.New("key manager refused")
)

// KeyManager wraps data keys. Implementations are safe for concurrent use and never
// cache a plaintext data key.
type KeyManager interface {
	// Wrap encrypts a data key under the primary key and ties it to the context. The
	// data key stays the caller's to zero.
	Wrap(ctx context.Context, key seal.DataKey, ec EncryptionContext) (Wrapped, error)

	// Unwrap decrypts under the key that w names, primary or older, if the context is
	// exactly the one of Wrap. The data key becomes the caller's to zero.
	Unwrap(ctx context.Context, w Wrapped, ec EncryptionContext) (seal.DataKey, error)

	// FingerprintKey derives the fingerprint key of label, a connection's id. The
	// same label gives the same key for the life of the installation: rotating the
	// wrapping key does not change it.
	FingerprintKey(ctx context.Context, label string) (seal.FingerprintKey, error)

	// Check proves, by using it, that the primary key is there and can wrap and
	// unwrap. It returns nil, ErrWrongKey, ErrRefused, ErrUnknownKey or
	// ErrUnavailable. For start-up and readiness, and before an envelope is consumed.
	Check(ctx context.Context) error

	// PrimaryKeyID is the id that Wrap would put on a key wrapped now: what is wrapped
	// under another one is moved by re-wrapping. Of two calls around a rotation, each
	// tells the truth of its moment.
	PrimaryKeyID(ctx context.Context) (string, error)
}

// Wrapped is a data key as it may be stored: an encrypted key and the id of the key
// that encrypted it. Both are opaque outside the backend; the id is not secret.
type Wrapped struct {
	KeyID      string // at most 2,048 bytes (an AWS key ARN, a Transit key and version)
	Ciphertext []byte // at most 6,144 bytes (AWS KMS, Decrypt)
}
