package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/ledger"
)

// Objects is a [ledger.Objects] in memory. The zero value is ready.
type Objects struct {
	// Fault, if set, is asked before each call that changes something, and again when it is done;
	// what it returns is the answer.
	Fault func(operation, name string, done bool) error

	mu   sync.Mutex
	kept map[string][]byte
	puts map[string]int
}

var _ ledger.Objects = (*Objects)(nil)

func (o *Objects) String() string { return "the memory" }

// Top implements [ledger.Objects].
func (o *Objects) Top(context.Context) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for name := range o.kept {
		top, _, deeper := strings.Cut(name, "/")
		if deeper {
			top += "/"
		}
		names = append(names, top)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Open implements [ledger.Objects].
func (o *Objects) Open(_ context.Context, name string) (io.ReadCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data, there := o.kept[name]
	if !there {
		return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// change is one call that changes something.
func (o *Objects) change(operation, name string, do func() error) error {
	fault := o.Fault
	if fault == nil {
		fault = func(string, string, bool) error { return nil }
	}
	if err := fault(operation, name, false); err != nil {
		return err
	}
	o.mu.Lock()
	err := do()
	o.mu.Unlock()
	return errors.Join(err, fault(operation, name, true))
}

func (o *Objects) put(name string, data []byte) {
	if o.kept == nil {
		o.kept, o.puts = map[string][]byte{}, map[string]int{}
	}
	o.kept[name] = data
	o.puts[name]++
}

// Make implements [ledger.Objects].
func (o *Objects) Make(_ context.Context, name string, data io.ReadSeeker) error {
	all, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	return o.change("make", name, func() error {
		there, ok := o.kept[name]
		if ok && !bytes.Equal(there, all) {
			return fmt.Errorf("%s: %w", name, ledger.ErrOtherObject)
		}
		if !ok {
			o.put(name, all)
		}
		return nil
	})
}

// Replace implements [ledger.Objects].
func (o *Objects) Replace(_ context.Context, name string, data []byte) error {
	return o.change("replace", name, func() error { o.put(name, bytes.Clone(data)); return nil })
}

// Remove implements [ledger.Objects].
func (o *Objects) Remove(_ context.Context, name string) error {
	return o.change("remove", name, func() error { delete(o.kept, name); return nil })
}

// All are the objects, by name, and Puts how often each was written.
func (o *Objects) All() (all map[string][]byte, puts map[string]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, puts = map[string][]byte{}, map[string]int{}
	for name, data := range o.kept {
		all[name], puts[name] = bytes.Clone(data), o.puts[name]
	}
	return all, puts
}

// RunObjects proves that a place, which is empty, does as [ledger.Objects] says.
func RunObjects(t *testing.T, o ledger.Objects) {
	t.Helper()
	ctx := t.Context()
	has := func(name, want string) {
		t.Helper()
		r, err := o.Open(ctx, name)
		if err != nil {
			t.Errorf("open %s: %v", name, err)
			return
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s is %.40q, %v, want %.40q", name, got, err, want)
		}
	}
	do := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	top := func(want ...string) {
		t.Helper()
		got, err := o.Top(ctx)
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Clip(got)); diff != "" && len(want)+len(got) > 0 || err != nil {
			t.Errorf("top: %v (-want +got):\n%s", err, diff)
		}
	}
	top()
	for _, name := range []string{"checkpoint", "tile/0/000"} {
		_, err := o.Open(ctx, name)
		do("open what is not there", err, fs.ErrNotExist)
		do("remove what is not there", o.Remove(ctx, name), nil)
	}
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	do("make", o.Make(ctx, "tile/0/x001/000.p/7", strings.NewReader("seven")), nil)
	do("make a large one", o.Make(ctx, "commits/000", strings.NewReader(large)), nil)
	do("make it again", o.Make(ctx, "commits/000", strings.NewReader(large)), nil)
	for _, other := range []string{"", large[1:], large + "x", "x" + large[1:]} {
		do("make another", o.Make(ctx, "commits/000", strings.NewReader(other)), ledger.ErrOtherObject)
	}
	do("make an empty one", o.Make(ctx, "commits/001", strings.NewReader("")), nil)
	has("commits/000", large)
	has("commits/001", "")
	has("tile/0/x001/000.p/7", "seven")
	do("replace", o.Replace(ctx, "checkpoint", []byte("one\n")), nil)
	do("replace", o.Replace(ctx, "checkpoint", []byte("another\n")), nil)
	has("checkpoint", "another\n")
	top("checkpoint", "commits/", "tile/")
	do("remove", o.Remove(ctx, "tile/0/x001/000.p/7"), nil)
	_, err := o.Open(ctx, "tile/0/x001/000.p/7")
	do("open what was removed", err, fs.ErrNotExist)
	do("make it anew", o.Make(ctx, "tile/0/x001/000.p/7", strings.NewReader("again")), nil)
	has("tile/0/x001/000.p/7", "again")
	if o.String() == "" {
		t.Error("it has no name")
	}
}
