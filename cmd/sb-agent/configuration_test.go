package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheConfigurationPageIsWhole compares docs/reference/configuration.md with what the agent reads:
// every variable and every field of its file is there, and nothing else is.
func TestTheConfigurationPageIsWhole(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## sb-agent\n")
	section, _, ends := strings.Cut(section, "\n## ")
	if !found || !ends {
		t.Fatal("the page has no section of sb-agent and another behind it")
	}
	told := map[string]bool{}
	for line := range strings.Lines(section) {
		cell, _, row := strings.Cut(line, " | ")
		if !row || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range regexp.MustCompile("`([A-Za-z_.]+)`").FindAllStringSubmatch(cell, -1) {
			told[strings.TrimPrefix(m[1], "auth.")] = true
		}
	}
	read := map[string]bool{"allow": true, "provider": true}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") || path == "kubeconfig.go" { // that one is a format of Kubernetes
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("yaml:\"([a-z_]+)|\\w*[gG]etenv\\(\"(SB_[A-Z_]+)\"\\)").FindAllStringSubmatch(string(text), -1) {
			read[m[1]+m[2]] = true
		}
	}
	delete(read, "auth") // its fields are there
	for name := range read {
		if !told[name] {
			t.Errorf("%s has no row", name)
		}
	}
	for name := range told {
		if !read[name] {
			t.Errorf("nothing reads %s", name)
		}
	}
}
