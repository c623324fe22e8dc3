package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// parseConnection returns how to open a connection, and for a store of the agent's own
// how to make it.
func parseConnection(base string, node ast.Node, log *slog.Logger) (conn agent.Connection, create func() error, err error) {
	var kind struct {
		Provider events.ProviderKind `yaml:"provider"`
	}
	if err := yaml.NodeToValue(node, &kind); err != nil {
		return agent.Connection{}, nil, errors.New(yaml.FormatError(err, false, false))
	}
	switch kind.Provider {
	case events.ProviderFile:
		return parseFile(base, node)
	case events.ProviderVault:
		conn, err = parseVault(base, node, log)
	case events.ProviderAWS:
		conn, err = parseAWS(node)
	case events.ProviderAzure:
		conn, err = parseAzure(base, node, log)
	case events.ProviderGCP:
		conn, err = parseGCP(base, node, log)
	case "":
		err = fmt.Errorf("the provider is missing; it is one of %s", events.ProviderKinds())
	default:
		err = fmt.Errorf("the provider %q is none of %s", kind.Provider, events.ProviderKinds())
	}
	return conn, nil, err
}

// decode reads the fields of one provider's settings, and refuses others.
func decode[Settings any](node ast.Node) (Settings, error) {
	var s Settings
	if err := yaml.NodeToValue(node, &s, yaml.Strict()); err != nil {
		return s, errors.New(yaml.FormatError(err, false, false))
	}
	return s, nil
}

// connection is one that opens with a configuration.
func connection[Config any, Provider agent.Provider](kind events.ProviderKind, open func(Config) (Provider, error), cfg Config) agent.Connection {
	return agent.Connection{Kind: kind, Open: func() (agent.Provider, error) {
		p, err := open(cfg)
		if err != nil {
			return nil, err // not p: an interface with a nil pointer in it is not nil
		}
		return p, nil
	}}
}

func parseAllow(entries []string) (agent.AllowList, error) {
	if len(entries) == 0 {
		return agent.AllowList{}, errors.New(`allow is missing; list prefixes, or "*" for everything`)
	}
	return agent.ParseAllowList(entries...)
}

// within takes a relative path from base. "" stays "".
func within(base, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}
