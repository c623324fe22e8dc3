// Package kmstest is the contract of [kms.KeyManager]: every backend passes [Run], and
// every backend behind a network [RunRemote], too.
package kmstest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

// KeyManager is a backend under test, with what its operator does to rotate the key.
type KeyManager interface {
	kms.KeyManager

	// Rotate adds a key, makes it primary and returns its id.
	Rotate(ctx context.Context) (string, error)
}

// Run checks a backend. open returns a fresh key manager with one key for each call.
func Run(t *testing.T, open func(t *testing.T) KeyManager) {
	t.Run("unwrapping gives back the key that was wrapped", func(t *testing.T) { roundTrip(t, open(t)) })
	t.Run("wrapping twice gives two ciphertexts", func(t *testing.T) { wrapsDiffer(t, open(t)) })
	t.Run("another context does not unwrap", func(t *testing.T) { wrongContext(t, open(t)) })
	t.Run("a context no backend would take is refused", func(t *testing.T) { badContext(t, open(t)) })
	t.Run("swapped ciphertexts do not unwrap", func(t *testing.T) { swapped(t, open(t)) })
	t.Run("a changed ciphertext does not unwrap", func(t *testing.T) { tampered(t, open(t)) })
	t.Run("an unknown key id is named as such", func(t *testing.T) { unknownKey(t, open(t)) })
	t.Run("another installation's ciphertext does not unwrap", func(t *testing.T) { foreign(t, open(t), open(t)) })
	t.Run("after rotation old and new unwrap", func(t *testing.T) { rotation(t, open(t)) })
	t.Run("the primary key's id is the one that wraps", func(t *testing.T) { primary(t, open(t)) })
	t.Run("fingerprint keys are stable and differ by label", func(t *testing.T) { fingerprints(t, open(t)) })
	t.Run("a context that ended is an error", func(t *testing.T) { ended(t, open(t)) })
	t.Run("many callers at once", func(t *testing.T) { concurrent(t, open(t)) })
	t.Run("nothing to wrap is refused", func(t *testing.T) { noKey(t, open(t)) })
	t.Run("check passes on a key that serves", func(t *testing.T) {
		if err := open(t).Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
	})
}

// exampleContext returns a fresh map, so that a test may change it.
func exampleContext() kms.EncryptionContext {
	return kms.EncryptionContext{"purpose": "kmstest", "request": "r_1", "envelope": "r_1.0"}
}

func mustWrap(t *testing.T, km kms.KeyManager, key seal.DataKey, ec kms.EncryptionContext) kms.Wrapped {
	t.Helper()
	w, err := km.Wrap(t.Context(), key, ec)
	if err != nil {
		t.Fatalf("wrap: %v", err)
	}
	if w.KeyID == "" || len(w.KeyID) > 2048 || len(w.Ciphertext) == 0 || len(w.Ciphertext) > 6144 {
		t.Fatalf("wrapped key has an id of %d bytes and a ciphertext of %d", len(w.KeyID), len(w.Ciphertext))
	}
	if bytes.Contains(w.Ciphertext, key.Expose()) {
		t.Fatal("the ciphertext contains the plaintext")
	}
	return w
}

func mustUnwrap(t *testing.T, km kms.KeyManager, w kms.Wrapped, ec kms.EncryptionContext, want seal.DataKey) {
	t.Helper()
	got, err := km.Unwrap(t.Context(), w, ec)
	if err != nil {
		t.Fatalf("unwrap: %v", err)
	}
	if !bytes.Equal(got.Expose(), want.Expose()) {
		t.Fatal("unwrapping gave another key")
	}
}

// refused checks that w does not unwrap, that the error is the wanted one, that no key
// came with it and that it does not tell the key.
func refused(t *testing.T, km kms.KeyManager, w kms.Wrapped, ec kms.EncryptionContext, plain seal.DataKey, want error) {
	t.Helper()
	got, err := km.Unwrap(t.Context(), w, ec)
	if !errors.Is(err, want) {
		t.Errorf("unwrap error = %v, want %v", err, want)
	}
	if got.Expose() != nil {
		t.Error("a refused unwrap returned a key")
	}
	discreet(t, err, plain, w)
}

