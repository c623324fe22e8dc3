package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"secretsbridge/identity/oidc"
	"secretsbridge/internal/endpoint"
	"secretsbridge/internal/secret"
	"secretsbridge/store"
)

// maxClientSecret bounds the file of a client's secret, in bytes.
const maxClientSecret = 4 << 10

// oidcSettings say who signs people in beside us; docs/how-to/single-sign-on.md tells how to set
// that up.
type oidcSettings struct {
	Issuer      string   `env:"SB_OIDC_ISSUER"` // empty: nobody
	ClientID    string   `env:"SB_OIDC_CLIENT_ID"`
	SecretFile  string   `env:"SB_OIDC_CLIENT_SECRET_FILE"`
	Scopes      []string `env:"SB_OIDC_SCOPES" envDefault:"openid,email,profile"`
	GroupsClaim string   `env:"SB_OIDC_GROUPS_CLAIM" envDefault:"groups"`
	CAFile      string   `env:"SB_OIDC_CA_FILE"`
}

// validateOIDC says what to write where a part of the identity provider is missing, or left over.
func (s settings) validateOIDC() error {
	if s.OIDC.Issuer == "" {
		for _, name := range []string{"SB_OIDC_CLIENT_ID", "SB_OIDC_CLIENT_SECRET_FILE", "SB_OIDC_SCOPES", "SB_OIDC_GROUPS_CLAIM", "SB_OIDC_CA_FILE"} {
			if os.Getenv(name) != "" {
				return fmt.Errorf("%s is set and SB_OIDC_ISSUER is not: docs/how-to/single-sign-on.md says what to write", name)
			}
		}
		return nil
	}
	for _, needed := range [][2]string{{"SB_OIDC_CLIENT_ID", s.OIDC.ClientID}, {"SB_OIDC_CLIENT_SECRET_FILE", s.OIDC.SecretFile}, {"SB_PUBLIC_URL", s.PublicURL}} {
		if needed[1] == "" {
			return fmt.Errorf("SB_OIDC_ISSUER is set and %s is not: docs/how-to/single-sign-on.md says what to write", needed[0])
		}
	}
	if !slices.Contains(s.OIDC.Scopes, "openid") {
		return fmt.Errorf("SB_OIDC_SCOPES is %q: write openid and what else is needed, separated by commas", strings.Join(s.OIDC.Scopes, ","))
	}
	client, err := s.clientSecret()
	client.Zero()
	return err
}

// clientSecret reads the secret each time, so that it can be rotated while the server runs.
func (s settings) clientSecret() (secret.Value, error) {
	text, err := os.ReadFile(s.OIDC.SecretFile)
	if err != nil {
		return secret.Value{}, fmt.Errorf("SB_OIDC_CLIENT_SECRET_FILE: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || len(text) > maxClientSecret {
		return secret.Value{}, errors.New("SB_OIDC_CLIENT_SECRET_FILE holds no secret of a client")
	}
	return secret.New(text), nil
}

// signOn makes sign-in by the identity provider; nil if there is none. It asks the provider
// nothing yet.
func (st *stack) signOn() (*oidc.Provider, error) {
	s := st.settings
	if s.OIDC.Issuer == "" {
		return nil, nil
	}
	trust, err := endpoint.Trust(s.OIDC.CAFile)
	if err != nil {
		return nil, fmt.Errorf("SB_OIDC_CA_FILE: %w", err)
	}
	provider, err := oidc.New(oidc.Config{
		Issuer: s.OIDC.Issuer, ClientID: s.OIDC.ClientID, Secret: s.clientSecret, Scopes: s.OIDC.Scopes, GroupsClaim: s.OIDC.GroupsClaim,
		PublicURL: s.PublicURL, Trust: trust, Identities: forgottenIdentities{store.Identities{Pool: st.pool, Rows: st.rows}, forgetting{st.caches, st.log}}, Groups: st.groups, Log: st.facts, Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("SB_OIDC_ISSUER, SB_OIDC_SCOPES or SB_PUBLIC_URL: %w", err)
	}
	return provider, nil
}

// groups are those of the governance that counts now.
func (st *stack) groups(ctx context.Context) (oidc.Groups, error) {
	if err := st.rights.Fresh(ctx); err != nil {
		return nil, err
	}
	return st.rights.Governance(), nil
}
