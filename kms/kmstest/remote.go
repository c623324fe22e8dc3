package kmstest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

// Remote is a backend behind a network, and what can be done to it. Its calls must give
// up after about a second.
type Remote struct {
	KeyManager

	// Begin has every call meet a fault until it is called with "".
	Begin func(Fault)

	// BeginOnce has the next exchange alone meet a fault.
	BeginOnce func(Fault)

	// Asked is how many exchanges there were.
	Asked func() int

	// Forbid takes the right to use the keys away, or gives it back.
	Forbid func(t *testing.T, forbidden bool)

	// Retire makes an older key unusable and leaves the primary alone.
	Retire func(t *testing.T, id string)
}

// Fault is what a network, or a busy service, does to an exchange. The words are those
// of package faults in test/servers.
type Fault string

// The faults that every remote backend must bear.
const (
	Silent    Fault = "silent"
	Throttled Fault = "throttled"
	Broken    Fault = "broken"
	Cut       Fault = "cut"
	CutAnswer Fault = "cut answer"
)

// maxAsked and maxTime bound what a call may do before it gives up: retries are few.
const (
	maxAsked = 24 // of a check, which makes six exchanges
	maxTime  = 15 * time.Second
)

// RunRemote checks how a backend bears faults. open returns a fresh one for each call,
// behind a door of its own, because the tests run side by side;
// wrong are backends that are configured with a wrong key, and what their check says.
func RunRemote(t *testing.T, open func(t *testing.T) Remote, wrong map[string]Wrong) {
	// Side by side, because most of their time is waiting.
	run := func(name string, test func(*testing.T, Remote)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	for _, f := range []Fault{Silent, Throttled, Broken, Cut, CutAnswer} {
		run(string(f)+" is unavailable and harmless", func(t *testing.T, r Remote) { bears(t, r, f) })
	}
	for _, f := range []Fault{Throttled, Broken, Cut, CutAnswer} {
		run(string(f)+" once is ridden over", func(t *testing.T, r Remote) { ridesOver(t, r, f) })
	}
	run("a caller's deadline ends a call at once", callersDeadline)
	run("without the right it is refused, and works again with it", forbidden)
	run("a retired key opens nothing and no other stands in", retired)
	for name, w := range wrong {
		t.Run("check finds "+name, func(t *testing.T) {
			t.Parallel()
			if err := w.Open(t).Check(t.Context()); !errors.Is(err, w.Want) {
				t.Errorf("check: error = %v, want %v", err, w.Want)
			}
		})
	}
}

// Wrong is a backend that must not pass its check.
type Wrong struct {
	Open func(t *testing.T) kms.KeyManager
	Want error
}

// tries are the calls that a fault must not get through, each with what came back.
func tries(km kms.KeyManager, w kms.Wrapped, key seal.DataKey) map[string]func(context.Context) (any, error) {
	return map[string]func(context.Context) (any, error){
		"wrap": func(ctx context.Context) (any, error) {
			got, err := km.Wrap(ctx, key, exampleContext())
			return some(got.Ciphertext), err
		},
		"unwrap": func(ctx context.Context) (any, error) {
			got, err := km.Unwrap(ctx, w, exampleContext())
			return some(got.Expose()), err
		},
		"fingerprint key": func(ctx context.Context) (any, error) {
			got, err := km.FingerprintKey(ctx, "c_1")
			return some(got.Expose()), err
		},
		"check": func(ctx context.Context) (any, error) { return nil, km.Check(ctx) },
	}
}

func some(b []byte) any {
	if b == nil {
		return nil
	}
	return fmt.Sprintf("%d bytes", len(b))
}

func bears(t *testing.T, r Remote, f Fault) {
	key := seal.NewDataKey()
	w := mustWrap(t, r, key, exampleContext())
	r.Begin(f)
	for name, try := range tries(r, w, key) {
		before, start := r.Asked(), time.Now()
		got, err := try(t.Context())
		if !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("%s: error = %v, want %v", name, err, kms.ErrUnavailable)
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: error = %v tells an end of the caller's context, which did not end", name, err)
		}
		if got != nil {
			t.Errorf("%s: gave %v all the same", name, got)
		}
		discreet(t, err, key, w)
		if asked := r.Asked() - before; asked < 1 || asked > maxAsked {
			t.Errorf("%s: asked %d times", name, asked)
		}
		if took := time.Since(start); took > maxTime {
			t.Errorf("%s: took %s", name, took)
		}
	}
	r.Begin("")
	mustUnwrap(t, r, w, exampleContext(), key)
	if again := mustWrap(t, r, key, exampleContext()); again.KeyID != w.KeyID {
		t.Errorf("after the fault %s wraps, before it was %s", again.KeyID, w.KeyID)
	}
	if err := r.Check(t.Context()); err != nil {
		t.Errorf("check after the fault: %v", err)
	}
}

func ridesOver(t *testing.T, r Remote, f Fault) {
	key := seal.NewDataKey()
	w := mustWrap(t, r, key, exampleContext())
	for name, try := range tries(r, w, key) {
		r.BeginOnce(f)
		if _, err := try(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func callersDeadline(t *testing.T, r Remote) {
	key := seal.NewDataKey()
	w := mustWrap(t, r, key, exampleContext())
	r.Begin(Silent)
	for name, try := range tries(r, w, key) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		got, err := try(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || got != nil {
			t.Errorf("%s: error = %v, want %v and nothing else", name, err, context.DeadlineExceeded)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
	r.Begin("")
}

func forbidden(t *testing.T, r Remote) {
	key := seal.NewDataKey()
	w := mustWrap(t, r, key, exampleContext())
	r.Forbid(t, true)
	for name, try := range tries(r, w, key) {
		if got, err := try(t.Context()); !errors.Is(err, kms.ErrRefused) || got != nil {
			t.Errorf("%s: error = %v, want %v and nothing else", name, err, kms.ErrRefused)
		}
	}
	r.Forbid(t, false)
	mustUnwrap(t, r, w, exampleContext(), key)
}

func retired(t *testing.T, r Remote) {
	key := seal.NewDataKey()
	old := mustWrap(t, r, key, exampleContext())
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatalf("rotate: %v", err)
	}
	before, err := r.FingerprintKey(t.Context(), "c_1")
	if err != nil {
		t.Fatalf("fingerprint key: %v", err)
	}
	r.Retire(t, old.KeyID)
	refused(t, r, old, exampleContext(), key, kms.ErrRefused)
	next := mustWrap(t, r, key, exampleContext())
	mustUnwrap(t, r, next, exampleContext(), key)
	refused(t, r, kms.Wrapped{KeyID: next.KeyID, Ciphertext: old.Ciphertext}, exampleContext(), key, kms.ErrWrongContext)
	after, err := r.FingerprintKey(t.Context(), "c_1")
	if err != nil || string(after.Expose()) != string(before.Expose()) {
		t.Errorf("retiring a wrapping key changed the fingerprint key, or took it away: %v", err)
	}
}
