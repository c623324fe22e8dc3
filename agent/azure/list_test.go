package azure_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/azure"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
)

// list collects all pages.
func list(t *testing.T, p *azure.Provider) (secrets map[string]events.SecretMetadata, pages []agent.Page) {
	t.Helper()
	secrets = map[string]events.SecretMetadata{}
	for page, err := range p.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page)
		for _, one := range page.Secrets {
			secrets[one.Ref] = one
		}
	}
	return secrets, pages
}

func TestTheListTellsVersionsWhereTheyAreCertain(t *testing.T) {
	l := newLab(t)
	l.EmptyPages = true
	began := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	now := began
	l.Clock(func() time.Time { return now })
	l.SetValue("two", one)
	l.SetValue("tie", one)
	l.SetValue("off", one)
	l.SetManaged("cert", one)
	now = now.Add(time.Second)
	last := l.SetValue("two", two)
	l.SetValue("tie", two)
	l.SetValue("tie", one)
	l.SetValue("off", one)
	l.Enable("off", "", false)
	cfg := l.config(t)
	p := open(t, cfg)
	got, pages := list(t, p)
	want := map[string]events.SecretMetadata{
		"two": {Ref: "two", Version: last, Created: began, Updated: now},
		"tie": {Ref: "tie", Created: began, Updated: now},
		"off": {Ref: "off", Created: began, Updated: now},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if len(pages) != 1 || pages[0].Skipped != 1 || pages[0].Unlisted != 0 {
		t.Errorf("pages %+v, want one that skips the certificate's", pages)
	}
	if l.Calls("get") != 0 {
		t.Error("the list read values")
	}
	cfg.NoListVersions = true
	cfg.Allow = providertest.Allow(t, "t*")
	asked := l.Calls("versions")
	got, pages = list(t, open(t, cfg))
	if len(got) != 2 || got["two"].Version != "" || pages[0].Skipped != 0 {
		t.Errorf("without versions, and with less of the vault: %v, %+v", got, pages)
	}
	if l.Calls("versions") != asked {
		t.Error("versions were looked up all the same")
	}
}

// TestTheTokenGoesToNoOtherHost has a list that goes on at another host, and there a server
// whose certificate is trusted, too.
func TestTheTokenGoesToNoOtherHost(t *testing.T) {
	l := newLab(t)
	var asked atomic.Int64
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(other.Close)
	for i := range 30 {
		l.SetValue(fmt.Sprintf("s%02d", i), one)
	}
	cfg := l.config(t)
	cfg.NoListVersions = true
	p := open(t, cfg)
	if err := p.Check(t.Context()); err != nil { // signs in
		t.Fatal(err)
	}
	for name, change := range map[string]func(string) string{
		"another host":      func(link string) string { return strings.Replace(link, l.URL, other.URL, 1) },
		"another scheme":    func(link string) string { return strings.Replace(link, "https", "http", 1) },
		"no token":          func(string) string { return l.URL + "/secrets?maxresults=25" },
		"a token too long":  func(string) string { return l.URL + "/secrets?$skiptoken=" + strings.Repeat("y", 5000) },
		"no address at all": func(string) string { return "%zz" + canary },
	} {
		l.NextLink = change
		seen := len(l.Seen())
		var last error
		for _, err := range p.List(t.Context(), "") {
			last = err
		}
		if !errors.Is(last, agent.ErrUnavailable) || strings.Contains(last.Error(), canary) || len(l.Seen()) != seen+1 {
			t.Errorf("%s: %d calls, %v", name, len(l.Seen())-seen, last)
		}
	}
	// Whatever else a link names, only its token counts.
	l.NextLink = func(link string) string {
		return strings.Replace(link, "/secrets?", "/deletedsecrets/x?evil="+canary+"&", 1)
	}
	if got, _ := list(t, p); len(got) != 30 {
		t.Errorf("%d secrets, want 30", len(got))
	}
	for _, call := range l.Seen() {
		if !strings.HasPrefix(call, "GET /secrets?") || strings.Contains(call, canary) {
			t.Errorf("the link was followed: %s", call)
		}
	}
	if asked.Load() != 0 {
		t.Error("the other host was asked")
	}
}

func TestAListThatStandsStillEnds(t *testing.T) {
	l := newLab(t)
	for i := range 60 {
		l.SetValue(fmt.Sprintf("s%02d", i), one)
	}
	kept := ""
	l.NextLink = func(link string) string {
		if kept == "" {
			kept = link
		}
		return kept
	}
	var last error
	for _, err := range open(t, l.config(t)).List(t.Context(), "") {
		last = err
	}
	if !errors.Is(last, agent.ErrUnavailable) {
		t.Errorf("%v", last)
	}
}

func TestACursorThatTheVaultDoesNotKnowIsRefused(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	for _, cursor := range []agent.Cursor{"eyJub3QiOiJvdXJzIn0", "%", "a b", "x\n", agent.Cursor(strings.Repeat("x", events.MaxCursor+1))} {
		for _, err := range p.List(t.Context(), cursor) {
			if !errors.Is(err, agent.ErrCursor) {
				t.Errorf("cursor %.20q: %v", cursor, err)
			}
		}
	}
}

// TestAListOfMuchThatIsNotOpenedGoesOn has a vault with little of what is opened: a page
// comes before all of it was looked through.
func TestAListOfMuchThatIsNotOpenedGoesOn(t *testing.T) {
	l := newLab(t)
	l.PageSize = 2
	for i := range 99 {
		l.SetValue(fmt.Sprintf("closed-%02d", i), one)
	}
	l.SetValue("open-1", one)
	cfg := l.config(t)
	cfg.Allow = providertest.Allow(t, "open-*")
	got, pages := list(t, open(t, cfg))
	if len(got) != 1 || len(pages) != 2 || len(pages[0].Secrets) != 0 {
		t.Errorf("%v on %d pages, want one on the second of two", got, len(pages))
	}
	for _, call := range l.Seen() {
		if strings.Contains(call, "closed-") {
			t.Errorf("the vault was asked for what is not opened: %s", call)
		}
	}
	if !slices.ContainsFunc(l.Seen(), func(call string) bool { return strings.Contains(call, "open-1/versions") }) {
		t.Error("what is opened was not looked up")
	}
}
