package boundaries

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// loggers are what a logger is called, here and in slog itself.
var loggers = []string{"log", "Log", "logger", "Logger", "slog"}

// messageAt says where in the arguments of a call the message stands; attributes follow.
var messageAt = map[string]int{
	"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "With": -1,
	"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1, "Log": 2, "LogAttrs": 2,
}

// attrs are slog's own functions that make an attribute.
var attrs = []string{"String", "Int", "Int64", "Uint64", "Float64", "Bool", "Time", "Duration", "Any", "Group"}

// spoken are the files whose messages are somebody else's: what NATS says is handed on.
var spoken = []string{"nats/internal/"}

// TestLogLinesAreConstantSentencesWithKnownKeys holds the source to docs/reference/logs.md: each
// message is a constant, so that it can be searched for and nothing of a person gets into it, and
// each key is in the list there, which has no other.
func TestLogLinesAreConstantSentencesWithKnownKeys(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "reference", "logs.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{} // and whether a line has it
	_, table, _ := strings.Cut(string(page), "\n## Attributes\n")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		listed[row[1]] = false
	}
	lines := 0
	files := token.NewFileSet()
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if entry.IsDir() {
			if name == "test" || name == "web/app" || entry.Name() == "testdata" || entry.Name() == "site" || strings.HasPrefix(entry.Name(), ".") && name != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		handed := slices.ContainsFunc(spoken, func(prefix string) bool { return strings.HasPrefix(filepath.ToSlash(name), prefix) })
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			checked := checkLine(call, handed, func(format string, args ...any) {
				t.Errorf("%s: "+format, append([]any{files.Position(call.Pos())}, args...)...)
			}, func(key string) {
				if _, known := listed[key]; !known {
					t.Errorf("%s: the key %q is not in docs/reference/logs.md: take one that is, or explain it there", files.Position(call.Pos()), key)
				}
				listed[key] = true
			})
			if checked {
				lines++
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, used := range listed {
		if !used && key != "time" && key != "level" && key != "msg" { // slog's own
			t.Errorf("docs/reference/logs.md lists the key %s, which no line has", key)
		}
	}
	if lines < 150 {
		t.Errorf("only %d lines are looked at", lines)
	}
}

// checkLine looks at one call, if it is one of a logger. handed: its messages are somebody else's.
func checkLine(call *ast.CallExpr, handed bool, fail func(string, ...any), key func(string)) bool {
	selected, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if of, ok := selected.X.(*ast.Ident); ok && of.Name == "slog" && slices.Contains(attrs, selected.Sel.Name) {
		if name, ok := literal(call.Args[0]); ok {
			key(name)
		} else {
			fail("the key is no constant")
		}
		return true
	}
	at, method := messageAt[selected.Sel.Name]
	if !method || !slices.Contains(loggers, lastName(selected.X)) {
		return false
	}
	if len(call.Args) <= at || at < 0 && len(call.Args) == 0 {
		return false // of another package's logger
	}
	if at >= 0 && !handed {
		if _, ok := literal(call.Args[at]); !ok {
			fail("the message is no constant")
		}
	}
	if call.Ellipsis.IsValid() {
		fail("nobody can see which keys a list has that is handed over")
	}
	for i := at + 1; i < len(call.Args); i++ {
		switch arg := call.Args[i].(type) {
		case *ast.CallExpr: // slog.String and its like, which is looked at by itself
		default:
			name, ok := literal(arg)
			if !ok {
				fail("the key is no constant")
				return true
			}
			key(name)
			i++ // its value
		}
	}
	return true
}

// literal is a constant text.
func literal(e ast.Expr) (string, bool) {
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		left, ok := literal(sum.X)
		right, also := literal(sum.Y)
		return left + right, ok && also
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// lastName is what the end of an expression is called: Logger of a.Config.Logger.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr: // log.With(…).Warn
		if s, ok := e.Fun.(*ast.SelectorExpr); ok {
			return lastName(s.X)
		}
	}
	return ""
}
