package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// programs are what is shipped.
var programs = []string{"sb-server", "sb-agent", "sb"}

// part is a module or package that is linked, or bundled, into something that is shipped.
type part struct {
	name, version string
	in            []string // programs, or "application"
	dir           string   // where its files are; "" where they are not on this machine
	licences      []string // SPDX ids
}

// names of files that hold a licence, or what it asks to be carried along.
var (
	licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright)([-._].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents)([-._].*)?$`)
)

// enough is how much of a file must be licences that licensecheck knows, in percent. What is left
// are names, years and headings.
const enough = 70

// modules are the Go modules that are linked into the programs, by the flags that they are built with.
func modules(repository string) ([]part, error) {
	found := map[string]*part{}
	for _, program := range programs {
		for _, arch := range []string{"amd64", "arm64"} {
			cmd := exec.Command("go", "list", "-deps", "-tags", "grpcnotrace", "-f", `{{with .Module}}{{.Path}} {{.Version}} {{.Dir}}{{end}}`, "./cmd/"+program)
			cmd.Dir, cmd.Stderr = repository, os.Stderr
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOEXPERIMENT=runtimesecret")
			out, err := cmd.Output()
			if err != nil {
				return nil, fmt.Errorf("list what %s links: %w", program, err)
			}
			for line := range strings.Lines(string(out)) {
				f := strings.Fields(line)
				if len(f) != 3 {
					continue // the standard library, and this module, which has no version
				}
				p := found[f[0]]
				if p == nil {
					p = &part{name: f[0], version: f[1], dir: f[2]}
					found[f[0]] = p
				}
				if !slices.Contains(p.in, program) {
					p.in = append(p.in, program)
				}
			}
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output() // runtime.GOROOT knows none with -trimpath
	if err != nil {
		return nil, fmt.Errorf("ask where Go is: %w", err)
	}
	all := []part{{name: "Go's standard library", version: goVersion(repository), in: programs, dir: strings.TrimSpace(string(root))}}
	for _, p := range found {
		all = append(all, *p)
	}
	for i := range all {
		var err error
		if all[i].licences, err = classify(all[i].dir); err != nil {
			return nil, fmt.Errorf("%s %s: %w", all[i].name, all[i].version, err)
		}
	}
	slices.SortFunc(all[1:], func(a, b part) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// choose takes the first kind that is agreed to where an author offers several: "(MIT OR CC0-1.0)".
func choose(expression string) string {
	for kind := range strings.SplitSeq(strings.Trim(expression, "()"), " OR ") {
		if _, ok := agreed[kind]; ok {
			return kind
		}
	}
	return expression
}

// goVersion is the one that go.mod asks for, without its patch: the report does not change with it.
func goVersion(repository string) string {
	file, err := os.Open(filepath.Join(repository, "go.mod"))
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "go "); ok {
			return strings.Join(strings.SplitN(v, ".", 3)[:2], ".")
		}
	}
	return ""
}

// classify reads the licences at the top of a module.
func classify(dir string) ([]string, error) {
	var ids []string
	for _, name := range texts(dir, licenceFile) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		scan := licensecheck.Scan(text)
		if scan.Percent < enough {
			return nil, fmt.Errorf("%.0f %% of %s is a licence that is known: read it, and add what it is to known", scan.Percent, name)
		}
		for _, m := range scan.Match {
			if !m.IsURL && !slices.Contains(ids, m.ID) {
				ids = append(ids, m.ID)
			}
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("it has no licence")
	}
	slices.Sort(ids)
	return ids, nil
}

func texts(dir string, pattern *regexp.Regexp) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && pattern.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
			names = append(names, e.Name())
		}
	}
	return names
}

// packages are what the web application bundles: everything of package-lock.json that is not for
// development. Their authors say the licence there.
func packages(repository string) ([]part, error) {
	app := filepath.Join(repository, "web", "app")
	raw, err := os.ReadFile(filepath.Join(app, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			Version, License string
			Dev, DevOptional bool
		}
	}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&lock); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("package-lock.json: %w", err)
	}
	var all []part
	for path, p := range lock.Packages {
		if path == "" || p.Dev || p.DevOptional {
			continue
		}
		if p.License == "" {
			return nil, fmt.Errorf("package-lock.json: %s has no licence", path)
		}
		at := strings.LastIndex(path, "node_modules/") + len("node_modules/")
		all = append(all, part{name: path[at:], version: p.Version, in: []string{"application"}, licences: []string{choose(p.License)}, dir: filepath.Join(app, path)})
	}
	if len(all) == 0 {
		return nil, errors.New("package-lock.json names no package that is bundled")
	}
	slices.SortFunc(all, func(a, b part) int { return strings.Compare(a.name+a.version, b.name+b.version) })
	return all, nil
}
