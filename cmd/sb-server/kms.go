package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"secretsbridge/kms"
	"secretsbridge/kms/awskms"
	"secretsbridge/kms/local"
	"secretsbridge/kms/transit"
)

// The profiles and the key managers.
const (
	development = "development"
	production  = "production"

	kmsLocal   = "local"
	kmsTransit = "vault-transit"
	kmsAWS     = "aws-kms"
)

// kmsStartTimeout bounds proving the key manager at the start.
const kmsStartTimeout = time.Minute

// kmsSettings say what wraps data keys; docs/kms.md tells how to set each one up.
type kmsSettings struct {
	Backend string `env:"SB_KMS" envDefault:"local"`

	TransitAddr         string   `env:"SB_KMS_TRANSIT_ADDR"`
	TransitCAFile       string   `env:"SB_KMS_TRANSIT_CA_FILE"`
	TransitNamespace    string   `env:"SB_KMS_TRANSIT_NAMESPACE"`
	TransitMount        string   `env:"SB_KMS_TRANSIT_MOUNT" envDefault:"transit"`
	TransitKey          string   `env:"SB_KMS_TRANSIT_KEY"`
	TransitOldKeys      []string `env:"SB_KMS_TRANSIT_OLD_KEYS"`
	TransitMACKey       string   `env:"SB_KMS_TRANSIT_MAC_KEY"` // empty: the key's name and "-mac"
	TransitTokenFile    string   `env:"SB_KMS_TRANSIT_TOKEN_FILE"`
	TransitRoleID       string   `env:"SB_KMS_TRANSIT_ROLE_ID"`
	TransitSecretIDFile string   `env:"SB_KMS_TRANSIT_SECRET_ID_FILE"`
	TransitAppRoleMount string   `env:"SB_KMS_TRANSIT_APPROLE_MOUNT"`

	AWSKey      string   `env:"SB_KMS_AWS_KEY"`
	AWSOldKeys  []string `env:"SB_KMS_AWS_OLD_KEYS"`
	AWSMACKey   string   `env:"SB_KMS_AWS_MAC_KEY"`
	AWSEndpoint string   `env:"SB_KMS_AWS_ENDPOINT"`
}

// validateKMS says what to write where profile and key manager do not go together, or
// something that is needed is missing.
func (s settings) validateKMS() error {
	k := s.KMS
	needed := func(names ...string) error {
		for i := 0; i < len(names); i += 2 {
			if names[i+1] == "" {
				return fmt.Errorf("SB_KMS is %s and %s is not set: docs/kms.md says what to write", k.Backend, names[i])
			}
		}
		return nil
	}
	switch {
	case s.Profile != development && s.Profile != production:
		return fmt.Errorf("SB_PROFILE is %q: write development or production", s.Profile)
	case k.Backend == kmsLocal && s.Profile == production:
		return errors.New("SB_PROFILE is production and SB_KMS is local, whose keys lie in a file that opens every value: " +
			"write SB_KMS=vault-transit or SB_KMS=aws-kms, with the settings that docs/kms.md lists for it")
	case k.Backend != kmsTransit && k.TransitAddr != "":
		return fmt.Errorf("SB_KMS_TRANSIT_ADDR is set and SB_KMS is %q: write SB_KMS=vault-transit, or unset it", k.Backend)
	case k.Backend != kmsAWS && k.AWSKey != "":
		return fmt.Errorf("SB_KMS_AWS_KEY is set and SB_KMS is %q: write SB_KMS=aws-kms, or unset it", k.Backend)
	case k.Backend == kmsLocal:
		return nil
	case k.Backend == kmsAWS:
		return needed("SB_KMS_AWS_KEY", k.AWSKey, "SB_KMS_AWS_MAC_KEY", k.AWSMACKey)
	case k.Backend != kmsTransit:
		return fmt.Errorf("SB_KMS is %q: write local, vault-transit or aws-kms", k.Backend)
	}
	if err := needed("SB_KMS_TRANSIT_ADDR", k.TransitAddr, "SB_KMS_TRANSIT_KEY", k.TransitKey); err != nil {
		return err
	}
	role := k.TransitRoleID != "" && k.TransitSecretIDFile != ""
	if (k.TransitTokenFile != "") == role || !role && k.TransitRoleID+k.TransitSecretIDFile != "" {
		return errors.New("SB_KMS is vault-transit: write SB_KMS_TRANSIT_TOKEN_FILE, or SB_KMS_TRANSIT_ROLE_ID with SB_KMS_TRANSIT_SECRET_ID_FILE, and not both")
	}
	return nil
}

// openKMS opens the configured key manager and proves that it can serve and that it
// opens what was sealed before. New local keys are made only where nothing was stored.
func openKMS(ctx context.Context, s settings, fresh bool, ringOf func(kms.KeyManager) keyring) (kms.KeyManager, keyring, error) {
	ctx, cancel := context.WithTimeout(ctx, kmsStartTimeout)
	defer cancel()
	km, err := s.backend(ctx, fresh, s.logger())
	if err != nil {
		return nil, nil, err
	}
	ring := ringOf(km)
	err = km.Check(ctx)
	if err == nil {
		err = proveProbe(ctx, km, ring)
	}
	if err != nil {
		closeKMS(km)
		return nil, nil, fmt.Errorf("key manager %s cannot serve: %w", s.KMS.Backend, err)
	}
	return km, ring, nil
}

func (s settings) backend(ctx context.Context, fresh bool, log *slog.Logger) (kms.KeyManager, error) {
	k := s.KMS
	switch k.Backend {
	case kmsTransit:
		return transit.Open(transit.Config{
			Address: k.TransitAddr, CAFile: k.TransitCAFile, Namespace: k.TransitNamespace, Mount: k.TransitMount,
			Key: k.TransitKey, OldKeys: k.TransitOldKeys, MACKey: k.TransitMACKey, Log: log,
			Auth: transit.Auth{
				TokenFile: k.TransitTokenFile,
				RoleID:    k.TransitRoleID, SecretIDFile: k.TransitSecretIDFile, AppRoleMount: k.TransitAppRoleMount,
			},
		})
	case kmsAWS:
		return awskms.Open(ctx, awskms.Config{Key: k.AWSKey, OldKeys: k.AWSOldKeys, MACKey: k.AWSMACKey, Endpoint: k.AWSEndpoint})
	}
	if err := os.MkdirAll(s.path("keys"), 0o700); err != nil {
		return nil, err
	}
	cfg := local.Config{Path: s.path("keys", "kms.json"), Production: s.Profile == production}
	return openOrCreate(fresh,
		func() (*local.Keys, error) { return local.Open(cfg) },
		func() (*local.Keys, error) { return local.Create(cfg) })
}

// howToRotate is what an operator runs where the key manager rotates by itself.
func (k kmsSettings) howToRotate() string {
	switch k.Backend {
	case kmsTransit:
		return fmt.Sprintf("Vault rotates this key: run `vault write -f %s/keys/%s/rotate`, then `sb-server kms rewrap`",
			strings.Trim(k.TransitMount, "/"), k.TransitKey)
	case kmsAWS:
		return fmt.Sprintf("KMS rotates this key: run `aws kms rotate-key-on-demand --key-id %s`; it keeps its ARN and opens "+
			"what is older, so there is nothing to rewrap. To move to another key, docs/kms.md says how", k.AWSKey)
	}
	return ""
}

func closeKMS(km kms.KeyManager) {
	if c, ok := km.(io.Closer); ok {
		if err := c.Close(); err != nil {
			slog.Warn("key manager not closed", "err", err)
		}
	}
}
