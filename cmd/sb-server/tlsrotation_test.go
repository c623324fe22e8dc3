package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestACertificateIsRenewedWithoutARestart replaces the files under a listening port: by another
// pair, by one half of a pair, and by nothing. Connections that are there go on.
func TestACertificateIsRenewedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	ca, err := openCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	renew := func() (serial string) {
		config, err := ca.serve()
		if err != nil {
			t.Fatal(err)
		}
		pair := config.Certificates[0]
		der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(
			writeFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
			writeFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o644))
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.String()
	}
	first := renew()
	files, err := openCertFiles(cert, key, slog.New(slog.DiscardHandler))
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
			go func(c net.Conn) {
				buf := make([]byte, 1)
				for {
					if _, err := c.Read(buf); err != nil {
						c.Close()
						return
					}
					_, _ = c.Write(buf)
				}
			}(conn)
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	connect := func() *tls.Conn {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	shown := func() string { return connect().ConnectionState().PeerCertificates[0].SerialNumber.String() }
	before := connect()
	if got := shown(); got != first {
		t.Fatalf("shown is %s, want %s", got, first)
	}
	second := renew()
	if got := shown(); got != second || second == first {
		t.Errorf("after the renewal %s is shown, want %s", got, second)
	}
	if err := os.WriteFile(key, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != second {
		t.Errorf("with half a pair %s is shown, want %s", got, second)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != second {
		t.Errorf("with none %s is shown, want %s", got, second)
	}
	if third := renew(); shown() != third {
		t.Error("a pair that is whole again is not shown")
	}
	if _, err := before.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Read(make([]byte, 1)); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
}
