package local_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"secretsbridge/kms"
	"secretsbridge/kms/kmstest"
	"secretsbridge/kms/local"
	"secretsbridge/seal"
)

func TestContract(t *testing.T) {
	kmstest.Run(t, func(t *testing.T) kmstest.KeyManager { km, _ := create(t); return km })
}

// create makes a key file in a folder of its own.
func create(t *testing.T) (*local.Keys, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	km, err := local.Create(local.Config{Path: path})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return km, path
}

func wrap(t *testing.T, km kms.KeyManager) (seal.DataKey, kms.Wrapped, kms.EncryptionContext) {
	t.Helper()
	key, ec := seal.NewDataKey(), kms.EncryptionContext{"purpose": "test"}
	w, err := km.Wrap(t.Context(), key, ec)
	if err != nil {
		t.Fatalf("wrap: %v", err)
	}
	return key, w, ec
}

func TestKeysOutliveTheProcess(t *testing.T) {
	km, path := create(t)
	key, w, ec := wrap(t, km)
	if _, err := km.Rotate(t.Context()); err != nil {
		t.Fatalf("rotate: %v", err)
	}
	before, _ := km.FingerprintKey(t.Context(), "c_1")
	again, err := local.Open(local.Config{Path: path})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	got, err := again.Unwrap(t.Context(), w, ec)
	if err != nil || !bytes.Equal(got.Expose(), key.Expose()) {
		t.Errorf("unwrap after opening again: error %v, or another key", err)
	}
	after, _ := again.FingerprintKey(t.Context(), "c_1")
	if !bytes.Equal(before.Expose(), after.Expose()) {
		t.Error("the fingerprint key changed with the process")
	}
}

func TestARotationInAnotherProcessIsSeen(t *testing.T) {
	ours, path := create(t)
	theirs, err := local.Open(local.Config{Path: path})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	id, err := theirs.Rotate(t.Context())
	if err != nil {
		t.Fatalf("rotate: %v", err)
	}
	key, w, ec := wrap(t, theirs)
	if w.KeyID != id {
		t.Errorf("the key that wraps is %s, want %s", w.KeyID, id)
	}
	got, err := ours.Unwrap(t.Context(), w, ec)
	if err != nil || !bytes.Equal(got.Expose(), key.Expose()) {
		t.Errorf("unwrap under the other process's key: error %v, or another key", err)
	}
}

func TestCreateKeepsAnExistingFile(t *testing.T) {
	_, path := create(t)
	before, _ := os.ReadFile(path)
	if _, err := local.Create(local.Config{Path: path}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a file: error = %v, want %v", err, fs.ErrExist)
	}
	after, _ := os.ReadFile(path)
	if !bytes.Equal(before, after) {
		t.Error("creating changed the existing file")
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	if len(entries) != 1 {
		t.Errorf("the folder holds %v, want the key file alone", entries)
	}
}

func TestOneOfManyCreatesWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	var wg sync.WaitGroup
	won := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			if _, err := local.Create(local.Config{Path: path}); err == nil {
				won <- struct{}{}
			} else if !errors.Is(err, fs.ErrExist) {
				t.Errorf("create: %v", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d creates succeeded, want 1", len(won))
	}
}

func TestOpenRefusesAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := local.Open(local.Config{Path: path}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: error = %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("opening a missing file made one")
	}
}

func TestProductionIsRefused(t *testing.T) {
	_, path := create(t)
	if _, err := local.Open(local.Config{Path: path, Production: true}); !errors.Is(err, kms.ErrRefused) {
		t.Errorf("open: error = %v, want %v", err, kms.ErrRefused)
	}
	fresh := path + ".2"
	if _, err := local.Create(local.Config{Path: fresh, Production: true}); !errors.Is(err, kms.ErrRefused) {
		t.Errorf("create: error = %v, want %v", err, kms.ErrRefused)
	}
	if _, err := os.Lstat(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a refused create left a file")
	}
}

func TestFilesThatOthersMayUseAreRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666, 0o777} {
		t.Run(fmt.Sprintf("%04o", mode), func(t *testing.T) {
			km, path := create(t)
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := local.Open(local.Config{Path: path}); !errors.Is(err, kms.ErrRefused) {
				t.Errorf("open: error = %v, want %v", err, kms.ErrRefused)
			}
			if err := km.Check(t.Context()); !errors.Is(err, kms.ErrRefused) {
				t.Errorf("check: error = %v, want %v", err, kms.ErrRefused)
			}
		})
	}
}

func TestTheFileIsPrivateFromItsFirstMoment(t *testing.T) {
	km, path := create(t)
	if _, err := km.Rotate(t.Context()); err != nil {
		t.Fatalf("rotate: %v", err)
	}
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", filepath.Base(name), info.Mode())
		}
	}
}

func TestOnlyARegularFileIsAKeyFile(t *testing.T) {
	_, path := create(t)
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{link, filepath.Dir(path)} {
		if _, err := local.Open(local.Config{Path: p}); err == nil {
			t.Errorf("open of %s succeeded", p)
		}
	}
}

