package servers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// oidcBuildTime bounds building the OpenID provider: half a minute with cold caches.
const oidcBuildTime = 10 * time.Minute

// OIDCServer is a running OpenID provider with everything in memory.
type OIDCServer struct {
	Issuer string `json:"issuer"` // https://127.0.0.1:PORT
	CA     string `json:"ca"`     // PEM
	PID    int    `json:"pid"`

	process
}

// OIDCClient is one that people may be signed in for.
type OIDCClient struct {
	ID         string   `json:"id"`
	Secret     string   `json:"secret"`
	Redirect   []string `json:"redirect_uris"`
	PostLogout []string `json:"post_logout_redirect_uris"`
}

// OIDCPerson is somebody who can sign in at the provider.
type OIDCPerson struct {
	Subject  string   `json:"sub"`
	Username string   `json:"username"`
	Password string   `json:"password"`
	Email    string   `json:"email"`
	Verified bool     `json:"email_verified"`
	Name     string   `json:"name"`
	Groups   []string `json:"groups"` // nil: nothing is said of groups
}

// OIDCFault is how tokens are to be wrong.
type OIDCFault struct {
	Claims map[string]any `json:"claims,omitempty"` // in place of the true ones
	Drop   []string       `json:"drop,omitempty"`   // claims to leave out
	Sign   string         `json:"sign,omitempty"`   // none, stranger, hmac; empty: as it should be
}

// StartOIDC builds the provider if need be, and returns when it serves. It ends with Stop,
// and also when this process dies.
func StartOIDC() (*OIDCServer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), oidcBuildTime)
	defer cancel()
	binary, err := build(ctx, "oidc")
	if err != nil {
		return nil, err
	}
	server := &OIDCServer{}
	if server.process, err = start(ctx, "oidc", binary, server); err != nil {
		return nil, err
	}
	return server, nil
}

// Roots is what a client trusts that talks to the provider.
func (s *OIDCServer) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.CA))
	return roots
}

// Register makes a client known, or changes it.
func (s *OIDCServer) Register(c OIDCClient) error { return s.tell("PUT", "client", c, nil) }

// Know makes somebody known, or changes them.
func (s *OIDCServer) Know(who OIDCPerson) error { return s.tell("PUT", "person", who, nil) }

// Break makes the ID tokens for a client wrong from now on; the zero fault mends them.
func (s *OIDCServer) Break(client string, f OIDCFault) error {
	return s.tell("PUT", "fault/"+client, f, nil)
}

// LogoutToken signs one for a client, with claims and faults.
func (s *OIDCServer) LogoutToken(client string, f OIDCFault) (string, error) {
	var signed struct{ Token string }
	err := s.tell("POST", "logout-token/"+client, f, &signed)
	return signed.Token, err
}

func (s *OIDCServer) tell(method, path string, what, answer any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, s.Issuer+"/test/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots()}, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(req)
	if err != nil {
		return fmt.Errorf("tell the provider %s: %w", path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(string(text))
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("tell the provider %s: %w", path, err)
	}
	return nil
}
