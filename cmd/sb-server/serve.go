package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// serveCommand is the control plane in earnest.
func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "serve people, the command line and agents",
		Long: "Serves the API and the application at SB_HTTP_ADDR, and /healthz, /readyz and /metrics at SB_OPS_ADDR. With SB_DATABASE_URL\n" +
			"and SB_NATS_URL it stands on your Postgres and NATS, and any number may run side by side; without them it runs a private\n" +
			"Postgres and an embedded NATS in SB_DATA_DIR, for one machine. docs/how-to/production.md goes through it step by step.\n\n" +
			"SIGTERM: /readyz says no at once, and after SB_DRAIN_DELAY no call is taken any more; what is under way is finished, and\n" +
			"leases are given back. Exit codes: 0 after a signal; 1 for an error, after which it may be started again; 3 where the log is\n" +
			"not what it must be: do not start it again before somebody has looked (docs/operations/alerts.md).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := loadSettings()
			if err == nil {
				err = s.validateServe()
			}
			if err != nil {
				return err
			}
			return serveUntil(cmd.Context(), s)
		},
	}
}

// validateServe says what a server in earnest needs.
func (s settings) validateServe() error {
	files := s.TLSCertFile != ""
	switch {
	case files != (s.TLSKeyFile != ""):
		return errors.New("SB_TLS_CERT_FILE and SB_TLS_KEY_FILE belong together: set both, or neither")
	case !files && s.Profile == production:
		return errors.New("SB_PROFILE is production and SB_TLS_CERT_FILE is not set: give a certificate and its key in SB_TLS_KEY_FILE; only SB_PROFILE=development makes its own")
	case files && s.LeafCAFile == "":
		return errors.New("SB_TLS_CERT_FILE is set and SB_LEAF_CA_FILE is not: write the file of the CA that agents are told to trust for their link, the one that signed the certificate")
	case s.external() && s.LeafCAFile == "":
		return errors.New("SB_NATS_URL is set and SB_LEAF_CA_FILE is not: write the file of the CA that agents are told to trust for their link")
	case s.external() && len(s.LeafURLs) == 0:
		return errors.New("SB_NATS_URL is set and SB_LEAF_URLS is not: write where agents link to your NATS, such as tls://nats.example.org:7422")
	case s.external() && s.LeafAddr != "":
		return errors.New("SB_LEAF_ADDR is set and SB_NATS_URL too: agents link to your NATS, at SB_LEAF_URLS; unset SB_LEAF_ADDR")
	case !s.external() && s.Profile == production && s.LeafAddr == "":
		return errors.New("SB_PROFILE is production and SB_LEAF_ADDR is not set: write where agents link, such as 0.0.0.0:7422")
	case s.DatabaseURL == "" && s.DatabaseOwnerURL != "":
		return errors.New("SB_DATABASE_OWNER_URL is set and SB_DATABASE_URL is not: set it to the login of role sb_app, or unset both for a private Postgres")
	case s.external() && s.DatabaseURL == "":
		return errors.New("SB_NATS_URL is set and SB_DATABASE_URL is not: servers that share NATS share Postgres, too")
	}
	if host := hostOf(s.LeafAddr); !s.external() && len(s.LeafURLs) == 0 {
		if ip := net.ParseIP(host); s.LeafAddr != "" && (host == "" || ip != nil && ip.IsUnspecified()) {
			return fmt.Errorf("SB_LEAF_ADDR is %q and SB_LEAF_URLS is not set: write under which name agents reach it, such as tls://bridge.example.org:7422", s.LeafAddr)
		}
	}
	return nil
}

// serving is what outlives a stack that starts anew: the lock, the port and the certificates.
type serving struct {
	settings settings
	listener net.Listener
	api      *tls.Config
	ground   ground
}

// serveUntil serves until ctx ends.
func serveUntil(ctx context.Context, s settings) error {
	// The lock keeps the data directory and the control socket for one process, also where all
	// that is kept is elsewhere.
	dir, err := openDataDir(s)
	if err != nil {
		return err
	}
	defer dir.close()
	if !s.external() {
		if s.LeafAddr, err = leafAddr(s); err != nil {
			return err
		}
	}
	v := serving{settings: s, ground: ground{fresh: dir.fresh}}
	if err := v.certify(); err != nil {
		return err
	}
	// The port first: whoever finds it taken wants to know before a minute is over.
	if v.listener, err = net.Listen("tcp", s.HTTPAddr); err != nil {
		return fmt.Errorf("%w: set SB_HTTP_ADDR to a free address", err)
	}
	defer v.listener.Close()
	for {
		err := v.once(ctx)
		if !errors.Is(err, errKeysMoved) || ctx.Err() != nil {
			return err
		}
		s.logger().Info("this server starts anew, with the keys of the moment")
		v.ground.fresh = false
	}
}

// certify makes what the ports show and what agents are told to trust.
func (v *serving) certify() error {
	s := v.settings
	if s.LeafCAFile != "" {
		pem, err := os.ReadFile(s.LeafCAFile)
		if err != nil {
			return fmt.Errorf("SB_LEAF_CA_FILE: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return fmt.Errorf("SB_LEAF_CA_FILE: %s holds no certificate in PEM", s.LeafCAFile)
		}
		v.ground.leafCA = string(pem)
	}
	if s.TLSCertFile != "" {
		files, err := openCertFiles(s.TLSCertFile, s.TLSKeyFile, s.logger())
		if err != nil {
			return err
		}
		v.api = files.config()
		if !s.external() {
			v.ground.leafTLS = files.config()
		}
		return nil
	}
	ca, err := openCA(s.DataDir)
	if err != nil {
		return err
	}
	if v.api, err = ca.serve(hostOf(s.HTTPAddr)); err != nil {
		return err
	}
	if !s.external() {
		if v.ground.leafTLS, err = ca.serve(hostOf(s.LeafAddr)); err != nil {
			return err
		}
		v.ground.leafCA = string(ca.pem)
	}
	return nil
}

// once serves with one stack, until ctx ends and everything that was under way is finished.
func (v *serving) once(ctx context.Context) error {
	// The stack works on while it drains.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	st, err := openStack(ctx, v.settings, v.settings.logger(), v.ground)
	if err != nil {
		return err
	}
	defer st.close()
	defer context.AfterFunc(ctx, func() {
		st.drain()
		stop()
	})()
	// The listener stays open for the next stack; who calls meanwhile waits.
	listener, err := borrowed(v.listener)
	if err != nil {
		return err
	}
	defer listener.Close()
	return st.run(work, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return st.serveAPI(ctx, listener, v.api) })
		group.Go(func() error { return st.serveOps(ctx) })
		group.Go(func() error { return st.control().serve(ctx, controlPath(v.settings)) })
		group.Go(func() error { return st.moved(ctx) })
		st.log.Info("people and agents are served", "addr", listener.Addr().String())
		return group.Wait()
	})
}

// borrowed is a listener of the same port that can be closed by itself.
func borrowed(listener net.Listener) (net.Listener, error) {
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileListener(file)
}

// drain has nobody new come: whoever balances the load looks at /readyz, and is given time to.
func (st *stack) drain() {
	st.draining.Store(true)
	st.log.Info("this server stops: no call is taken any more after a while, and what is under way is finished", "after", st.settings.DrainDelay)
	time.Sleep(st.settings.DrainDelay)
}
