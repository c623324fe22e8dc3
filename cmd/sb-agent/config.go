package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"secretsbridge/agent"
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
