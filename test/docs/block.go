package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// A Block is one block of shell of a page.
type Block struct {
	Page    string
	Line    int // of its first line
	Steps   []Step
	As      string   // who is signed in from here on; empty: as before
	Fails   int      // the exit code that the last step ends with
	NotRun  string   // why it is only read; empty: it is run
	Before  []Before // what readers do not see
	Console bool
}

// A Step is one script, and what the page shows of what it prints.
type Step struct {
	Script string
	Shown  []string
}

// Before is what is run before a block.
type Before struct{ As, Script string }

// known are the programs that a block without a language may begin with.
var known = regexp.MustCompile(`^(\(?umask |(bin/)?(sb|sb-server|sb-agent|make|curl|vault|aws|az|gcloud|kubectl|helm|docker|systemctl|apt-get|openssl|export|read|nats-server|argocd|flux|age|age-keygen|psql|journalctl|tar|cp|go|npm)( [^/]|$)|TOKEN=\$|SB_[A-Z_]+=)`)

// elsewhere are pages whose blocks are for a machine of its own.
var elsewhere = regexp.MustCompile(`^(docs/operations/|docs/how-to/(install|production)|deploy/)`)

const elsewhereWhy = "it is for a machine of its own"

// generated are pages that a test of their own compares with the code; their examples are read, and
// stand in no order in which they could be run.
var generated = []string{"docs/reference/cli.md", "docs/reference/cli-server.md", "docs/reference/cli-agent.md"}

const generatedWhy = "it is an example of a reference, which has no order"

// Blocks are the blocks of shell of a page, in their order.
func (p Page) Blocks() ([]Block, error) {
	var blocks []Block
	err := ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering || n.Kind() != ast.KindCodeBlock && n.Kind() != ast.KindFencedCodeBlock {
			return ast.WalkContinue, nil
		}
		language := ""
		if fence, ok := n.(*ast.FencedCodeBlock); ok {
			language = string(fence.Language(p.source))
		}
		text, at := p.lines(n)
		comments, err := p.comments(n)
		if err != nil {
			return ast.WalkStop, err
		}
		form := formOf(language, text)
		if form == "" || slices.ContainsFunc(comments, func(c Comment) bool { return c.Kind == "text" }) {
			if form == "" && len(comments) > 0 {
				return ast.WalkStop, fmt.Errorf("%s:%d: the comment is of a block that is no shell", p.Path, p.Line(at))
			}
			return ast.WalkContinue, nil
		}
		b := Block{Page: p.Path, Line: p.Line(at), Console: form == "console"}
		if b.Console {
			b.Steps = steps(text)
		} else {
			b.Steps = []Step{{Script: text}}
		}
		if err := b.take(comments); err != nil {
			return ast.WalkStop, err
		}
		blocks = append(blocks, b)
		return ast.WalkContinue, nil
	})
	return blocks, err
}

// formOf is sh, console, or nothing for what is no shell.
func formOf(language, text string) string {
	switch language {
	case "sh", "bash", "shell":
		if strings.HasPrefix(text, "$ ") {
			return "console"
		}
		return "sh"
	case "console":
		return "console"
	case "":
		if strings.HasPrefix(text, "$ ") {
			return "console"
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				if known.MatchString(line) {
					return "sh"
				}
				return ""
			}
		}
	}
	return ""
}

// steps are the commands of a console, each with what is seen after it. A command goes on behind
// a backslash.
func steps(text string) []Step {
	var all []Step
	more := false
	for line := range strings.Lines(text) {
		command, begins := strings.CutPrefix(line, "$ ")
		switch {
		case begins && !more:
			all = append(all, Step{Script: command})
		case more:
			all[len(all)-1].Script += line
		case len(all) > 0:
			all[len(all)-1].Shown = append(all[len(all)-1].Shown, strings.TrimRight(line, "\n"))
		}
		more = (begins || more) && strings.HasSuffix(strings.TrimRight(line, "\n"), `\`)
	}
	return all
}

// take reads what comments say of a block.
func (b *Block) take(comments []Comment) error {
	said := false
	for _, c := range comments {
		wrong := func(why string) error {
			return fmt.Errorf("%s:%d: the comment %q %s (CONTRIBUTING.md)", b.Page, b.Line, c.Kind+": "+c.Says, why)
		}
		switch c.Kind {
		case "not run":
			if len(c.Says) < 8 {
				return wrong("must say why")
			}
			b.NotRun, said = c.Says, true
		case "run":
			said = true
			for word := range strings.FieldsSeq(c.Says) {
				name, value, _ := strings.Cut(word, "=")
				switch name {
				case "as":
					b.As = value
				case "fails":
					code, err := strconv.Atoi(value)
					if err != nil || code < 1 {
						return wrong("has no exit code")
					}
					b.Fails = code
				default:
					return wrong("has an unknown word " + name)
				}
			}
		case "before":
			first, script, found := strings.Cut(c.Says, "\n")
			as, isAs := strings.CutPrefix(strings.TrimSpace(first), "as=")
			if !isAs {
				script, as = c.Says, ""
			} else if !found {
				return wrong("has nothing to run")
			}
			b.Before = append(b.Before, Before{As: as, Script: script})
		}
	}
	if !said && elsewhere.MatchString(b.Page) {
		b.NotRun = elsewhereWhy
	}
	if !said && slices.Contains(generated, b.Page) {
		b.NotRun = generatedWhy
	}
	return nil
}
