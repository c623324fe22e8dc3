package leaf_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"secretsbridge/nats/leaf"
)

func TestStartRefusesWhatCannotLink(t *testing.T) {
	good := leaf.Config{
		URLs: []string{"tls://127.0.0.1:1"}, CA: certificate(t), Account: "A", ServerName: "a_1",
		Credentials: func() string { return "" }, Sign: func([]byte) ([]byte, error) { return nil, nil },
	}
	for name, spoil := range map[string]func(*leaf.Config){
		"no certificate":        func(c *leaf.Config) { c.CA = []byte("none") },
		"no URL":                func(c *leaf.Config) { c.URLs = nil },
		"plain URL":             func(c *leaf.Config) { c.URLs = []string{"nats://127.0.0.1:1"} },
		"plain web URL":         func(c *leaf.Config) { c.URLs = []string{"ws://127.0.0.1:1"} },
		"password in the URL":   func(c *leaf.Config) { c.URLs = []string{"tls://a:b@127.0.0.1:1"} },
		"URLs of two kinds":     func(c *leaf.Config) { c.URLs = append(c.URLs, "wss://127.0.0.1:1") },
		"no account":            func(c *leaf.Config) { c.Account = "" },
		"no name":               func(c *leaf.Config) { c.ServerName = "" },
		"no credentials":        func(c *leaf.Config) { c.Credentials = nil },
		"no way to sign":        func(c *leaf.Config) { c.Sign = nil },
		"something else as URL": func(c *leaf.Config) { c.URLs = []string{"://"} },
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			spoil(&config)
			if l, err := leaf.Start(t.Context(), config); err == nil {
				l.Close()
				t.Error("it started")
			}
		})
	}
	l, err := leaf.Start(t.Context(), good) // nobody is there, and that is no error
	if err != nil {
		t.Fatal(err)
	}
	if l.Connected() {
		t.Error("it is linked to nobody")
	}
	l.Close()
	l.Close()
}

func certificate(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
