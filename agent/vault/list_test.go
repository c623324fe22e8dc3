package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
	"secretsbridge/test/servers/faults"
)

// listed is a whole list: each ref with version and labels, and what was counted.
func listed(t *testing.T, p *vault.Provider, from agent.Cursor) (secrets []string, counts agent.Page) {
	t.Helper()
	for page, err := range p.List(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Secrets {
			text := s.Ref
			if s.Version != "" {
				text += " " + s.Version
			}
			for name, value := range s.Labels {
				text += " " + name + "=" + value
			}
			secrets = append(secrets, text)
		}
		counts.Skipped += page.Skipped
		counts.Unlisted += page.Unlisted
	}
	return secrets, counts
}

func wantList(t *testing.T, p *vault.Provider, want []string, skipped, unlisted int) {
	t.Helper()
	got, counts := listed(t, p, "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if counts.Skipped != skipped || counts.Unlisted != unlisted {
		t.Errorf("%d skipped, %d unlisted, want %d and %d", counts.Skipped, counts.Unlisted, skipped, unlisted)
	}
}

func (l lab) put(t *testing.T, path string) {
	t.Helper()
	mount, rest, _ := strings.Cut(path, "/")
	l.write(t, mount+"/data/"+rest, map[string]any{"data": map[string]any{"k": canary}})
}

func TestListTellsWhatReadWouldFind(t *testing.T) {
	l := newLab(t)
	for _, path := range []string{"a", "a/b", "a/b/c", "a!", "deleted", "deleted", "destroyed", "restored", "later", `odd\name`, `odd\folder/x`, `odd\folder/y`, "%41", "x/end /y"} {
		l.put(t, "secret/"+path)
	}
	l.write(t, "secret/delete/deleted", map[string]any{"versions": []int{2}})
	l.write(t, "secret/destroy/destroyed", map[string]any{"versions": []int{1}})
	l.write(t, "secret/delete/restored", map[string]any{"versions": []int{1}})
	l.write(t, "secret/undelete/restored", map[string]any{"versions": []int{1}})
	l.write(t, "secret/metadata/empty", map[string]any{"custom_metadata": map[string]any{"team": "a"}})
	l.write(t, "secret/metadata/a", map[string]any{"custom_metadata": map[string]any{"team": "a"}})
	l.write(t, "secret/metadata/later", map[string]any{"delete_version_after": "1h"})
	l.put(t, "secret/later")
	l.write(t, "secret/metadata/soon", map[string]any{"delete_version_after": "1s"})
	l.put(t, "secret/soon")
	p := open(t, l.config(t, l.server.RootToken))
	eventually(t, "the secret that ends soon has ended", func() bool {
		_, err := p.Read(t.Context(), providertest.Ref(t, "secret/soon"))
		return errors.Is(err, agent.ErrNotFound)
	})
	want := []string{"secret/a 1 team=a", "secret/a! 1", "secret/a/b 1", "secret/a/b/c 1", "secret/later 2", "secret/restored 1"}
	wantList(t, p, want, 4, 0)
	for _, text := range want {
		ref, _, _ := strings.Cut(text, " ")
		if _, err := p.Read(t.Context(), providertest.Ref(t, ref)); err != nil {
			t.Errorf("%s is listed: %v", ref, err)
		}
	}
}

func TestWhatVaultRefusesIsNotGone(t *testing.T) {
	l := newLab(t)
	for _, path := range []string{"prod", "prod/a", "prod/hidden", "prod/closed/x", "prod/open/y", "other/z"} {
		l.put(t, "secret/"+path)
	}
	l.write(t, "sys/policies/acl/lister", map[string]any{"policy": `
		path "secret/metadata/prod/*" { capabilities = ["read", "list"] }
		path "secret/metadata/prod/hidden" { capabilities = ["deny"] }
		path "secret/metadata/prod/closed*" { capabilities = ["deny"] }`})
	token := l.write(t, "auth/token/create", map[string]any{"policies": []string{"lister"}}).Auth.ClientToken
	cfg := l.config(t, token)
	for _, c := range []struct {
		allow    []string
		want     []string
		unlisted int
	}{
		{[]string{"prod/*"}, []string{"secret/prod/a 1", "secret/prod/hidden", "secret/prod/open/y 1"}, 1},
		// The secret "prod" itself may be there or not.
		{[]string{"prod"}, []string{"secret/prod/a 1", "secret/prod/hidden", "secret/prod/open/y 1"}, 2},
		{[]string{"prod/a", "prod/o*"}, []string{"secret/prod/a 1", "secret/prod/open/y 1"}, 0},
		{[]string{"*"}, nil, 1},
		{nil, nil, 0},
	} {
		cfg.Mounts = []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, c.allow...)}}
		wantList(t, open(t, cfg), c.want, 0, c.unlisted)
	}
	// Nor is what lies in a mount that was taken away.
	cfg = l.config(t, l.server.RootToken)
	cfg.Mounts = []vault.Mount{{Path: "nowhere", Allow: providertest.Allow(t, "*")}, {Path: "secret", Allow: providertest.Allow(t, "other")}}
	wantList(t, open(t, cfg), []string{"secret/other/z 1"}, 0, 1)
}

