package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/kms/local"
	"secretsbridge/nats"
	"secretsbridge/store"
)

// folderOf is a keyring of files.
func folderOf(dir string) *keyFolder { return &keyFolder{dir: dir} }

// rowsOf is a keyring in a database of its own, and the key manager that seals it.
func rowsOf(t *testing.T) (store.Keyring, *local.Keys) {
	t.Helper()
	km, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	return store.Keyring{Pool: cluster.New(t).App, Keys: km, Now: time.Now}, km
}

// eachRing runs a test on both keyrings.
func eachRing(t *testing.T, test func(*testing.T, keyring)) {
	t.Run("files", func(t *testing.T) { test(t, folderOf(t.TempDir())) })
	t.Run("rows", func(t *testing.T) {
		ring, _ := rowsOf(t)
		test(t, ring)
	})
}

func TestAKeyringKeepsWhatItIsGiven(t *testing.T) {
	eachRing(t, func(t *testing.T, ring keyring) {
		ctx := t.Context()
		if _, _, err := ring.Read(ctx, "signing.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a key that is not there: %v", err)
		}
		if _, err := ring.Replace(ctx, "signing.json", 1, []byte("x")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("replace what is not there: %v", err)
		}
		first, err := ring.Create(ctx, "signing.json", []byte("one"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ring.Create(ctx, "signing.json", []byte("other")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create it again: %v", err)
		}
		second, err := ring.Replace(ctx, "signing.json", first, []byte("two"))
		if err != nil || second == first {
			t.Fatalf("replace: revision %d after %d, %v", second, first, err)
		}
		if _, err := ring.Replace(ctx, "signing.json", first, []byte("three")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("replace a revision that is gone: %v", err)
		}
		if key, at, err := ring.Read(ctx, "signing.json"); string(key) != "two" || at != second || err != nil {
			t.Errorf("read %q at %d, %v", key, at, err)
		}
		if _, err := ring.Create(ctx, "nats/core.nk", []byte("seed")); err != nil {
			t.Errorf("a name in a folder: %v", err)
		}
		for range 2 {
			if err := ring.Remove(ctx, "signing.json"); err != nil {
				t.Error(err)
			}
		}
		if _, _, err := ring.Read(ctx, "signing.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a key that was removed: %v", err)
		}
		if !strings.Contains(ring.Where("signing.json"), "signing.json") {
			t.Errorf("it is at %q", ring.Where("signing.json"))
		}
	})
}

