package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// A Page is one Markdown file of the repository.
type Page struct {
	Path   string // from the root of the repository, with slashes
	source []byte
	tree   ast.Node
}

// Pages reads all pages below the root of the repository: those at its top and all of docs/ and
// deploy/, in the order of their paths.
func Pages(root string) ([]Page, error) {
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, below := range []string{"docs", "deploy", ".github"} {
		err := filepath.WalkDir(filepath.Join(root, below), func(path string, d fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err):
				return nil
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "node_modules":
				return filepath.SkipDir
			case strings.HasSuffix(path, ".md"):
				paths = append(paths, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(paths)
	var pages []Page
	for _, path := range paths {
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		pages = append(pages, Parse(filepath.ToSlash(name), source))
	}
	return pages, nil
}

// Parse reads one page.
func Parse(path string, source []byte) Page {
	markdown := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Linkify))
	return Page{Path: path, source: source, tree: markdown.Parser().Parse(text.NewReader(source))}
}

// Line is the number of the line that an offset into the page is on.
func (p Page) Line(offset int) int { return 1 + strings.Count(string(p.source[:offset]), "\n") }

// lines is the text of a block without its marks, and where it begins.
func (p Page) lines(n ast.Node) (text string, at int) {
	segments := n.Lines()
	if segments.Len() == 0 {
		return "", 0
	}
	return string(segments.Value(p.source)), segments.At(0).Start
}

// A Comment is an HTML comment that says something of the block behind it.
type Comment struct {
	Kind string // run, not run, before or text
	Says string // behind the colon
}

// comments are those right before a block, in their order.
func (p Page) comments(of ast.Node) ([]Comment, error) {
	var found []Comment
	for n := of.PreviousSibling(); n != nil; n = n.PreviousSibling() {
		html, ok := n.(*ast.HTMLBlock)
		if !ok {
			break
		}
		whole, at := p.lines(html)
		if html.HasClosure() {
			whole += string(html.ClosureLine.Value(p.source))
		}
		inner, isComment := strings.CutPrefix(strings.TrimSpace(whole), "<!--")
		inner, closed := strings.CutSuffix(inner, "-->")
		if !isComment || !closed {
			break
		}
		kind, says, _ := strings.Cut(inner, ":")
		kind = strings.TrimSpace(kind)
		if !slices.Contains([]string{"run", "not run", "before", "text"}, kind) {
			return nil, fmt.Errorf("%s:%d: a comment before a block says %q: write run, not run, before or text (CONTRIBUTING.md)", p.Path, p.Line(at), kind)
		}
		found = append(found, Comment{Kind: kind, Says: strings.TrimSpace(says)})
	}
	slices.Reverse(found)
	return found, nil
}

// Text is the page as it is written.
func (p Page) Text() string { return string(p.source) }
