// Package local keeps wrapping keys in a file: for development and for tests, never
// for production, because whoever copies the file opens every envelope.
package local

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

const (
	// MaxWraps is how many data keys one key wraps before it must be rotated. NIST SP
	// 800-38D allows 2^32 encryptions with random nonces; half of it keeps far away.
	MaxWraps = 1 << 31

	// reservation is how many wraps a process claims in the file at once, so that it
	// writes the file once in so many wraps. A crash loses at most this many.
	reservation = 1 << 16
)

// The parts of a ciphertext, in their order: version, nonce, then data key and tag.
const (
	wrapVersion = 1
	nonceSize   = 12
	wrapSize    = 1 + nonceSize + seal.KeySize + 16
)

const wrapLabel = "secretsbridge local wrap v1"

// Config says where the keys are and who is asking.
type Config struct {
	Path       string // of the key file; its folder also holds PATH.lock
	Production bool   // true is refused
}

// Keys is a [kms.KeyManager] over one key file. Several processes may share the file.
type Keys struct {
	path string

	mu   sync.Mutex        // guards what follows
	file keyFile           // as last read
	left map[string]uint64 // wraps claimed in the file and not yet used, by key id
}

var _ kms.KeyManager = (*Keys)(nil)

// Create makes a key file with one key, mode 0600, and opens it. Where there is a file
// it stays, and the error is fs.ErrExist.
func Create(cfg Config) (*Keys, error) {
	if cfg.Production {
		return nil, fmt.Errorf("create local keys: not allowed in production, configure vault-transit or aws-kms: %w", kms.ErrRefused)
	}
	root, first := newKey(time.Now()), newKey(time.Now())
	doc := keyFile{
		Format: format, Primary: first.ID, Keys: []fileKey{first},
		FingerprintRoot: root.Key, FingerprintID: root.ID,
	}
	if err := write(cfg.Path, doc, true); err != nil {
		return nil, fmt.Errorf("create local keys: %w", err)
	}
	return Open(cfg)
}

// Open reads a key file. It refuses, with [kms.ErrRefused], production and a file that
// anybody but its owner may read or write; a missing file is fs.ErrNotExist, because
// making a new one would leave every stored envelope closed for ever; a damaged one is
// [ErrCorrupt].
func Open(cfg Config) (*Keys, error) {
	if cfg.Production {
		return nil, fmt.Errorf("open local keys: not allowed in production, configure vault-transit or aws-kms: %w", kms.ErrRefused)
	}
	doc, err := read(cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open local keys: restore %s from a copy, or create keys for a new installation: %w", cfg.Path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open local keys: %w", err)
	}
	return &Keys{path: cfg.Path, file: doc, left: map[string]uint64{}}, nil
}

// Rotate adds a key, makes it primary and returns its id. Older keys still unwrap.
func (k *Keys) Rotate(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("rotate local keys: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh := newKey(time.Now())
	doc, err := update(k.path, func(doc *keyFile) error {
		doc.Keys, doc.Primary = append(doc.Keys, fresh), fresh.ID
		return nil
	})
	if err != nil {
		return "", fault("rotate local keys", err)
	}
	k.file = doc
	return fresh.ID, nil
}

// Wrap implements [kms.KeyManager].
func (k *Keys) Wrap(ctx context.Context, key seal.DataKey, ec kms.EncryptionContext) (kms.Wrapped, error) {
	if err := kms.Usable(ctx, ec); err != nil {
		return kms.Wrapped{}, fmt.Errorf("wrap data key: %w", err)
	}
	if len(key.Expose()) != seal.KeySize {
		return kms.Wrapped{}, fmt.Errorf("wrap data key: no key given: %w", kms.ErrRefused)
	}
	id, wrapping, err := k.claim()
	if err != nil {
		return kms.Wrapped{}, fault("wrap data key", err)
	}
	aead, err := newAEAD(wrapping)
	if err != nil {
		return kms.Wrapped{}, fmt.Errorf("wrap data key: %w", err)
	}
	out := make([]byte, 1+nonceSize, wrapSize)
	out[0] = wrapVersion
	_, _ = rand.Read(out[1:])
	return kms.Wrapped{KeyID: id, Ciphertext: aead.Seal(out, out[1:], key.Expose(), wrapAAD(id, ec))}, nil
}

// Unwrap implements [kms.KeyManager].
func (k *Keys) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	if err := kms.Usable(ctx, ec); err != nil {
		return seal.DataKey{}, fmt.Errorf("unwrap data key: %w", err)
	}
	wrapping, err := k.find(w.KeyID)
	if err != nil {
		return seal.DataKey{}, fault("unwrap data key", err)
	}
	if len(w.Ciphertext) != wrapSize || w.Ciphertext[0] != wrapVersion {
		return seal.DataKey{}, fmt.Errorf("unwrap data key: %w", kms.ErrWrongContext)
	}
	aead, err := newAEAD(wrapping)
	if err != nil {
		return seal.DataKey{}, fmt.Errorf("unwrap data key: %w", err)
	}
	plain, err := aead.Open(nil, w.Ciphertext[1:1+nonceSize], w.Ciphertext[1+nonceSize:], wrapAAD(w.KeyID, ec))
	if err != nil {
		return seal.DataKey{}, fmt.Errorf("unwrap data key: %w", kms.ErrWrongContext)
	}
	return seal.ParseDataKey(plain)
}

