package nats

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// carriers are the exported functions that take something of any shape: bytes, an
// interface of any kind, or a struct that has such a field. Each says what goes in, and
// why no secret value does.
var carriers = map[string]string{
	"Authority.Use":    "signing keys of NATS, which are not stored by it",
	"Jobs.DeadLetters": "hands dead letters out",
	"Jobs.Publish":     "a ticket, signed, under the subject of its job: names of things alone",
	"Marks.Finish":     "the answer to a command, under the mark that Begin made: web never marks what reveals",
	"NewCredentials":   "what links agents; it is not stored",
	"NewWriter":        "the key of the log's MACs; it is not stored",
	"OpenWindows":      "the key that hides who is counted; it is not stored",
	"Refill.Put":       "commits of a backup, into an empty log, as they were",
	"Services.Serve":   "answers calls of agents: passes envelopes on as replies, and keeps nothing",
	"Store.Append":     "facts, which have types and a catalogue",
	"Store.Export":     "hands commits out, for a backup",
	"Store.Follow":     "hands facts out",
	"Streams.Watch":    "the store that it watches",
}

// TestNothingArbitraryCanBeStored walks what the package exports. There is no general
// "set": what puts bytes anywhere is named above with its reason, none of it takes a key
// that the caller chooses freely together with a value, and no type that holds a value
// or an envelope can be passed, because the package does not know them.
func TestNothingArbitraryCanBeStored(t *testing.T) {
	s := surfaceOf(t, ".", "../events", "../internal/window", "../worker")
	found := map[string]string{}
	exported := 0
	for name, f := range s.funcs {
		exported++
		var key, value bool
		for _, field := range f.Type.Params.List {
			key = key || s.is(field.Type, "", "key", nil)
			value = value || s.is(field.Type, "", "value", nil)
		}
		if value {
			found[name] = carriers[name]
		}
		if key && value {
			t.Errorf("%s takes a key of any kind and a value of any kind", name)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(carriers)), slices.Sorted(maps.Keys(found))); diff != "" || exported < 40 {
		t.Errorf("of %d exported functions, what carries something of any shape differs (-named +found):\n%s", exported, diff)
	}
	for _, path := range s.imports {
		if strings.HasSuffix(path, "internal/secret") || strings.HasSuffix(path, "/seal") || strings.HasSuffix(path, "/custody") {
			t.Errorf("the package knows %s, so a value or an envelope could be passed", path)
		}
	}
}

// surface is what some packages declare. Types are by name and, of other packages than
// the first, by package and name.
type surface struct {
	funcs   map[string]*ast.FuncDecl // exported, of the first package: Type.Method
	types   map[string]ast.Expr
	imports []string // of the first package
}

func surfaceOf(t *testing.T, dirs ...string) surface {
	t.Helper()
	s := surface{funcs: map[string]*ast.FuncDecl{}, types: map[string]ast.Expr{}}
	for i, dir := range dirs {
		parsed, err := parser.ParseDir(token.NewFileSet(), dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, pkg := range parsed {
			for _, file := range pkg.Files {
				s.take(file, map[bool]string{true: "", false: name + "."}[i == 0])
			}
		}
	}
	return s
}

func (s *surface) take(file *ast.File, prefix string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if typ, ok := spec.(*ast.TypeSpec); ok {
					s.types[prefix+typ.Name.Name] = typ.Type
				}
			}
		case *ast.FuncDecl:
			if prefix == "" && d.Name.IsExported() {
				s.funcs[receiver(d)+d.Name.Name] = d
			}
		}
	}
	if prefix == "" {
		for _, i := range file.Imports {
			s.imports = append(s.imports, strings.Trim(i.Path.Value, `"`))
		}
	}
}

func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	return typ.(*ast.Ident).Name + "."
}

// is reports whether a type is a "key", a text that no type of ours names, or holds a
// "value", something of any shape. Types of ours are looked into; pkg is where e stands,
// with a point, or empty for the first package.
func (s *surface) is(e ast.Expr, pkg, what string, seen []string) bool {
	switch x := e.(type) {
	case *ast.StarExpr:
		return s.is(x.X, pkg, what, seen)
	case *ast.Ellipsis:
		return s.is(x.Elt, pkg, what, seen)
	case *ast.ArrayType:
		if id, ok := x.Elt.(*ast.Ident); ok && id.Name == "byte" && x.Len == nil {
			return what == "value"
		}
		return s.is(x.Elt, pkg, what, seen)
	case *ast.MapType:
		return what == "value" && (s.is(x.Key, pkg, what, seen) || s.is(x.Value, pkg, what, seen))
	case *ast.FuncType:
		return what == "value" && slices.ContainsFunc(x.Params.List, func(f *ast.Field) bool { return s.is(f.Type, pkg, what, seen) })
	case *ast.StructType:
		return what == "value" && slices.ContainsFunc(x.Fields.List, func(f *ast.Field) bool { return s.is(f.Type, pkg, what, seen) })
	case *ast.InterfaceType:
		return what == "value"
	case *ast.Ident:
		if x.Name == "any" {
			return what == "value"
		}
		if x.Name == "string" {
			return what == "key"
		}
		return s.named(pkg+x.Name, what, seen)
	case *ast.SelectorExpr:
		name := x.X.(*ast.Ident).Name + "." + x.Sel.Name
		if name == "json.RawMessage" || name == "io.Reader" {
			return what == "value"
		}
		return s.named(name, what, seen)
	}
	return false
}

func (s *surface) named(name, what string, seen []string) bool {
	typ, ours := s.types[name]
	if !ours || slices.Contains(seen, name) {
		return false
	}
	if id, ok := typ.(*ast.Ident); ok && id.Name == "string" {
		return false // a text with a type of its own: it cannot be just anything
	}
	pkg, _, other := strings.Cut(name, ".")
	if other {
		return s.is(typ, pkg+".", what, append(seen, name))
	}
	return s.is(typ, "", what, append(seen, name))
}
