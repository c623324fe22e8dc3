// Package systemd_test holds the units against systemd's own checks and the programs that they start.
package systemd_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exposure is the worst that systemd-analyze may say, in tenths: 0 is nothing, 100 is everything. What
// is left are network, files of the host that may be read, and @resources, for the limit of core dumps.
const exposure = "13"

// host makes a root with what the units name, and the units changed by edit.
func host(t *testing.T, edit func(string) string) (root string, units []string) {
	t.Helper()
	root = t.TempDir()
	for _, dir := range []string{"usr/local/bin", "etc/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	found, err := filepath.Glob("*.service")
	if err != nil || len(found) != 2 {
		t.Fatalf("units %v, %v", found, err)
	}
	// What systemd itself brings, which the units are ordered by.
	for _, name := range []string{"network-online.target", "multi-user.target", "sysinit.target", "basic.target", "shutdown.target", "-.mount", "var.mount", "tmp.mount"} {
		if err := os.WriteFile(filepath.Join(root, "etc/systemd/system", name), []byte(stub(name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range found {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "etc/systemd/system", name), []byte(edit(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "usr/local/bin", strings.TrimSuffix(name, ".service")), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root, found
}

func stub(name string) string {
	if strings.HasSuffix(name, ".mount") {
		where := map[string]string{"-.mount": "/", "var.mount": "/var", "tmp.mount": "/tmp"}[name]
		return "[Unit]\nDefaultDependencies=no\n[Mount]\nWhat=none\nWhere=" + where + "\nType=tmpfs\n"
	}
	return "[Unit]\nDefaultDependencies=no\n"
}

func verify(t *testing.T, edit func(string) string) (string, error) {
	t.Helper()
	root, units := host(t, edit)
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--root=" + root, "--man=no", "--recursive-errors=no"}, units...)...).CombinedOutput()
	return string(out), err
}

func TestSystemdTakesTheUnits(t *testing.T) {
	if out, err := verify(t, func(text string) string { return text }); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("%v\n%s", err, out)
	}
	for name, edit := range map[string]func(string) string{
		"a setting that is none": func(text string) string { return strings.ReplaceAll(text, "ProtectHome=", "ProtectHoem=") },
		"a value that is none": func(text string) string {
			return strings.ReplaceAll(text, "ProtectSystem=strict", "ProtectSystem=most")
		},
		"a program that is not there": func(text string) string { return strings.ReplaceAll(text, "/usr/local/bin/", "/opt/bin/") },
	} {
		if out, err := verify(t, edit); err == nil && strings.TrimSpace(out) == "" {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestUnitsAreExposedToLittle(t *testing.T) {
	judge := func(edit func(string) string) (string, bool) {
		root, units := host(t, edit)
		for i, name := range units {
			units[i] = filepath.Join(root, "etc/systemd/system", name)
		}
		out, err := exec.Command("systemd-analyze", append([]string{"security", "--offline=true", "--no-pager", "--threshold=" + exposure}, units...)...).CombinedOutput()
		return string(out), err == nil
	}
	if out, ok := judge(func(text string) string { return text }); !ok {
		t.Errorf("exposed to more than %s:\n%s", exposure, out)
	}
	if out, ok := judge(func(text string) string { return strings.ReplaceAll(text, "CapabilityBoundingSet=\n", "") }); ok {
		t.Errorf("the check does not see capabilities:\n%s", out)
	}
}

var (
	setting = regexp.MustCompile(`(?m)^Environment=(SB_[A-Z_]+)=`)
	command = regexp.MustCompile(`(?m)^Exec(?:StartPre|Start)=/usr/local/bin/(\S+) (.*)$`)
	known   = regexp.MustCompile(`"(SB_[A-Z0-9_]+)"|env:"(SB_[A-Z0-9_]+)"`)
)

// TestUnitsSayWhatTheProgramsUnderstand compares variables and flags with the programs.
func TestUnitsSayWhatTheProgramsUnderstand(t *testing.T) {
	for _, name := range []string{"sb-server", "sb-agent"} {
		text, err := os.ReadFile(name + ".service")
		if err != nil {
			t.Fatal(err)
		}
		var source []byte
		files, err := filepath.Glob(filepath.Join("../../cmd", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, content...)
		}
		var names []string
		for _, m := range known.FindAllStringSubmatch(string(source), -1) {
			names = append(names, m[1]+m[2])
		}
		found := setting.FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s sets nothing", name)
		}
		for _, m := range found {
			if !slices.Contains(names, m[1]) {
				t.Errorf("%s.service sets %s, which the program does not know", name, m[1])
			}
		}
		commands := command.FindAllStringSubmatch(string(text), -1)
		if len(commands) == 0 {
			t.Errorf("%s.service starts nothing", name)
		}
		for _, m := range commands {
			// A flag or command that is not known ends it before help is shown.
			cmd := exec.Command(filepath.Join("../../bin", m[1]), append(strings.Fields(m[2]), "--help")...)
			cmd.Env = []string{"PATH=/nonexistent"}
			if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Usage:")) {
				t.Errorf("%s: %v\n%s", m[0], err, out)
			}
		}
	}
	server, err := os.ReadFile("sb-server.service")
	if err != nil || !bytes.Contains(server, []byte("\nRestartPreventExitStatus=3\n")) {
		t.Errorf("a server that found its log altered is started again: %v", err)
	}
}
