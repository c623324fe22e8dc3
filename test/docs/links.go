package docs

import (
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark/ast"
)

// A Link leads from a page to another place of the repository.
type Link struct {
	Line   int
	Target string // as it is written
	Path   string // from the root of the repository; the page's own for an anchor alone
	Anchor string
}

// Links are the links and images of a page that lead into the repository.
func (p Page) Links() []Link {
	var links []Link
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var target string
		switch n := n.(type) {
		case *ast.Link:
			target = string(n.Destination)
		case *ast.Image:
			target = string(n.Destination)
		default:
			return ast.WalkContinue, nil
		}
		u, err := url.Parse(target)
		if err == nil && (u.Scheme != "" || u.Host != "") {
			return ast.WalkContinue, nil
		}
		link := Link{Line: p.lineOf(n), Target: target, Path: p.Path}
		if err == nil && u.Path != "" {
			link.Path = path.Join(path.Dir(p.Path), u.Path)
		}
		if err == nil {
			link.Anchor = u.Fragment
		}
		links = append(links, link)
		return ast.WalkContinue, nil
	})
	return links
}

// lineOf is the line of the block that an inline node is in.
func (p Page) lineOf(n ast.Node) int {
	for ; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0 {
			return p.Line(n.Lines().At(0).Start)
		}
	}
	return 1
}

// Anchors are those of the headings of a page, as GitHub makes them.
func (p Page) Anchors() map[string]bool {
	anchors, seen := map[string]bool{}, map[string]int{}
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if heading, ok := n.(*ast.Heading); ok && entering {
			slug := Slug(p.plain(heading))
			if times := seen[slug]; times > 0 {
				anchors[slug+"-"+strconv.Itoa(times)] = true
			} else {
				anchors[slug] = true
			}
			seen[slug]++
		}
		return ast.WalkContinue, nil
	})
	return anchors
}

// plain is the text of a node without its marks.
func (p Page) plain(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch n := n.(type) {
			case *ast.Text:
				b.Write(n.Value(p.source))
			case *ast.String:
				b.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// Slug is the anchor of a heading: lower case, without punctuation, with a hyphen for each space.
func Slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.Is(unicode.Mn, r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}
