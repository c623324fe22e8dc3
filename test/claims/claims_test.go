// Package claims holds documents to what they claim: a line of the threat model names the test that
// proves it, and that test exists and runs.
package claims

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

var (
	goTest      = regexp.MustCompile("`([a-z0-9/-]+)\\.(Test[A-Za-z0-9_]+)`")
	browserTest = regexp.MustCompile("`(web/app/e2e/[a-z.]+\\.spec\\.ts): \"([^\"]+)\"`")
	// anyTest is what looks like the name of a test, in whatever form.
	anyTest = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9_]+`)
)

// honest are the words for what no test proves.
var honest = []string{"**Not proven**", "**Does not hold**"}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows are the lines of tables, without their heads, as cells.
func rows(text string) (all [][]string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if slices.Contains([]string{"must hold", "asset", "what rotates"}, cells[0]) {
			continue
		}
		all = append(all, cells)
	}
	return all
}

// TestEachLineOfTheThreatModelHasItsProof looks at the last cell of each line.
func TestEachLineOfTheThreatModelHasItsProof(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/security/threat-model.md")
	_, attackers, _ := strings.Cut(text, "## Whoever listens")
	found := 0
	for _, cells := range rows("## Whoever listens" + attackers) {
		if len(cells) != 3 {
			t.Errorf("%q has %d cells", cells[0], len(cells))
			continue
		}
		found++
		proof := cells[2]
		said := slices.ContainsFunc(honest, func(w string) bool { return strings.Contains(proof, w) })
		if !said && !goTest.MatchString(proof) && !browserTest.MatchString(proof) {
			t.Errorf("%q has no proof, and does not say so: %s", cells[0], proof)
		}
	}
	if found < 50 {
		t.Errorf("%d lines were found", found)
	}
	exist(t, "docs/security/threat-model.md", text)
}

// TestEachRotationIsExercised looks at the table of runbooks.
func TestEachRotationIsExercised(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/operations/rotations.md")
	all := rows(text)
	for _, cells := range all {
		if last := cells[len(cells)-1]; !goTest.MatchString(last) {
			t.Errorf("%q names no test: %s", cells[0], last)
		}
	}
	if len(all) < 9 {
		t.Errorf("%d rotations were found", len(all))
	}
	exist(t, "docs/operations/rotations.md", text)
	exist(t, "docs/operations/backup.md", read(t, "docs/operations/backup.md"))
	exist(t, "docs/operations/upgrades.md", read(t, "docs/operations/upgrades.md"))
	exist(t, "docs/security/hardening.md", read(t, "docs/security/hardening.md"))
}

// exist holds all names of tests in a document to the source.
func exist(t *testing.T, path, text string) {
	t.Helper()
	named := map[string]bool{}
	for _, m := range goTest.FindAllStringSubmatch(text, -1) {
		named[m[2]] = true
		if err := runs(m[1], m[2]); err != "" {
			t.Errorf("%s names %s.%s: %s", path, m[1], m[2], err)
		}
	}
	for _, name := range anyTest.FindAllString(text, -1) {
		if !named[name] {
			t.Errorf("%s names %s in no form that is looked up: write `package.%s`", path, name, name)
		}
	}
	for _, m := range browserTest.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(read(t, m[1]), "test('"+m[2]+"'") {
			t.Errorf("%s names a test of %s that is not there: %s", path, m[1], m[2])
		}
	}
}

// runs says why a test is not run by `go test ./...`, or "".
func runs(pkg, name string) string {
	dir := filepath.Join(root, filepath.FromSlash(pkg))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return "its package is of another module"
	}
	built, err := build.ImportDir(dir, 0) // leaves out what tags of `make test` leave out
	if err != nil && len(built.TestGoFiles)+len(built.XTestGoFiles) == 0 {
		return err.Error()
	}
	for _, file := range append(slices.Clone(built.TestGoFiles), built.XTestGoFiles...) {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, 0)
		if err != nil {
			return err.Error()
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name {
				return skips(f)
			}
		}
	}
	return "there is no such test"
}

// skips says that a test leaves itself out.
func skips(f *ast.FuncDecl) (why string) {
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(call.Sel.Name, "Skip") {
			why = "it may be skipped"
		}
		return why == ""
	})
	return why
}

// TestMakeTestRunsEverything holds the target to what the names rely on.
func TestMakeTestRunsEverything(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	line := regexp.MustCompile(`(?m)^\t\$\(GOTESTSUM\) .*--packages="[^"]* \./\.\.\." -- (.*)$`).FindStringSubmatch(makefile)
	if line == nil {
		t.Fatal("make test-go does not test ./...")
	}
	for _, flag := range []string{"-run", "-skip", "-short", "-tags"} {
		if strings.Contains(line[1], flag) {
			t.Errorf("make test-go has %s", flag)
		}
	}
	if !regexp.MustCompile(`(?m)^test:.*\btest-go\b.*\btest-app\b`).MatchString(makefile) || !strings.Contains(makefile, "npm run --silent browser -- --project=app") {
		t.Error("make test does not test both Go and the browser")
	}
}

// TestMissingProofsAreFound breaks what the others rely on.
func TestMissingProofsAreFound(t *testing.T) {
	t.Parallel()
	if err := runs("nats", "TestHostileLeaf"); err != "" {
		t.Errorf("a test that is there: %s", err)
	}
	for pkg, name := range map[string]string{"nats": "TestNobodyWroteThis", "nats/nowhere": "TestHostileLeaf", "test/servers/witness": "TestX"} {
		if err := runs(pkg, name); err == "" {
			t.Errorf("%s.%s was found", pkg, name)
		}
	}
	if got := rows("| must hold | mechanism | proof |\n|---|---|---|\n| a | b | c |\n"); len(got) != 1 || got[0][2] != "c" {
		t.Errorf("rows: %q", got)
	}
}
