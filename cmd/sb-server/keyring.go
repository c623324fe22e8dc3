package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"secretsbridge/internal/private"
	"secretsbridge/store"
)

// keyring keeps the keys of an installation, by their names: files of one server's data directory
// ([keyFolder]), or rows that all servers share, sealed by the key manager ([store.Keyring]).
// Errors: [fs.ErrNotExist] where there is no key of that name, [fs.ErrExist] where Create finds
// one, [store.ErrConflict] where Replace finds another revision than it was given.
type keyring interface {
	// Read returns a key and its revision. The caller clears the key.
	Read(ctx context.Context, name string) (key []byte, revision uint64, err error)

	// Revision is that of a key, which is not opened.
	Revision(ctx context.Context, name string) (uint64, error)

	// Create keeps a key of a new name, and returns its revision.
	Create(ctx context.Context, name string, key []byte) (revision uint64, err error)

	// Replace puts a key in the place of a revision, and returns the next.
	Replace(ctx context.Context, name string, revision uint64, key []byte) (next uint64, err error)

	// Remove forgets a key, if there is one.
	Remove(ctx context.Context, name string) error

	// Where says to an operator where a key is.
	Where(name string) string
}

var (
	_ keyring = (*keyFolder)(nil)
	_ keyring = store.Keyring{}
)

// keyNames are what a keyring takes: the names of files under keys/.
var keyNames = regexp.MustCompile(`^(nats/)?[a-z0-9-]+\.(json|key|nk)$`)

// keyFolder is a keyring of files, mode 0600. The lock of the data directory keeps other processes
// out; within this one, compare-and-set holds by a lock of its own. A revision is of the bytes.
type keyFolder struct {
	dir string

	mu sync.Mutex // over changes
}

// Where implements [keyring].
func (f *keyFolder) Where(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// Read implements [keyring].
func (f *keyFolder) Read(_ context.Context, name string) ([]byte, uint64, error) {
	if !keyNames.MatchString(name) {
		return nil, 0, fmt.Errorf("%q is no name of a key", name)
	}
	key, err := private.Read(f.Where(name))
	if err != nil {
		return nil, 0, err
	}
	return key, revisionOf(key), nil
}

// Revision implements [keyring].
func (f *keyFolder) Revision(ctx context.Context, name string) (uint64, error) {
	key, revision, err := f.Read(ctx, name)
	clear(key)
	return revision, err
}

func revisionOf(key []byte) uint64 {
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint64(sum[:8])
}

// Create implements [keyring].
func (f *keyFolder) Create(ctx context.Context, name string, key []byte) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch before, _, err := f.Read(ctx, name); {
	case err == nil:
		clear(before)
		return 0, fmt.Errorf("create %s: %w", f.Where(name), fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	return f.put(name, key)
}

// Replace implements [keyring].
func (f *keyFolder) Replace(ctx context.Context, name string, revision uint64, key []byte) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, found, err := f.Read(ctx, name)
	if err != nil {
		return 0, err
	}
	clear(before)
	if found != revision {
		return 0, fmt.Errorf("replace %s: %w", f.Where(name), store.ErrConflict)
	}
	return f.put(name, key)
}

// put replaces the file by one rename that a power cut does not undo.
func (f *keyFolder) put(name string, key []byte) (uint64, error) {
	path := f.Where(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, err
	}
	if err := private.Replace(filepath.Dir(path), filepath.Base(path), key); err != nil {
		return 0, err
	}
	return revisionOf(key), nil
}

// Remove implements [keyring].
func (f *keyFolder) Remove(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.Remove(f.Where(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// putKey keeps a document under a name: a new one where the revision is 0, or else in the place of
// that revision.
func putKey(ctx context.Context, ring keyring, name string, revision uint64, doc any) (uint64, error) {
	raw, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return 0, err
	}
	defer clear(raw)
	if raw = append(raw, '\n'); revision == 0 {
		return ring.Create(ctx, name, raw)
	}
	return ring.Replace(ctx, name, revision, raw)
}
