package main

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/seal"
)

var tomorrow = time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)

func reopened(t *testing.T, dir string) *signingKeys {
	t.Helper()
	s, err := openSigning(t.Context(), folderOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rotated takes the keys of a folder through a rotation, each step as a process of its
// own would.
func rotated(t *testing.T, dir string, log command.Log) *signingKeys {
	t.Helper()
	if err := reopened(t, dir).prepare(t.Context(), tomorrow); err != nil {
		t.Fatal(err)
	}
	if err := reopened(t, dir).record(t.Context(), log, operator, tomorrow); err != nil {
		t.Fatal(err)
	}
	if err := reopened(t, dir).finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return reopened(t, dir)
}

func facts(t *testing.T, log *commandtest.Memory) int {
	t.Helper()
	history, err := log.Load(t.Context(), events.SigningStream())
	if err != nil {
		t.Fatal(err)
	}
	return len(history)
}

func TestASigningKeyOfTheOldFormatIsReadAndReplaced(t *testing.T) {
	dir, log := t.TempDir(), &commandtest.Memory{}
	first, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "signing.key")
	if err := os.WriteFile(old, []byte(base64.StdEncoding.EncodeToString(first.Expose())), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := reopened(t, dir); s.doc.Serial != 1 || s.key.Public() != first.Public() {
		t.Fatalf("serial %d", s.doc.Serial)
	}
	s := rotated(t, dir, log)
	if s.doc.Serial != 2 || len(s.doc.Chain) != 1 || s.key.Public() == first.Public() {
		t.Errorf("after a rotation: serial %d, %d statements", s.doc.Serial, len(s.doc.Chain))
	}
	if err := first.Public().Verify(events.KeyStatementDomain, s.doc.Chain[0].Statement, s.doc.Chain[0].Signature); err != nil {
		t.Errorf("the old key does not vouch for the new one: %v", err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old private key is still there")
	}
	if begun, err := s.settle(t.Context(), log); begun || err != nil {
		t.Errorf("settle: %t, %v", begun, err)
	}
	if again := rotated(t, dir, log); again.doc.Serial != 3 || facts(t, log) != 2 {
		t.Errorf("after two: serial %d, %d facts", again.doc.Serial, facts(t, log))
	}
	info, err := os.Stat(filepath.Join(dir, "signing.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestARotationOfTheSigningKeySurvivesACrashAtEachStep(t *testing.T) {
	dir, log := t.TempDir(), &commandtest.Memory{}
	s, err := createSigning(t.Context(), folderOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	first := s.key.Public()
	if err := s.prepare(t.Context(), tomorrow); err != nil {
		t.Fatal(err)
	}
	// A crash after step 1: the server works on with the old key, and says so.
	s = reopened(t, dir)
	if begun, err := s.settle(t.Context(), log); !begun || err != nil || s.key.Public() != first || s.doc.Serial != 1 {
		t.Fatalf("after step 1: %t, %v", begun, err)
	}
	statement, _, _ := s.next()
	if err := s.prepare(t.Context(), tomorrow.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if same, _, _ := s.next(); same != statement {
		t.Error("a second try makes another key")
	}
	// The fact is stored and the answer lost; somebody tries again.
	log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.StoresThenSilent }
	err = s.record(t.Context(), log, operator, tomorrow)
	log.OnAppend = nil
	if err != nil && !errors.Is(err, command.ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	if err := reopened(t, dir).record(t.Context(), log, operator, tomorrow); err != nil || facts(t, log) != 1 {
		t.Fatalf("%d facts, %v", facts(t, log), err)
	}
	// A crash after step 2: the next start finishes it.
	s = reopened(t, dir)
	if begun, err := s.settle(t.Context(), log); begun || err != nil || s.doc.Serial != 2 || s.key.Public().String() != statement.Key {
		t.Fatalf("after step 2: serial %d, %t, %v", s.doc.Serial, begun, err)
	}
	if s = reopened(t, dir); s.doc.Serial != 2 || s.doc.Next != nil {
		t.Errorf("on disk: serial %d", s.doc.Serial)
	}
}

func TestKeysThatAreNotTheLogsAreRefused(t *testing.T) {
	dir, log := t.TempDir(), &commandtest.Memory{}
	if _, err := createSigning(t.Context(), folderOf(dir)); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(filepath.Join(dir, "signing.json"))
	if err != nil {
		t.Fatal(err)
	}
	rotated(t, dir, log)
	if err := os.WriteFile(filepath.Join(dir, "signing.json"), backup, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reopened(t, dir).settle(t.Context(), log); err == nil || !strings.Contains(err.Error(), "from a backup") {
		t.Errorf("older keys than the log's: %v", err)
	}
	other := t.TempDir()
	if _, err := createSigning(t.Context(), folderOf(other)); err != nil {
		t.Fatal(err)
	}
	foreign := rotated(t, other, &commandtest.Memory{})
	if _, err := foreign.settle(t.Context(), log); err == nil {
		t.Error("another installation's keys are taken")
	}
	if _, err := foreign.settle(t.Context(), &commandtest.Memory{}); err == nil {
		t.Error("keys that the log knows nothing of are taken")
	}
	for name, raw := range map[string]string{
		"empty": "", "cut": string(backup[:20]), "unknown field": strings.Replace(string(backup), `"serial"`, `"more": 1, "serial"`, 1),
		"another serial": strings.Replace(string(backup), `"serial": 1`, `"serial": 2`, 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, "signing.json"), []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openSigning(t.Context(), folderOf(dir)); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
