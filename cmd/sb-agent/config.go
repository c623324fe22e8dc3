package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/agent/vault"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// How long the key may live that values are sealed to. The longest is what the threat
// model allows; a shorter one makes the agent's history long.
const (
	minKeyLife = time.Hour
	maxKeyLife = 24 * time.Hour
)

// config is the agent's configuration file. It holds no secret, only where they are.
// docs/agent.md describes it for operators.
type config struct {
	Slots       int           `yaml:"slots"`
	Socket      string        `yaml:"socket"`
	Lease       time.Duration `yaml:"lease"`
	KeyLife     time.Duration `yaml:"key_life"`
	Connections connections   `yaml:"connections"`

	FingerprintKeyFile string `yaml:"fingerprint_key_file"`
}

// connections keeps each connection's node until its provider is known: only then is
// it known which fields there may be.
type connections map[events.ConnectionID]ast.Node

// fileSettings are the fields of provider "file".
type fileSettings struct {
	Provider     events.ProviderKind `yaml:"provider"`
	Allow        []string            `yaml:"allow"`
	Dir          string              `yaml:"dir"`
	IdentityFile string              `yaml:"identity_file"`
	Keep         int                 `yaml:"keep"`
}

// vaultSettings are the fields of provider "vault".
type vaultSettings struct {
	Provider          events.ProviderKind `yaml:"provider"`
	Allow             []string            `yaml:"allow"` // MOUNT, MOUNT/PREFIX, MOUNT/TEXT* or *
	Address           string              `yaml:"address"`
	CACertFile        string              `yaml:"ca_cert_file"`
	Namespace         string              `yaml:"namespace"`
	Mounts            []string            `yaml:"mounts"`
	RequestsPerSecond int                 `yaml:"requests_per_second"`
	Auth              vaultAuth           `yaml:"auth"`
}

// vaultAuth are the fields of one of the methods.
type vaultAuth struct {
	Method                  vault.Method `yaml:"method"`
	TokenFile               string       `yaml:"token_file"`
	RoleID                  string       `yaml:"role_id"`
	SecretIDFile            string       `yaml:"secret_id_file"`
	AppRoleMount            string       `yaml:"approle_mount"`
	KubernetesRole          string       `yaml:"kubernetes_role"`
	KubernetesMount         string       `yaml:"kubernetes_mount"`
	ServiceAccountTokenFile string       `yaml:"service_account_token_file"`
	JWTRole                 string       `yaml:"jwt_role"`
	JWTFile                 string       `yaml:"jwt_file"`
	JWTMount                string       `yaml:"jwt_mount"`
}

// from takes relative paths from base.
func (a vaultAuth) from(base string) vault.Auth {
	return vault.Auth{
		Method: a.Method, TokenFile: within(base, a.TokenFile),
		RoleID: a.RoleID, SecretIDFile: within(base, a.SecretIDFile), AppRoleMount: a.AppRoleMount,
		KubernetesRole: a.KubernetesRole, KubernetesMount: a.KubernetesMount, ServiceAccountTokenFile: within(base, a.ServiceAccountTokenFile),
		JWTRole: a.JWTRole, JWTFile: within(base, a.JWTFile), JWTMount: a.JWTMount,
	}
}

// settings is a configuration that was checked.
type settings struct {
	slots       int
	socket      string // "" means in the agent's directory
	lease       time.Duration
	keyLife     time.Duration // 0 means the default
	connections map[events.ConnectionID]agent.Connection
	stores      map[events.ConnectionID]func() error // makes an empty one, where the agent keeps it itself

	fingerprintKey seal.DuplicateKey // zero: the agent makes no fingerprints
}

