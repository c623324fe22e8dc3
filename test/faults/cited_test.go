package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// module is where packages are found from here.
const module = "../.."

// cited is an item whose proof is tests of `make test`: the full programme runs them, and the
// smoke run, which is part of `make test` itself, finds out that they are there. Each is a package
// below the module and a test of it, such as "nats TestStoreIsALog".
func cited(tests ...string) func(*testing.T, world) (string, error) {
	return func(t *testing.T, _ world) (string, error) {
		full, err := size()
		if err != nil {
			t.Fatal(err)
		}
		in := map[string][]string{}
		var packages []string
		for _, test := range tests {
			pkg, name, ok := strings.Cut(test, " ")
			if !ok || !declared(t, pkg, name) {
				t.Fatalf("there is no test %q: name the one that took its place", test)
			}
			if in[pkg] == nil {
				packages = append(packages, pkg)
			}
			in[pkg] = append(in[pkg], name)
		}
		slices.Sort(packages)
		if !full {
			return fmt.Sprintf("%d tests of %s", len(tests), strings.Join(packages, ", ")), nil
		}
		for _, pkg := range packages {
			cmd := exec.Command("go", "test", "-count=1", "-timeout", "15m", "-v", "-run", "^("+strings.Join(in[pkg], "|")+")$", "./"+pkg)
			cmd.Dir = module
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Logf("%s", out)
				return "", fmt.Errorf("tests of %s fail: %w", pkg, err)
			}
			for _, name := range in[pkg] {
				if !strings.Contains(string(out), "--- PASS: "+name+" ") {
					return "", fmt.Errorf("%s of %s did not run", name, pkg)
				}
			}
		}
		return fmt.Sprintf("%d tests of %s", len(tests), strings.Join(packages, ", ")), nil
	}
}

// declared reports whether a package has a test of that name.
func declared(t *testing.T, pkg, name string) bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\(t \*testing\.T\)`)
	files, err := filepath.Glob(filepath.Join(module, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(path string) bool {
		source, err := os.ReadFile(path)
		return err == nil && function.Match(source)
	})
}
