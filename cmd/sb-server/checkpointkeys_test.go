package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

func reopenedCheckpoints(t *testing.T, dir string) *checkpointKeys {
	t.Helper()
	c, err := openCheckpointKeys(t.Context(), folderOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signedBy says which of the keys, by their serials, sign at a time.
func signedBy(t *testing.T, c *checkpointKeys, now time.Time) (serials []int) {
	t.Helper()
	signer, err := c.signer(now)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign((&transparency.Frontier{}).Tree())
	if err != nil {
		t.Fatal(err)
	}
	for i, public := range c.public() {
		v, err := transparency.NewVerifiers(public)
		if err != nil {
			t.Fatal(err)
		}
		if _, origin, err := v.Open(signed); err == nil && origin == c.origin() {
			serials = append(serials, i+1)
		}
	}
	return serials
}

func TestAKeyOfCheckpointsIsMadeOnceAndThenMissed(t *testing.T) {
	dir := t.TempDir()
	c, err := openOrCreateCheckpointKeys(t.Context(), folderOf(dir), true)
	if err != nil {
		t.Fatal(err)
	}
	if origin := c.origin(); !strings.HasPrefix(origin, "secrets-bridge/") || len(origin) != len("secrets-bridge/")+16 {
		t.Errorf("origin %q", origin)
	}
	again, err := openOrCreateCheckpointKeys(t.Context(), folderOf(dir), false)
	if err != nil || again.origin() != c.origin() || again.public()[0] != c.public()[0] {
		t.Errorf("opened again: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, checkpointFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Remove(filepath.Join(dir, checkpointFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := openOrCreateCheckpointKeys(t.Context(), folderOf(dir), false); err == nil || !strings.Contains(err.Error(), "from a backup") {
		t.Errorf("after something was signed: %v", err)
	}
}

func TestARotationOfTheKeyOfCheckpointsSurvivesACrashAtEachStep(t *testing.T) {
	dir, log := t.TempDir(), &commandtest.Memory{}
	if _, err := createCheckpointKeys(t.Context(), folderOf(dir)); err != nil {
		t.Fatal(err)
	}
	c := reopenedCheckpoints(t, dir)
	if err := c.prepare(t.Context(), tomorrow); err != nil {
		t.Fatal(err)
	}
	// A crash after step 1: the server works on with the old key, and says so.
	c = reopenedCheckpoints(t, dir)
	if begun, err := c.settle(t.Context(), log); !begun || err != nil || c.doc.Serial != 1 {
		t.Fatalf("after step 1: %t, %v", begun, err)
	}
	if by := signedBy(t, c, tomorrow); len(by) != 1 || by[0] != 1 {
		t.Errorf("after step 1 it is signed by %v", by)
	}
	next := *c.doc.Next
	if err := c.prepare(t.Context(), tomorrow.Add(time.Hour)); err != nil || *c.doc.Next != next {
		t.Errorf("a second try makes another key, %v", err)
	}
	// The fact is stored and the answer lost; somebody tries again.
	log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.StoresThenSilent }
	err := c.record(t.Context(), log, operator, tomorrow)
	log.OnAppend = nil
	if err != nil && !errors.Is(err, command.ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	if err := reopenedCheckpoints(t, dir).record(t.Context(), log, operator, tomorrow); err != nil {
		t.Fatal(err)
	}
	history, err := log.Load(t.Context(), events.CheckpointStream())
	if err != nil || len(history) != 1 {
		t.Fatalf("%d facts, %v", len(history), err)
	}
	want := events.CheckpointKeyRotated{Serial: 2, Key: next.Public, PreviousUntil: next.PreviousUntil}
	if got := history[0].Events[0].Fact; got != want {
		t.Errorf("fact %v, want %v", got, want)
	}
	// A crash after step 2: the next start finishes it.
	c = reopenedCheckpoints(t, dir)
	if begun, err := c.settle(t.Context(), log); begun || err != nil || c.doc.Serial != 2 || c.public()[1] != next.Public {
		t.Fatalf("after step 2: serial %d, %t, %v", c.doc.Serial, begun, err)
	}
	c = reopenedCheckpoints(t, dir)
	if begun, err := c.settle(t.Context(), log); begun || err != nil || c.doc.Serial != 2 || c.doc.Next != nil {
		t.Errorf("on disk: serial %d, %t, %v", c.doc.Serial, begun, err)
	}
	// Both sign until the end of the old one, which then is off the disk.
	if by := signedBy(t, c, next.PreviousUntil.Add(-time.Nanosecond)); len(by) != 2 {
		t.Errorf("before the old one's end it is signed by %v", by)
	}
	if by := signedBy(t, c, next.PreviousUntil); len(by) != 1 || by[0] != 2 {
		t.Errorf("at the old one's end it is signed by %v", by)
	}
	if c = reopenedCheckpoints(t, dir); len(c.doc.Previous) != 0 || len(c.public()) != 2 {
		t.Errorf("on disk there are %d old keys, and %d public ones", len(c.doc.Previous), len(c.public()))
	}
}

func TestKeysOfCheckpointsThatAreNotTheLogsAreRefused(t *testing.T) {
	dir, log := t.TempDir(), &commandtest.Memory{}
	c, err := createCheckpointKeys(t.Context(), folderOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, checkpointFile)
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return c.prepare(t.Context(), tomorrow) },
		func() error { return c.record(t.Context(), log, operator, tomorrow) },
		func() error { return c.finish(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	newer, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.settle(t.Context(), &commandtest.Memory{}); err == nil {
		t.Error("keys that the log knows nothing of are taken")
	}
	other, err := createCheckpointKeys(t.Context(), folderOf(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"older keys":       string(backup),
		"empty":            "",
		"cut":              string(newer[:40]),
		"an unknown field": strings.Replace(string(newer), `"serial"`, `"more": 1, "serial"`, 1),
		"another serial":   strings.Replace(string(newer), `"serial": 2`, `"serial": 1`, 1),
		"another origin":   strings.Replace(string(newer), `"origin": "`, `"origin": "x`, 1),
		"another's key":    strings.Replace(string(newer), c.doc.Key, other.doc.Key, 1),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		opened, err := openCheckpointKeys(t.Context(), folderOf(dir))
		if err == nil {
			_, err = opened.settle(t.Context(), log)
		}
		if err == nil || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
