package ledger_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/ledger"
)

func TestTheLogIsProvenBeforeItIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(300)
		for _, size := range []int64{1, 7, 299} {
			if err := r.kept.Put(r.signed(r.tree(size))); err != nil {
				t.Fatal(err)
			}
		}
		k, ended := r.run(r.config())
		if err := k.Proven(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.fill(5)
		settle(2 * time.Second)
		if want := r.tree(305); k.Tree() != want || ended() != nil {
			t.Errorf("tree %v, want %v; ended: %v", k.Tree(), want, ended())
		}
		for _, size := range []int64{0, 1, 255, 256, 257, 305} {
			if root, known := k.At(size); !known || root != r.tree(size).Hash {
				t.Errorf("root of %d commits: %v, %t", size, root, known)
			}
		}
		for _, size := range []int64{-1, 306} {
			if _, known := k.At(size); known {
				t.Errorf("a root of %d commits is known", size)
			}
		}
		last, err := k.Latest(t.Context())
		if err != nil || last.Tree != r.tree(305) {
			t.Errorf("latest: %v, %v", last.Tree, err)
		}
	})
}

func TestALogThatIsNotTheOneThatWasThereIsRefusedBeforeItIsProven(t *testing.T) {
	const size = 40
	for name, c := range map[string]struct {
		tamper func(*rig)
		alarm  error
		says   string
	}{
		"it ends before what was folded": {func(r *rig) { r.feed.cut(size - 1) }, command.LogTruncated, "commit 40 was folded"},
		"it ends before what was signed": {func(r *rig) {
			r.kept.Put(r.signed(tlog.Tree{N: size + 1}))
		}, command.LogTruncated, "a checkpoint of 41 commits"},
		"the first commit was changed":    {func(r *rig) { r.feed.change(1, flip) }, command.LogForked, "commit 1 "},
		"one in the middle was changed":   {func(r *rig) { r.feed.change(17, flip) }, command.LogForked, "commit 17 "},
		"the last commit was changed":     {func(r *rig) { r.feed.change(size, flip) }, command.LogForked, "commit 40 "},
		"two were exchanged":              {func(r *rig) { r.feed.change(8, numbered(9)); r.feed.change(9, numbered(8)) }, command.LogDamaged, "commit 9 came where 8 was next"},
		"the audit lost a commit":         {func(r *rig) { r.audit.lost = 20 }, command.ErrLogUnsafe, "no commit 20"},
		"the audit has another hash":      {func(r *rig) { r.audit.edit = map[events.Seq]tlog.Hash{20: {1}} }, command.LogForked, "commit 20 "},
		"log and audit were both changed": {both(17, 30), command.LogForked, "of its first 30 commits"},
		"a smaller checkpoint is another": {func(r *rig) {
			r.kept.Put(r.signed(tlog.Tree{N: 5, Hash: tlog.Hash{1}}))
			r.kept.Put(r.signed(r.tree(6)))
		}, command.LogForked, "of its first 5 commits"},
		"the last checkpoint is another log's": {func(r *rig) {
			c := newRig(r.t).signed(r.tree(6))
			r.kept.Put(c)
		}, command.LogForked, "is not one of this log's keys"},
		"its row says another root": {func(r *rig) {
			c := r.signed(r.tree(6))
			c.Tree.Hash[3] ^= 1
			r.kept.Put(c)
		}, command.LogForked, "another root"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.fill(size)
				c.tamper(r)
				k, ended := r.run(r.config())
				settle(time.Second)
				err := ended()
				if !errors.Is(err, c.alarm) || !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %v that says %q", err, c.alarm, c.says)
				}
				if _, proven := k.At(size); proven && k.Tree().N == size && err == nil {
					t.Error("it counts as proven")
				}
			})
		})
	}
}

// numbered gives a commit another sequence.
func numbered(seq events.Seq) func(*events.Recorded) {
	return func(c *events.Recorded) { c.Seq = seq }
}

// both changes a commit in the log and in the audit, after a checkpoint of a size was signed.
func both(seq events.Seq, size int64) func(*rig) {
	return func(r *rig) {
		r.kept.Put(r.signed(r.tree(size)))
		r.feed.change(seq, flip)
		c, _ := r.feed.At(r.t.Context(), seq)
		r.audit.edit = map[events.Seq]tlog.Hash{seq: tlog.RecordHash(c.Raw)}
	}
}

func TestWhatHappensToTheLogWhileItIsFollowedIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(*rig)
		alarm  error
		says   string
	}{
		"it is cut off":                   {func(r *rig) { r.feed.cut(39) }, command.LogTruncated, "commit 40 was read"},
		"its last commit is changed":      {func(r *rig) { r.feed.change(40, flip) }, command.LogForked, "commit 40 is another"},
		"another server signed another":   {func(r *rig) { r.fill(1); r.kept.Put(r.signed(tlog.Tree{N: 41})) }, command.LogForked, "of its first 41 commits"},
		"another server signed what came": {func(r *rig) { r.kept.Put(r.signed(tlog.Tree{N: 50})) }, command.LogTruncated, "a checkpoint of 50 commits"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.fill(40)
				_, ended := r.run(r.config())
				settle(3 * time.Second)
				if err := ended(); err != nil {
					t.Fatal(err)
				}
				c.tamper(r)
				settle(10 * time.Second)
				if err := ended(); !errors.Is(err, c.alarm) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %v that says %q", err, c.alarm, c.says)
				}
			})
		})
	}
}

func TestACheckpointOfAnotherServerIsComparedWhenItsCommitsAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(10)
		cfg := r.config()
		k := ledger.New(cfg) // it does not sign: another server holds the loop
		ended := make(chan error, 1)
		go func() { ended <- k.Run(t.Context()) }()
		settle(time.Second)
		if _, err := k.Latest(t.Context()); !errors.Is(err, ledger.ErrNoCheckpoint) {
			t.Errorf("of none the latest is %v", err)
		}
		r.kept.Put(r.signed(r.tree(10)))
		r.fill(3)
		r.kept.Put(r.signed(r.tree(13)))
		settle(3 * time.Second)
		if last, err := k.Latest(t.Context()); err != nil || last.Tree != r.tree(13) {
			t.Errorf("latest: %v, %v", last.Tree, err)
		}
		select {
		case err := <-ended:
			t.Error(err)
		default:
		}
	})
}

func TestAnOutageOfPostgresIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(10)
		var away atomic.Bool
		away.Store(true)
		r.kept.Fault = func() error {
			if away.Load() {
				return errors.New("connection refused")
			}
			return nil
		}
		k, ended := r.run(r.config())
		settle(5 * time.Second)
		if k.Tree().N != 0 || ended() != nil {
			t.Fatalf("tree %v, %v", k.Tree(), ended())
		}
		away.Store(false)
		settle(2 * time.Second)
		if last, err := k.Latest(t.Context()); err != nil || last.Tree != r.tree(10) {
			t.Fatalf("latest: %v, %v", last.Tree, err)
		}
		away.Store(true)
		r.fill(5)
		settle(10 * time.Second)
		away.Store(false)
		settle(6 * time.Second)
		if last, err := k.Latest(t.Context()); err != nil || last.Tree != r.tree(15) || ended() != nil {
			t.Errorf("latest: %v, %v; %v", last.Tree, err, ended())
		}
	})
}
