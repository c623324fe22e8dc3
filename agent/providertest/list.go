package providertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// lists compares the list with what Read says of each secret.
func (s suite) lists(t *testing.T) {
	want := map[string]agent.Bundle{}
	for i := range 30 {
		ref := s.ref(t, fmt.Sprintf("list/%02d", i))
		b := texts("k", Canary)
		if i%3 == 0 {
			b.Labels = map[string]string{"team": "payments", "owner": "zoë", "nth": fmt.Sprint(i)}
		}
		version := s.write(t, ref, b, "")
		if i%5 == 0 {
			s.write(t, ref, texts("k", Canary+"2"), version)
		}
		want[ref.String()] = s.read(t, ref)
	}
	got := s.list(t, "", nil)
	for text, b := range want {
		listed, ok := got[text]
		if !ok {
			t.Errorf("%s is not listed", text)
			continue
		}
		if diff := gocmp.Diff(b.Labels, listed.Labels); diff != "" && len(b.Labels)+len(listed.Labels) > 0 {
			t.Errorf("labels of %s (-read +listed):\n%s", text, diff)
		}
		if listed.Version != string(b.Version) && (listed.Version != "" || !s.ListsNoVersion) {
			t.Errorf("%s is listed with version %q and read with %q", text, listed.Version, b.Version)
		}
		for name, at := range map[string]time.Time{"created": listed.Created, "updated": listed.Updated} {
			if !at.IsZero() && (at.Location() != time.UTC || time.Since(at) > time.Minute || time.Until(at) > 2*time.Second) {
				t.Errorf("%s of %s at %v", name, text, at)
			}
		}
		delete(got, text)
	}
	for text, listed := range got {
		t.Errorf("%s is listed and was not written", text)
		if strings.Contains(fmt.Sprint(listed), Canary) {
			t.Errorf("the list shows a value")
		}
	}
}

// resumes writes more than one page of any provider holds, where that takes no long time.
func (s suite) resumes(t *testing.T) {
	const secrets = agent.MaxPage + 30
	for i := range secrets {
		s.write(t, s.ref(t, fmt.Sprintf("many/%c/%03d", 'a'+i%3, i)), texts("k", Canary), "")
	}
	var cursors []agent.Cursor
	var after []int // secrets that come after each cursor
	all := s.list(t, "", func(page agent.Page, before int) {
		if page.Next != "" {
			cursors, after = append(cursors, page.Next), append(after, secrets-before-len(page.Secrets))
		}
	})
	if len(all) != secrets {
		t.Fatalf("%d secrets are listed, want %d", len(all), secrets)
	}
	if len(cursors) == 0 {
		t.Fatalf("%d secrets are on one page", secrets)
	}
	for _, i := range []int{0, len(cursors) / 2, len(cursors) - 1} {
		if len(cursors[i]) > events.MaxCursor || strings.Contains(string(cursors[i]), Canary) || strings.ContainsFunc(string(cursors[i]), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("cursor %q", cursors[i])
		}
		if rest := s.list(t, cursors[i], nil); len(rest) != after[i] {
			t.Errorf("from cursor %d on %d secrets are listed, want %d", i, len(rest), after[i])
		}
	}
	for page, err := range s.p.List(t.Context(), "no cursor of this provider") {
		WantError(t, err, agent.ErrCursor)
		if len(page.Secrets) > 0 {
			t.Error("secrets come with the refusal")
		}
	}
}

// listsInside wants Outside to be empty or to name what the harness put there.
func (s suite) listsInside(t *testing.T) {
	if got := s.list(t, "", nil); len(got) != 0 {
		t.Errorf("an empty provider lists %v", got)
	}
	s.write(t, s.ref(t, "inside"), texts("k", Canary), "")
	if got := s.list(t, "", nil); len(got) != 1 {
		t.Errorf("one secret is listed as %v", got)
	}
}

func (s suite) stopsListing(t *testing.T) {
	s.write(t, s.ref(t, "a"), texts("k", Canary), "")
	for range s.p.List(t.Context(), "") {
		break // a caller that has enough must not hang anybody
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := false
	for _, err := range s.p.List(ctx, "") {
		if ended {
			t.Fatal("the list goes on after its error")
		}
		ended = true
		WantError(t, err, context.Canceled)
		WantError(t, err, agent.ErrUnavailable)
	}
	if !ended {
		t.Error("a list whose context ended has no error")
	}
}

// list collects a whole list. Each page is looked at with how many secrets came before.
func (s suite) list(t *testing.T, from agent.Cursor, look func(page agent.Page, before int)) map[string]events.SecretMetadata {
	t.Helper()
	all := map[string]events.SecretMetadata{}
	last := false
	for page, err := range s.p.List(t.Context(), from) {
		switch {
		case err != nil:
			t.Fatalf("list: %v", err)
		case last:
			t.Fatal("a page follows the last one")
		case len(page.Secrets) > agent.MaxPage:
			t.Errorf("a page has %d secrets", len(page.Secrets))
		case page.Skipped != 0 || page.Unlisted != 0:
			t.Errorf("%d skipped, %d unlisted", page.Skipped, page.Unlisted)
		}
		if look != nil {
			look(page, len(all))
		}
		for _, secret := range page.Secrets {
			if _, twice := all[secret.Ref]; twice {
				t.Errorf("%s is listed twice", secret.Ref)
			}
			all[secret.Ref] = secret
		}
		last = page.Next == ""
	}
	if !last {
		t.Error("the list has no last page")
	}
	return all
}
