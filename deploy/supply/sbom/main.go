// Command sbom writes what the web application bundles as a CycloneDX document, from its
// package-lock.json alone. The programs have theirs by cyclonedx-gomod, from the binaries.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	repository := flag.String("repository", "../..", "root of the repository")
	version := flag.String("version", "", "version of the application")
	flag.Parse()
	if err := run(*repository, *version, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(repository, version string, out io.Writer) error {
	raw, err := os.ReadFile(filepath.Join(repository, "web", "app", "package-lock.json"))
	if err != nil {
		return err
	}
	bom, err := application(raw, version)
	if err != nil {
		return fmt.Errorf("package-lock.json: %w", err)
	}
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// application is the document. It has no time and no serial number: the same lock file and version
// give the same bytes.
func application(lockFile []byte, version string) (*cdx.BOM, error) {
	var lock struct {
		Packages map[string]struct {
			Version, License, Resolved, Integrity string
			Dev, DevOptional                      bool
		}
	}
	if err := json.Unmarshal(lockFile, &lock); err != nil {
		return nil, err
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: "application", Type: cdx.ComponentTypeApplication, Name: "secrets-bridge-app", Version: version,
		Licenses: licence("Apache-2.0"),
	}}
	var parts []cdx.Component
	for path, p := range lock.Packages {
		if path == "" || p.Dev || p.DevOptional {
			continue
		}
		name := path[strings.LastIndex(path, "node_modules/")+len("node_modules/"):]
		purl := "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version
		part := cdx.Component{BOMRef: purl + "#" + path, Type: cdx.ComponentTypeLibrary, Name: name, Version: p.Version, PackageURL: purl, Licenses: licence(p.License)}
		kind, encoded, _ := strings.Cut(p.Integrity, "-")
		sum, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || kind != "sha512" || len(sum) != 64 {
			return nil, fmt.Errorf("%s has no SHA-512 to tell it by", path)
		}
		part.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA512, Value: hex.EncodeToString(sum)}}
		parts = append(parts, part)
	}
	slices.SortFunc(parts, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	bom.Components = &parts
	return bom, nil
}

// licence is an id of SPDX, or an expression of several.
func licence(expression string) *cdx.Licenses {
	if strings.Contains(expression, " ") {
		return &cdx.Licenses{{Expression: expression}}
	}
	return &cdx.Licenses{{License: &cdx.License{ID: expression}}}
}
