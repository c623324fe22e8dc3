package file_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/agent/providertest"
)

// listed is a whole list, and how much of the store nobody could list.
func listed(t testing.TB, p *file.Provider, from agent.Cursor) (refs []string, unlisted int) {
	t.Helper()
	for page, err := range p.List(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Secrets {
			refs = append(refs, s.Ref)
		}
		unlisted += page.Unlisted
	}
	slices.Sort(refs)
	return refs, unlisted
}

func TestADamagedSecretHidesNoOtherAndIsNotGone(t *testing.T) {
	cfg := newStore(t)
	p := open(t, cfg)
	for _, text := range []string{"a", "b", "c"} {
		providertest.Put(t, p, providertest.Ref(t, text), canary, "")
	}
	path := filepath.Join(p.Folder(providertest.Ref(t, "b")), "current")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(p.Folder(providertest.Ref(t, "a")), "current"))
	if err != nil {
		t.Fatal(err)
	}
	turned := bytes.Clone(whole)
	turned[len(turned)-3] ^= 1
	for name, content := range map[string][]byte{"turned": turned, "cut": whole[:len(whole)-1], "empty": {}, "another's": other} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		refs, unlisted := listed(t, p, "")
		if diff := cmp.Diff([]string{"a", "c"}, refs); diff != "" || unlisted != 1 {
			t.Errorf("%s: %d unlisted; refs (-want +got):\n%s", name, unlisted, diff)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if refs, unlisted := listed(t, p, ""); len(refs) != 3 || unlisted != 0 {
		t.Errorf("mended: %v, %d unlisted", refs, unlisted)
	}
}

func TestWhatTheAgentMayNotReadIsNotGone(t *testing.T) {
	cfg := newStore(t)
	p := open(t, cfg)
	providertest.Put(t, p, providertest.Ref(t, "a"), canary, "")
	providertest.Put(t, p, providertest.Ref(t, "b"), canary, "")
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(cfg.Dir)), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, 0o755)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.Folder(providertest.Ref(t, "b")), 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // root reads everything; nobody does not
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	refs, unlisted := listed(t, p, "")
	if diff := cmp.Diff([]string{"a"}, refs); diff != "" || unlisted != 1 {
		t.Errorf("%d unlisted; refs (-want +got):\n%s", unlisted, diff)
	}
}

func TestOtherFilesInTheDirectoryAreNoSecrets(t *testing.T) {
	cfg := newStore(t)
	p := open(t, cfg)
	providertest.Put(t, p, providertest.Ref(t, "a"), canary, "")
	name := filepath.Base(p.Folder(providertest.Ref(t, "a")))
	secrets := filepath.Dir(p.Folder(providertest.Ref(t, "a")))
	for _, path := range []string{".DS_Store", "lost+found", name + "0", name[1:], strings.Repeat("A", 32)} {
		if err := os.WriteFile(filepath.Join(secrets, path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A writer died before its first version.
	if err := os.Mkdir(p.Folder(providertest.Ref(t, "b")), 0o700); err != nil {
		t.Fatal(err)
	}
	if refs, unlisted := listed(t, p, ""); len(refs) != 1 || unlisted != 0 {
		t.Errorf("listed %v, %d unlisted", refs, unlisted)
	}
	for _, cursor := range []agent.Cursor{"x", agent.Cursor(name[1:]), agent.Cursor(strings.ToUpper(name)), agent.Cursor(name + "0")} {
		for _, err := range p.List(t.Context(), cursor) {
			if !errors.Is(err, agent.ErrCursor) {
				t.Errorf("cursor %q: %v", cursor, err)
			}
		}
	}
}

// TestAListTakesMoreThanOnePassOverTheDirectory begins anew at cursors of each pass.
func TestAListTakesMoreThanOnePassOverTheDirectory(t *testing.T) {
	p := open(t, newStore(t))
	const window, secrets = agent.MaxPage * 3 / 2, 3*agent.MaxPage + 50
	p.SetWindow(window)
	for i := range secrets {
		if err := p.Plant(providertest.Ref(t, fmt.Sprintf("s/%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	before := map[agent.Cursor]int{}
	for page, err := range p.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Secrets {
			if seen[s.Ref] {
				t.Errorf("%s is listed twice", s.Ref)
			}
			seen[s.Ref] = true
		}
		if page.Next != "" {
			before[page.Next] = len(seen)
		}
	}
	if len(seen) != secrets || len(before) != 4 {
		t.Errorf("%d secrets, want %d; %d cursors", len(seen), secrets, len(before))
	}
	for cursor, n := range before {
		if rest, _ := listed(t, p, cursor); len(rest) != secrets-n {
			t.Errorf("%d secrets follow %d of %d", len(rest), n, secrets)
		}
	}
}

func TestLabelsThatNoListShowsStopTheWrite(t *testing.T) {
	p := open(t, newStore(t))
	ref := providertest.Ref(t, "a")
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint(i)] = ""
	}
	for name, labels := range map[string]map[string]string{
		"too many": many, "no name": {"": "x"}, "long name": {strings.Repeat("x", 513): ""}, "long value": {"x": strings.Repeat("x", 1025)}, "not UTF-8": {"x": "\xff"},
	} {
		b := providertest.Bundle(canary)
		b.Labels = labels
		if version, err := p.Write(t.Context(), ref, b, ""); !errors.Is(err, agent.ErrNotBundle) || version != "" || !strings.Contains(err.Error(), "at most 64") {
			t.Errorf("%s: %q, %v", name, version, err)
		}
		if _, err := os.Stat(p.Folder(ref)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something was stored: %v", name, err)
		}
	}
	delete(many, "0")
	b := providertest.Bundle(canary)
	b.Labels = many
	if _, err := p.Write(t.Context(), ref, b, ""); err != nil {
		t.Errorf("as many as there may be: %v", err)
	}
	if refs, _ := listed(t, p, ""); len(refs) != 1 {
		t.Errorf("listed %v", refs)
	}
}

// BenchmarkList lists 20,000 secrets. It reports them a second, and what is in use on the
// heap in the middle of a list beyond what was before it.
func BenchmarkList(b *testing.B) {
	cfg := newStore(b)
	p := open(b, cfg)
	const secrets = 20_000
	for i := range secrets {
		if err := p.Plant(providertest.Ref(b, fmt.Sprintf("prod/team-%d/service-%d/password", i%40, i))); err != nil {
			b.Fatal(err)
		}
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, held := heap(), uint64(0)
	for b.Loop() {
		n := 0
		for page, err := range p.List(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			if n += len(page.Secrets); n == secrets/2 {
				b.StopTimer()
				held = max(held, heap()-before)
				b.StartTimer()
			}
		}
		if n != secrets {
			b.Fatalf("%d secrets are listed", n)
		}
	}
	b.ReportMetric(float64(secrets)*float64(b.N)/b.Elapsed().Seconds(), "secrets/s")
	b.ReportMetric(float64(held)/1024, "KiB-held")
}
