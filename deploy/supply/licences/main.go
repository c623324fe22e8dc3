// Command licences tells under which licences everything is that the programs link and the web
// application bundles. It fails where one is of a kind that nobody agreed to.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// agreed are the kinds of licences that may be linked into what is shipped under Apache-2.0, and
// what each asks of whoever passes the programs on.
var agreed = map[string]string{
	"0BSD":         "nothing",
	"Apache-2.0":   "carry the licence, and the NOTICE",
	"BSD-2-Clause": "carry the licence",
	"BSD-3-Clause": "carry the licence",
	"ISC":          "carry the licence",
	"MIT":          "carry the licence",
	"MPL-2.0":      "carry the licence, and tell where the source is; changes of its files stay under it",
	"Unlicense":    "nothing",
}

// report is where the table is kept, below the repository.
var report = filepath.Join("docs", "reference", "licences.md")

func main() {
	repository := flag.String("repository", "../..", "root of the repository")
	check := flag.Bool("check", false, "compare with the report that is there, and write nothing")
	notices := flag.String("notices", "", "write the texts of all licences into this file, which needs node_modules")
	flag.Parse()
	if err := run(*repository, *check, *notices); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(repository string, check bool, notices string) error {
	linked, err := modules(repository)
	if err != nil {
		return err
	}
	bundled, err := packages(repository)
	if err != nil {
		return err
	}
	if err := agree(append(slices.Clone(linked), bundled...)); err != nil {
		return err
	}
	text := write(linked, bundled)
	path := filepath.Join(repository, report)
	if check {
		was, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(was, text) {
			return fmt.Errorf("%s is not what is linked now: run make licences, and look at the difference", report)
		}
	} else if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	if notices == "" {
		return nil
	}
	all, err := collect(append(linked, bundled...))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(notices), 0o755); err != nil {
		return err
	}
	return os.WriteFile(notices, all, 0o644)
}

// agree refuses kinds that nobody agreed to.
func agree(parts []part) error {
	var errs []error
	for _, p := range parts {
		for _, id := range p.licences {
			if _, ok := agreed[id]; !ok {
				errs = append(errs, fmt.Errorf("%s %s is under %q, of a kind that nobody agreed to: choose another module, or add the kind to agreed in deploy/supply/licences with what it asks", p.name, p.version, id))
			}
		}
	}
	return errors.Join(errs...)
}

func write(linked, bundled []part) []byte {
	var b bytes.Buffer
	b.WriteString("# Licences\n\n<!-- Written by make licences; do not edit. -->\n\n" +
		"Secrets Bridge is under Apache-2.0 (`LICENSE`). This is what its programs link and what its web application bundles. Images and archives carry all\n" +
		"texts in one file. Tools and servers that only tests use are not shipped, and not listed.\n\n| kind | parts | asks to |\n|---|---|---|\n")
	count := map[string]int{}
	for _, p := range append(slices.Clone(linked), bundled...) {
		for _, id := range p.licences {
			count[id]++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&b, "| %s | %d | %s |\n", id, count[id], agreed[id])
	}
	b.WriteString("\n## Linked into programs\n\n| module | version | licences | in |\n|---|---|---|---|\n")
	for _, p := range linked {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.name, p.version, strings.Join(p.licences, ", "), strings.Join(p.in, ", "))
	}
	b.WriteString("\n## Bundled into the web application\n\nThe licence is what each author says in the package's own description.\n\n| package | version | licence |\n|---|---|---|\n")
	for _, p := range bundled {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.name, p.version, strings.Join(p.licences, ", "))
	}
	return b.Bytes()
}

// collect joins the texts of all licences and notices.
func collect(parts []part) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("Secrets Bridge is under the Apache License, Version 2.0. It has parts of others, under these licences.\n")
	for _, p := range parts {
		names := append(texts(p.dir, licenceFile), texts(p.dir, noticeFile)...)
		fmt.Fprintf(&b, "\n%s\n%s %s: %s\n", strings.Repeat("=", 80), p.name, p.version, strings.Join(p.licences, ", "))
		if len(names) == 0 {
			if _, err := os.Stat(p.dir); err != nil {
				return nil, fmt.Errorf("%s is not on this machine: run make app first: %w", p.name, err)
			}
			b.WriteString("(its package has no text)\n")
		}
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(p.dir, name))
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "\n-- %s --\n%s\n", name, bytes.TrimSpace(text))
		}
	}
	return b.Bytes(), nil
}
