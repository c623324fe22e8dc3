package main

import (
	"errors"

	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/events"
)

// fileSettings are the fields of provider "file".
type fileSettings struct {
	Provider     events.ProviderKind `yaml:"provider"`
	Allow        []string            `yaml:"allow"`
	Dir          string              `yaml:"dir"`
	IdentityFile string              `yaml:"identity_file"`
	Keep         int                 `yaml:"keep"`
}

// parseFile returns how to open a store of the agent's own, and how to make one.
func parseFile(base string, node ast.Node) (agent.Connection, func() error, error) {
	s, err := decode[fileSettings](node)
	if err != nil {
		return agent.Connection{}, nil, err
	}
	allow, err := parseAllow(s.Allow)
	if err != nil {
		return agent.Connection{}, nil, err
	}
	if s.Dir == "" || s.IdentityFile == "" || s.Keep < 0 {
		return agent.Connection{}, nil, errors.New("dir and identity_file are needed, and keep is not negative")
	}
	cfg := file.Config{Dir: within(base, s.Dir), IdentityFile: within(base, s.IdentityFile), Allow: allow, Keep: s.Keep}
	return connection(s.Provider, file.Open, cfg), func() error { return file.Create(cfg) }, nil
}
