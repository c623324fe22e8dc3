package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheReportIsOfWhatIsLinked(t *testing.T) {
	if err := run("../../..", true, ""); err != nil {
		t.Error(err)
	}
}

func TestKindsThatNobodyAgreedToAreRefused(t *testing.T) {
	for kind, ok := range map[string]bool{"MIT": true, "AGPL-3.0": false, "BUSL-1.1": false, "": false, "MIT AND GPL-2.0-only": false} {
		if err := agree([]part{{name: "x", version: "v1", licences: []string{kind}}}); (err == nil) != ok {
			t.Errorf("%q: %v", kind, err)
		}
	}
	for expression, want := range map[string]string{"MIT": "MIT", "(GPL-2.0-only OR MIT)": "MIT", "(AGPL-3.0 OR SSPL-1.0)": "(AGPL-3.0 OR SSPL-1.0)", "MIT AND GPL-2.0-only": "MIT AND GPL-2.0-only"} {
		if got := choose(expression); got != want {
			t.Errorf("of %s %s is chosen, want %s", expression, got, want)
		}
	}
}

func TestModulesWithoutAKnownLicenceAreRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := classify(dir); err == nil || !strings.Contains(err.Error(), "no licence") {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(dir, "LICENSE.md")
	if err := os.WriteFile(path, []byte("You may do with this what my cat allows. Ask her.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := classify(dir); err == nil || !strings.Contains(err.Error(), "read it") {
		t.Errorf("a text of somebody's own: %v", err)
	}
	ours, err := os.ReadFile("../../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, ours, 0o600); err != nil {
		t.Fatal(err)
	}
	if ids, err := classify(dir); err != nil || len(ids) != 1 || ids[0] != "Apache-2.0" {
		t.Errorf("our own: %v, %v", ids, err)
	}
}
