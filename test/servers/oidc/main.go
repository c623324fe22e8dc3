// Command oidc runs an OpenID provider for tests and for local try-outs: zitadel's, which is
// certified, over its own example's storage, with its login page.
//
// It is never shipped: see ../README.md. Everything is in memory. It prints one line of JSON
// on standard output when it serves ([ready]) and stops on SIGTERM, on SIGINT, or when its
// standard input ends, which is how it notices that whoever started it has died.
//
// Beside the provider it serves, below /test/, what a test needs to say: which clients and
// people there are, how the next ID tokens are to be wrong, and which log-out token to sign.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
)

// ready is the line that says the server answers.
type ready struct {
	Issuer string `json:"issuer"` // https://127.0.0.1:PORT
	CA     string `json:"ca"`     // PEM of the certificate that the server shows
	PID    int    `json:"pid"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "oidc:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "loopback address to serve on; port 0 takes a free one")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		orphaned()
	}()

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		_ = listener.Close()
		return errors.New("listen: only a loopback address is served")
	}
	cert, ca, err := certificate()
	if err != nil {
		return err
	}
	line := ready{Issuer: "https://" + listener.Addr().String(), CA: ca, PID: os.Getpid()}
	provider, err := newProvider(line.Issuer)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	provider.control(mux)
	mux.Handle("/", provider.altered(exampleop.SetupServer(line.Issuer, provider, slog.New(slog.DiscardHandler), false)))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		return fmt.Errorf("say that the server is ready: %w", err)
	}
	select {
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	}
	_ = server.Close()
	return nil
}

// certificate makes one for loopback that signs itself, and its PEM.
func certificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "OpenID provider of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(text), nil
}
