package main

import (
	"errors"
	"log/slog"

	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
	"secretsbridge/agent/gcp"
	"secretsbridge/events"
)

// gcpSettings are the fields of provider "gcp-secret-manager".
type gcpSettings struct {
	Provider          events.ProviderKind `yaml:"provider"`
	Allow             []string            `yaml:"allow"` // ids, beginnings such as prod-*, or *
	Project           string              `yaml:"project"`
	Location          string              `yaml:"location"`
	Endpoint          string              `yaml:"endpoint"`
	CredentialsFile   string              `yaml:"credentials_file"`
	Impersonate       string              `yaml:"impersonate_service_account"`
	ReplicaLocations  []string            `yaml:"replica_locations"`
	KMSKey            string              `yaml:"kms_key"`
	RequestsPerMinute *int                `yaml:"requests_per_minute"`
	ListVersions      *bool               `yaml:"list_versions"`
}

func parseGCP(base string, node ast.Node, log *slog.Logger) (agent.Connection, error) {
	s, err := decode[gcpSettings](node)
	if err != nil {
		return agent.Connection{}, err
	}
	allow, err := parseAllow(s.Allow)
	if err != nil {
		return agent.Connection{}, err
	}
	cfg := gcp.Config{
		Project: s.Project, Location: s.Location, Endpoint: s.Endpoint, Allow: allow,
		Auth:             gcp.Auth{CredentialsFile: within(base, s.CredentialsFile), Impersonate: s.Impersonate},
		ReplicaLocations: s.ReplicaLocations, KMSKey: s.KMSKey,
		ListsNoVersions: s.ListVersions != nil && !*s.ListVersions, Log: log,
	}
	if s.RequestsPerMinute != nil {
		if cfg.RequestsPerMinute = *s.RequestsPerMinute; cfg.RequestsPerMinute < 1 {
			return agent.Connection{}, errors.New("requests_per_minute must be at least 1")
		}
	}
	if err := cfg.Validate(); err != nil {
		return agent.Connection{}, err
	}
	return connection(s.Provider, gcp.Open, cfg), nil
}
