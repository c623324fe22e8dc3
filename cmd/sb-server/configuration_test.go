package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestTheConfigurationPageIsWhole compares docs/reference/configuration.md with what the server reads:
// every variable has a row with its default, and no row is of a variable that nothing reads.
func TestTheConfigurationPageIsWhole(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## sb-server\n")
	section, _, ends := strings.Cut(section, "\n## sb-agent\n")
	if !found || !ends {
		t.Fatal("the page has no section of sb-server and of sb-agent behind it")
	}
	rows := map[string]string{} // the second cell, by variable
	for line := range strings.Lines(section) {
		cells := strings.Split(line, " | ")
		if len(cells) < 2 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range regexp.MustCompile("`(SB_[A-Z0-9_]+)`").FindAllStringSubmatch(cells[0], -1) {
			rows[m[1]] += cells[1]
		}
	}
	read := map[string]string{} // the default, by variable
	variables(reflect.TypeFor[settings](), read)
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("os\\.Getenv\\(\"(SB_[A-Z0-9_]+)\"\\)").FindAllStringSubmatch(string(text), -1) {
			read[m[1]] += ""
		}
	}
	for name, normal := range read {
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s has no row", name)
		} else if normal != "" && !strings.Contains(row, "`"+normal+"`") {
			t.Errorf("%s is %s unless set, and its row says %s", name, normal, row)
		}
	}
	for name := range rows {
		if _, ok := read[name]; !ok {
			t.Errorf("nothing reads %s", name)
		}
	}
}

// variables are those of a struct and of structs within it.
func variables(in reflect.Type, all map[string]string) {
	for i := range in.NumField() {
		f := in.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		switch {
		case name != "" && name != "-":
			all[name] = f.Tag.Get("envDefault")
		case name == "" && f.Type.Kind() == reflect.Struct:
			variables(f.Type, all)
		}
	}
}
