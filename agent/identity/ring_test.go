package identity_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/identity"
	"secretsbridge/seal"
)

// load reads the identity as a fresh process does.
func load(t *testing.T, dir string) *identity.Identity {
	t.Helper()
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func boxFiles(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	for _, name := range files(t, dir) {
		if strings.HasPrefix(name, "box-") {
			n++
		}
	}
	return n
}

// Between any two steps the process may die: the next one goes on from the disk alone.
func TestARotationSurvivesACrashAtEachStep(t *testing.T) {
	dir, _ := enrolled(t)
	first := current(load(t, dir))

	next, err := load(t, dir).Keys().Next(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	again := load(t, dir).Keys() // the call was lost
	if same, err := again.Next(seal.XWing); err != nil || same != next || !again.Waiting() {
		t.Fatalf("after a crash another key follows: %v, %v", same.ID(), err)
	}
	if key, ok := again.Find(next.ID()); !ok || key.Public() != next {
		t.Error("what is sealed to the next key does not open before it is known to be taken")
	}
	if current(load(t, dir)) != first || len(again.Earlier()) != 0 {
		t.Error("the key of the moment changed before its follower was taken")
	}
	if err := again.Taken(first.ID()); err == nil {
		t.Error("another key than the next was taken")
	}
	if err := again.Taken(next.ID()); err != nil {
		t.Fatal(err)
	}
	rotated := load(t, dir)
	if current(rotated) != next || !slices.Equal(rotated.Keys().Earlier(), []string{first.ID()}) || rotated.Keys().Waiting() {
		t.Errorf("after the rotation: %s, earlier %v", current(rotated).ID(), rotated.Keys().Earlier())
	}
	if _, since := rotated.Keys().Current(); time.Since(since) > time.Minute {
		t.Errorf("the key is there since %s", since)
	}
	if key, ok := rotated.Keys().Find(first.ID()); !ok || key.Public() != first {
		t.Error("what is in flight to the old key does not open any more")
	}

	if err := rotated.Keys().Drop(next.ID(), "unknown"); err != nil || current(load(t, dir)) != next {
		t.Errorf("the key of the moment was dropped: %v", err)
	}
	if err := rotated.Keys().Drop(first.ID()); err != nil {
		t.Fatal(err)
	}
	if _, ok := rotated.Keys().Find(first.ID()); ok || boxFiles(t, dir) != 1 {
		t.Errorf("a dropped key is found, in %d files", boxFiles(t, dir))
	}
	if _, ok := load(t, dir).Keys().Find(first.ID()); ok {
		t.Error("a dropped key comes back")
	}
}

func TestAKeyOfAnotherSuiteReplacesOneThatWaits(t *testing.T) {
	dir, _ := enrolled(t)
	ring := load(t, dir).Keys()
	weak, err := ring.Next(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := ring.Next(seal.XWing)
	if err != nil || strong.Suite() != seal.XWing {
		t.Fatalf("next: %s, %v", strong.Suite(), err)
	}
	// An answer that was lost may have taken it, so it stays until nobody needs it.
	for _, id := range []string{weak.ID(), strong.ID()} {
		if _, ok := load(t, dir).Keys().Find(id); !ok {
			t.Errorf("key %s is lost", id)
		}
	}
	if err := ring.Abandon(); err != nil || ring.Waiting() || len(ring.Earlier()) != 2 {
		t.Errorf("given up: %v, earlier %v", err, ring.Earlier())
	}
	if err := ring.Abandon(); err != nil {
		t.Errorf("nothing to give up: %v", err)
	}
}

func TestWhatACrashLeftIsRemovedAtTheNextStart(t *testing.T) {
	dir, _ := enrolled(t)
	id := load(t, dir)
	orphan, young := filepath.Join(dir, "box-dead.key"), filepath.Join(dir, "box-young.key")
	for _, path := range []string{orphan, young} {
		if err := os.WriteFile(path, []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(orphan, old, old); err != nil {
		t.Fatal(err)
	}
	unlock, err := id.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := os.Stat(orphan); err == nil {
		t.Error("an old key that nothing names is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("the key of an enrolment that is under way was removed")
	}
	load(t, dir)
}

func TestARotationThatIsNotOnDiskDidNotHappen(t *testing.T) {
	dir, _ := enrolled(t)
	id := load(t, dir)
	first := current(id)
	next, err := id.Keys().Next(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := id.Keys().Taken(next.ID()); err == nil || current(id) != first {
		t.Errorf("taken without a disk: %v", err)
	}
	if _, err := id.Keys().Next(seal.X25519); err == nil {
		t.Error("a key was made without a disk")
	}
}

func TestTrustOnlyGrowsAndSurvivesARestart(t *testing.T) {
	dir, _ := enrolled(t)
	id := load(t, dir)
	pinned := id.TrustedKeys()
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	grown := agent.TrustedKeys{{Serial: 1, Key: pinned[0].Key, Until: until}, {Serial: 2, Key: signKey(t).Public()}}
	for name, wrong := range map[string]agent.TrustedKeys{
		"nothing": nil, "the same": pinned, "no end of the old": {{Serial: 1, Key: pinned[0].Key}, grown[1]},
		"an end of the new": {grown[0], {Serial: 2, Key: grown[1].Key, Until: until}}, "a gap": {grown[0], {Serial: 3, Key: grown[1].Key}},
		"no key": {grown[0], {Serial: 2}},
	} {
		if err := id.KeepTrust(wrong); err == nil {
			t.Errorf("%s: kept", name)
		}
	}
	if err := id.KeepTrust(grown); err != nil {
		t.Fatal(err)
	}
	if err := id.KeepTrust(pinned); err == nil {
		t.Error("trust went back")
	}
	for name, got := range map[string]agent.TrustedKeys{"now": id.TrustedKeys(), "after a restart": load(t, dir).TrustedKeys()} {
		if len(got) != 2 || got[1] != grown[1] || !got[0].Until.Equal(until) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
