package compose_test

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"secretsbridge/deploy/container"
	"secretsbridge/deploy/ground"
)

func TestMain(m *testing.M) {
	container.Init()
	os.Exit(m.Run())
}

// host is the machine that Compose runs on, in a network of its own: the one that all services share here.
type host struct {
	project *types.Project
	dir     string // of compose.yaml and secrets/
	volumes string // folder of the volumes
	root    container.Container
}

// TestTheServicesRun runs what the file says, as processes: the script that makes passwords, Postgres by
// the steps of its image's entry point, the healthcheck, migrate, and the server, from the unpacked image,
// with the file's command, environment, secrets and volumes; and then migrate and the server again.
func TestTheServicesRun(t *testing.T) {
	if ground.Alone(t, map[string]string{"postgres": "127.0.0.1", "bridge.example.com": "127.0.0.1"}) {
		return
	}
	h := &host{dir: ground.Folder(t), volumes: ground.Folder(t), root: ground.Unpack(t, "sb-server")}
	vault := ground.Vault(t)
	ca, cert, key := ground.Certificate(t, "bridge.example.com")
	for _, name := range []string{"compose.yaml", "roles.sh", "secrets.sh"} {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(h.dir, name), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(h.dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"tls.crt": cert, "tls.key": key, "leaf-ca.pem": ca, "kms-secret-id": vault.SecretID} {
		if err := os.WriteFile(filepath.Join(h.dir, "secrets", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	account, err := user.Lookup("postgres") // of this machine; 999 in the image
	if err != nil {
		t.Fatal(err)
	}
	script := exec.Command("./secrets.sh")
	script.Dir, script.Env = h.dir, append(os.Environ(), "POSTGRES_UID="+account.Uid)
	if out, err := script.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("secrets.sh: %v\n%s", err, out)
	}
	env := append(example(t, "SB_KMS_TRANSIT_ADDR", "SB_KMS_TRANSIT_KEY", "SB_KMS_TRANSIT_ROLE_ID"),
		"SB_KMS_TRANSIT_ADDR="+vault.Address, "SB_KMS_TRANSIT_KEY=bridge", "SB_KMS_TRANSIT_ROLE_ID="+vault.RoleID)
	if h.project, err = read(t, filepath.Join(h.dir, "compose.yaml"), env); err != nil {
		t.Fatal(err)
	}

	h.postgres(t, account)
	for round := range 2 {
		migrate := h.container(t, "migrate")
		if stdout, stderr, code := ground.Run(t, migrate); code != 0 || !strings.Contains(stdout, "schema") {
			t.Fatalf("migrate: %d\n%s%s", code, stdout, stderr)
		}
		server := h.container(t, "server")
		cmd, err := server.Command()
		if err != nil {
			t.Fatal(err)
		}
		var log ground.Log
		cmd.Stderr = &log
		stop := ground.Start(t, cmd)
		ground.Eventually(t, "the server is ready", &log, ground.Answers("http://127.0.0.1:9090/readyz"))
		if round == 0 {
			people := ground.Invite(t, "https://bridge.example.com:8443", ca, func(args ...string) string { // docker compose exec
				c := server
				c.Args = args
				stdout, stderr, code := ground.Run(t, c)
				if code != 0 {
					t.Fatalf("%v: %d: %s", args, code, stderr)
				}
				return stdout
			})
			if out := people.SB(t, "admin", "", "agent", "invite", "one", "--cluster", "one"); out == "" {
				t.Error("no agent can be invited")
			}
		}
		stop()
		for _, secret := range []string{key, vault.SecretID} {
			if strings.Contains(log.String(), strings.TrimSpace(secret)) {
				t.Error("the log has a secret")
			}
		}
	}
}

// container is a service of the program as Docker makes its container: what the file says, and a file of
// hosts, by which it knows the others.
func (h *host) container(t *testing.T, name string) container.Container {
	t.Helper()
	s := h.project.Services[name]
	c := h.root
	c.Args = s.Command
	c.Env = slices.Clone(h.root.Env)
	for variable, value := range s.Environment {
		c.Env = append(c.Env, variable+"="+*value)
	}
	uid, gid, ok := strings.Cut(s.User, ":")
	var err error
	if c.UID, err = strconv.Atoi(uid); err != nil || !ok {
		t.Fatalf("user %q", s.User)
	}
	if c.GID, err = strconv.Atoi(gid); err != nil {
		t.Fatal(err)
	}
	c.Writable = !s.ReadOnly
	c.Mounts = []container.Mount{{Source: "/etc/hosts", Target: "/etc/hosts", ReadOnly: true}}
	for _, at := range s.Tmpfs {
		path, _, _ := strings.Cut(at, ":")
		dir := ground.Folder(t)
		if err := syscall.Chmod(dir, 0o1777); err != nil {
			t.Fatal(err)
		}
		c.Mounts = append(c.Mounts, container.Mount{Source: dir, Target: path})
	}
	for _, secret := range s.Secrets { // files of the host, with their owners and modes
		c.Mounts = append(c.Mounts, container.Mount{Source: h.project.Secrets[secret.Source].File, Target: "/run/secrets/" + secret.Source, ReadOnly: true})
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeVolume {
			t.Fatalf("%s mounts %s, a %s", name, v.Target, v.Type)
		}
		c.Mounts = append(c.Mounts, container.Mount{Source: h.volume(t, v.Source, v.Target), Target: v.Target, ReadOnly: v.ReadOnly})
	}
	return c
}

// volume is a named volume. A new one has the owner and the mode of what the image has there.
func (h *host) volume(t *testing.T, name, target string) string {
	t.Helper()
	dir := filepath.Join(h.volumes, name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	info, err := os.Stat(filepath.Join(h.root.Root, target))
	if err != nil {
		t.Fatal(err)
	}
	of := info.Sys().(*syscall.Stat_t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, int(of.Uid), int(of.Gid)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// postgres does what the entry point of Postgres' image does with the variables, secrets and scripts of the
// file (docker-library/postgres, docker-entrypoint.sh): initdb with the password, a first server on a socket
// alone, the database, the scripts, as the user postgres; then the server, on TCP.
func (h *host) postgres(t *testing.T, account *user.User) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no Postgres: run make deps: %v", err)
	}
	bin, dir := slices.Max(found), ground.Folder(t)
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	s := h.project.Services["postgres"]
	secret := func(path string) string { return h.project.Secrets[strings.TrimPrefix(path, "/run/secrets/")].File }
	password, err := os.ReadFile(secret(*s.Environment["POSTGRES_PASSWORD_FILE"])) // as root
	if err != nil {
		t.Fatal(err)
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, []string{"LC_ALL=C", "PATH=" + bin + ":" + os.Getenv("PATH"), "PGHOST=" + dir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	data := filepath.Join(dir, "data")
	own := filepath.Join(dir, "password")
	if err := errors.Join(os.WriteFile(own, password, 0o600), os.Chown(own, uid, gid)); err != nil {
		t.Fatal(err)
	}
	if out, err := command("initdb", "-D", data, "-U", "postgres", "--pwfile="+own, "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	var log ground.Log
	serve := func(addresses string) (stop func()) {
		cmd := command("postgres", "-D", data, "-c", "listen_addresses="+addresses, "-c", "unix_socket_directories="+dir, "-c", "fsync=off")
		cmd.Stderr = &log
		return ground.Start(t, cmd)
	}
	stop := serve("")
	database := *s.Environment["POSTGRES_DB"]
	ground.Eventually(t, "Postgres on its socket", &log, func() bool {
		return command("psql", "-U", "postgres", "-c", "CREATE DATABASE "+database).Run() == nil
	})
	var mounted []string // secrets and scripts, where the image has them
	for _, of := range s.Secrets {
		mounted = append(mounted, h.project.Secrets[of.Source].File, "/run/secrets/"+of.Source)
	}
	for _, v := range s.Volumes {
		if strings.HasPrefix(v.Target, "/docker-entrypoint-initdb.d/") {
			mounted = append(mounted, v.Source, "/run/initdb.d/"+filepath.Base(v.Target))
		}
	}
	init := exec.Command("unshare", append([]string{"--mount", "sh", "-euc", `
		mount -t tmpfs tmpfs /run
		mkdir /run/secrets /run/initdb.d
		while [ $# -gt 0 ]; do touch "$2" && mount --bind "$1" "$2" && shift 2; done
		for f in /run/initdb.d/*.sh; do setpriv --reuid postgres --regid postgres --clear-groups sh "$f"; done`, "sh"}, mounted...)...)
	init.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "PGHOST=" + dir}
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("the scripts: %v\n%s", err, out)
	}
	health := func() bool {
		return command(s.HealthCheck.Test[1], s.HealthCheck.Test[2:]...).Run() == nil
	}
	if health() {
		t.Error("a server that initialises is healthy")
	}
	stop()
	serve("*")
	ground.Eventually(t, "Postgres is healthy", &log, health)
}
