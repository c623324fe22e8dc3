package main

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"secretsbridge/nats"
	"secretsbridge/store"
)

// TestARotationOfNATSKeysSurvivesACrashAtEachStep opens the keys anew after each step, as the next
// try or a server would, on both keyrings.
func TestARotationOfNATSKeysSurvivesACrashAtEachStep(t *testing.T) {
	eachRing(t, func(t *testing.T, ring keyring) {
		ctx := t.Context()
		if _, err := createAuthority(ctx, ring); err != nil {
			t.Fatal(err)
		}
		if _, err := ring.Revision(ctx, linkKeysFile); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("signing keys are there: %v", err)
		}
		open := func() *linkKeys {
			t.Helper()
			k, err := openLinkKeys(ctx, ring)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		server := open() // runs all the time, and follows
		until := time.Now().Add(time.Hour)
		for i, step := range []func(*nats.Authority) ([]byte, error){
			func(a *nats.Authority) ([]byte, error) { return a.Prepared(nats.AccountKeys) },
			func(a *nats.Authority) ([]byte, error) { return a.Promoted(nats.AccountKeys, time.Now(), until) },
			func(a *nats.Authority) ([]byte, error) { return a.Dropped(nats.AccountKeys, until) },
		} {
			k, stale := open(), open()
			doc, err := step(k.authority)
			if err := k.advance(ctx, doc, err); err != nil {
				t.Fatalf("step %d: %v", i+1, err)
			}
			other, err := step(stale.authority)
			if err := stale.advance(ctx, other, err); !errors.Is(err, store.ErrConflict) && !errors.Is(err, fs.ErrExist) {
				t.Errorf("step %d is done twice at the same time: %v", i+1, err)
			}
			if changed, err := server.takeUp(ctx); !changed || err != nil {
				t.Errorf("step %d is not taken up: %v", i+1, err)
			}
			if changed, err := server.takeUp(ctx); changed || err != nil {
				t.Errorf("step %d is taken up twice: %v", i+1, err)
			}
			want := k.authority.State(nats.AccountKeys)
			for _, got := range []*nats.Authority{server.authority, open().authority} {
				if s := got.State(nats.AccountKeys); s.Serial != i+1 || s.Serial != want.Serial || s.Former != want.Former || s.Current[0] != want.Current[0] {
					t.Errorf("after step %d: %+v, want %+v", i+1, s, want)
				}
			}
		}
	})
}

// TestKeysOfAnEmbeddedNATSAreRotated rotates the keys of an embedded NATS that is down, and has a
// server end former ones when their time is over, without a restart.
func TestKeysOfAnEmbeddedNATSAreRotated(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	ring := folderOf(filepath.Join(dir, "keys"))
	if _, err := createAuthority(ctx, ring); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if err := rotateEmbedded(ctx, settings{DataDir: dir}, time.Hour, &said); err != nil {
		t.Fatal(err)
	}
	k, err := openLinkKeys(ctx, ring)
	if err != nil {
		t.Fatal(err)
	}
	if a, o := k.authority.State(nats.AccountKeys), k.authority.State(nats.OperatorKeys); a.Own || o.Own || a.Former != 1 || o.Former != 0 || a.Begun || o.Begun {
		t.Errorf("after a rotation: accounts %+v, operator %+v, said %s", a, o, &said)
	}
	hub, err := nats.StartHub(nats.HubConfig{Authority: k.authority, Dir: filepath.Join(dir, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Shutdown()
	st := &stack{log: slog.New(slog.DiscardHandler), broker: hub, keys: keys{links: k}}
	mine, err := hub.Connect("sb-server")
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()

	elsewhere, err := openLinkKeys(ctx, ring)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, step := range []func() ([]byte, error){
		func() ([]byte, error) { return elsewhere.authority.Prepared(nats.AccountKeys) },
		func() ([]byte, error) { return elsewhere.authority.Promoted(nats.AccountKeys, now, now.Add(time.Hour)) },
	} {
		doc, err := step()
		if err := elsewhere.advance(ctx, doc, err); err != nil {
			t.Fatal(err)
		}
	}
	look := func(at time.Duration, cut uint64, former int) {
		t.Helper()
		if err := st.lookAtLinkKeys(ctx, now.Add(at)); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); mine.Stats().Reconnects != cut || !mine.IsConnected(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %s: a connection was made again %d times, want %d", at, mine.Stats().Reconnects, cut)
			}
		}
		if kept, err := openLinkKeys(ctx, ring); err != nil || kept.authority.State(nats.AccountKeys).Former != former {
			t.Errorf("after %s: %d former keys, want %d, %v", at, kept.authority.State(nats.AccountKeys).Former, former, err)
		}
	}
	look(0, 0, 4) // the agents' seed, and three keys
	look(59*time.Minute, 0, 4)
	look(61*time.Minute, 1, 0) // the key that signed it counts no more, so the one of now did
}
