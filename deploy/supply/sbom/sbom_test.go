package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func decode(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, c := range *bom.Components {
		versions[c.Name] = c.Version
	}
	return versions
}

func TestTheApplicationsPackagesAreListed(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run("../../..", "1.2.3", out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same lock file gives two documents")
	}
	versions := decode(t, first.Bytes())
	if versions["react"] == "" || versions["vitest"] != "" {
		t.Errorf("the list has react %q, which is bundled, and vitest %q, which only tests use", versions["react"], versions["vitest"])
	}
	if _, err := application([]byte(`{"packages":{"node_modules/x":{"version":"1.0.0","license":"MIT"}}}`), ""); err == nil || !strings.Contains(err.Error(), "node_modules/x has no SHA-512") {
		t.Errorf("a package without a hash: %v", err)
	}
}

// TestTheProgramsModulesAreListed runs the tool as make sbom does, and compares with what Go's linker wrote.
func TestTheProgramsModulesAreListed(t *testing.T) {
	const binary = "../../../bin/sb"
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatalf("%v: run make build", err)
	}
	out := filepath.Join(t.TempDir(), "sb.json")
	cmd := exec.Command("go", "tool", "cyclonedx-gomod", "bin", "-json", "-std", "-noserial", "-notimestamp", "-version", "1.2.3", "-output", out, binary)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	versions := decode(t, raw)
	for _, m := range info.Deps {
		if versions[m.Path] != m.Version {
			t.Errorf("%s is %s in the program and %q in the list", m.Path, m.Version, versions[m.Path])
		}
	}
	if len(info.Deps) < 20 || len(versions) != len(info.Deps)+1 {
		t.Errorf("%d modules in the program, %d in the list, want as many and the standard library", len(info.Deps), len(versions))
	}
}
