package nats

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/transparency"
)

// history is a hub whose store can be tampered with while it is down.
type history struct {
	*rig
	store  *Store
	stream events.Stream
	seq    events.Seq // of the last commit that was noted outside NATS
	hash   [32]byte
}

func newHistory(t *testing.T) *history {
	t.Helper()
	r := newRig(t, 1)
	h := &history{rig: r, store: openStore(t, r.nc), stream: events.AccessStream(events.Anonymous)}
	h.grow(t, 5)
	return h
}

// grow appends and notes the last commit.
func (h *history) grow(t *testing.T, n int) {
	t.Helper()
	for range n {
		seq, err := h.store.Append(t.Context(), h.stream, events.AnySeq, denial(h.stream, "denied"))
		if err != nil {
			t.Fatal(err)
		}
		h.seq = seq
	}
	last, err := h.store.At(t.Context(), h.seq)
	if err != nil {
		t.Fatal(err)
	}
	h.hash = transparency.LeafHash(last.Raw)
}

// tamper changes the store while the server is down.
func (h *history) tamper(t *testing.T, with func(dir string)) {
	t.Helper()
	h.hub().Shutdown()
	with(h.hub().config.Dir)
	if err := h.hub().start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reconnect", func(ctx context.Context) error { _, err := h.store.Last(ctx); return err })
}

// prove is what the server does at start, on a store that somebody tampered with.
func prove(t *testing.T, log command.Feed, seq events.Seq, hash [32]byte) error {
	t.Helper()
	return projections.Position{Seq: seq, Hash: hash[:]}.Prove(t.Context(), log)
}

func (h *history) guard(t *testing.T) error {
	t.Helper()
	return prove(t, h.store, h.seq, h.hash)
}

func TestGuardAcceptsWhatIsThere(t *testing.T) {
	h := newHistory(t)
	for name, guard := range map[string]func() error{
		"nothing known": func() error { return prove(t, h.store, 0, [32]byte{}) },
		"the last":      func() error { return h.guard(t) },
		"after a restart": func() error {
			h.tamper(t, func(string) {})
			return h.guard(t)
		},
	} {
		if err := guard(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGuardFindsARollBack(t *testing.T) {
	h := newHistory(t)
	backup := t.TempDir()
	h.tamper(t, func(dir string) { copyDir(t, backup, dir) })
	h.grow(t, 3)
	h.tamper(t, func(dir string) {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		copyDir(t, dir, backup)
	})
	if err := h.guard(t); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("Guard: %v, want unsafe", err)
	}
	err := h.store.Follow(t.Context(), h.seq, 10, func(context.Context, []events.Recorded) error { return nil })
	if !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("Follow: %v, want unsafe", err)
	}
	if got := h.store.Halted(); !errors.Is(got, command.LogTruncated) {
		t.Errorf("the store is halted by %v, want %v", got, command.LogTruncated)
	}
	h.store = openStore(t, h.nc) // another process, which knows nothing
	// The log goes on from the backup: the sequence is there again, with another past.
	seq, hash := h.seq, h.hash
	h.grow(t, 5)
	if err := prove(t, h.store, seq, hash); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("Guard of the fork: %v, want unsafe", err)
	}
}

func TestGuardFindsDamage(t *testing.T) {
	for name, damage := range map[string]func(block []byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"a flipped bit": func(b []byte) []byte {
			at := bytes.LastIndex(b, []byte("denied"))
			b[at] ^= 1
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t)
			h.tamper(t, func(dir string) {
				blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "EVENTS", "msgs", "*.blk"))
				if err != nil || len(blocks) != 1 {
					t.Fatalf("blocks: %v, %v", blocks, err)
				}
				block, err := os.ReadFile(blocks[0])
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(blocks[0], damage(block), 0o600); err != nil {
					t.Fatal(err)
				}
			})
			if err := h.guard(t); !errors.Is(err, command.ErrLogUnsafe) {
				t.Errorf("Guard: %v, want unsafe", err)
			}
		})
	}
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