// discreet checks that an error carries neither the data key nor the ciphertext.
func discreet(t *testing.T, err error, plain seal.DataKey, w kms.Wrapped) {
	t.Helper()
	if err == nil {
		return
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, b := range [][]byte{plain.Expose(), w.Ciphertext} {
		if len(b) < 8 { // found in any text by chance
			continue
		}
		for _, leak := range []string{
			string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), fmt.Sprint(b),
			base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b),
		} {
			if strings.Contains(text, leak) {
				t.Errorf("the error carries key bytes: %q", text)
			}
		}
	}
}

func roundTrip(t *testing.T, km kms.KeyManager) {
	key, ec := seal.NewDataKey(), exampleContext()
	before := bytes.Clone(key.Expose())
	w := mustWrap(t, km, key, ec)
	if !bytes.Equal(before, key.Expose()) {
		t.Error("wrapping changed the caller's key")
	}
	mustUnwrap(t, km, w, ec, key)
	mustUnwrap(t, km, w, maps.Clone(ec), key) // unwrapping uses nothing up
	got, err := km.Unwrap(t.Context(), w, ec)
	if err != nil {
		t.Fatalf("unwrap: %v", err)
	}
	got.Zero() // the caller's own: nothing inside the backend may change with it
	mustUnwrap(t, km, w, ec, key)
}

func wrapsDiffer(t *testing.T, km kms.KeyManager) {
	key, ec := seal.NewDataKey(), exampleContext()
	if bytes.Equal(mustWrap(t, km, key, ec).Ciphertext, mustWrap(t, km, key, ec).Ciphertext) {
		t.Error("two wraps of one key are the same ciphertext")
	}
}

func wrongContext(t *testing.T, km kms.KeyManager) {
	key := seal.NewDataKey()
	w := mustWrap(t, km, key, exampleContext())
	for name, change := range map[string]func(kms.EncryptionContext){
		"a value changed":      func(ec kms.EncryptionContext) { ec["request"] = "r_2" },
		"a value in capitals":  func(ec kms.EncryptionContext) { ec["request"] = "R_1" },
		"a pair missing":       func(ec kms.EncryptionContext) { delete(ec, "request") },
		"a pair too many":      func(ec kms.EncryptionContext) { ec["extra"] = "x" },
		"a key changed":        func(ec kms.EncryptionContext) { delete(ec, "request"); ec["Request"] = "r_1" },
		"two values exchanged": func(ec kms.EncryptionContext) { ec["request"], ec["envelope"] = ec["envelope"], ec["request"] },
		"a border moved": func(ec kms.EncryptionContext) {
			delete(ec, "request")
			ec["requestr"] = "_1"
		},
	} {
		t.Run(name, func(t *testing.T) {
			ec := exampleContext()
			change(ec)
			refused(t, km, w, ec, key, kms.ErrWrongContext)
		})
	}
}

func badContext(t *testing.T, km kms.KeyManager) {
	key := seal.NewDataKey()
	w := mustWrap(t, km, key, exampleContext())
	for name, ec := range map[string]kms.EncryptionContext{
		"none":              nil,
		"no pair":           {},
		"an empty value":    {"request": ""},
		"an empty key":      {"": "r_1"},
		"a line break":      {"request": "r_1\n"},
		"more than 4 KiB":   {"request": strings.Repeat("r", 4096)},
		"letters of others": {"request": "é"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := km.Wrap(t.Context(), key, ec)
			if !errors.Is(err, kms.ErrRefused) || got.Ciphertext != nil {
				t.Errorf("wrap error = %v, want %v", err, kms.ErrRefused)
			}
			discreet(t, err, key, kms.Wrapped{})
			refused(t, km, w, ec, key, kms.ErrRefused)
		})
	}
}

