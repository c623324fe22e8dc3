// Package endpoint judges what operators configure of a service that is called: its address,
// and the authorities that sign its certificate. It calls nobody.
package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
)

// Parse reads the address of a service that gets credentials or values: https://HOST[:PORT],
// perhaps with a path; plain http is taken for this machine only. Errors begin with what the
// address is, such as "the endpoint", and do not quote it: it may hold a password.
func Parse(what, text string) (*url.URL, error) {
	at, err := url.Parse(text)
	switch {
	case err != nil || at.Host == "":
		return nil, errors.New(what + " is no URL: write https://HOST[:PORT]")
	case at.User != nil || at.RawQuery != "" || at.Fragment != "":
		return nil, errors.New(what + " holds more than scheme, host, port and path: write https://HOST[:PORT]")
	case at.Scheme != "https" && !(at.Scheme == "http" && Loopback(at.Hostname())):
		return nil, errors.New(what + " must be https, or http to a loopback host")
	}
	return at, nil
}

// Loopback reports whether a host, without a port, is this machine.
func Loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Trust is how servers are known whose certificates the authorities in a PEM file sign; ""
// means the system's authorities.
func Trust(caFile string) (*tls.Config, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return trust, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authorities: %w", err)
	}
	trust.RootCAs = x509.NewCertPool()
	if !trust.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the certificate authorities: %s holds none", caFile)
	}
	return trust, nil
}
