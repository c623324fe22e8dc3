package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
)

// kv are the secrets of an engine at "secret", by their paths.
type kv map[string]struct{}

func (k kv) answer(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/secret/metadata")
	path = strings.TrimPrefix(path, "/")
	if r.URL.Query().Get("list") != "true" {
		if _, ok := k[path]; !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"data":{"created_time":"2026-01-02T03:04:05Z","current_version":1,"versions":{"1":{"created_time":"2026-01-02T03:04:05Z","deletion_time":"","destroyed":false}}}}`))
		return
	}
	folder := strings.TrimSuffix(path, "/")
	if folder != "" {
		folder += "/"
	}
	var names []string
	for secret := range k {
		if rest, ok := strings.CutPrefix(secret, folder); ok {
			if name, _, deeper := strings.Cut(rest, "/"); deeper {
				names = append(names, name+"/")
			} else {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"keys": names}}) // in any order, and twice
}

// newKV serves k in the place of a Vault, for names that Vault or its library would not
// take, and for many of them.
func newKV(t testing.TB, k kv, change func(*vault.Config)) (*front, *vault.Provider) {
	t.Helper()
	f := &front{answer: func(_ int, w http.ResponseWriter, r *http.Request) { k.answer(w, r) }}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg := vault.Config{
		Address: server.URL,
		Auth:    vault.Auth{Method: vault.MethodToken, Token: "t0ken"},
		Mounts:  []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, "*")}},
	}
	change(&cfg)
	p, err := vault.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return f, p
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// TestEveryWalkListsWhatIsAllowed draws engines, allow-lists and places to go on from.
func TestEveryWalkListsWhatIsAllowed(t *testing.T) {
	segment := rapid.StringMatching(`[ab!\-]`)
	path := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
	})
	// One server for all: a connection for each would run out of ports.
	var mu sync.Mutex
	var secrets kv
	server := httptest.NewServer(&front{answer: func(_ int, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		secrets.answer(w, r)
	}})
	t.Cleanup(server.Close)
	found := 0
	rapid.Check(t, func(rt *rapid.T) {
		drawn := rapid.SliceOfN(path, 1, 12).Draw(rt, "secrets")
		mu.Lock()
		secrets = kv{}
		for _, p := range drawn {
			secrets[p] = struct{}{}
		}
		mu.Unlock()
		var entries []string
		for range rapid.IntRange(1, 3).Draw(rt, "entries") {
			entries = append(entries, path.Draw(rt, "entry")+rapid.SampledFrom([]string{"", "*", "/*"}).Draw(rt, "end"))
		}
		if rapid.Bool().Draw(rt, "everything") {
			entries = append(entries, "*")
		}
		list, err := agent.ParseAllowList(entries...)
		if err != nil {
			rt.Fatal(err)
		}
		from, after := agent.Cursor(""), ""
		if rapid.Bool().Draw(rt, "from the middle") {
			after = rapid.OneOf(path, rapid.SampledFrom(drawn)).Draw(rt, "after")
			from = vault.CursorAfter("secret", after)
		}
		p, err := vault.Open(vault.Config{
			Address: server.URL, RequestsPerSecond: 1e6,
			Auth:   vault.Auth{Method: vault.MethodToken, Token: "t0ken"},
			Mounts: []vault.Mount{{Path: "secret", Allow: list}},
		})
		if err != nil {
			rt.Fatal(err)
		}
		defer p.Close()
		var want []string
		for secret := range secrets {
			if ref, err := agent.ParseRef(secret); err == nil && list.Allows(ref) && secret > after {
				want = append(want, "secret/"+secret)
			}
		}
		slices.Sort(want)
		var got []string
		for page, err := range p.List(context.Background(), from) {
			if err != nil {
				rt.Fatal(err)
			}
			for _, s := range page.Secrets {
				got = append(got, s.Ref)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%q after %q of %v (-want +got):\n%s", entries, after, secrets, diff)
		}
		found += len(got)
	})
	if found == 0 {
		t.Error("nothing was ever listed")
	}
}

// TestNoNameLeadsOutOfItsFolder has names that a library would clean away.
func TestNoNameLeadsOutOfItsFolder(t *testing.T) {
	f, p := newKV(t, kv{"a/../b": {}, "a/./c": {}, "a//d": {}, "%2e%2e/x": {}, "a/good": {}}, func(*vault.Config) {})
	secrets, counts := listed(t, p, "")
	if diff := cmp.Diff([]string{"secret/a/good 1"}, secrets); diff != "" || counts.Skipped != 4 {
		t.Errorf("%d skipped; list (-want +got):\n%s", counts.Skipped, diff)
	}
	var asked []string
	for _, r := range f.seen {
		asked = append(asked, r.URL.Path)
	}
	if diff := cmp.Diff([]string{"/v1/secret/metadata", "/v1/secret/metadata/a", "/v1/secret/metadata/a/good"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestAFolderWithTooManyNamesSaysWhatToDo(t *testing.T) {
	many := func(names int) kv {
		k := kv{"small/x": {}}
		for i := range names {
			k[fmt.Sprintf("big/%0100d", i)] = struct{}{}
		}
		return k
	}
	_, p := newKV(t, many(90_000), func(cfg *vault.Config) { cfg.RequestsPerSecond = 1e6 })
	for _, err := range p.List(t.Context(), "") {
		if !errors.Is(err, agent.ErrTooLarge) || !strings.Contains(err.Error(), `folder "big/" of mount "secret"`) || !strings.Contains(err.Error(), "allow-list") {
			t.Errorf("%v, want what to do about the folder", err)
		}
	}
	_, p = newKV(t, many(90_000), func(cfg *vault.Config) { cfg.Mounts[0].Allow = providertest.Allow(t, "small") })
	if secrets, _ := listed(t, p, ""); len(secrets) != 1 {
		t.Errorf("beside the folder %v is listed", secrets)
	}
	_, p = newKV(t, many(80_000), func(cfg *vault.Config) { cfg.RequestsPerSecond = 1e6 })
	for page, err := range p.List(t.Context(), "") {
		if err != nil || len(page.Secrets) != agent.MaxPage {
			t.Errorf("just below the bound: %d secrets, %v", len(page.Secrets), err)
		}
		break
	}
}

func TestListsThatAreNotVaults(t *testing.T) {
	for _, text := range []string{"", "null", `{"data":{}}`, `{"data":{"keys":"` + canary + `"}}`, `{"data":{"keys":["a/b"]}}`, `{"data":{"keys":[""]}}`, `{"data":{"keys":["x"]}}`} {
		_, p := newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		for page, err := range p.List(t.Context(), "") {
			if !errors.Is(err, agent.ErrUnavailable) || len(page.Secrets) > 0 || strings.Contains(err.Error(), canary) {
				t.Errorf("%s: %v, %v", text, page, err)
			}
		}
	}
}

func TestAListAsksInItsNamespaceOverFewConnections(t *testing.T) {
	k := kv{}
	for i := range 60 {
		k[fmt.Sprintf("f%d/x", i)] = struct{}{}
	}
	var mu sync.Mutex
	states := map[string]http.ConnState{}
	f := &front{answer: func(_ int, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		states[r.RemoteAddr] = http.StateActive
		mu.Unlock()
		k.answer(w, r)
	}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	p := open(t, vault.Config{
		Address: server.URL, Namespace: "team-a",
		Auth:   vault.Auth{Method: vault.MethodToken, Token: "t0ken"},
		Mounts: []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, "*")}},
	})
	if secrets, _ := listed(t, p, ""); len(secrets) != len(k) {
		t.Errorf("%d secrets are listed", len(secrets))
	}
	for _, r := range f.seen {
		if r.Header.Get("X-Vault-Namespace") != "team-a" || r.Header.Get("X-Vault-Token") != "t0ken" {
			t.Errorf("%s in namespace %q", r.URL, r.Header.Get("X-Vault-Namespace"))
		}
	}
	if len(states) > 8 {
		t.Errorf("%d requests came over %d connections", len(f.seen), len(states))
	}
}
