package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"secretsbridge/nats"
	"secretsbridge/projections"
)

// natsSettings say where the operator's NATS is; docs/how-to/production.md tells how to set it up.
type natsSettings struct {
	URLs     []string `env:"SB_NATS_URL"`     // of client ports; empty: NATS is embedded
	CAFile   string   `env:"SB_NATS_CA_FILE"` // empty: the system's CAs
	Replicas int      `env:"SB_NATS_REPLICAS" envDefault:"3"`
}

// validateNATS says what to write where something is wrong, or left over.
func (s settings) validateNATS() error {
	if !s.external() {
		for _, name := range []string{"SB_NATS_CA_FILE", "SB_NATS_REPLICAS"} {
			if os.Getenv(name) != "" {
				return fmt.Errorf("%s is set and SB_NATS_URL is not: write the addresses of your NATS servers, or unset it", name)
			}
		}
	}
	for _, at := range s.NATS.URLs {
		if u, err := url.Parse(at); err != nil || u.Scheme != "tls" || u.Hostname() == "" || u.Port() == "" || u.User != nil || u.Path != "" {
			return fmt.Errorf("SB_NATS_URL has %q: write tls://HOST:PORT of each server, separated by commas", at)
		}
	}
	for _, at := range s.LeafURLs {
		if u, err := url.Parse(at); err != nil || u.Scheme != "tls" && u.Scheme != "wss" || u.Hostname() == "" || u.Port() == "" || u.User != nil {
			return fmt.Errorf("SB_LEAF_URLS has %q: write tls://HOST:PORT or wss://HOST:PORT, separated by commas", at)
		}
	}
	if n := s.NATS.Replicas; n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("SB_NATS_REPLICAS is %d: write 3 or 5, or 1 for a single server", n)
	}
	if s.Profile == production && s.external() && s.NATS.Replicas == 1 {
		return errors.New("SB_PROFILE is production and SB_NATS_REPLICAS is 1: the log must survive the loss of a server; write 3 or 5")
	}
	return nil
}

// clusterConfig is how the operator's servers are reached.
func (s settings) clusterConfig(authority *nats.Authority) (nats.ClusterConfig, error) {
	config := nats.ClusterConfig{Authority: authority, URLs: s.NATS.URLs, LeafURLs: s.LeafURLs}
	if len(config.LeafURLs) == 0 { // a command that lets no agent in
		config.LeafURLs = s.NATS.URLs
	}
	if s.NATS.CAFile != "" {
		pem, err := os.ReadFile(s.NATS.CAFile)
		if err != nil {
			return config, fmt.Errorf("SB_NATS_CA_FILE: %w", err)
		}
		if config.CA = x509.NewCertPool(); !config.CA.AppendCertsFromPEM(pem) {
			return config, fmt.Errorf("SB_NATS_CA_FILE: %s holds no certificate in PEM", s.NATS.CAFile)
		}
	}
	return config, nil
}

// openCluster connects to the operator's servers.
func (st *stack) openCluster(ctx context.Context) error {
	config, err := st.settings.clusterConfig(st.keys.links)
	if err != nil {
		return err
	}
	config.Logger = st.log
	cluster, err := nats.OpenCluster(ctx, config)
	if err != nil {
		return err
	}
	st.broker = cluster
	return nil
}

// accountsOfAgents are all accounts that an agent was ever given.
func (st *stack) accountsOfAgents(ctx context.Context) ([]string, error) {
	var accounts []string
	err := views{pool: st.pool, progress: st.progress}.agents(ctx, projections.AgentFilter{}, func(a projections.Agent) {
		if a.Account != "" {
			accounts = append(accounts, a.Account)
		}
	})
	return accounts, err
}
