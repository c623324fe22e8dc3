package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"secretsbridge/deploy/container"
	"secretsbridge/deploy/image"
)

func TestMain(m *testing.M) {
	container.Init()
	os.Exit(m.Run())
}

var options = image.Options{
	Version: "1.2.3", Revision: "0123456789abcdef", Source: "https://example.org/secrets-bridge",
	Created: time.Unix(1_700_000_000, 0).UTC(), Notices: []byte("the licences\n"),
}

// built are the images that a test asked for before.
var built = map[string]v1.Image{}

func build(t *testing.T, name string) v1.Image {
	t.Helper()
	if built[name] == nil {
		built[name] = fresh(t, name)
	}
	return built[name]
}

func fresh(t *testing.T, name string) v1.Image {
	t.Helper()
	p := program(t, name)
	binary, err := container.Binary(name)
	if err != nil {
		t.Fatal(err)
	}
	built, err := image.Build(p, runtime.GOARCH, binary, options)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func program(t *testing.T, name string) image.Program {
	t.Helper()
	i := slices.IndexFunc(image.Programs, func(p image.Program) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("there is no image of %s", name)
	}
	return image.Programs[i]
}

func unpack(t *testing.T, name string) container.Container {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb-image-") // t.TempDir is in a folder that others may not pass through
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := container.Unpack(build(t, name), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs a container to its end.
func run(t *testing.T, c container.Container) (stdout, stderr string, code int) {
	t.Helper()
	cmd, err := c.Command()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestTwoBuildsOfAnImageAreTheSame(t *testing.T) {
	for _, p := range image.Programs {
		first, err := build(t, p.Name).Digest()
		if err != nil {
			t.Fatal(err)
		}
		second, err := fresh(t, p.Name).Digest()
		if err != nil || first != second {
			t.Errorf("%s: %s, then %s, %v", p.Name, first, second, err)
		}
	}
	binary, err := container.Binary("sb")
	if err != nil {
		t.Fatal(err)
	}
	other := options
	other.Created = other.Created.Add(time.Second)
	later, err := image.Build(program(t, "sb"), runtime.GOARCH, binary, other)
	if err != nil {
		t.Fatal(err)
	}
	before, err := build(t, "sb").Digest()
	if digest, errLater := later.Digest(); err != nil || errLater != nil || digest == before {
		t.Errorf("the time of the build does not count: %s, %v, %v", digest, err, errLater)
	}
}

func TestAnImageHoldsWhatItNeedsAndNothingElse(t *testing.T) {
	for _, p := range image.Programs {
		built := build(t, p.Name)
		files := mutate.Extract(built)
		defer files.Close()
		var names []string
		for r := tar.NewReader(files); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				names = append(names, h.Name)
			}
			if h.Mode&0o6000 != 0 || h.Mode&0o002 != 0 && h.Name != "tmp" {
				t.Errorf("%s: %s has mode %o", p.Name, h.Name, h.Mode)
			}
			if owned := h.Uid != 0 || h.Gid != 0; owned != ("/"+h.Name == p.Home) {
				t.Errorf("%s: %s belongs to %d:%d", p.Name, h.Name, h.Uid, h.Gid)
			}
			if !h.ModTime.Equal(options.Created) {
				t.Errorf("%s: %s is of %s", p.Name, h.Name, h.ModTime)
			}
			if strings.HasSuffix(h.Name, "ca-certificates.crt") {
				text, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				if roots := bytes.Count(text, []byte("BEGIN CERTIFICATE")); !x509.NewCertPool().AppendCertsFromPEM(text) || roots < 80 {
					t.Errorf("%s: %d authorities", p.Name, roots)
				}
			}
		}
		slices.Sort(names)
		want := []string{"etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/local/bin/" + p.Name, "usr/share/doc/secrets-bridge/LICENCES"}
		if !slices.Equal(names, want) {
			t.Errorf("%s: files %v, want %v", p.Name, names, want)
		}
		config, err := built.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c := config.Config; c.User != "65532:65532" || c.Labels["org.opencontainers.image.version"] != "1.2.3" ||
			c.Labels["org.opencontainers.image.revision"] != options.Revision || c.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" {
			t.Errorf("%s: %+v", p.Name, c)
		}
	}
}

func TestWhatCannotRunIsRefused(t *testing.T) {
	p := program(t, "sb")
	binary, err := container.Binary("sb")
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	dynamic, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for want, build := range map[string]func() (v1.Image, error){
		"and the image of " + other: func() (v1.Image, error) { return image.Build(p, other, binary, options) },
		"write amd64 or arm64":      func() (v1.Image, error) { return image.Build(p, "mips", binary, options) },
		"CGO_ENABLED=0":             func() (v1.Image, error) { return image.Build(p, runtime.GOARCH, dynamic, options) },
		"no ELF file":               func() (v1.Image, error) { return image.Build(p, runtime.GOARCH, []byte("#!/bin/sh\n"), options) },
	} {
		if _, err := build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestAnIndexHasBothArchitectures packs this machine's program a second time, under the header of the other
// architecture: whether it is built for it is the compiler's work, which make images does.
func TestAnIndexHasBothArchitectures(t *testing.T) {
	other, machine := "arm64", elf.EM_AARCH64
	if runtime.GOARCH == other {
		other, machine = "amd64", elf.EM_X86_64
	}
	binary, err := container.Binary("sb")
	if err != nil {
		t.Fatal(err)
	}
	binary = slices.Clone(binary)
	binary[18], binary[19] = byte(machine), byte(machine>>8) // e_machine, ELF-64 Object File Format, figure 2
	foreign, err := image.Build(program(t, "sb"), other, binary, options)
	if err != nil {
		t.Fatal(err)
	}
	config, err := foreign.ConfigFile()
	if err != nil || config.Architecture != other || config.OS != "linux" {
		t.Errorf("the image of %s is of %s/%s, %v", other, config.OS, config.Architecture, err)
	}
	index, err := image.Index(build(t, "sb"), foreign)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
	}
	if want := []string{"linux/" + runtime.GOARCH, "linux/" + other}; !slices.Equal(platforms, want) {
		t.Errorf("platforms %v, want %v", platforms, want)
	}
}

func TestImagesRunWithoutRootAndWithoutAWritableRoot(t *testing.T) {
	for _, p := range image.Programs {
		c := unpack(t, p.Name)
		c.Args = []string{"version"}
		stdout, stderr, code := run(t, c)
		if code != 0 || !strings.HasPrefix(stdout, "0.") {
			t.Errorf("%s version: %d, %q, %s", p.Name, code, stdout, stderr)
		}
	}
	// What the machinery takes away, by a program that tries; and that it sees what was not taken away.
	c := unpack(t, "sb")
	probe := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(c.Root, "usr/local/bin/probe"), "../container/probe")
	probe.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=runtimesecret") // as make build does, so that nothing is compiled twice
	if out, err := probe.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v\n%s", err, out)
	}
	c.Path, c.Args = "/usr/local/bin/probe", nil
	if stdout, stderr, code := run(t, c); code != 0 {
		t.Errorf("probe: %d\n%s%s", code, stdout, stderr)
	}
	c.Writable, c.UID = true, 0
	if stdout, _, code := run(t, c); code != 1 || !strings.Contains(stdout, "/etc can be written to") || !strings.Contains(stdout, "has not \"Uid") {
		t.Errorf("root in a writable root is not seen: %d\n%s", code, stdout)
	}
}

func TestLayoutsAndTarballsReadBack(t *testing.T) {
	built := build(t, "sb")
	index, err := image.Index(built)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for range 2 { // the second replaces the first
		if err := image.WriteLayout(filepath.Join(dir, "sb"), "1.2.3", index); err != nil {
			t.Fatal(err)
		}
	}
	read, err := layout.ImageIndexFromPath(filepath.Join(dir, "sb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(read); err != nil {
		t.Error(err)
	}
	manifest, err := read.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	want, err := index.Digest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != want {
		t.Errorf("manifests %+v, want %s, %v", manifest.Manifests, want, err)
	}
	path := filepath.Join(dir, "sb.tar")
	if err := image.WriteTarball(path, "secrets-bridge/sb:1.2.3", built); err != nil {
		t.Fatal(err)
	}
	loaded, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := loaded.ConfigName()
	b, errB := built.ConfigName()
	if errA != nil || errB != nil || a != b {
		t.Error(fmt.Errorf("%s, want %s: %w", a, b, errors.Join(errA, errB)))
	}
}
