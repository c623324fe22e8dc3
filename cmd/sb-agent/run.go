package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"secretsbridge/agent"
	"secretsbridge/agent/identity"
	"secretsbridge/agent/witness"
	"secretsbridge/internal/build"
	"secretsbridge/internal/erase"
	"secretsbridge/internal/trace/otlp"
	"secretsbridge/nats/leaf"
)

func runCommand() *cobra.Command {
	var dir, configFile string
	c := &cobra.Command{
		Use:   "run",
		Short: "Take jobs and do them until SIGTERM",
		Long: "Links to the control plane and does the jobs of its cluster. On SIGTERM it takes\n" +
			"nothing more, finishes what is in hand for up to 20 seconds, and leaves.",
		RunE: func(c *cobra.Command, _ []string) error {
			return runAgent(c.Context(), dir, configFile, c.ErrOrStderr())
		},
	}
	dirFlag(c, &dir)
	c.Flags().StringVar(&configFile, "config", os.Getenv("SB_AGENT_CONFIG"), "configuration file (SB_AGENT_CONFIG)")
	return c
}

func runAgent(ctx context.Context, dir, configFile string, stderr io.Writer) (err error) {
	if err := errors.Join(needed("dir", dir), needed("config", configFile)); err != nil {
		return err
	}
	log, err := newLogger(stderr)
	if err != nil {
		return err
	}
	id, err := identity.Load(dir)
	if errors.Is(err, identity.ErrMissing) {
		return fmt.Errorf("run: %w; run sb-agent enrol first", err)
	}
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	unlock, err := id.Lock()
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer unlock()
	log = log.With("agent", id.Agent())
	settings, err := loadConfig(configFile, log)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	cluster, err := kubeReader(os.Getenv, serviceAccount, log)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	tracer, err := otlp.Open(ctx, "sb-agent", build.Version(), log)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer func() { err = errors.Join(err, tracer.Close()) }()
	seen, err := witness.Open(witness.Config{Dir: dir, Agent: id.Agent(), SignKey: id.SignKey(), Logger: log})
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	link, err := startLink(ctx, id, log)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer link.Close()
	connections := agent.NewConnections(settings.connections, log)
	defer func() { err = errors.Join(err, connections.Close()) }()
	var observer agent.Observer
	if cluster != nil {
		observer = cluster // not a nil pointer in an interface
	}
	worker, err := agent.New(agent.Config{
		Observer: observer, Witness: seen,
		Link: link, Agent: id.Agent(), Cluster: id.Cluster(), Version: build.Version(),
		Account: id.Account(), SignKey: id.SignKey(), Keys: id.Keys(), Trust: id, Connections: connections,
		Credential: id.Credential(),
		Renewed: func(_ context.Context, c agent.Credential) error {
			if err := id.Renew(c); err != nil {
				return err
			}
			return link.Reconnect() // jobs stay in hand; their calls are made again
		},
		FingerprintKey: settings.fingerprintKey,
		KeyLife:        settings.keyLife, Slots: settings.slots, Lease: settings.lease, Logger: log, Tracer: tracer.Port(),
	})
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	socket, err := listenStatus(socketPath(dir, settings.socket), func() report {
		r := report{Status: worker.Status(), Name: id.Name(), Link: link.State()}
		if cluster != nil {
			state := cluster.State()
			r.Kube = &state
		}
		return r
	}, log)
	if err != nil {
		log.Warn("sb-agent status gets no answer; the agent works all the same", "err", err)
	} else {
		defer socket.close()
	}
	if !erase.Works {
		log.Warn("values stay in memory until it is used again: use a binary that was built with GOEXPERIMENT=runtimesecret, as make build does")
	}
	log.Info("the agent runs", "cluster", id.Cluster(), "version", build.Version(), "connections", connections.Names())
	if err := worker.Run(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	log.Info("the agent has stopped")
	return nil
}

func startLink(ctx context.Context, id *identity.Identity, log *slog.Logger) (*leaf.Link, error) {
	user, err := nkeys.FromSeed(id.UserSeed())
	if err != nil {
		return nil, errors.New("the user key on disk is none; enrol the agent again")
	}
	return leaf.Start(ctx, leaf.Config{
		URLs: id.LeafURLs(), CA: id.CA(), Account: id.Account(), ServerName: string(id.Agent()),
		Credentials: func() string { return id.Credential().UserJWT },
		Sign:        user.Sign,
		Logger:      log,
	})
}
