package boundaries

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "secretsbridge"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Doc        string
	Standard   bool
	GoFiles    []string
	Imports    []string
	Deps       []string
	Error      *struct{ Err string }
}

// listed returns the packages of this module and all that they link.
var listed = sync.OnceValues(func() (map[string]pkg, error) {
	cmd := exec.Command("go", "list", "-deps", "-e", "-json=ImportPath,Dir,Doc,Standard,GoFiles,Imports,Deps,Error", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	all := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all[p.ImportPath] = p
	}
})

func everything(t *testing.T) map[string]pkg {
	t.Helper()
	all, err := listed()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	return all
}

// need returns a package that a rule names.
func need(t *testing.T, all map[string]pkg, name string) pkg {
	t.Helper()
	p, ok := all[name]
	if !ok {
		t.Errorf("a rule names package %s, and there is none", name)
	}
	return p
}

// ours returns the packages of this module that have code, by their short names.
func ours(t *testing.T) map[string]pkg {
	t.Helper()
	found := map[string]pkg{}
	for path, p := range everything(t) {
		if name, ok := short(path); ok && len(p.GoFiles) > 0 {
			found[name] = p
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d packages are listed", len(found))
	}
	return found
}

// short is a package's path without the module's name.
func short(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// matches reports whether a pattern names a package, given by its full path.
func matches(pattern, path string) bool {
	if name, own := short(path); own {
		path = name
		if pattern == "..." {
			return true
		}
	} else if pattern == "..." {
		return false
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return path == base || below && strings.HasPrefix(path, base+"/")
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	used := map[string]bool{}
	for name, p := range ours(t) {
		i := slices.IndexFunc(rooms, func(r struct {
			room string
			may  []string
			why  string
		}) bool {
			return matches(r.room, p.ImportPath)
		})
		if i < 0 {
			t.Errorf("%s is in no room; say in rules_test.go what it may import", name)
			continue
		}
		used[rooms[i].room] = true
		for _, imported := range p.Imports {
			if _, own := short(imported); own && !matchesAny(rooms[i].may, imported) {
				t.Errorf("%s imports %s: %s", name, imported, rooms[i].why)
			}
		}
	}
	for _, r := range rooms {
		if !used[r.room] {
			t.Errorf("a rule names room %s, and no package is in it", r.room)
		}
	}
}

func TestPurePackagesDoNoIO(t *testing.T) {
	all := ours(t)
	for _, name := range pure {
		for _, imported := range need(t, all, name).Imports {
			if matchesAny(impure, imported) {
				t.Errorf("%s imports %s: it is pure", name, imported)
			}
		}
	}
}

func TestStandalonePackagesLinkNoOtherModule(t *testing.T) {
	all, packages := ours(t), everything(t)
	for _, name := range standalone {
		for _, dep := range need(t, all, name).Deps {
			if _, own := short(dep); !own && !packages[dep].Standard {
				t.Errorf("%s links %s; it is to be read, and trusted, by itself", name, dep)
			}
		}
	}
}

func TestLibrariesAreImportedWhereTheyBelong(t *testing.T) {
	all := ours(t)
	for _, o := range owners {
		imported := false
		for name, p := range all {
			for _, dep := range p.Imports {
				if !matches(o.what, dep) {
					continue
				}
				imported = true
				if !matchesAny(o.by, p.ImportPath) {
					t.Errorf("%s imports %s: %s", name, dep, o.why)
				}
			}
		}
		if !imported {
			t.Errorf("a rule names %s, and nobody imports it", o.what)
		}
	}
}

func TestNothingForbiddenIsLinked(t *testing.T) {
	all := ours(t)
	for _, f := range forbidden {
		for _, dep := range need(t, all, f.by).Deps {
			if matches(f.what, dep) {
				t.Errorf("%s links %s: %s", f.by, dep, f.why)
			}
		}
	}
}

func TestNoAgentCodeListensOnTheNetwork(t *testing.T) {
	met := map[string]bool{}
	for name, p := range ours(t) {
		if !matchesAny(agentCode, p.ImportPath) {
			continue
		}
		for _, file := range p.GoFiles {
			for _, use := range serves(t, filepath.Join(p.Dir, file)) {
				at := name + "/" + file + " " + use
				met[at] = true
				if servingExceptions[at] == "" {
					t.Errorf("%s: an agent has no listener", at)
				}
			}
		}
	}
	for at := range servingExceptions {
		if !met[at] {
			t.Errorf("the exception %q is not needed any more", at)
		}
	}
}

// serves returns the names in a file with which a program listens.
func serves(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string]string{} // local name → path
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		local := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == "." && serving[path] != nil {
			t.Errorf("%s imports %s with a dot", file.Name, path)
		}
		imports[local] = path
	}
	var uses []string
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok {
			path := imports[from.Name]
			if names := serving[path]; slices.Contains(names, selector.Sel.Name) || slices.Contains(names, "*") {
				uses = append(uses, path+"."+selector.Sel.Name)
			}
		}
		return true
	})
	return uses
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for name, p := range ours(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", name)
		}
	}
}

// TestRulesNamePackagesThatExist finds rules that a rename left behind: they would
// allow nothing, and forbid nothing, for ever.
func TestRulesNamePackagesThatExist(t *testing.T) {
	all := ours(t)
	var named []string
	for _, r := range rooms {
		named = append(named, r.may...)
	}
	for _, o := range owners {
		named = append(named, o.by...)
	}
	for _, f := range forbidden {
		if first, _, _ := strings.Cut(f.what, "/"); all[first].Dir != "" {
			named = append(named, f.what)
		}
	}
	named = append(named, agentCode...)
	for _, pattern := range named {
		exists := false
		for _, p := range all {
			exists = exists || matches(pattern, p.ImportPath)
		}
		if !exists {
			t.Errorf("a rule names %s, and there is no such package", pattern)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"agent", module + "/agent", true},
		{"agent", module + "/agent/file", false},
		{"agent/...", module + "/agent", true},
		{"agent/...", module + "/agent/file", true},
		{"agent/...", module + "/agents", false},
		{"agent", "agent", true},
		{"...", module + "/x", true},
		{"...", "net", false},
		{"github.com/jackc/...", "github.com/jackc/pgx/v5", true},
		{"net/...", "net", true},
		{"net/...", "net/http", true},
		{"net/...", "netip", false},
	} {
		if got := matches(c.pattern, c.path); got != c.want {
			t.Errorf("matches(%q, %q) = %t", c.pattern, c.path, got)
		}
	}
}
