package charts_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startPostgres starts a Postgres on TCP that believes whoever calls, with the database bridge and the
// login sb_app, and returns its address.
func startPostgres(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no Postgres: run make deps: %v", err)
	}
	bin, dir := slices.Max(found), folder(t)
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
	var log lockedBuffer
	port := freePort(t)
	run := command("postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port="+port, "-c", "unix_socket_directories=", "-c", "fsync=off")
	run.Stderr = &log
	startProcess(t, run)
	eventually(t, "Postgres", &log, func() bool {
		return command("psql", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-c", "CREATE DATABASE bridge", "-c", "CREATE ROLE sb_app LOGIN").Run() == nil
	})
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

// vaultBinary builds the Vault that tests run, or finds it built.
func vaultBinary(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "run", "./test/servers/cmd/vault-binary")
	cmd.Dir, cmd.Stderr = "../..", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build Vault: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// startVault starts a Vault with Transit as docs/kms.md sets it up, and returns its address and a token
// for the server.
func startVault(t *testing.T, binary string) (address, token string) {
	t.Helper()
	cmd := exec.Command(binary, "--listen", "127.0.0.1:0")
	cmd.Env = []string{"HOME=" + os.TempDir()}
	stdin, err := cmd.StdinPipe() // it ends when this does
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var ready struct {
		Address   string `json:"address"`
		RootToken string `json:"root_token"`
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &ready) != nil {
		t.Fatalf("Vault says %q: %v", line, err)
	}
	call := func(path string, body map[string]any) map[string]any {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest("POST", ready.Address+"/v1/"+path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Vault-Token", ready.RootToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s: %s: %s, %v", path, resp.Status, text, err)
		}
		answer := map[string]any{}
		_ = json.Unmarshal(text, &answer) // no content is none
		return answer
	}
	call("sys/mounts/transit", map[string]any{"type": "transit"})
	call("transit/keys/bridge", map[string]any{"type": "aes256-gcm96"})
	call("transit/keys/bridge-mac", map[string]any{"type": "hmac", "key_size": 32})
	policy := ""
	for path, right := range map[string]string{"encrypt/bridge": "update", "decrypt/bridge": "update", "keys/bridge": "read", "hmac/bridge-mac": "update", "keys/bridge-mac": "read"} {
		policy += fmt.Sprintf("path \"transit/%s\" { capabilities = [%q] }\n", path, right)
	}
	call("sys/policies/acl/bridge", map[string]any{"policy": policy})
	auth, ok := call("auth/token/create", map[string]any{"policies": []string{"bridge"}, "ttl": "1h"})["auth"].(map[string]any)
	if !ok {
		t.Fatal("Vault gives no token")
	}
	return ready.Address, auth["client_token"].(string)
}

// certificate is one for this machine's loopback, of a CA of its own, each in PEM.
func certificate(t *testing.T) (ca, cert, key string) {
	t.Helper()
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	private := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, leafKey := private(), private()
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "bridge"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, leafKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return text("CERTIFICATE", caDER), text("CERTIFICATE", der), text("PRIVATE KEY", keyDER)
}
