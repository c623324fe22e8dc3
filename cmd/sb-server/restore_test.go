package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/backup"
	"secretsbridge/events"
	"secretsbridge/kms/local"
	"secretsbridge/transparency"
)

// localKeys are settings with a key manager of their own.
func localKeys(t *testing.T) settings {
	t.Helper()
	s := settings{DataDir: t.TempDir(), Profile: development, KMS: kmsSettings{Backend: kmsLocal}}
	if err := os.Mkdir(s.path("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	km, err := local.Create(local.Config{Path: s.path("keys", "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	closeKMS(km)
	return s
}

// TestABackupOfAnotherKeyManagerIsRefused vouches for a manifest with one key manager, and asks
// another; and changes what was vouched for.
func TestABackupOfAnotherKeyManagerIsRefused(t *testing.T) {
	t.Parallel()
	ours, other := localKeys(t), localKeys(t)
	km, err := ours.backend(t.Context(), false, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer closeKMS(km)
	m := backup.Manifest{Commits: 7, Rows: map[string]int64{"people": 1}, Digest: []byte("digest"), Keys: []string{"key"}}
	if m.MAC, err = backupMAC(t.Context(), km, m.Vouched()); err != nil {
		t.Fatal(err)
	}
	vouched := func(s settings, m backup.Manifest) error {
		return (&filling{settings: s, read: readBackup{manifest: m}}).vouched(t.Context())
	}
	if err := vouched(ours, m); err != nil {
		t.Errorf("our own: %v", err)
	}
	changed := m
	changed.Keys = []string{"another key"}
	for name, err := range map[string]error{"another key manager": vouched(other, m), "another manifest": vouched(ours, changed)} {
		if err == nil || !strings.Contains(err.Error(), "was not written by the installation") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAHalfRestoredFolderIsNoInstallation(t *testing.T) {
	t.Parallel()
	s := settings{DataDir: filepath.Join(t.TempDir(), "data")}
	dir, err := openEmptyDataDir(s)
	if err != nil {
		t.Fatal(err)
	}
	dir.close()
	if _, err := openDataDir(s); err == nil || !strings.Contains(err.Error(), "empty it and restore again") {
		t.Errorf("a server starts on it: %v", err)
	}
	if _, err := openEmptyDataDir(s); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("another restore goes on in it: %v", err)
	}
	if err := os.Remove(s.path(restoringFile)); err != nil {
		t.Fatal(err)
	}
	whole, err := openDataDir(s)
	if err != nil {
		t.Fatal(err)
	}
	whole.close()
}

func TestFilesOfABackupAreThoseOfAnInstallation(t *testing.T) {
	t.Parallel()
	f := &filling{settings: settings{DataDir: t.TempDir()}}
	for _, name := range []string{"keys/signing.json", "keys/nats/core.nk", "ca.pem", "leaf-addr"} {
		if err := f.file(name, []byte("x")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"lock", "keys/../lock", "keys/.hidden", "agent/agent.yaml", "keys/deep/er/x", "/etc/passwd"} {
		if err := f.file(name, []byte("x")); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// TestWhatSomebodyHasSeenDecides gives a restore checkpoints that are within the backup, beyond it,
// of another past and of another log.
func TestWhatSomebodyHasSeenDecides(t *testing.T) {
	t.Parallel()
	signing, public, err := transparency.GenerateKey("secrets-bridge/ours")
	if err != nil {
		t.Fatal(err)
	}
	strange, _, err := transparency.GenerateKey("secrets-bridge/other")
	if err != nil {
		t.Fatal(err)
	}
	var ours, forked transparency.Frontier
	trees := map[int64]tlog.Tree{}
	for n := range int64(9) {
		ours.Append(transparency.LeafHash([]byte{byte(n)}))
		forked.Append(transparency.LeafHash([]byte{byte(n), 1}))
		trees[n+1] = ours.Tree()
	}
	seen := func(key string, tree tlog.Tree) []byte {
		signer, err := transparency.NewSigner(key)
		if err != nil {
			t.Fatal(err)
		}
		note, err := signer.Sign(tree)
		if err != nil {
			t.Fatal(err)
		}
		return note
	}
	read := readBackup{head: backup.Head{Origin: "secrets-bridge/ours", Commits: 7}, manifest: backup.Manifest{Keys: []string{public}}}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		note  []byte
		newer events.Seq
		fails string
	}{
		"within it":       {seen(signing, trees[5]), 0, ""},
		"its own end":     {seen(signing, trees[7]), 0, ""},
		"beyond it":       {seen(signing, trees[9]), 9, ""},
		"another past":    {seen(signing, tlog.Tree{N: 5, Hash: forked.Tree().Hash}), 0, "was signed"},
		"another log":     {seen(strange, trees[5]), 0, "a checkpoint of --known"},
		"no checkpoint":   {[]byte("nothing\n\n"), 0, "not a checkpoint"},
		"an agent's file": {fmt.Appendf(nil, `{"format":1,"agent":"a_1","checkpoint":%q}`, seen(signing, trees[9])), 9, ""},
	} {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(file, c.note, 0o600); err != nil {
			t.Fatal(err)
		}
		notes, asked, err := readKnown([]string{file})
		var newer events.Seq
		if err == nil {
			for size := range asked { // as reading the backup fills them in
				if size <= 7 {
					asked[size] = trees[size].Hash
				}
			}
			newer, err = newest(read, notes, asked)
		}
		if newer != c.newer || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: newer %d, %v, want %d, %q", name, newer, err, c.newer, c.fails)
		}
	}
}
