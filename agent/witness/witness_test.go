package witness_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/agent"
	"secretsbridge/agent/witness"
	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/transparency"
)

const id = events.AgentID("a_00000000000000000000000000")

// hashes of a tree as package tlog stores them.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	read := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		read[i] = h[at]
	}
	return read, nil
}

// log is a control plane's log.
type log struct {
	t      *testing.T
	size   int64
	hashes hashes
	keys   []string // private
	public []string
}

func newLog(t *testing.T) *log {
	l := &log{t: t}
	l.rotate()
	return l
}

// rotate makes a new key that signs along with those that are there.
func (l *log) rotate() {
	signing, public, err := transparency.GenerateKey("secrets-bridge/test")
	if err != nil {
		l.t.Fatal(err)
	}
	l.keys, l.public = append([]string{signing}, l.keys...), append([]string{public}, l.public...)
}

// retire forgets all keys but the current one.
func (l *log) retire() { l.keys, l.public = l.keys[:1], l.public[:1] }

func (l *log) grow(texts ...string) *log {
	for _, text := range texts {
		grown, err := tlog.StoredHashes(l.size, []byte(text), l.hashes)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes, l.size = append(l.hashes, grown...), l.size+1
	}
	return l
}

// fork is a copy of the log as it is now, by the same keys.
func (l *log) fork() *log {
	other := *l
	other.hashes = append(hashes(nil), l.hashes...)
	return &other
}

func (l *log) tree() tlog.Tree {
	root, err := tlog.TreeHash(l.size, l.hashes)
	if err != nil {
		l.t.Fatal(err)
	}
	return tlog.Tree{N: l.size, Hash: root}
}

func (l *log) checkpoint() string {
	signer, err := transparency.NewSigner(l.keys...)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := signer.Sign(l.tree())
	if err != nil {
		l.t.Fatal(err)
	}
	return string(signed)
}

// show is the answer of a control plane that does not ask itself whether it can.
func (l *log) show(ask events.AskCheckpoint) events.ShownCheckpoint {
	shown := events.ShownCheckpoint{Checkpoint: l.checkpoint(), Keys: l.public}
	if ask.Size > 0 && ask.Size < l.size {
		proof, err := tlog.ProveTree(l.size, ask.Size, l.hashes)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, h := range proof {
			shown.Proof = append(shown.Proof, h[:])
		}
	}
	return shown
}

type rig struct {
	*witness.Witness
	t      *testing.T
	dir    string
	key    seal.SigningKey
	logged *bytes.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	key, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir(), key: key, logged: &bytes.Buffer{}}
	r.open()
	return r
}

// open starts the agent again.
func (r *rig) open() {
	r.t.Helper()
	w, err := witness.Open(witness.Config{Dir: r.dir, Agent: id, SignKey: r.key, Logger: slog.New(slog.NewTextHandler(r.logged, nil))})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Witness = w
}

// look is one question and its answer.
func (r *rig) look(l *log) (bool, error) {
	ask := r.Ask()
	return r.See(ask, l.show(ask))
}

func (r *rig) must(l *log, want bool) {
	r.t.Helper()
	if news, err := r.look(l); err != nil || news != want {
		r.t.Fatalf("looked: %t, %v, want %t\n%s", news, err, want, r.logged)
	}
}

// cosigned checks the line that is offered, and returns the size that it is for; 0: none is.
func (r *rig) cosigned() int64 {
	r.t.Helper()
	ask := r.Ask()
	if ask.Cosignature == "" {
		return 0
	}
	key, err := transparency.AgentKey(id, r.key.Public().Bytes())
	if err != nil {
		r.t.Fatal(err)
	}
	at, err := transparency.OpenCosignature(ask.Seen, ask.Cosignature, key)
	if err != nil || time.Since(at) > time.Hour {
		r.t.Fatalf("cosigned at %v, %v", at, err)
	}
	return ask.Size
}