func TestEveryDamagedByteOfAKeyIsFound(t *testing.T) {
	_, path := create(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	key := doc["keys"].([]any)[0].(map[string]any)["key"].(string)
	root := doc["fingerprint_root"].(string)
	for _, part := range []string{key, root} {
		at := bytes.Index(raw, []byte(part))
		for i := range len(part) {
			damaged := bytes.Clone(raw)
			if damaged[at+i]++; damaged[at+i] == ':' {
				damaged[at+i] = '0'
			}
			corrupt(t, path, damaged, part)
		}
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	_, path := create(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) []byte { return bytes.Replace(raw, []byte(old), []byte(with), 1) }
	for name, damaged := range map[string][]byte{
		"empty":              {},
		"cut":                raw[:len(raw)/2],
		"two documents":      append(bytes.Clone(raw), raw...),
		"a bracket too many": append(bytes.Clone(raw), ']'),
		"another format":     replace("local keys v1", "local keys v2"),
		"an unknown field":   replace(`"primary"`, `"note": "x", "primary"`),
		"no such primary":    replace(`"primary": "local-`, `"primary": "local-0`),
		"no keys":            []byte(`{"format":"secretsbridge local keys v1"}`),
		"null":               []byte("null"),
		"more than the max":  append(bytes.Clone(raw), bytes.Repeat([]byte(" "), 1<<20)...),
	} {
		t.Run(name, func(t *testing.T) { corrupt(t, path, damaged, "no such text") })
	}
}

// corrupt writes damaged and checks that opening finds it and does not tell part.
func corrupt(t *testing.T, path string, damaged []byte, part string) {
	t.Helper()
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := local.Open(local.Config{Path: path})
	if !errors.Is(err, local.ErrCorrupt) {
		t.Errorf("open: error = %v, want %v", err, local.ErrCorrupt)
	}
	if err != nil && strings.Contains(err.Error(), part[:8]) {
		t.Errorf("the error tells the key: %v", err)
	}
}

func TestAReplacedFileIsFoundByCheck(t *testing.T) {
	km, path := create(t)
	_, other := create(t)
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if err := km.Check(t.Context()); !errors.Is(err, kms.ErrWrongKey) {
		t.Errorf("check: error = %v, want %v", err, kms.ErrWrongKey)
	}
}

func TestAMissingFileMakesCheckUnavailable(t *testing.T) {
	km, path := create(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := km.Check(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("check: error = %v, want %v", err, kms.ErrUnavailable)
	}
}

// reserved returns the count of the primary key in the file, and sets it if to >= 0.
func reserved(t *testing.T, path string, to int64) uint64 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	count := uint64(0)
	for _, k := range doc["keys"].([]any) {
		key := k.(map[string]any)
		if key["id"] == doc["primary"] {
			count = uint64(key["reserved"].(float64))
			if to >= 0 {
				key["reserved"] = to
			}
		}
	}
	if raw, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	if to >= 0 {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return count
}

func TestAWornOutKeyRefusesUntilItIsRotated(t *testing.T) {
	km, path := create(t)
	key, old, ec := wrap(t, km)
	reserved(t, path, local.MaxWraps-3)
	for opening := range 2 {
		worn, err := local.Open(local.Config{Path: path})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		for range 3 - 3*opening { // the second process finds nothing left
			wrap(t, worn)
		}
		for range 2 {
			if _, err := worn.Wrap(t.Context(), key, ec); !errors.Is(err, kms.ErrRefused) {
				t.Errorf("wrap: error = %v, want %v", err, kms.ErrRefused)
			}
		}
		if err := worn.Check(t.Context()); !errors.Is(err, kms.ErrRefused) {
			t.Errorf("check: error = %v, want %v", err, kms.ErrRefused)
		}
		if _, err := worn.Unwrap(t.Context(), old, ec); err != nil {
			t.Errorf("a worn-out key still unwraps: %v", err)
		}
	}
	worn, err := local.Open(local.Config{Path: path})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if _, err := worn.Rotate(t.Context()); err != nil {
		t.Fatalf("rotate: %v", err)
	}
	wrap(t, worn)
}

func TestWrapsAreCountedOverProcesses(t *testing.T) {
	km, path := create(t)
	wrap(t, km)
	first := reserved(t, path, -1)
	if first == 0 {
		t.Fatal("a wrap was not counted")
	}
	wrap(t, km)
	if again := reserved(t, path, -1); again != first {
		t.Errorf("the second wrap wrote the file: %d, was %d", again, first)
	}
	other, err := local.Open(local.Config{Path: path})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	wrap(t, other)
	if second := reserved(t, path, -1); second != 2*first {
		t.Errorf("two processes reserved %d wraps, want %d", second, 2*first)
	}
}

func TestAnUnwritableFolderIsUnavailableAndNotAGuess(t *testing.T) {
	km, path := create(t)
	// A folder in the place of the lock file stops root, too.
	if err := os.Mkdir(path+".lock", 0o700); err != nil {
		t.Fatal(err)
	}
	key := seal.NewDataKey()
	if _, err := km.Wrap(t.Context(), key, kms.EncryptionContext{"purpose": "test"}); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("wrap: error = %v, want %v", err, kms.ErrUnavailable)
	}
}
