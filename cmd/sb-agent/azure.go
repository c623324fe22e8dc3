package main

import (
	"errors"
	"log/slog"

	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
	"secretsbridge/agent/azure"
	"secretsbridge/events"
)

// azureSettings are the fields of provider "azure-key-vault".
type azureSettings struct {
	Provider          events.ProviderKind `yaml:"provider"`
	Allow             []string            `yaml:"allow"` // names, beginnings such as prod-*, or *
	VaultURL          string              `yaml:"vault_url"`
	CACertFile        string              `yaml:"ca_cert_file"`
	AuthorityHost     string              `yaml:"authority_host"`
	RequestsPerSecond *int                `yaml:"requests_per_second"`
	ListVersions      *bool               `yaml:"list_versions"`
	Auth              struct {
		Method           azure.Method `yaml:"method"`
		TenantID         string       `yaml:"tenant_id"`
		ClientID         string       `yaml:"client_id"`
		ClientSecretFile string       `yaml:"client_secret_file"`
		CertificateFile  string       `yaml:"certificate_file"`
		TokenFile        string       `yaml:"token_file"`
	} `yaml:"auth"`
}

func parseAzure(base string, node ast.Node, log *slog.Logger) (agent.Connection, error) {
	cfg, err := azureConfig(base, node)
	if err != nil {
		return agent.Connection{}, err
	}
	cfg.Log = log
	return connection(events.ProviderAzure, azure.Open, cfg), nil
}

func azureConfig(base string, node ast.Node) (azure.Config, error) {
	s, err := decode[azureSettings](node)
	if err != nil {
		return azure.Config{}, err
	}
	allow, err := parseAllow(s.Allow)
	if err != nil {
		return azure.Config{}, err
	}
	cfg := azure.Config{
		VaultURL: s.VaultURL, CACertFile: within(base, s.CACertFile), AuthorityHost: s.AuthorityHost, Allow: allow,
		NoListVersions: s.ListVersions != nil && !*s.ListVersions,
		Auth: azure.Auth{
			Method: s.Auth.Method, TenantID: s.Auth.TenantID, ClientID: s.Auth.ClientID,
			ClientSecretFile: within(base, s.Auth.ClientSecretFile), CertificateFile: within(base, s.Auth.CertificateFile),
			TokenFile: within(base, s.Auth.TokenFile),
		},
	}
	if s.RequestsPerSecond != nil {
		if cfg.RequestsPerSecond = *s.RequestsPerSecond; cfg.RequestsPerSecond < 1 {
			return azure.Config{}, errors.New("requests_per_second must be at least 1")
		}
	}
	return cfg, cfg.Validate()
}