// Servers that start side by side on nothing must end up with the same keys.
func TestOfSeveralCreatorsOneMakesTheKeys(t *testing.T) {
	eachRing(t, func(t *testing.T, ring keyring) {
		km, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
		if err != nil {
			t.Fatal(err)
		}
		const servers = 6
		var opened [servers]keys
		var group sync.WaitGroup
		for i := range servers {
			group.Go(func() {
				var err error
				if opened[i], err = openKeys(t.Context(), km, ring, true, true, false); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if t.Failed() {
			return
		}
		for _, k := range opened[1:] {
			if k.signing.key.Public() != opened[0].signing.key.Public() {
				t.Error("servers sign with different keys")
			}
			if k.checkpoints.origin() != opened[0].checkpoints.origin() {
				t.Error("servers name the log differently")
			}
		}
		seeds := map[string][]byte{}
		for _, name := range nats.SeedNames() {
			if seeds[name], _, err = ring.Read(t.Context(), authorityFolder+name); err != nil {
				t.Error(err)
			}
		}
		// Afterwards none is made: keys that are lost are missed.
		if err := ring.Remove(t.Context(), signingFile); err != nil {
			t.Fatal(err)
		}
		if _, err := openKeys(t.Context(), km, ring, false, false, false); err == nil || !strings.Contains(err.Error(), "from a backup") {
			t.Errorf("a lost key: %v", err)
		}
		for name, seed := range seeds {
			if again, _, _ := ring.Read(t.Context(), authorityFolder+name); !bytes.Equal(again, seed) {
				t.Errorf("seed %s was made anew", name)
			}
		}
	})
}

func TestTwoServersRotateTheSigningKeyOnce(t *testing.T) {
	eachRing(t, func(t *testing.T, ring keyring) {
		ctx, log := t.Context(), &commandtest.Memory{}
		if _, err := createSigning(ctx, ring); err != nil {
			t.Fatal(err)
		}
		one, err := openSigning(ctx, ring)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.prepare(ctx, tomorrow); err != nil {
			t.Fatal(err)
		}
		two, err := openSigning(ctx, ring)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.record(ctx, log, operator, tomorrow); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*signingKeys{one, two} { // both find it in the log
			if begun, err := s.settle(ctx, log); begun || err != nil || s.doc.Serial != 2 {
				t.Errorf("serial %d, %t, %v", s.doc.Serial, begun, err)
			}
		}
		if one.key.Public() != two.key.Public() {
			t.Error("they sign with different keys")
		}
		// One that did not look since cannot begin another.
		stale, err := openSigning(ctx, ring)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.prepare(ctx, tomorrow); err != nil {
			t.Fatal(err)
		}
		if err := stale.prepare(ctx, tomorrow); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a second rotation at the same time: %v", err)
		}
	})
}

func TestRowsOfTheKeyringOpenWhereTheyBelong(t *testing.T) {
	ring, km := rowsOf(t)
	ctx := t.Context()
	for _, name := range []string{"signing.json", "writer.json"} {
		if _, err := ring.Create(ctx, name, []byte("of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := ring.Pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what, name, say string) {
		t.Helper()
		if key, _, err := ring.Read(ctx, name); !errors.Is(err, store.ErrKeyringSealed) || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %q, %v", what, key, err)
		}
	}
	var clear bool
	if err := ring.Pool.QueryRow(ctx, "SELECT position('of signing'::bytea in box) > 0 FROM private.keyring WHERE name = 'signing.json'").Scan(&clear); err != nil || clear {
		t.Errorf("a key rests in clear: %v", err)
	}
	// Rewrapping moves the keyring with everything else, and it opens all the same.
	if _, err := km.Rotate(ctx); err != nil {
		t.Fatal(err)
	}
	rows := store.Envelopes{Pool: ring.Pool}
	primary, err := km.PrimaryKeyID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	done, err := custody.Rewrap(ctx, km, rows, func(custody.Rewrapped) error { return nil })
	if err != nil || done.Moved != 2 || done.Failed != 0 {
		t.Errorf("rewrap: %+v, %v", done, err)
	}
	if n, err := rows.CountOutside(ctx, primary); n != 0 || err != nil {
		t.Errorf("%d stayed under the old key, %v", n, err)
	}
	if key, _, err := ring.Read(ctx, "writer.json"); string(key) != "of writer.json" || err != nil {
		t.Errorf("after the rewrap: %q, %v", key, err)
	}
	exec("UPDATE private.keyring SET revision = 2 WHERE name = 'writer.json'")
	refused("another revision", "writer.json", "does not open")
	exec("UPDATE private.keyring SET revision = 1, box = set_byte(box, 90, 255 - get_byte(box, 90)) WHERE name = 'writer.json'")
	refused("a changed box", "writer.json", "changed in the database")
	exec("DELETE FROM private.keyring WHERE name = 'writer.json'")
	exec("UPDATE private.keyring SET name = 'writer.json' WHERE name = 'signing.json'")
	refused("another name", "writer.json", "does not open")
	exec("UPDATE private.keyring SET name = 'signing.json'")
	stranger, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	ring.Keys = stranger
	refused("another key manager", "signing.json", "name it among the old keys")
	if _, err := openKeys(ctx, stranger, ring, true, true, false); !errors.Is(err, store.ErrKeyringSealed) {
		t.Errorf("a start with another key manager makes keys anew: %v", err)
	}
}

func TestKeysAreImportedOnceAndNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	if _, err := createSigning(t.Context(), folderOf(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := createAuthority(t.Context(), folderOf(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kms.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, _ := rowsOf(t)
	var said bytes.Buffer
	for range 2 {
		if err := importKeys(t.Context(), ring, dir, &said); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := ring.List(t.Context()); err != nil || len(all) != 5 || strings.Contains(said.String(), "kms.json") {
		t.Errorf("%v, %v, said %s", all, err, &said)
	}
	from, err := openSigning(t.Context(), folderOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	if to, err := openSigning(t.Context(), ring); err != nil || to.key.Public() != from.key.Public() {
		t.Errorf("the imported key: %v", err)
	}
	// What nats init writes has its seeds at the top.
	flat, other := t.TempDir(), t.TempDir()
	if _, err := nats.CreateAuthority(flat); err != nil {
		t.Fatal(err)
	}
	if err := importKeys(t.Context(), ring, flat, &said); err == nil || !strings.Contains(err.Error(), "which stays") {
		t.Errorf("another authority: %v", err)
	}
	second, _ := rowsOf(t)
	if err := importKeys(t.Context(), second, flat, &said); err != nil {
		t.Error(err)
	}
	if _, err := openLinkKeys(t.Context(), second); err != nil {
		t.Error(err)
	}
	if err := importKeys(t.Context(), second, other, &said); err == nil || !strings.Contains(err.Error(), "has no key") {
		t.Errorf("a folder without keys: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, signingFile), 0o644); err != nil {
		t.Fatal(err)
	}
	third, _ := rowsOf(t)
	if err := importKeys(t.Context(), third, dir, &said); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
}
