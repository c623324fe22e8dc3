package file_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/agent/providertest"
)

const canary = providertest.Canary

func TestFileConforms(t *testing.T) {
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T) agent.Provider {
			cfg := newStore(t)
			cfg.Allow = providertest.Allow(t, "suite")
			return open(t, cfg)
		},
		Prefix: "suite",
	})
}

func TestCreateTouchesNothingThatIsThere(t *testing.T) {
	cfg := newStore(t)
	identity, err := os.ReadFile(cfg.IdentityFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Create(cfg); !errors.Is(err, file.ErrExists) {
		t.Errorf("create over a store: %v", err)
	}
	if err := file.Create(file.Config{Dir: filepath.Join(t.TempDir(), "other"), IdentityFile: cfg.IdentityFile}); !errors.Is(err, file.ErrExists) {
		t.Errorf("create over an identity: %v", err)
	}
	after, err := os.ReadFile(cfg.IdentityFile)
	if err != nil || !bytes.Equal(identity, after) {
		t.Errorf("the identity changed (%v)", err)
	}
	if info, err := os.Stat(cfg.IdentityFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("identity file: %v, %v", info.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*testing.T, *file.Config)
		signIn bool
		says   string
	}{
		"an identity that the group may read":  {chmodIdentity(0o640), true, "chmod 600"},
		"an identity that others may read":     {chmodIdentity(0o604), true, "chmod 600"},
		"a directory that others may write to": {chmodDir(0o777), false, "chmod go-w"},
		"an identity of another store": {func(t *testing.T, cfg *file.Config) {
			cfg.IdentityFile = newStore(t).IdentityFile
		}, true, "another identity"},
		"an identity file with nothing in it": {writeIdentity("\n"), true, "exactly one"},
		"an identity file with other text":    {writeIdentity(canary), true, "exactly one"},
		"an identity file that is missing": {func(_ *testing.T, cfg *file.Config) {
			cfg.IdentityFile += ".missing"
		}, true, "no such file"},
		"a directory that is missing": {func(_ *testing.T, cfg *file.Config) {
			cfg.Dir += ".missing"
		}, false, "no such file"},
		"a negative number of versions": {func(_ *testing.T, cfg *file.Config) { cfg.Keep = -1 }, false, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := newStore(t)
			c.spoil(t, &cfg)
			_, err := file.Open(cfg)
			if err == nil || errors.Is(err, agent.ErrSignIn) != c.signIn || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("open: %v", err)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "AGE-SECRET-KEY") {
				t.Errorf("the error quotes the identity: %v", err)
			}
		})
	}
}

func TestAStoreMayHaveAnX25519Identity(t *testing.T) {
	cfg := newStore(t)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w, "secrets-bridge file store v1")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		cfg.IdentityFile:                    []byte(key.String() + "\n"),
		filepath.Join(cfg.Dir, "store.age"): sealed.Bytes(),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, cfg)
	ref := providertest.Ref(t, "a/b")
	providertest.Put(t, p, ref, canary, "")
	if got := read(t, open(t, cfg), ref); got != canary {
		t.Errorf("read %q", got)
	}
}

func TestNothingOfASecretShowsInTheDirectory(t *testing.T) {
	cfg := newStore(t)
	p := open(t, cfg)
	words := []string{"canaryref", "canarykey", "canaryvalue", "canarylabel", "canaryowner"}
	b := agent.Bundle{
		Entries: map[string]agent.Entry{words[1]: agent.Text([]byte(words[2]))},
		Labels:  map[string]string{words[3]: words[4]},
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "prod/"+words[0]), b, ""); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		content = append(content, path...)
		for _, word := range words {
			for _, form := range []string{word, base64.StdEncoding.EncodeToString([]byte(word))[:12], hex.EncodeToString([]byte(word))} {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("%s shows %q", path, form)
				}
			}
		}
		return err
	})
	if err != nil || files != 4 {
		t.Errorf("walked %d files: %v", files, err)
	}
}