// FingerprintKey implements [kms.KeyManager]. The root in the file is no wrapping key
// and is not rotated.
func (k *Keys) FingerprintKey(ctx context.Context, label string) (seal.FingerprintKey, error) {
	if err := ctx.Err(); err != nil {
		return seal.FingerprintKey{}, fmt.Errorf("derive fingerprint key: %w", err)
	}
	if label == "" {
		return seal.FingerprintKey{}, fmt.Errorf("derive fingerprint key: no label: %w", kms.ErrRefused)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return seal.DeriveFingerprintKey(k.file.FingerprintRoot, label)
}

// Check implements [kms.KeyManager]: the file is still there, private and the one that
// was opened, and its primary key wraps and unwraps.
func (k *Keys) Check(ctx context.Context) error {
	doc, err := read(k.path)
	if err != nil {
		return fault("check local keys", err)
	}
	if err := k.adopt(doc); err != nil {
		return fmt.Errorf("check local keys: %w", err)
	}
	if err := kms.Prove(ctx, k); err != nil {
		return fmt.Errorf("check local keys: %w", err)
	}
	return nil
}

// PrimaryKeyID implements [kms.KeyManager]. The file is read again, because another
// process may have rotated.
func (k *Keys) PrimaryKeyID(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("primary local key: %w", err)
	}
	doc, err := read(k.path)
	if err == nil {
		err = k.adopt(doc)
	}
	if err != nil {
		return "", fault("primary local key", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.file.Primary, nil
}

// PrimarySince is when the key was made that wraps now.
func (k *Keys) PrimarySince(ctx context.Context) (time.Time, error) {
	id, err := k.PrimaryKeyID(ctx)
	if err != nil {
		return time.Time{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.file.Keys, func(key fileKey) bool { return key.ID == id })
	if i < 0 {
		return time.Time{}, fmt.Errorf("age of the local key: %w", kms.ErrUnknownKey)
	}
	return k.file.Keys[i].Created, nil
}

// claim counts one wrap of the primary key and returns the key. The count in the file
// is raised first, so that no crash and no second process makes it too low.
func (k *Keys) claim() (string, []byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left[k.file.Primary] == 0 {
		if err := k.reserve(); err != nil {
			return "", nil, err
		}
	}
	id := k.file.Primary
	k.left[id]--
	wrapping, err := k.file.key(id)
	return id, wrapping, err
}

// reserve lays claim to the next wraps of the primary key. It may find that another
// process rotated, and then reserves from the new key. The caller holds mu.
func (k *Keys) reserve() error {
	granted := uint64(0)
	doc, err := update(k.path, func(doc *keyFile) error {
		if !continues(k.file, *doc) {
			return kms.ErrWrongKey
		}
		for i := range doc.Keys {
			if key := &doc.Keys[i]; key.ID == doc.Primary {
				if key.Reserved >= MaxWraps {
					return fmt.Errorf("key %s has wrapped %d data keys: rotate it: %w", key.ID, uint64(MaxWraps), kms.ErrRefused)
				}
				granted = min(reservation, MaxWraps-key.Reserved)
				key.Reserved += granted
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	k.file = doc
	k.left[doc.Primary] += granted
	return nil
}

// find returns the key of that id. An id that is not known may come from a rotation in
// another process, so the file is read again before it is called unknown.
func (k *Keys) find(id string) ([]byte, error) {
	k.mu.Lock()
	wrapping, err := k.file.key(id)
	k.mu.Unlock()
	if !errors.Is(err, kms.ErrUnknownKey) {
		return wrapping, err
	}
	doc, err := read(k.path)
	if err != nil {
		return nil, err
	}
	if err := k.adopt(doc); err != nil {
		return nil, err
	}
	return doc.key(id)
}

// adopt takes over a file read again, or returns [kms.ErrWrongKey] if it is not the
// one that was opened, grown.
func (k *Keys) adopt(doc keyFile) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !continues(k.file, doc) {
		return fmt.Errorf("key file %s was replaced by another one: %w", k.path, kms.ErrWrongKey)
	}
	// Another goroutine may have rotated since doc was read; keys are only ever added.
	if len(doc.Keys) >= len(k.file.Keys) {
		k.file = doc
	}
	return nil
}

// continues reports whether both are states of one file: the same root of fingerprints
// and, as far as both go, the same keys. Files only ever grow at the end.
func continues(a, b keyFile) bool {
	same := a.FingerprintID == b.FingerprintID
	for i := range min(len(a.Keys), len(b.Keys)) {
		same = same && a.Keys[i].ID == b.Keys[i].ID
	}
	return same
}

// key returns the bytes of the key of that id, not a copy.
func (f keyFile) key(id string) ([]byte, error) {
	for _, k := range f.Keys {
		if k.ID == id {
			return k.Key, nil
		}
	}
	return nil, fmt.Errorf("key %q: %w", id, kms.ErrUnknownKey)
}

// fault gives an error of the file its place among the port's errors: what is not
// already one of them means that the file could not be used just now.
func fault(doing string, err error) error {
	for _, known := range []error{kms.ErrRefused, kms.ErrUnknownKey, kms.ErrWrongKey} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	if errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%s: %w: %w", doing, kms.ErrWrongKey, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, kms.ErrUnavailable, err)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// wrapAAD ties a wrapped key to its key id and context: label, id and context, each
// behind its length.
func wrapAAD(id string, ec kms.EncryptionContext) []byte {
	var out []byte
	for _, field := range [][]byte{[]byte(wrapLabel), []byte(id), ec.Bytes()} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(field)))
		out = append(out, field...)
	}
	return out
}
