package ground

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts a Postgres on TCP that believes whoever calls, with databases and the login sb_app, and
// returns its address.
func Postgres(t *testing.T, databases ...string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no Postgres: run make deps: %v", err)
	}
	bin, dir := slices.Max(found), Folder(t)
	var credential *syscall.Credential
	if os.Geteuid() == 0 { // it refuses to run as root
		account, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, []string{"LC_ALL=C"}, &syscall.SysProcAttr{Credential: credential}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := command("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	var log Log
	port := freePort(t)
	run := command("postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port="+port, "-c", "unix_socket_directories=", "-c", "fsync=off")
	run.Stderr = &log
	Start(t, run)
	psql := func(sql string) error {
		return command("psql", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-c", sql).Run()
	}
	Eventually(t, "Postgres", &log, func() bool { return psql("CREATE ROLE sb_app LOGIN") == nil })
	for _, name := range databases {
		if err := psql("CREATE DATABASE " + name); err != nil {
			t.Fatal(err)
		}
	}
	return "127.0.0.1:" + port
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