func TestALogThatGrowsIsCosigned(t *testing.T) {
	r, l := newRig(t), newLog(t).grow("a", "b", "c")
	if r.cosigned() != 0 {
		t.Error("something was cosigned before the log was seen")
	}
	r.must(l, true)
	if got := r.cosigned(); got != 3 {
		t.Errorf("cosigned %d, want 3", got)
	}
	r.must(l, false) // it is handed in
	if got := r.cosigned(); got != 0 {
		t.Errorf("cosigned %d again", got)
	}
	for i := range 70 {
		l.grow(strings.Repeat("x", i))
		r.must(l, true)
		if got := r.cosigned(); got != l.size {
			t.Errorf("cosigned %d, want %d", got, l.size)
		}
	}
	r.open()
	if got := r.cosigned(); got != l.size {
		t.Errorf("after a restart it cosigns %d, want %d", got, l.size)
	}
	r.must(l.grow("y"), true)
	if s := r.Status(); s.Size != l.size || s.Root != l.tree().Hash.String() || s.Seen.IsZero() || s.Cosigned.IsZero() || s.Trouble != "" {
		t.Errorf("status %+v", s)
	}
}

// Whatever contradicts what was seen ends all work, leaves its evidence, and does so for good.
func TestALogThatIsAnotherOneEndsAllWork(t *testing.T) {
	for name, c := range map[string]struct {
		why  events.LogTrouble
		then func(l *log) *log
	}{
		"it is cut off":           {events.LogSmaller, func(l *log) *log { return newFrom(l).grow("a", "b") }},
		"a commit is another":     {events.LogForked, func(l *log) *log { return newFrom(l).grow("a", "B", "c") }},
		"two are exchanged":       {events.LogForked, func(l *log) *log { return newFrom(l).grow("b", "a", "c") }},
		"it goes on from another": {events.LogUnproven, func(l *log) *log { return newFrom(l).grow("a", "B", "c", "d", "e") }},
		"another key signs it": {events.LogStranger, func(l *log) *log {
			l.rotate()
			l.retire()
			return l.grow("d")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, l := newRig(t), newLog(t).grow("a", "b", "c")
			r.must(l, true)
			known := r.Ask().Seen
			hostile := c.then(l)
			if _, err := r.look(hostile); !errors.Is(err, agent.ErrLogBroken) {
				t.Fatalf("looked: %v, want ErrLogBroken", err)
			}
			check := func() {
				t.Helper()
				if err := r.Broken(); !errors.Is(err, agent.ErrLogBroken) {
					t.Errorf("broken: %v", err)
				}
				ask := r.Ask()
				want := events.AskCheckpoint{Size: 3, Seen: known, Trouble: c.why, Shown: hostile.checkpoint()}
				if diff := cmp.Diff(want, ask); diff != "" {
					t.Errorf("what the control plane is told (-want +got):\n%s", diff)
				}
				if _, err := r.look(l); !errors.Is(err, agent.ErrLogBroken) {
					t.Errorf("the log is taken again: %v", err)
				}
			}
			check()
			r.open()
			check()

			path := filepath.Join(r.dir, r.Status().Evidence)
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("evidence: %v, %v", info, err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var e struct {
				Why          events.LogTrouble
				Known, Shown string
			}
			if err := json.Unmarshal(text, &e); err != nil || e.Why != c.why || e.Known != known || e.Shown != hostile.checkpoint() {
				t.Errorf("evidence %+v, %v", e, err)
			}
			if !strings.Contains(r.logged.String(), "level=ERROR") {
				t.Error("the log does not say it")
			}
		})
	}
}

// newFrom is an empty log with the keys of another.
func newFrom(l *log) *log { return &log{t: l.t, keys: l.keys, public: l.public} }

// Two histories by the same keys are shown to two agents. Whichever agent sees the other one
// finds it at once, however far both have grown.
func TestASplitViewIsFoundAtTheFirstLookAtTheOtherLog(t *testing.T) {
	left := newLog(t).grow("a", "b")
	right := left.fork().grow("c", "d")
	left.grow("C")
	one, other := newRig(t), newRig(t)
	for i := range 20 {
		one.must(left.grow(strings.Repeat("l", i)), true)
		other.must(right.grow(strings.Repeat("r", i), "more"), true)
	}
	_, smaller := other.look(left)
	_, larger := one.look(right)
	if !errors.Is(smaller, agent.ErrLogBroken) || !errors.Is(larger, agent.ErrLogBroken) {
		t.Errorf("found: %v, %v", smaller, larger)
	}
}

func TestAKeyIsTakenOnlyBesideOneThatIsKnown(t *testing.T) {
	r, l := newRig(t), newLog(t).grow("a")
	r.must(l, true)
	l.rotate()
	r.must(l, true) // of the same size: what is new is the key
	r.open()
	l.retire()
	r.must(l.grow("b"), true)
	if r.Broken() != nil {
		t.Error("the new key is not known after a restart")
	}
	l.rotate()
	l.retire()
	if _, err := r.look(l.grow("c")); !errors.Is(err, agent.ErrLogBroken) {
		t.Errorf("a key that nobody introduced: %v", err)
	}
}

func TestWhatIsNoCheckpointCountsForNothing(t *testing.T) {
	r, l := newRig(t), newLog(t).grow("a", "b")
	garbage := map[string]func(s *events.ShownCheckpoint){
		"nothing":        func(s *events.ShownCheckpoint) { s.Checkpoint = "" },
		"no key":         func(s *events.ShownCheckpoint) { s.Keys, s.Checkpoint = nil, newLog(t).grow("x").checkpoint() },
		"no signature":   func(s *events.ShownCheckpoint) { s.Checkpoint, _, _ = strings.Cut(s.Checkpoint, "\n\n") },
		"another size":   func(s *events.ShownCheckpoint) { s.Checkpoint = strings.Replace(s.Checkpoint, "\n2\n", "\n9\n", 1) },
		"too many keys":  func(s *events.ShownCheckpoint) { s.Keys = make([]string, 9) },
		"too long":       func(s *events.ShownCheckpoint) { s.Checkpoint += strings.Repeat("x", events.MaxCheckpoint) },
		"too much proof": func(s *events.ShownCheckpoint) { s.Proof = make([][]byte, 200) },
	}
	for _, seen := range []bool{false, true} {
		for name, change := range garbage {
			ask := r.Ask()
			shown := l.show(ask)
			change(&shown)
			if _, err := r.See(ask, shown); err == nil || errors.Is(err, agent.ErrLogBroken) {
				t.Errorf("%s, seen before %t: %v", name, seen, err)
			}
		}
		if !seen {
			r.must(l, true)
		}
	}
	if r.Broken() != nil || r.Status().Size != 2 {
		t.Errorf("status %+v", r.Status())
	}
	if _, err := r.See(events.AskCheckpoint{Size: 1}, l.show(events.AskCheckpoint{})); err == nil {
		t.Error("the answer to another question was taken")
	}
}

// What cannot be kept is not cosigned.
func TestNothingIsSaidBeforeItIsKept(t *testing.T) {
	r, l := newRig(t), newLog(t).grow("a")
	r.must(l, true)
	r.must(l, false)
	gone := r.dir + "-gone"
	if err := os.Rename(r.dir, gone); err != nil {
		t.Fatal(err)
	}
	if _, err := r.look(l.grow("b")); err == nil || errors.Is(err, agent.ErrLogBroken) {
		t.Errorf("looked: %v", err)
	}
	if ask := r.Ask(); ask.Size != 1 || ask.Cosignature != "" {
		t.Errorf("it says %+v", ask)
	}
	// A fork is one, whether or not it can be kept.
	if _, err := r.look(newFrom(l).grow("A")); !errors.Is(err, agent.ErrLogBroken) {
		t.Errorf("looked at a fork: %v", err)
	}
	if err := os.Rename(gone, r.dir); err != nil {
		t.Fatal(err)
	}
	r.Ask() // the next question is the next try
	r.open()
	if _, err := r.look(l); !errors.Is(err, agent.ErrLogBroken) {
		t.Errorf("after a restart: %v", err)
	}
}

func TestAnOperatorAcceptsTheLogThatWasShown(t *testing.T) {
	r, l := newRig(t), newLog(t).grow("a", "b", "c")
	if _, err := witness.Look(r.dir); !errors.Is(err, witness.ErrNothingToAccept) {
		t.Errorf("before anything was seen: %v", err)
	}
	r.must(l, true)
	if _, err := witness.Accept(r.dir, l.tree().Hash); !errors.Is(err, witness.ErrNothingToAccept) {
		t.Errorf("without trouble: %v", err)
	}
	restored := newFrom(l).grow("a", "b")
	if _, err := r.look(restored); err == nil {
		t.Fatal("a restored log was taken")
	}
	trouble, err := witness.Look(r.dir)
	if err != nil || trouble.Known != l.tree() || trouble.Shown != restored.tree() || trouble.Why != events.LogSmaller {
		t.Fatalf("%+v, %v", trouble, err)
	}
	if _, err := witness.Accept(r.dir, l.tree().Hash); err == nil {
		t.Error("another log than the one that was shown was accepted")
	}
	if _, err := r.look(restored); !errors.Is(err, agent.ErrLogBroken) {
		t.Errorf("looked: %v", err)
	}
	if _, err := witness.Accept(r.dir, restored.tree().Hash); err != nil {
		t.Fatal(err)
	}
	r.must(restored, false) // the running agent takes it
	r.must(restored.grow("x"), true)
	r.open()
	r.must(restored.grow("y"), true)
	if _, err := os.Stat(filepath.Join(r.dir, trouble.Evidence)); err == nil {
		t.Error("the evidence's path is relative")
	}
	if _, err := os.Stat(trouble.Evidence); err != nil {
		t.Errorf("the evidence is gone: %v", err)
	}
	if _, err := r.look(l); !errors.Is(err, agent.ErrLogBroken) {
		t.Errorf("the log from before the restore: %v", err)
	}
}

func TestAnOperatorHasTheAgentForgetTheLog(t *testing.T) {
	for name, before := range map[string]func(*rig, *log){
		"while all is well": func(*rig, *log) {},
		"after trouble":     func(r *rig, l *log) { _, _ = r.look(newFrom(l).grow("x")) },
		"and starts again":  func(r *rig, _ *log) { r.open() },
	} {
		t.Run(name, func(t *testing.T) {
			r, l := newRig(t), newLog(t).grow("a", "b")
			r.must(l, true)
			before(r, l)
			if err := witness.Forget(r.dir); err != nil {
				t.Fatal(err)
			}
			if ask := r.Ask(); ask != (events.AskCheckpoint{}) {
				t.Errorf("it still says %+v", ask)
			}
			r.open() // also before the other log was seen
			other := newLog(t).grow("A")
			r.must(other, true)
			if _, err := r.look(l); !errors.Is(err, agent.ErrLogBroken) {
				t.Errorf("the forgotten log: %v", err)
			}
		})
	}
}

func TestADamagedMemoryIsNoReasonToLookAway(t *testing.T) {
	r, l := newRig(t), newLog(t).grow("a")
	r.must(l, true)
	path := filepath.Join(r.dir, "log.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"others may read it": func() error { return os.Chmod(path, 0o644) },
		"cut off":            func() error { return os.WriteFile(path, good[:len(good)/2], 0o600) },
		"empty":              func() error { return os.WriteFile(path, nil, 0o600) },
		"another size": func() error {
			return os.WriteFile(path, bytes.Replace(good, []byte(`\n1\n`), []byte(`\n2\n`), 1), 0o600)
		},
		"a newer version": func() error {
			return os.WriteFile(path, bytes.Replace(good, []byte(`"format": 1`), []byte(`"format": 2`), 1), 0o600)
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := witness.Open(witness.Config{Dir: r.dir, Agent: id, SignKey: r.key, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s: opened", name)
		}
		if err := errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(path, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := witness.Open(witness.Config{Dir: r.dir, Agent: "a_00000000000000000000000001", SignKey: r.key, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Errorf("another agent in the same directory: %v", err)
	}
}
