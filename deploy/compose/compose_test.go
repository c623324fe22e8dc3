// Package compose_test holds the Compose file against Compose's own library and the programs that it starts.
package compose_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"secretsbridge/deploy/image"
)

// load reads the file as docker compose does, with the example's variables, but for those left out.
func load(t *testing.T, without ...string) (*types.Project, error) {
	t.Helper()
	return read(t, "compose.yaml", example(t, without...))
}

// example are the variables of example.env.
func example(t *testing.T, without ...string) []string {
	t.Helper()
	raw, err := os.ReadFile("example.env")
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") && !slices.Contains(without, name) {
			env = append(env, line)
		}
	}
	return env
}

func read(t *testing.T, path string, env []string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{path}, cli.WithEnv(env), cli.WithInterpolation(true), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeTakesTheFile(t *testing.T) {
	p := project(t)
	if got := p.ServiceNames(); !slices.Equal(got, []string{"migrate", "postgres", "server"}) {
		t.Errorf("services %v", got)
	}
	for _, name := range []string{"SB_PUBLIC_URL", "SB_WEBAUTHN_RP_ID", "SB_LEAF_URLS", "SB_KMS_TRANSIT_ADDR", "SB_KMS_TRANSIT_ROLE_ID"} {
		if _, err := load(t, name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if p, err := load(t, "SB_IMAGE", "SB_KMS_TRANSIT_KEY"); err != nil || !strings.HasPrefix(p.Services["server"].Image, "secrets-bridge/sb-server:") {
		t.Errorf("what has a default is asked for: %v", err)
	}
}

func TestProgramsMayDoLittle(t *testing.T) {
	p := project(t)
	for _, name := range []string{"migrate", "server"} {
		s := p.Services[name]
		if !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.Privileged || len(s.CapAdd) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, port := range p.Services["server"].Ports {
		if port.Target == 9090 && port.HostIP != "127.0.0.1" {
			t.Errorf("metrics are open to others: %+v", port)
		}
	}
	if !p.Networks["database"].Internal || len(p.Services["postgres"].Ports) > 0 {
		t.Error("Postgres can be reached from outside")
	}
}

var known = regexp.MustCompile(`env:"(SB_[A-Z0-9_]+)"`)

// TestTheFileSaysWhatTheProgramUnderstands compares variables, commands, ports and files.
func TestTheFileSaysWhatTheProgramUnderstands(t *testing.T) {
	var names []string
	files, err := filepath.Glob("../../cmd/sb-server/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range known.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	i := slices.IndexFunc(image.Programs, func(p image.Program) bool { return p.Name == "sb-server" })
	of := image.Programs[i]
	p := project(t)
	for _, name := range []string{"migrate", "server"} {
		s := p.Services[name]
		for variable, value := range s.Environment {
			if !slices.Contains(names, variable) {
				t.Errorf("%s: the program does not know %s", name, variable)
			}
			if file, ok := strings.CutPrefix(*value, "/run/secrets/"); ok && !slices.ContainsFunc(s.Secrets, func(c types.ServiceSecretConfig) bool { return c.Source == file }) {
				t.Errorf("%s: %s is %s, which is not given", name, variable, *value)
			}
		}
		if *s.Environment["SB_DATA_DIR"] != of.Home {
			t.Errorf("%s keeps its data in %s, and the image has %s", name, *s.Environment["SB_DATA_DIR"], of.Home)
		}
		cmd := exec.Command("../../bin/sb-server", append(slices.Clone(s.Command), "--help")...)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Usage:") {
			t.Errorf("%s: %v: %v\n%s", name, s.Command, err, out)
		}
	}
	var ports []int
	for _, port := range p.Services["server"].Ports {
		ports = append(ports, int(port.Target))
	}
	slices.Sort(ports)
	if !slices.Equal(ports, of.Ports) {
		t.Errorf("ports %v, and the image tells %v", ports, of.Ports)
	}
	for name, secret := range p.Secrets {
		used := false
		for _, s := range p.Services {
			used = used || slices.ContainsFunc(s.Secrets, func(c types.ServiceSecretConfig) bool { return c.Source == name })
		}
		if !used || secret.File == "" {
			t.Errorf("secret %s is used by nobody, or has no file", name)
		}
	}
}

// TestPasswordsAreMadeOnce runs secrets.sh twice in a folder of its own.
func TestPasswordsAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	script, err := os.ReadFile("secrets.sh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "secrets.sh")
	if err := os.WriteFile(path, script, 0o755); err != nil {
		t.Fatal(err)
	}
	var first []byte
	for range 2 {
		out, err := exec.Command("/bin/sh", path).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "secrets/tls.key is missing") {
			t.Fatalf("%v\n%s", err, out)
		}
		lines, err := os.ReadFile(filepath.Join(dir, "secrets", "passwords"))
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && string(first) != string(lines) {
			t.Error("the second run changed the passwords")
		}
		first = lines
	}
	app, err := os.ReadFile(filepath.Join(dir, "secrets", "app-password"))
	if err != nil || len(app) != 32 || !strings.Contains(string(first), "postgres:5432:bridge:sb_app:"+string(app)+"\n") {
		t.Errorf("password of %d bytes, %v", len(app), err)
	}
	info, err := os.Stat(filepath.Join(dir, "secrets", "passwords"))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