func TestOldVersionsGoAndLeftoversToo(t *testing.T) {
	cfg := newStore(t)
	cfg.Keep = 3
	p := open(t, cfg)
	ref := providertest.Ref(t, "a")
	var version agent.Version
	for i := range 7 {
		version = providertest.Put(t, p, ref, fmt.Sprint(i), version)
		if i == 5 {
			if err := os.WriteFile(filepath.Join(p.Folder(ref), ".tmp-crashed"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := names(t, p.Folder(ref)), "5.age 6.age 7.age current"; got != want {
		t.Errorf("files: %s, want %s", got, want)
	}
}

// TestADamagedFileIsNeverReadAsAnotherValue flips and cuts every file of a secret.
func TestADamagedFileIsNeverReadAsAnotherValue(t *testing.T) {
	cfg := newStore(t)
	p := open(t, cfg)
	ref, other := providertest.Ref(t, "a"), providertest.Ref(t, "b")
	version := providertest.Put(t, p, ref, "old", "")
	providertest.Put(t, p, ref, canary, version)
	providertest.Put(t, p, other, "other", "")

	check := func(what string) {
		t.Helper()
		b, err := p.Read(t.Context(), ref)
		if err == nil {
			if got := string(b.Entries["k"].Value.Expose()); got != canary {
				t.Errorf("%s: read %q", what, got)
			}
			return
		}
		if !errors.Is(err, agent.ErrCorrupt) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	for _, name := range []string{"current", "2.age"} {
		path := filepath.Join(p.Folder(ref), name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put := func(content []byte) {
			t.Helper()
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i := 0; i < len(whole); i += 7 {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 0x10
			put(damaged)
			check(fmt.Sprintf("%s with byte %d changed", name, i))
		}
		for _, n := range []int{0, 1, 100, len(whole) - 1} {
			put(whole[:n])
			check(fmt.Sprintf("%s cut to %d bytes", name, n))
		}
		for from, content := range map[string]string{
			"the other secret's": filepath.Join(p.Folder(other), name),
			"the first version":  filepath.Join(p.Folder(ref), "1.age"),
			"the store's own":    filepath.Join(cfg.Dir, "store.age"),
		} {
			foreign, err := os.ReadFile(content)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			put(foreign)
			check(name + " replaced by " + from)
		}
		put(whole)
	}
	if err := os.Remove(filepath.Join(p.Folder(ref), "2.age")); err != nil {
		t.Fatal(err)
	}
	check("without 2.age")
	if _, err := p.Write(t.Context(), ref, providertest.Bundle("x"), "2"); err != nil {
		t.Errorf("a damaged version cannot be replaced: %v", err)
	}
}

func TestAFolderUnderAnotherNameIsNotThatSecret(t *testing.T) {
	p := open(t, newStore(t))
	ref, other := providertest.Ref(t, "a"), providertest.Ref(t, "b")
	providertest.Put(t, p, ref, canary, "")
	providertest.Put(t, p, other, "other", "")
	if err := os.RemoveAll(p.Folder(ref)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.Folder(other), p.Folder(ref)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context(), ref); !errors.Is(err, agent.ErrCorrupt) {
		t.Errorf("read: %v, want ErrCorrupt", err)
	}
	if _, err := p.Write(t.Context(), ref, providertest.Bundle("x"), "1"); !errors.Is(err, agent.ErrCorrupt) {
		t.Errorf("write: %v, want ErrCorrupt", err)
	}
}

func newStore(t testing.TB) file.Config {
	t.Helper()
	dir := t.TempDir()
	cfg := file.Config{Dir: filepath.Join(dir, "store"), IdentityFile: filepath.Join(dir, "keys", "identity"), Allow: providertest.Allow(t, "*")}
	if err := file.Create(cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func open(t testing.TB, cfg file.Config) *file.Provider {
	t.Helper()
	p, err := file.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, p *file.Provider, ref agent.Ref) string {
	t.Helper()
	got, _ := providertest.Value(t, p, ref)
	return got
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return strings.Join(out, " ")
}

func chmodIdentity(mode os.FileMode) func(*testing.T, *file.Config) {
	return func(t *testing.T, cfg *file.Config) {
		if err := os.Chmod(cfg.IdentityFile, mode); err != nil {
			t.Fatal(err)
		}
	}
}

func chmodDir(mode os.FileMode) func(*testing.T, *file.Config) {
	return func(t *testing.T, cfg *file.Config) {
		if err := os.Chmod(cfg.Dir, mode); err != nil {
			t.Fatal(err)
		}
	}
}

func writeIdentity(text string) func(*testing.T, *file.Config) {
	return func(t *testing.T, cfg *file.Config) {
		if err := os.WriteFile(cfg.IdentityFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
