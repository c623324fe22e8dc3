package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAServerInEarnestSaysWhatItNeeds(t *testing.T) {
	const db, cluster = "postgres://sb_app@db/secretsbridge", "tls://n1:4222,tls://n2:4222,tls://n3:4222"
	kms := []string{"SB_PROFILE", "production", "SB_KMS", "aws-kms", "SB_KMS_AWS_KEY", "k", "SB_KMS_AWS_MAC_KEY", "m"}
	whole := append([]string{
		"SB_DATABASE_URL", db, "SB_NATS_URL", cluster, "SB_NATS_CA_FILE", "/ca.pem", "SB_LEAF_URLS", "tls://agents.example.org:7422,wss://agents.example.org:443",
		"SB_LEAF_CA_FILE", "/ca.pem", "SB_TLS_CERT_FILE", "/cert.pem", "SB_TLS_KEY_FILE", "/key.pem",
	}, kms...)
	with := func(base []string, more ...string) []string { return append(append([]string{}, base...), more...) }
	for name, tt := range map[string]struct {
		env  []string
		want string // "" for fine
	}{
		"nothing, on a developer's machine": {nil, ""},
		"all of it":                         {whole, ""},
		"another one's certificate":         {[]string{"SB_TLS_CERT_FILE", "/cert.pem"}, "belong together"},
		"no certificate":                    {with(whole, "SB_TLS_CERT_FILE", "", "SB_TLS_KEY_FILE", ""), "SB_TLS_CERT_FILE is not set"},
		"no CA for agents":                  {with(whole, "SB_LEAF_CA_FILE", ""), "SB_LEAF_CA_FILE is not"},
		"no place for agents":               {with(whole, "SB_LEAF_URLS", ""), "SB_LEAF_URLS is not"},
		"two places for agents":             {with(whole, "SB_LEAF_ADDR", "0.0.0.0:7422"), "unset SB_LEAF_ADDR"},
		"no Postgres for several":           {with(whole, "SB_DATABASE_URL", ""), "share Postgres, too"},
		"one replica":                       {with(whole, "SB_NATS_REPLICAS", "1"), "write 3 or 5"},
		"two replicas":                      {with(whole, "SB_NATS_REPLICAS", "2"), "write 3 or 5"},
		"NATS in clear":                     {with(whole, "SB_NATS_URL", "nats://n1:4222"), "write tls://HOST:PORT"},
		"NATS with a password":              {with(whole, "SB_NATS_URL", "tls://u:p@n1:4222"), "write tls://HOST:PORT"},
		"agents in clear":                   {with(whole, "SB_LEAF_URLS", "ws://n1:80"), "write tls://HOST:PORT or wss://"},
		"a CA of no NATS":                   {[]string{"SB_NATS_CA_FILE", "/ca.pem"}, "SB_NATS_URL is not"},
		"an owner of no database":           {[]string{"SB_DATABASE_OWNER_URL", db}, "unset both"},
		"one machine, agents nowhere":       {with(whole, "SB_NATS_URL", "", "SB_NATS_CA_FILE", "", "SB_LEAF_URLS", ""), "SB_LEAF_ADDR is not set"},
		"one machine, agents anywhere":      {with(whole, "SB_NATS_URL", "", "SB_NATS_CA_FILE", "", "SB_LEAF_URLS", "", "SB_LEAF_ADDR", ":7422"), "under which name"},
		"one machine":                       {with(whole, "SB_NATS_URL", "", "SB_NATS_CA_FILE", "", "SB_LEAF_ADDR", "0.0.0.0:7422"), ""},
		"too long a delay":                  {[]string{"SB_DRAIN_DELAY", "2m"}, "choose 0s to 1m0s"},
		"local keys in production":          {[]string{"SB_PROFILE", "production"}, "write SB_KMS=vault-transit"},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 0; i < len(tt.env); i += 2 {
				t.Setenv(tt.env[i], tt.env[i+1])
			}
			s, err := loadSettings()
			if err == nil {
				err = s.validateServe()
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// pair writes a fresh certificate and key, of the development CA, into a folder.
func pair(t *testing.T, ca *authority, dir string) {
	t.Helper()
	config, err := ca.serve()
	if err != nil {
		t.Fatal(err)
	}
	made := config.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}), "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestACertificateIsRenewedWithoutARestart asks a port of TLS, as clients do. Kubernetes changes a
// mounted secret by moving one link, which the second round does.
func TestACertificateIsRenewedWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	ca, err := openCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		pair(t, ca, filepath.Join(dir, version))
	}
	current := filepath.Join(dir, "current")
	point := func(to string) {
		t.Helper()
		if err := os.Symlink(to, current+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(current+".new", current); err != nil {
			t.Fatal(err)
		}
	}
	point("v1")
	var said bytes.Buffer
	files, err := openCertFiles(filepath.Join(current, "cert.pem"), filepath.Join(current, "key.pem"), slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", files.config())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	shown := func() string {
		t.Helper()
		conn, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := shown()
	if again := shown(); again != first {
		t.Errorf("%s and then %s is shown", first, again)
	}
	point("v2")
	second := shown()
	if second == first {
		t.Error("the certificate that the link leads to now is not shown")
	}
	for name, spoil := range map[string]func() error{
		"a key of another": func() error {
			key, err := os.ReadFile(filepath.Join(dir, "v1", "key.pem"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "v2", "key.pem"), key, 0o600)
		},
		"a certificate that is none": func() error { return os.WriteFile(filepath.Join(dir, "v2", "cert.pem"), []byte("none"), 0o600) },
		"no file":                    func() error { return os.Remove(filepath.Join(dir, "v2", "cert.pem")) },
	} {
		said.Reset()
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got := shown(); got != second {
				t.Errorf("%s: %s is shown, want %s", name, got, second)
			}
		}
		if n := strings.Count(said.String(), "the one before is shown"); n > 1 || strings.Contains(said.String(), "PRIVATE") {
			t.Errorf("%s: it is told %d times: %s", name, n, &said)
		}
	}
	pair(t, ca, filepath.Join(dir, "v2"))
	if got := shown(); got == first || got == second {
		t.Errorf("after all that, %s is shown", got)
	}
	if _, err := openCertFiles(filepath.Join(dir, "none.pem"), filepath.Join(dir, "none.pem"), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "SB_TLS_CERT_FILE") {
		t.Errorf("a start without files: %v", err)
	}
}