// loadConfig reads a configuration file. Relative paths in it are taken from its own
// folder. Errors name file and line.
func loadConfig(path string, log *slog.Logger) (settings, error) {
	s, err := readConfig(path, log)
	if err != nil {
		return settings{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return s, nil
}

func readConfig(path string, log *slog.Logger) (settings, error) {
	info, err := os.Stat(path)
	if err != nil {
		return settings{}, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return settings{}, fmt.Errorf("others may write to it (mode %v) and so open the allow-lists: run chmod go-w on it", info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return settings{}, err
	}
	var c config
	if err := yaml.UnmarshalWithOptions(raw, &c, yaml.Strict()); err != nil {
		return settings{}, errors.New(yaml.FormatError(err, false, false))
	}
	if len(c.Connections) == 0 {
		return settings{}, errors.New("it names no connection")
	}
	if c.Slots < 0 || c.Slots > agent.MaxSlots {
		return settings{}, fmt.Errorf("slots must be 1 to %d", agent.MaxSlots)
	}
	if c.Lease != 0 && c.Lease < time.Second {
		return settings{}, errors.New("the lease must be at least one second")
	}
	if c.KeyLife != 0 && (c.KeyLife < minKeyLife || c.KeyLife > maxKeyLife) {
		return settings{}, fmt.Errorf("key_life must be %s to %s", minKeyLife, maxKeyLife)
	}
	base := filepath.Dir(path)
	s := settings{slots: c.Slots, socket: within(base, c.Socket), lease: c.Lease, keyLife: c.KeyLife, connections: map[events.ConnectionID]agent.Connection{}, stores: map[events.ConnectionID]func() error{}}
	if s.fingerprintKey, err = loadFingerprintKey(within(base, c.FingerprintKeyFile)); err != nil {
		return settings{}, fmt.Errorf("fingerprint_key_file: %w", err)
	}
	for name, node := range c.Connections {
		if !events.ValidName(string(name)) {
			return settings{}, fmt.Errorf("connection %q: the name must be 1 to 40 of a-z, 0-9 and -, beginning with a letter", name)
		}
		conn, create, err := parseConnection(base, node, log.With("connection", name))
		if err != nil {
			return settings{}, fmt.Errorf("connection %q: %w", name, err)
		}
		s.connections[name] = conn
		if create != nil {
			s.stores[name] = create
		}
	}
	return s, nil
}

// parseConnection returns how to open a connection, and for a store of the agent's own
// how to make it.
func parseConnection(base string, node ast.Node, log *slog.Logger) (agent.Connection, func() error, error) {
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
		conn, err := parseVault(base, node, log)
		return conn, nil, err
	case events.ProviderAWS:
		conn, err := parseAWS(node)
		return conn, nil, err
	case events.ProviderAzure:
		conn, err := parseAzure(base, node, log)
		return conn, nil, err
	case events.ProviderGCP:
		conn, err := parseGCP(base, node, log)
		return conn, nil, err
	case "":
		return agent.Connection{}, nil, fmt.Errorf("the provider is missing; it is one of %s", events.ProviderKinds())
	}
	return agent.Connection{}, nil, fmt.Errorf("the provider %q is none of %s", kind.Provider, events.ProviderKinds())
}

func parseFile(base string, node ast.Node) (agent.Connection, func() error, error) {
	var s fileSettings
	if err := yaml.NodeToValue(node, &s, yaml.Strict()); err != nil {
		return agent.Connection{}, nil, errors.New(yaml.FormatError(err, false, false))
	}
	allow, err := parseAllow(s.Allow)
	if err != nil {
		return agent.Connection{}, nil, err
	}
	if s.Dir == "" || s.IdentityFile == "" || s.Keep < 0 {
		return agent.Connection{}, nil, errors.New("dir and identity_file are needed, and keep is not negative")
	}
	cfg := file.Config{Dir: within(base, s.Dir), IdentityFile: within(base, s.IdentityFile), Allow: allow, Keep: s.Keep}
	return agent.Connection{Kind: s.Provider, Open: func() (agent.Provider, error) {
		p, err := file.Open(cfg)
		if err != nil {
			return nil, err
		}
		return p, nil
	}}, func() error { return file.Create(cfg) }, nil
}

func parseVault(base string, node ast.Node, log *slog.Logger) (agent.Connection, error) {
	var s vaultSettings
	if err := yaml.NodeToValue(node, &s, yaml.Strict()); err != nil {
		return agent.Connection{}, errors.New(yaml.FormatError(err, false, false))
	}
	mounts, err := parseMounts(s.Mounts, s.Allow)
	if err != nil {
		return agent.Connection{}, err
	}
	cfg := vault.Config{
		Address: s.Address, CACertFile: within(base, s.CACertFile), Namespace: s.Namespace, Auth: s.Auth.from(base), Mounts: mounts,
		RequestsPerSecond: s.RequestsPerSecond, Log: log,
	}
	return agent.Connection{Kind: s.Provider, Open: func() (agent.Provider, error) {
		p, err := vault.Open(cfg)
		if err != nil {
			return nil, err
		}
		return p, nil
	}}, nil
}

func parseAllow(entries []string) (agent.AllowList, error) {
	if len(entries) == 0 {
		return agent.AllowList{}, errors.New(`allow is missing; list prefixes, or "*" for everything`)
	}
	return agent.ParseAllowList(entries...)
}

// parseMounts turns an allow-list over MOUNT/PATH into one for each mount. Without
// mounts, the first segment of each entry is one.
func parseMounts(mounts, allow []string) ([]vault.Mount, error) {
	if _, err := parseAllow(allow); err != nil {
		return nil, err
	}
	named := len(mounts) > 0
	below := make(map[string][]string, len(mounts))
	for _, m := range mounts {
		below[m] = nil
	}
	for i, entry := range allow {
		if entry == "*" {
			if !named {
				return nil, errors.New(`allow: "*" needs the mounts that it is to open`)
			}
			for _, m := range mounts {
				below[m] = append(below[m], "*")
			}
			continue
		}
		first, _, deeper := strings.Cut(entry, "/")
		if !deeper && strings.HasSuffix(entry, "*") {
			return nil, fmt.Errorf("allow-list entry %d: a mount is named in full; MOUNT/TEXT* opens what begins with TEXT below it", i+1)
		}
		if !named && below[first] == nil {
			mounts = append(mounts, first)
			below[first] = []string{}
		}
		m, rest, found := mountOf(mounts, entry)
		if !found {
			return nil, fmt.Errorf("allow-list entry %d lies in none of the mounts", i+1)
		}
		below[m] = append(below[m], rest)
	}
	out := make([]vault.Mount, 0, len(mounts))
	for _, m := range mounts {
		list, err := agent.ParseAllowList(below[m]...)
		if err != nil {
			return nil, fmt.Errorf("mount %q: %w", m, err)
		}
		out = append(out, vault.Mount{Path: m, Allow: list})
	}
	return out, nil
}

// mountOf finds the mount that an entry lies in and what is left below it.
func mountOf(mounts []string, entry string) (mount, rest string, found bool) {
	for _, m := range mounts {
		if entry == m {
			return m, "*", true
		}
		if rest, ok := strings.CutPrefix(entry, m+"/"); ok {
			return m, rest, true
		}
	}
	return "", "", false
}

// within takes a relative path from base. "" stays "".
func within(base, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}
