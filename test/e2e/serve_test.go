package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"secretsbridge/internal/postgres"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// ca is an operator's certificate authority.
type ca struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T, dir string) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the operator's CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return &ca{dir: dir, cert: cert, key: key}
}

// issue puts a fresh certificate for loopback, and its key, where the server reads them.
func (a *ca) issue(t *testing.T, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "bridge"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(a.dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	keep(t, filepath.Join(a.dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// shown is the serial number of the certificate that a TLS port shows.
func (a *ca) shown(t testing.TB, addr string) int64 {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// serve runs `sb-server serve` and waits until it is ready.
func (c *control) serve(t testing.TB, ops string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sb-server"), "serve")
	cmd.Env = append(append(clean(os.Environ()), "SB_DATA_DIR="+c.dir), c.env...)
	cmd.Stderr = locked{&c.mu, &c.logs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	c.mu.Lock()
	c.cmd, c.ended = cmd, ended
	c.mu.Unlock()
	eventually(t, startTime, "ready", func() bool {
		select {
		case <-ended:
			t.Fatalf("the server ended instead of starting:\n%s", tail(c.log(), 60))
		default:
		}
		return readyz(ops) == http.StatusOK
	})
}

func readyz(ops string) int {
	resp, err := http.Get("http://" + ops + "/readyz")
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestTheProductionFormOnOneMachine is the documented way in: a Postgres of the operator's own with
// passwords, Vault as the key manager, certificates from files, the first person from the host, an
// agent, and a request that is read.
func TestTheProductionFormOnOneMachine(t *testing.T) {
	t.Parallel()
	db := postgrestest.StartExternal(t)
	dir := filepath.Join(short(t), "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	authority := newCA(t, dir)
	authority.issue(t, 100)
	addr, ops, leaf := free(t), free(t), free(t)
	c := &control{dir: dir, url: "https://" + addr, tokens: map[string]string{}, env: append(newTransit(t).env,
		"SB_PROFILE=production", "SB_HTTP_ADDR="+addr, "SB_OPS_ADDR="+ops, "SB_LEAF_ADDR="+leaf, "SB_DRAIN_DELAY=500ms",
		"SB_TLS_CERT_FILE="+filepath.Join(dir, "cert.pem"), "SB_TLS_KEY_FILE="+filepath.Join(dir, "key.pem"), "SB_LEAF_CA_FILE="+filepath.Join(dir, "ca.pem"),
		"SB_DATABASE_URL="+db.AppURL(), "SB_DATABASE_OWNER_URL="+db.OwnerURL())}
	var err error
	if c.reader, err = seal.GenerateRecipientKey(seal.X25519); err != nil {
		t.Fatal(err)
	}
	c.reveal = api.Reveal{Recipient: c.reader.Public().String()}

	// Before the migration nobody can sign in as the application, and afterwards schemas fit.
	if got := c.host(t, "serve"); got.code != 1 || !strings.Contains(got.stderr, "sb_app") {
		t.Fatalf("serve without schemas: exit %d: %s", got.code, got.stderr)
	}
	if got := c.host(t, "migrate", "--check"); got.code != 1 || !strings.Contains(got.stderr, "run sb-server migrate") {
		t.Errorf("check: exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
	for range 2 {
		if got := c.host(t, "migrate"); got.code != 0 {
			t.Fatalf("migrate: %s", got.stderr)
		}
	}
	db.LetIn(t)
	c.serve(t, ops)
	t.Cleanup(func() {
		c.stop(t)
		if t.Failed() {
			t.Logf("log of the server:\n%s", tail(c.log(), 200))
		}
	})
	c.connect(t, c.url)

	// People, from the host.
	for who, role := range map[string]string{"admin": "admin", "developer": "developer", "approver": "approver"} {
		got := c.host(t, "person", "invite", who+"@demo.local", "--name", "Somebody "+who, "--role", role)
		if got.code != 0 {
			t.Fatalf("invite %s: %s", who, got.stderr)
		}
		c.redeem(t, who, strings.TrimSpace(got.stdout))
	}
	c.login(t, "admin", "developer", "approver")
	c.must(t, "admin", "connection", "create", "vault-of-files", "--provider", "file", "--cluster", "field")
	f := c.agent(t, "field", "connections:\n  vault-of-files:\n    provider: file\n    dir: secrets\n    identity_file: secrets.key\n    allow: [prod]\n")
	put := exec.Command(filepath.Join(bin, "sb-agent"), "put", "--config", f.config, "vault-of-files/prod/db")
	put.Stdin = strings.NewReader(`{"password":"the value of production"}`)
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("put: %v\n%s", err, out)
	}
	read := func() string {
		t.Helper()
		id := first(c.must(t, "developer", "request", "read", "vault-of-files/prod/db", "--reason", "production test"))
		c.must(t, "approver", "approve", id)
		c.must(t, "developer", "request", "show", id, "--watch")
		return c.must(t, "developer", "reveal", id)
	}
	if got := read(); !strings.Contains(got, "the value of production") {
		t.Errorf("revealed %q", got)
	}

	// All is well, the embedded NATS among it, which only the server itself can look at.
	if got := c.host(t, "doctor"); got.code != 0 || !regexp.MustCompile(`(?m)^ok +nats\.streams `).MatchString(got.stdout) {
		t.Errorf("doctor: exit %d: %s%s", got.code, got.stdout, got.stderr)
	}

	// Renewed certificates are shown without a restart, on both ports; bad ones are not.
	for _, port := range []string{addr, leaf} {
		if got := authority.shown(t, port); got != 100 {
			t.Errorf("%s shows certificate %d", port, got)
		}
	}
	authority.issue(t, 101)
	for _, port := range []string{addr, leaf} {
		if got := authority.shown(t, port); got != 101 {
			t.Errorf("%s shows certificate %d after the renewal", port, got)
		}
	}
	keep(t, filepath.Join(dir, "cert.pem"), "no certificate")
	if got := authority.shown(t, addr); got != 101 {
		t.Errorf("a file that is no certificate: %d is shown", got)
	}
	eventually(t, 10*time.Second, "a line about the certificate", func() bool { return strings.Contains(c.log(), "the one before is shown") })
	authority.issue(t, 102)

	// A stop drains: it says that it is not ready before it stops, and the next start goes on with
	// the keys of the database. The data directory has the log alone.
	c.signal(t, syscall.SIGTERM)
	eventually(t, 10*time.Second, "draining", func() bool { return readyz(ops) == 503 })
	<-c.ended
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("after SIGTERM: exit %d", code)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "keys")); err == nil && len(left) > 0 {
		t.Errorf("there are keys in the data directory: %v", left)
	}
	if got := c.host(t, "keys", "list"); got.code != 0 || !strings.Contains(got.stdout, "signing.json\trevision 1\tunder transit/keys/sb:v1") {
		t.Errorf("keys list: exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if got := c.host(t, "rebuild", "--verify"); got.code != 0 {
		t.Errorf("rebuild --verify: exit %d: %s", got.code, got.stderr)
	}
	if got := c.host(t, "signing", "rotate"); got.code != 0 || !strings.Contains(got.stdout, "serial 2") {
		t.Errorf("signing rotate: exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
	c.serve(t, ops)
	c.login(t, "developer", "approver") // to whom another key is another server
	if got := read(); !strings.Contains(got, "the value of production") {
		t.Errorf("after the restart: revealed %q", got)
	}
	if strings.Contains(c.log(), db.Password()) {
		t.Error("the database's password is in the log")
	}

	// A schema of a newer version is refused, in words that help.
	c.stop(t)
	db.Exec(t, postgres.Database, "UPDATE views.schema_version SET version = 900")
	for _, command := range []string{"serve", "migrate"} {
		if got := c.host(t, command); got.code != 1 || !strings.Contains(got.stderr, "this binary is older than the schema") {
			t.Errorf("%s on a newer schema: exit %d: %s", command, got.code, got.stderr)
		}
	}
}
