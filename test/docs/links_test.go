package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/test/docs"
)

const root = "../.."

func pages(t *testing.T) []docs.Page {
	t.Helper()
	all, err := docs.Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("%d pages were found below %s", len(all), root)
	}
	return all
}

// TestEveryLinkLeadsSomewhere follows the relative links of all pages, with their anchors.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	all := pages(t)
	anchors := map[string]map[string]bool{}
	for _, p := range all {
		anchors[p.Path] = p.Anchors()
	}
	for _, p := range all {
		for _, link := range p.Links() {
			if strings.HasPrefix(link.Target, "/") {
				t.Errorf("%s:%d: the link %s is absolute: write it from the page", p.Path, link.Line, link.Target)
				continue
			}
			info, err := fs.Stat(os.DirFS(root), link.Path)
			if err != nil || strings.HasPrefix(link.Path, "..") {
				t.Errorf("%s:%d: the link %s leads nowhere", p.Path, link.Line, link.Target)
				continue
			}
			if of, isPage := anchors[link.Path]; link.Anchor != "" && isPage && !of[link.Anchor] {
				t.Errorf("%s:%d: the link %s leads to no heading of %s", p.Path, link.Line, link.Target, link.Path)
			} else if link.Anchor != "" && !isPage && (info.IsDir() || filepath.Ext(link.Path) == ".md") {
				t.Errorf("%s:%d: the link %s has an anchor into what has none", p.Path, link.Line, link.Target)
			}
		}
	}
}

// TestLinksAreFound holds the reader of links to what pages have.
func TestLinksAreFound(t *testing.T) {
	page := docs.Parse("docs/how-to/x.md", []byte("# A `b` & C: d\n\n[one](../a.md#b-c) [two](#here) [out](https://example.org/) ![i](../i.png)\n\n## A `b` & C: d\n"))
	want := []docs.Link{
		{Line: 3, Target: "../a.md#b-c", Path: "docs/a.md", Anchor: "b-c"},
		{Line: 3, Target: "#here", Path: "docs/how-to/x.md", Anchor: "here"},
		{Line: 3, Target: "../i.png", Path: "docs/i.png"},
	}
	got := page.Links()
	if len(got) != len(want) {
		t.Fatalf("links: %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("link %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if a := page.Anchors(); len(a) != 2 || !a["a-b--c-d"] || !a["a-b--c-d-1"] {
		t.Errorf("anchors: %v", a)
	}
}
