package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/events"
)

// putTimeout bounds one write, with the tries that a provider makes.
const putTimeout = time.Minute

// maxInput is one byte more than [agent.ParseBundle] takes: every character escaped.
const maxInput = 6*agent.MaxBundleBytes + 1

// errLabels refuses what no inventory can hold.
var errLabels = fmt.Errorf("at most %d labels, with names of 1 to %d bytes and values of at most %d", events.MaxLabels, events.MaxLabelName, events.MaxLabelValue)

// putCommand lets an operator of the agent's host store a secret with the agent's own
// credentials. It asks nobody: whoever may run it has those credentials anyway.
func putCommand() *cobra.Command {
	var configFile string
	var ifAbsent bool
	var labels map[string]string
	c := &cobra.Command{
		Use:   "put CONNECTION/REF",
		Short: "Store a secret, read as a JSON object from standard input",
		Args:  oneSecret,
		Long: "Stores a secret with this agent's own credentials and within its allow-list. For a\n" +
			"connection of kind file it makes the store if there is none. It replaces the whole\n" +
			"secret; with --if-absent one that exists stays as it is. With --label, once for each,\n" +
			"the labels are those; without, they stay as they are.",
		RunE: func(c *cobra.Command, args []string) error {
			if err := needed("config", configFile); err != nil {
				return err
			}
			said, err := put(c.Context(), configFile, args[0], ifAbsent, labels, c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return fmt.Errorf("put: %w", err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), said)
			return err
		},
	}
	c.Flags().StringVar(&configFile, "config", os.Getenv("SB_AGENT_CONFIG"), "configuration file (SB_AGENT_CONFIG)")
	c.Flags().BoolVar(&ifAbsent, "if-absent", false, "leave a secret that exists as it is")
	c.Flags().StringToStringVar(&labels, "label", nil, "NAME=VALUE of the provider's own labels")
	return c
}

func oneSecret(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: put takes one argument, CONNECTION/REF; see %s --help", errUsage, c.CommandPath())
	}
	return nil
}

// put returns what became of the secret, in one line.
func put(ctx context.Context, configFile, name string, ifAbsent bool, labels map[string]string, stdin io.Reader, stderr io.Writer) (said string, err error) {
	log, err := newLogger(stderr)
	if err != nil {
		return "", err
	}
	s, err := loadConfig(configFile, log)
	if err != nil {
		return "", err
	}
	connection, path, _ := strings.Cut(name, "/")
	ref, err := agent.ParseRef(path)
	if err != nil {
		return "", err
	}
	bundle, err := readBundle(stdin)
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	defer bundle.Zero()
	if bundle.Labels = labels; !events.ValidLabels(labels) {
		return "", errLabels
	}
	provider, err := s.open(events.ConnectionID(connection))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, provider.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	version, err := store(ctx, provider, ref, bundle, ifAbsent)
	if err != nil {
		return "", err
	}
	if version == "" {
		return fmt.Sprintf("%s/%s exists and stays as it is", connection, ref), nil
	}
	return fmt.Sprintf("stored %s/%s, version %s", connection, ref, version), nil
}

// readBundle reads a secret that can be requested afterwards: one without any key cannot.
func readBundle(from io.Reader) (agent.Bundle, error) {
	raw, err := io.ReadAll(io.LimitReader(from, maxInput))
	defer clear(raw)
	if err != nil {
		return agent.Bundle{}, err
	}
	bundle, err := agent.ParseBundle(raw)
	if err == nil && len(bundle.Entries) == 0 {
		err = fmt.Errorf("%w: it holds no key", agent.ErrNotBundle)
	}
	return bundle, err
}

// open opens a connection for one write. A store of the agent's own is made first.
func (s settings) open(name events.ConnectionID) (agent.Provider, error) {
	conn, ok := s.connections[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q", agent.ErrUnknownConnection, name)
	}
	if create := s.stores[name]; create != nil {
		if err := create(); err != nil && !errors.Is(err, file.ErrExists) {
			return nil, err
		}
	}
	return conn.Open()
}

// store writes over the version that is there now, so that a writer who comes between
// is noticed and not overwritten. No version and no error: the secret exists, and it was
// to stay as it is.
func store(ctx context.Context, provider agent.Provider, ref agent.Ref, bundle agent.Bundle, ifAbsent bool) (agent.Version, error) {
	version, err := provider.Write(ctx, ref, bundle, "")
	switch {
	case !errors.Is(err, agent.ErrConflict):
		return version, err
	case ifAbsent:
		return "", nil
	}
	there, err := provider.Read(ctx, ref)
	if err != nil {
		return "", err
	}
	defer there.Zero()
	if bundle.Labels == nil {
		bundle.Labels = there.Labels
	}
	return provider.Write(ctx, ref, bundle, there.Version)
}
