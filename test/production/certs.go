package production

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// certify makes a CA, and the first certificate.
func (r *Rig) certify(t testing.TB) {
	t.Helper()
	key := newKey(t)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the operator's CA"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if authority, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	r.Roots = x509.NewCertPool()
	r.Roots.AddCert(authority)
	if err := os.Mkdir(r.path("tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.CA = r.path("tls", "ca.pem")
	writePEM(t, r.CA, "CERTIFICATE", der)

	r.issuer, r.issuerKey = authority, key
	r.Issue(t, 2)
}

// Issue puts a fresh certificate in the place of the one that all who listen on the loopback show,
// and its key. Nobody is told.
func (r *Rig) Issue(t testing.TB, serial int64) {
	t.Helper()
	own := newKey(t)
	addresses := []net.IP{net.IPv4(127, 0, 0, 1)}
	if r.Net != nil {
		addresses = append(addresses, r.Net.addresses()...)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "the rig"},
		NotBefore: time.Now().Add(-12 * time.Hour), NotAfter: time.Now().Add(12 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // nodes are clients of each other
		IPAddresses: addresses, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, r.issuer, own.Public(), r.issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, r.path("tls", "cert.pem"), "CERTIFICATE", der)
	writePEM(t, r.path("tls", "key.pem"), "PRIVATE KEY", raw)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
