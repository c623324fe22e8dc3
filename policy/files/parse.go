package files

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of one document, below which a parser stays quick whatever it is given.
const (
	maxDocument = 1 << 20  // bytes
	maxLine     = 16 << 10 // bytes
	maxKeys     = 2_000
	maxTokens   = 200_000
)

// parse reads the documents of one file. Only plain YAML is taken: no anchors, aliases and
// merges, which make a short text a long one, and no tags. Documents are told apart here and
// not by the parser, which loses those behind an empty one.
func (r *reader) parse(name, text string) {
	begin, line := 1, 0
	var doc strings.Builder
	wrong := func(at int, problem string) { r.wrong(Fault{File: name, Line: at, Problem: problem}) }
	for one := range strings.Lines(text) {
		line++
		end := strings.TrimRight(one, " \t\r\n")
		switch {
		case len(one) > maxLine:
			wrong(line, fmt.Sprintf("the line has more than %d KiB", maxLine>>10))
			return
		case end == "---":
			r.part(name, doc.String(), begin)
			doc.Reset()
			begin = line + 1
		case end == "..." || strings.HasPrefix(one, "--- ") || strings.HasPrefix(one, "... ") || strings.HasPrefix(one, "---\t") || strings.HasPrefix(one, "...\t"):
			wrong(line, "between documents is a line of --- and nothing else")
			return
		default:
			doc.WriteString(one)
		}
	}
	r.part(name, doc.String(), begin)
}

// part reads one document, which begins at a line of its file.
func (r *reader) part(name, text string, begin int) {
	if len(text) > maxDocument {
		r.wrong(Fault{File: name, Line: begin, Problem: fmt.Sprintf("the document has more than %d KiB", maxDocument>>10)})
		return
	}
	tokens := lexer.Tokenize(text)
	line, problem := bomb(tokens)
	if problem != "" {
		r.wrong(Fault{File: name, Line: begin - 1 + line, Problem: problem})
		return
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		line, problem := explain(err)
		r.wrong(Fault{File: name, Line: begin - 1 + max(line, 1), Problem: problem})
		return
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			r.wrong(Fault{File: name, Line: begin - 1 + lineOf(doc.Body), Problem: "it is no YAML: something follows the object"})
			return
		}
		body = doc.Body
	}
	if body != nil {
		r.document(name, body, begin-1, keysOf(tokens))
	}
}

func (r *reader) wrong(f Fault) {
	if len(r.faults) < MaxFaults {
		r.faults = append(r.faults, f)
	}
}

// bomb looks at tokens before anything is built from them, which may go as deep as they do.
func bomb(tokens token.Tokens) (line int, problem string) {
	if len(tokens) > maxTokens {
		return 1, "there is too much in one document"
	}
	depth, entries, last, keys := 0, 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return t.Position.Line, "anchors, aliases and merges are not taken: write it out"
		case token.TagType:
			return t.Position.Line, "tags are not taken"
		case token.MappingKeyType:
			return t.Position.Line, "a key is written without a question mark"
		case token.DirectiveType:
			return t.Position.Line, "directives are not taken"
		case token.MappingValueType:
			keys++
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType:
			if t.Position.Line != last {
				entries = 0
			}
			entries++
			last = t.Position.Line
		case token.InvalidType:
			return t.Position.Line, "it is no YAML"
		}
		if depth > MaxDepth || entries > MaxDepth || t.Position.IndentNum > 8*MaxDepth {
			return t.Position.Line, "it is nested too deeply"
		}
		if keys > maxKeys {
			return t.Position.Line, fmt.Sprintf("more than %d fields are in one document", maxKeys)
		}
	}
	return 0, ""
}

func keysOf(tokens token.Tokens) (n int) {
	for _, t := range tokens {
		if t.Type == token.MappingValueType {
			n++
		}
	}
	return n
}

var syntaxAt = regexp.MustCompile(`^\[(\d+):\d+\] `)

// explain is what the parser says, on one line.
func explain(err error) (line int, problem string) {
	said, _, _ := strings.Cut(err.Error(), "\n")
	if at := syntaxAt.FindStringSubmatch(said); at != nil {
		line, _ = strconv.Atoi(at[1])
		said = said[len(at[0]):]
	}
	return line, "it is no YAML: " + said
}
