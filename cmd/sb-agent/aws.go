package main

import (
	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
	"secretsbridge/agent/aws"
	"secretsbridge/events"
)

// awsSettings are the fields of provider "aws-secrets-manager". None is a credential:
// those come from the host, by the chain that AWS's own tools use.
type awsSettings struct {
	Provider          events.ProviderKind `yaml:"provider"`
	Allow             []string            `yaml:"allow"`
	Region            string              `yaml:"region"`
	Profile           string              `yaml:"profile"`
	Endpoint          string              `yaml:"endpoint"`
	AssumeRoleARN     string              `yaml:"assume_role_arn"`
	ExternalID        string              `yaml:"external_id"`
	SessionName       string              `yaml:"session_name"`
	RequestsPerSecond float64             `yaml:"requests_per_second"`
}

func parseAWS(node ast.Node) (agent.Connection, error) {
	s, err := decode[awsSettings](node)
	if err != nil {
		return agent.Connection{}, err
	}
	allow, err := parseAllow(s.Allow)
	if err != nil {
		return agent.Connection{}, err
	}
	cfg := aws.Config{
		Region: s.Region, Profile: s.Profile, Endpoint: s.Endpoint, RequestsPerSecond: s.RequestsPerSecond, Allow: allow,
		Role: aws.Role{ARN: s.AssumeRoleARN, ExternalID: s.ExternalID, SessionName: s.SessionName},
	}
	return connection(s.Provider, aws.Open, cfg), nil
}
