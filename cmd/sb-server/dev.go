package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web"
)

// drainTimeout bounds the requests that are under way when the server stops.
const drainTimeout = 10 * time.Second

// devCommand starts everything on one machine.
func devCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dev",
		Short: "start everything on this machine, with demo people, secrets and an agent",
		Long: "Starts a private Postgres, NATS, a development KMS and CA, the API, and a demo agent as its own process.\n" +
			"Everything listens on loopback. Data stays in SB_DATA_DIR (default .data) for the next start.\n" +
			"With VAULT_ADDR and VAULT_TOKEN set, the demo agent serves that Vault as connection vault.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := loadSettings()
			if err != nil {
				return err
			}
			return dev(cmd.Context(), s, cmd.OutOrStdout())
		},
	}
}

func dev(ctx context.Context, s settings, out io.Writer) error {
	vault, err := vaultFromEnvironment()
	if err != nil {
		return err
	}
	dir, err := openDataDir(s)
	if err != nil {
		return err
	}
	defer dir.close()
	password, err := demoPassword(s)
	if err != nil {
		return err
	}
	if s.LeafAddr, err = leafAddr(s); err != nil {
		return err
	}
	ca, err := openCA(s.DataDir)
	if err != nil {
		return err
	}
	if s.DatabaseURL != "" || s.external() {
		return errors.New("SB_DATABASE_URL and SB_NATS_URL are for sb-server serve: unset them, because dev starts its own")
	}
	agent, err := newDemoAgent(s, vault)
	if err != nil {
		return err
	}
	// The port first: whoever finds it taken wants to know before a minute is over.
	listener, err := net.Listen("tcp", s.HTTPAddr)
	if err != nil {
		return fmt.Errorf("%w: set SB_HTTP_ADDR to a free address", err)
	}
	defer listener.Close()
	leaf, err := ca.serve(hostOf(s.LeafAddr))
	if err != nil {
		return err
	}
	api, err := ca.serve(hostOf(s.HTTPAddr))
	if err != nil {
		return err
	}
	st, err := openStack(ctx, s, s.logger(), ground{leafTLS: leaf, leafCA: string(ca.pem), fresh: dir.fresh})
	if err != nil {
		return err
	}
	defer st.close()
	return st.run(ctx, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return st.serveAPI(ctx, listener, api) })
		group.Go(func() error { return st.serveOps(ctx) })
		group.Go(func() error { return st.control().serve(ctx, controlPath(s)) })
		group.Go(func() error {
			url := "https://" + callable(listener.Addr())
			if err := st.prepareDemo(ctx, agent, url, password); err != nil {
				return err
			}
			banner(out, s, url, st.keys.signing.key.Public(), password, agent.vault != nil)
			return agent.run(ctx, st)
		})
		return group.Wait()
	})
}

// prepareDemo brings people, connections, secrets and the agent's credentials to where
// they must be, whatever an earlier start left.
func (st *stack) prepareDemo(ctx context.Context, agent *demoAgentProcess, url, password string) error {
	if err := st.invitePeople(ctx, password); err != nil {
		return err
	}
	connections := []demoConnection{{name: "file", kind: events.ProviderFile, description: "demo secrets in an age-encrypted directory", fill: true}}
	if v := agent.vault; v != nil {
		connections = append(connections, demoConnection{
			name: "vault", kind: events.ProviderVault, description: "the Vault at VAULT_ADDR", mount: "secret/", fill: v.fill,
		})
	}
	for _, c := range connections {
		if err := st.nameConnection(ctx, c.name, c.kind, c.description); err != nil {
			return err
		}
		if !c.fill {
			continue
		}
		for _, demo := range demoSecrets {
			bundle, err := demoBundle(demo.keys)
			if err != nil {
				return err
			}
			if err := agent.put(ctx, string(c.name)+"/"+c.mount+demo.ref, bundle, demo.labels); err != nil {
				return err
			}
		}
	}
	enrolled, err := agent.enrolled()
	if err != nil {
		return err
	}
	if enrolled != "" {
		known, _, err := command.Load[command.Agent](ctx, st.store, events.AgentStream(enrolled))
		if err != nil || known.State != events.AgentGone && known.Enrolled.SignKey != "" {
			return err
		}
		st.log.Info("the demo agent was revoked, or is of an older version, and is enrolled again", "agent", enrolled)
	}
	token, err := st.inviteAgent(ctx)
	if err != nil {
		return err
	}
	defer token.Zero()
	return agent.enrol(ctx, url, st.settings.path("ca.pem"), token)
}

// serveAPI serves people, the CLI and enrolling agents until ctx ends.
func (st *stack) serveAPI(ctx context.Context, listener net.Listener, config *tls.Config) error {
	api, err := st.api()
	if err != nil {
		return err
	}
	return serve(ctx, web.Server(api, config, st.log), func(srv *http.Server) error { return srv.ServeTLS(listener, "", "") })
}

// serve runs a server until ctx ends and then lets it finish what is under way.
func serve(ctx context.Context, srv *http.Server, listen func(*http.Server) error) error {
	ended := make(chan error, 1)
	go func() { ended <- listen(srv) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		return errors.Join(err, srv.Close())
	}
	return ctx.Err()
}

// callable is where this machine reaches a listener: one on all addresses is reached by
// loopback.
func callable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
}

// named is an address for browsers: passkeys belong to a name, and this machine's is localhost.
func named(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return at
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
		u.Host = net.JoinHostPort("localhost", u.Port())
	}
	return u.String()
}

// quoted makes a path safe to paste into a shell.
func quoted(path string) string {
	if strings.ContainsFunc(path, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("/._-", c)
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

func banner(out io.Writer, s settings, url string, key seal.VerifyKey, password string, vault bool) {
	fmt.Fprintf(out, "\nSecrets Bridge runs at %s (CA: %s)\nIn a browser: %s\n\nDemo people, all with the password %s\n", url, s.path("ca.pem"), named(url), password)
	for _, p := range demoPeople {
		fmt.Fprintf(out, "  %-22s %s\n", p.email, p.does)
	}
	secret := "file/prod/db/password"
	if vault {
		secret = "vault/secret/prod/db/password"
	}
	fmt.Fprintf(out, `
Try it in another terminal, from this folder:
  export SB_SERVER=%s SB_CA_FILE=%s
  export SB_SERVER_KEY=%s
  bin/sb login --email developer@demo.local && bin/sb request read %s --reason "try it out"
  bin/sb login --email approver@demo.local && bin/sb request list --state pending && bin/sb approve REQUEST
  bin/sb login --email developer@demo.local && bin/sb request show REQUEST --watch && bin/sb reveal REQUEST
  openssl rand -base64 24 | bin/sb request patch file/staging/mail/smtp --set password=- --reason "rotation"
  bin/sb login --email admin@demo.local && bin/sb discover file && bin/sb secret list --label Environment:prod

Ctrl-C stops everything; the next start goes on with the same data.

`, url, quoted(s.path("ca.pem")), key, secret)
}
