package local_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"secretsbridge/kms"
	"secretsbridge/kms/local"
)

// fuzzKeys makes a key file for a fuzz target and returns its path.
func fuzzKeys(f *testing.F) (*local.Keys, string) {
	f.Helper()
	path := filepath.Join(f.TempDir(), "keys.json")
	km, err := local.Create(local.Config{Path: path})
	if err != nil {
		f.Fatal(err)
	}
	return km, path
}

// FuzzKeyFile: what is read is one JSON document, and what would be written in its
// place is read as the same.
func FuzzKeyFile(f *testing.F) {
	km, path := fuzzKeys(f)
	for range 2 {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(append(bytes.Clone(raw), raw...))
		f.Add(append(bytes.Clone(raw), ']'))
		f.Add(bytes.ToUpper(raw))
		f.Add(bytes.Replace(raw, []byte("local-"), []byte("local"), 1))
		f.Add(bytes.Replace(raw, []byte(`"reserved": 0`), []byte(`"reserved": -1`), 1))
		if _, err := km.Rotate(f.Context()); err != nil {
			f.Fatal(err)
		}
	}
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := bytes.Clone(raw)
		written, err := local.Reread(raw)
		if !bytes.Equal(raw, kept) {
			t.Error("parsing changed its input")
		}
		if err != nil {
			if !errors.Is(err, local.ErrCorrupt) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if !json.Valid(raw) {
			t.Errorf("%q is no JSON document, and was read", raw)
		}
		if again, err := local.Reread(written); err != nil || !bytes.Equal(again, written) {
			t.Errorf("%q is written as %q, and then as %q, %v", raw, written, again, err)
		}
	})
}

// written is a key that the first version wrapped, under the second of three keys in a
// file of that version. Both must open for ever. The keys guard nothing.
type written struct {
	KeyID      string                `json:"key_id"`
	Ciphertext []byte                `json:"ciphertext"`
	Context    kms.EncryptionContext `json:"context"`
	DataKey    []byte                `json:"data_key"`
}

// readWritten reads testdata and opens its key file.
func readWritten(t testing.TB) (*local.Keys, written) {
	t.Helper()
	raw, err := os.ReadFile("testdata/keys-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	km, err := local.Open(local.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var w written
	if raw, err = os.ReadFile("testdata/wrapped-v1.json"); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		t.Fatal(err)
	}
	return km, w
}

func TestWhatTheFirstVersionWrappedUnwraps(t *testing.T) {
	km, w := readWritten(t)
	got, err := km.Unwrap(t.Context(), kms.Wrapped{KeyID: w.KeyID, Ciphertext: w.Ciphertext}, w.Context)
	if err != nil || !bytes.Equal(got.Expose(), w.DataKey) || len(w.DataKey) != 32 {
		t.Errorf("unwrap: error %v, or another key", err)
	}
}

// FuzzUnwrap: nothing unwraps but what was wrapped. The keys come from a file, because
// each worker of the fuzzer is a process of its own and would make others.
func FuzzUnwrap(f *testing.F) {
	km, wrapped := readWritten(f)
	f.Add(wrapped.KeyID, wrapped.Ciphertext, "fuzz", "r_1")
	f.Add(wrapped.KeyID, wrapped.Ciphertext, "r_1", "fuzz")
	f.Add(wrapped.KeyID, wrapped.Ciphertext[:60], "fuzz", "r_1")
	f.Add(wrapped.KeyID, append([]byte{2}, wrapped.Ciphertext[1:]...), "fuzz", "r_1")
	f.Add("local-0000000000000000", wrapped.Ciphertext, "fuzz", "r_1")
	f.Add("", []byte(nil), "", "\xff")
	f.Fuzz(func(t *testing.T, id string, ciphertext []byte, purpose, request string) {
		kept := bytes.Clone(ciphertext)
		got, err := km.Unwrap(t.Context(), kms.Wrapped{KeyID: id, Ciphertext: ciphertext}, kms.EncryptionContext{"purpose": purpose, "request": request})
		if !bytes.Equal(ciphertext, kept) {
			t.Error("unwrapping changed its input")
		}
		if err == nil {
			if id != wrapped.KeyID || !bytes.Equal(ciphertext, wrapped.Ciphertext) || purpose != "fuzz" || request != "r_1" || !bytes.Equal(got.Expose(), wrapped.DataKey) {
				t.Errorf("unwrapped %x of key %q for %q and %q, which nobody wrapped", ciphertext, id, purpose, request)
			}
			return
		}
		if got.Expose() != nil || !errors.Is(err, kms.ErrWrongContext) && !errors.Is(err, kms.ErrUnknownKey) && !errors.Is(err, kms.ErrRefused) {
			t.Errorf("refused with %v and %d bytes", err, len(got.Expose()))
		}
	})
}
