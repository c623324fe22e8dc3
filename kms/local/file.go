package local

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"secretsbridge/kms"
)

// format names the file, so that no other JSON file is taken for one.
const format = "secretsbridge local keys v1"

// maxFile bounds what is read: thousands of keys.
const maxFile = 1 << 20

// ErrCorrupt says that a key file is not what was written: not the format, or a key
// that does not match its id. Restore it from a copy; nothing else opens the envelopes.
var ErrCorrupt = errors.New("key file is corrupt")

// keyFile is the document on disk. It holds keys: it is never logged, and its bytes
// are cleared after use.
type keyFile struct {
	Format          string    `json:"format"`
	Primary         string    `json:"primary"`
	FingerprintRoot fileBytes `json:"fingerprint_root"`
	FingerprintID   string    `json:"fingerprint_id"` // of the root, to find damage
	Keys            []fileKey `json:"keys"`           // oldest first
}

// fileKey is one wrapping key.
type fileKey struct {
	ID      string    `json:"id"` // follows from the key, to find damage
	Created time.Time `json:"created"`
	Key     fileBytes `json:"key"`

	// Reserved counts the wraps that running processes have laid claim to. What was
	// claimed and not used is lost, so the true number is never above this one.
	Reserved uint64 `json:"reserved"`
}

// fileBytes are 32 secret bytes, in hexadecimal on disk, and nothing when printed.
type fileBytes []byte

func (b fileBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

func (b *fileBytes) UnmarshalText(text []byte) error {
	out := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(out, text); err != nil {
		return ErrCorrupt // the library's error would quote a digit of the key
	}
	*b = out
	return nil
}

// Format prints no byte, whatever the verb and flags.
func (b fileBytes) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[key]") }

// newKey makes a wrapping key.
func newKey(now time.Time) fileKey {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return fileKey{ID: keyID(key), Created: now.UTC().Truncate(time.Second), Key: key}
}

// keyID is "local-" and 16 hexadecimal digits of HMAC-SHA256 under the key: it names
// the key, finds damage to it, and tells nothing about it.
func keyID(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("secretsbridge local key id v1"))
	return "local-" + hex.EncodeToString(mac.Sum(nil)[:8])
}

// read loads and checks the file. A missing file is fs.ErrNotExist, one that others
// may read is kms.ErrRefused, a damaged one is ErrCorrupt.
func read(path string) (keyFile, error) {
	// Not following a link, and not blocking on a pipe that somebody put there.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return keyFile{}, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return keyFile{}, fmt.Errorf("open key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return keyFile{}, fmt.Errorf("key file %s is not a regular file: %w", path, kms.ErrRefused)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return keyFile{}, fmt.Errorf("key file %s has mode %04o and others may use it: run chmod 600 on it: %w",
			path, info.Mode().Perm(), kms.ErrRefused)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	defer clear(raw)
	if err != nil {
		return keyFile{}, fmt.Errorf("read key file: %w", err)
	}
	doc, err := parse(raw)
	if err != nil {
		return keyFile{}, fmt.Errorf("read key file %s: %w", path, err)
	}
	return doc, nil
}

func parse(raw []byte) (keyFile, error) {
	var doc keyFile
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if len(raw) > maxFile || dec.Decode(&doc) != nil {
		return keyFile{}, ErrCorrupt // without the library's words: they quote the file
	}
	if _, err := dec.Token(); err != io.EOF { // More would pass over a closing bracket
		return keyFile{}, ErrCorrupt
	}
	if doc.Format != format {
		return keyFile{}, fmt.Errorf("%w: not of the format %q", ErrCorrupt, format)
	}
	if len(doc.FingerprintRoot) != 32 || keyID(doc.FingerprintRoot) != doc.FingerprintID {
		return keyFile{}, fmt.Errorf("%w: fingerprint root does not match its id", ErrCorrupt)
	}
	seen := map[string]bool{}
	for _, k := range doc.Keys {
		if len(k.Key) != 32 || keyID(k.Key) != k.ID || seen[k.ID] {
			return keyFile{}, fmt.Errorf("%w: key %q does not match its id or is there twice", ErrCorrupt, k.ID)
		}
		seen[k.ID] = true
	}
	if !seen[doc.Primary] {
		return keyFile{}, fmt.Errorf("%w: primary key %q is not in it", ErrCorrupt, doc.Primary)
	}
	return doc, nil
}

// write puts the document in place whole or not at all: a temporary file beside it,
// synced, then moved over it, then the folder synced. With fresh, an existing file
// stays and the error is fs.ErrExist.
func write(path string, doc keyFile, fresh bool) error {
	raw, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encode key file: %w", err)
	}
	defer clear(raw)
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	defer os.Remove(f.Name()) // gone after the move; here for all the errors before it
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	place := os.Rename
	if fresh {
		place = os.Link // unlike a rename, it never replaces
	}
	if err := place(f.Name(), path); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder of key file: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder of key file: %w", err)
	}
	return nil
}

// update changes the file under a lock that other processes honour: read, change,
// write. It returns the document as it stands afterwards.
func update(path string, change func(*keyFile) error) (keyFile, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return keyFile{}, fmt.Errorf("lock key file: %w", err)
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return keyFile{}, fmt.Errorf("lock key file: %w", err)
	}
	doc, err := read(path)
	if err != nil {
		return keyFile{}, err
	}
	if err := change(&doc); err != nil {
		return keyFile{}, err
	}
	return doc, write(path, doc, false)
}