func swapped(t *testing.T, km kms.KeyManager) {
	key1, ec1 := seal.NewDataKey(), exampleContext()
	key2, ec2 := seal.NewDataKey(), exampleContext()
	ec2["envelope"] = "r_1.1"
	w1, w2 := mustWrap(t, km, key1, ec1), mustWrap(t, km, key2, ec2)
	refused(t, km, w2, ec1, key2, kms.ErrWrongContext)
	refused(t, km, w1, ec2, key1, kms.ErrWrongContext)
}

func tampered(t *testing.T, km kms.KeyManager) {
	key, ec := seal.NewDataKey(), exampleContext()
	w := mustWrap(t, km, key, ec)
	for i := range w.Ciphertext {
		changed := kms.Wrapped{KeyID: w.KeyID, Ciphertext: bytes.Clone(w.Ciphertext)}
		changed.Ciphertext[i] ^= 1
		refused(t, km, changed, ec, key, kms.ErrWrongContext)
	}
	for _, cut := range [][]byte{nil, {}, w.Ciphertext[:1], w.Ciphertext[:len(w.Ciphertext)-1], append(bytes.Clone(w.Ciphertext), 0)} {
		refused(t, km, kms.Wrapped{KeyID: w.KeyID, Ciphertext: cut}, ec, key, kms.ErrWrongContext)
	}
	mustUnwrap(t, km, w, ec, key)
}

func unknownKey(t *testing.T, km kms.KeyManager) {
	key, ec := seal.NewDataKey(), exampleContext()
	w := mustWrap(t, km, key, ec)
	for _, id := range []string{"", "no-such-key", w.KeyID + "0"} {
		refused(t, km, kms.Wrapped{KeyID: id, Ciphertext: w.Ciphertext}, ec, key, kms.ErrUnknownKey)
	}
}

func foreign(t *testing.T, ours, theirs kms.KeyManager) {
	key, ec := seal.NewDataKey(), exampleContext()
	w := mustWrap(t, theirs, key, ec)
	refused(t, ours, w, ec, key, kms.ErrUnknownKey)
	own := mustWrap(t, ours, key, ec)
	refused(t, ours, kms.Wrapped{KeyID: own.KeyID, Ciphertext: w.Ciphertext}, ec, key, kms.ErrWrongContext)
}

func primary(t *testing.T, km KeyManager) {
	for range 2 {
		id, err := km.PrimaryKeyID(t.Context())
		if err != nil {
			t.Fatalf("primary key: %v", err)
		}
		if w := mustWrap(t, km, seal.NewDataKey(), exampleContext()); w.KeyID != id {
			t.Errorf("the primary key is %s and %s wraps", id, w.KeyID)
		}
		if _, err := km.Rotate(t.Context()); err != nil {
			t.Fatalf("rotate: %v", err)
		}
		next, err := km.PrimaryKeyID(t.Context())
		if err != nil || next == id {
			t.Errorf("after rotation the primary key is still %s, error %v", next, err)
		}
	}
}

func rotation(t *testing.T, km KeyManager) {
	ec := exampleContext()
	var keys []seal.DataKey
	var wraps []kms.Wrapped
	before, err := km.FingerprintKey(t.Context(), "c_1")
	if err != nil {
		t.Fatalf("fingerprint key: %v", err)
	}
	for range 3 {
		keys = append(keys, seal.NewDataKey())
		wraps = append(wraps, mustWrap(t, km, keys[len(keys)-1], ec))
		id, err := km.Rotate(t.Context())
		if err != nil {
			t.Fatalf("rotate: %v", err)
		}
		if next := mustWrap(t, km, keys[0], ec); next.KeyID != id {
			t.Errorf("after rotation to %s, %s wraps", id, next.KeyID)
		}
	}
	for i, w := range wraps {
		mustUnwrap(t, km, w, ec, keys[i])
		moved := kms.Wrapped{KeyID: wraps[(i+1)%len(wraps)].KeyID, Ciphertext: w.Ciphertext}
		refused(t, km, moved, ec, keys[i], kms.ErrWrongContext)
	}
	after, err := km.FingerprintKey(t.Context(), "c_1")
	if err != nil {
		t.Fatalf("fingerprint key: %v", err)
	}
	if !bytes.Equal(before.Expose(), after.Expose()) {
		t.Error("rotation changed the fingerprint key: old fingerprints compare to nothing")
	}
	if err := km.Check(t.Context()); err != nil {
		t.Errorf("check after rotation: %v", err)
	}
}

