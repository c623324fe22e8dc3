package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/backup"
	"secretsbridge/kms/local"
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
	km, err := ours.backend(t.Context(), false)
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