// TestAListGoesOnInTheMiddleOfAFolder begins anew with another provider, and looks at what
// it asks for.
func TestAListGoesOnInTheMiddleOfAFolder(t *testing.T) {
	l := newLab(t)
	l.mount(t, "second")
	const each = agent.MaxPage*2/3 + 10
	for i := range each {
		l.put(t, fmt.Sprintf("secret/f/%03d", i))
		l.put(t, fmt.Sprintf("second/f/%03d", i))
	}
	door, address := faults.Before(t, l.server.Address, slowDown)
	cfg := l.config(t, l.server.RootToken)
	cfg.Address = address
	cfg.Mounts = append(cfg.Mounts, vault.Mount{Path: "second", Allow: providertest.Allow(t, "f/*")})
	var first agent.Page
	for page, err := range open(t, cfg).List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		first = page
		break
	}
	if len(first.Secrets) != agent.MaxPage || first.Next == "" {
		t.Fatalf("the first page has %d secrets and goes on at %q", len(first.Secrets), first.Next)
	}
	var mu sync.Mutex
	var asked []string
	door.Instead(func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		server.ServeHTTP(w, r)
	}, -1)
	rest, _ := listed(t, open(t, cfg), first.Next)
	if len(rest) != 2*each-agent.MaxPage || rest[0] != fmt.Sprintf("second/f/%03d 1", agent.MaxPage-each) {
		t.Errorf("%d secrets are left, from %s on", len(rest), rest[0])
	}
	want := []string{"/v1/auth/token/lookup-self", "/v1/second/metadata/f"}
	for i := agent.MaxPage - each; i < each; i++ {
		want = append(want, fmt.Sprintf("/v1/second/metadata/f/%03d", i))
	}
	slices.Sort(asked)
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	cfg.Mounts = cfg.Mounts[:1]
	for _, err := range open(t, cfg).List(t.Context(), first.Next) {
		if !errors.Is(err, agent.ErrCursor) {
			t.Errorf("a cursor in a mount that is not configured any more: %v", err)
		}
	}
}

func TestAListGoesOnWhenItsTokenEnds(t *testing.T) {
	l := newLab(t)
	for i := range agent.MaxPage + 20 {
		l.put(t, fmt.Sprintf("secret/prod/%03d", i))
	}
	cfg := l.config(t, "")
	cfg.Auth = l.role(t, nil)
	cfg.Mounts[0].Allow = providertest.Allow(t, "prod/*")
	l.write(t, "sys/policies/acl/prod", map[string]any{"policy": `path "secret/metadata/prod/*" { capabilities = ["read", "list"] }`})
	pages, secrets := 0, 0
	for page, err := range open(t, cfg).List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if page.Unlisted != 0 {
			t.Errorf("%d unlisted", page.Unlisted)
		}
		for _, s := range page.Secrets {
			if s.Version != "1" {
				t.Errorf("%s is listed by its name alone", s.Ref)
			}
		}
		pages, secrets = pages+1, secrets+len(page.Secrets)
		l.revokeTokens(t)
	}
	if pages != 2 || secrets != agent.MaxPage+20 {
		t.Errorf("%d secrets on %d pages", secrets, pages)
	}
}

func TestTheRateOfRequestsIsKept(t *testing.T) {
	_, p := newKV(t, kv{"a": {}, "b": {}}, func(cfg *vault.Config) { cfg.RequestsPerSecond = 10 })
	began := time.Now()
	const lists = 6 // of three requests each, eight of which are made at once
	for range lists {
		listed(t, p, "")
	}
	if took, least := time.Since(began), time.Duration(3*lists-8)*time.Second/10; took < least {
		t.Errorf("%d requests in %v", 3*lists, took)
	}
	// A call whose turn comes after its end is not made, and not tried again.
	slow, p := newKV(t, kv{"a": {}}, func(cfg *vault.Config) { cfg.RequestsPerSecond = 1 })
	for range 8 {
		_ = p.Check(t.Context())
	}
	before := slow.count()
	began = time.Now()
	ctx, cancel := contextFor(t, 300*time.Millisecond)
	defer cancel()
	for _, err := range p.List(ctx, "") {
		if !errors.Is(err, agent.ErrUnavailable) {
			t.Errorf("a list without a turn: %v", err)
		}
	}
	if took := time.Since(began); took > 200*time.Millisecond || slow.count() != before {
		t.Errorf("it took %v and %d requests", took, slow.count()-before)
	}
}