func fingerprints(t *testing.T, km kms.KeyManager) {
	seen := map[string]string{}
	for _, label := range []string{"c_1", "c_2", "C_1", "c_1 "} {
		key, err := km.FingerprintKey(t.Context(), label)
		if err != nil {
			t.Fatalf("fingerprint key of %q: %v", label, err)
		}
		if other, taken := seen[string(key.Expose())]; taken {
			t.Errorf("labels %q and %q share a key", label, other)
		}
		seen[string(bytes.Clone(key.Expose()))] = label
		again, err := km.FingerprintKey(t.Context(), label)
		if err != nil {
			t.Fatalf("fingerprint key of %q: %v", label, err)
		}
		if !bytes.Equal(key.Expose(), again.Expose()) {
			t.Errorf("label %q gave two keys", label)
		}
		again.Zero() // the caller's own
	}
	first, err := km.FingerprintKey(t.Context(), "c_1")
	if err != nil {
		t.Fatalf("fingerprint key: %v", err)
	}
	if seen[string(first.Expose())] != "c_1" {
		t.Error("zeroing a returned key changed a later one")
	}
	if _, err := km.FingerprintKey(t.Context(), ""); !errors.Is(err, kms.ErrRefused) {
		t.Errorf("fingerprint key without a label: error = %v, want %v", err, kms.ErrRefused)
	}
}

func ended(t *testing.T, km kms.KeyManager) {
	key, ec := seal.NewDataKey(), exampleContext()
	w := mustWrap(t, km, key, ec)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, done := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer done()
	for _, ctx := range []context.Context{cancelled, late} {
		want := ctx.Err()
		if _, err := km.Wrap(ctx, key, ec); !errors.Is(err, want) {
			t.Errorf("wrap error = %v, want %v", err, want)
		}
		if got, err := km.Unwrap(ctx, w, ec); !errors.Is(err, want) || got.Expose() != nil {
			t.Errorf("unwrap error = %v, want %v and no key", err, want)
		}
		if _, err := km.FingerprintKey(ctx, "c_1"); !errors.Is(err, want) {
			t.Errorf("fingerprint key error = %v, want %v", err, want)
		}
		if _, err := km.PrimaryKeyID(ctx); !errors.Is(err, want) {
			t.Errorf("primary key error = %v, want %v", err, want)
		}
		if err := km.Check(ctx); !errors.Is(err, want) {
			t.Errorf("check error = %v, want %v", err, want)
		}
	}
}

func concurrent(t *testing.T, km KeyManager) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			ec := exampleContext()
			ec["envelope"] = fmt.Sprintf("r_1.%d", i)
			for range 25 {
				key := seal.NewDataKey()
				w, err := km.Wrap(t.Context(), key, ec)
				if err != nil {
					t.Errorf("wrap: %v", err)
					return
				}
				got, err := km.Unwrap(t.Context(), w, ec)
				if err != nil || !bytes.Equal(got.Expose(), key.Expose()) {
					t.Errorf("unwrap: error %v, or another key", err)
					return
				}
			}
			if i%4 == 0 {
				if _, err := km.Rotate(t.Context()); err != nil {
					t.Errorf("rotate: %v", err)
				}
			}
			if err := km.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
	wg.Wait()
}

func noKey(t *testing.T, km kms.KeyManager) {
	if w, err := km.Wrap(t.Context(), seal.DataKey{}, exampleContext()); !errors.Is(err, kms.ErrRefused) || w.Ciphertext != nil {
		t.Errorf("wrap error = %v, want %v", err, kms.ErrRefused)
	}
}
