package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/nats"
)

const (
	// formerLinkLife is how long former signing keys count: whoever links has renewed its
	// credentials by then, which live for 12 hours and are renewed at half of it.
	formerLinkLife = nats.DefaultCredentialTTL + time.Hour

	// settleTimeout bounds the wait for all NATS servers to hold all accounts.
	settleTimeout = 5 * time.Minute
)

// natsRotateCommand gives the accounts of NATS other signing keys.
func natsRotateCommand() *cobra.Command {
	var overlap time.Duration
	var now bool
	cmd := &cobra.Command{
		Use:   "rotate [DIR]",
		Short: "make fresh signing keys of all accounts of NATS",
		Long: "Makes fresh keys that sign users of accounts CORE and SYS and of all agents' accounts, and sends the accounts to all NATS\n" +
			"servers. Accounts and consumers keep their names. Former keys count for 13 hours, in which agents renew their credentials by\n" +
			"themselves; --overlap 5m is enough for agents that are linked now. With --now, for keys that leaked, they end at once: an\n" +
			"agent whose credentials are older has to be enrolled again. Files of nats creds end with the former keys: sign new ones.\n" +
			"Servers on your own NATS and Postgres take the keys up within seconds. A server with an embedded NATS must not be running;\n" +
			"there the key that signs accounts is rotated, too. With your own NATS, sb-server nats rotate-operator does that.\n" +
			"If it is interrupted, run it again.\n\n" +
			"DIR, which may be the folder of nats init, gets the resolver.conf that your NATS servers begin with where all of them have\n" +
			"lost their disks: with an older one they would know the former keys only. It takes effect with the next start.",
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().DurationVar(&overlap, "overlap", formerLinkLife, "how long former keys count")
	cmd.Flags().BoolVar(&now, "now", false, "the former keys have leaked: end them at once")
	cmd.MarkFlagsMutuallyExclusive("overlap", "now")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if overlap < 0 || overlap > 30*24*time.Hour {
			return fmt.Errorf("--overlap is %s: choose up to 30 days", overlap)
		}
		if now {
			overlap = 0
		}
		s, err := loadSettings()
		if err != nil {
			return err
		}
		if !s.external() && len(args) > 0 {
			return errors.New("NATS is embedded, and reads no resolver.conf: leave DIR out")
		}
		if !s.external() {
			return rotateEmbedded(cmd.Context(), s, overlap, cmd.OutOrStdout())
		}
		return offline(cmd.Context(), func(st *stack) error {
			if err := st.rotateLinks(cmd.Context(), overlap, cmd.OutOrStdout()); err != nil || len(args) == 0 {
				return err
			}
			return st.keys.links.authority.WriteTrust(args[0])
		})
	}
	return cmd
}

// rotateEmbedded rotates all keys of an embedded NATS, which does not run meanwhile.
func rotateEmbedded(ctx context.Context, s settings, overlap time.Duration, out io.Writer) error {
	if s.local() {
		dir, err := openDataDir(s)
		if err != nil {
			return err
		}
		defer dir.close()
	}
	var ring keyring = &keyFolder{dir: s.path("keys")}
	if s.DatabaseURL != "" {
		rows, done, err := openRing(ctx, s)
		if err != nil {
			return err
		}
		defer done()
		ring = rows
	}
	k, err := openLinkKeys(ctx, ring)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, step := range []func() ([]byte, error){
		func() ([]byte, error) { return k.authority.Prepared(nats.AccountKeys) },
		func() ([]byte, error) { return k.authority.Promoted(nats.AccountKeys, now, now.Add(overlap)) },
		func() ([]byte, error) { return k.authority.Prepared(nats.OperatorKeys) },
		// The server is the only one who believes it, and starts with the key of the moment.
		func() ([]byte, error) { return k.authority.Promoted(nats.OperatorKeys, now, now) },
		func() ([]byte, error) { return k.authority.Dropped(nats.OperatorKeys, now) },
		func() ([]byte, error) { return k.authority.Dropped(nats.AccountKeys, now) },
	} {
		doc, err := step()
		if err := k.advance(ctx, doc, err); err != nil {
			return err
		}
	}
	tellLinks(out, k.authority, overlap)
	return nil
}

// rotateLinks rotates the keys of an operator's own NATS, while servers work.
func (st *stack) rotateLinks(ctx context.Context, overlap time.Duration, out io.Writer) error {
	k := st.keys.links
	doc, err := k.authority.Prepared(nats.AccountKeys)
	if err := k.advance(ctx, doc, err); err != nil {
		return err
	}
	// No server signs with a key before every NATS server names it.
	if err := st.settleLinks(ctx); err != nil {
		return err
	}
	now := time.Now()
	doc, err = k.authority.Promoted(nats.AccountKeys, now, now.Add(overlap))
	if err := k.advance(ctx, doc, err); err != nil {
		return err
	}
	if err := st.settleLinks(ctx); err != nil {
		return err
	}
	doc, err = k.authority.Dropped(nats.AccountKeys, time.Now())
	if err := k.advance(ctx, doc, err); err != nil {
		return err
	}
	if doc != nil {
		if err := st.settleLinks(ctx); err != nil {
			return err
		}
	}
	tellLinks(out, k.authority, overlap)
	return nil
}

func tellLinks(out io.Writer, a *nats.Authority, overlap time.Duration) {
	state := a.State(nats.AccountKeys)
	if overlap == 0 {
		fmt.Fprintf(out, "the signing keys of NATS have serial %d now; earlier ones count no more: enrol again what agent is not linked\n", state.Serial)
		return
	}
	fmt.Fprintf(out, "the signing keys of NATS have serial %d now; earlier ones count until %s\n", state.Serial, state.Until.Format(time.RFC3339))
}

// settleLinks has all NATS servers hold all accounts as they are signed now.
func (st *stack) settleLinks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if err := st.broker.(*nats.Cluster).Settle(ctx, st.agentOf, st.accountsOfAgents); err != nil {
		return fmt.Errorf("have all nats servers take the accounts: %w; run it again", err)
	}
	return nil
}

// natsRotateOperatorCommand gives an operator's own NATS another key that signs accounts.
func natsRotateOperatorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-operator DIR",
		Short: "make a fresh key that signs accounts, which your NATS servers are configured to trust",
		Long: "Rotates the key that signs accounts, in three runs with a restart of every NATS server after each of the first two. Every run\n" +
			"looks at what the servers trust, does the next step, and says what comes then; what DIR gets is resolver.conf, for all\n" +
			"servers, with operator.jwt, CORE.jwt and SYS.jwt. It may be the folder of nats init.\n" +
			"After it nothing counts that was signed by a seed of nats init: neither accounts nor users. Run sb-server nats rotate before\n" +
			"it, once, and have all servers of Secrets Bridge at this version.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return offline(cmd.Context(), func(st *stack) error { return st.rotateOperator(cmd.Context(), args[0], cmd.OutOrStdout()) })
		},
	}
}

// rotateOperator does the step that comes next.
func (st *stack) rotateOperator(ctx context.Context, dir string, out io.Writer) error {
	cluster, ok := st.broker.(*nats.Cluster)
	if !ok {
		return errors.New("NATS is embedded: sb-server nats rotate rotates this key, too")
	}
	k := st.keys.links
	a := k.authority
	if a.State(nats.AccountKeys).Own {
		return errors.New("users are signed by the seeds of nats init, which would count no more: run sb-server nats rotate first")
	}
	if err := st.settleLinks(ctx); err != nil { // which may have been interrupted
		return err
	}
	trusts, err := cluster.Trusts(ctx)
	if err != nil {
		return err
	}
	state := a.State(nats.OperatorKeys)
	if behind := untrusting(trusts, a.Configured()); len(behind) > 0 {
		if err := a.WriteTrust(dir); err != nil {
			return err
		}
		return fmt.Errorf("%s trusts other keys than %s says: put that file there, restart it, and run this again", strings.Join(behind, ", "), filepath.Join(dir, "resolver.conf"))
	}
	switch {
	case state.Begun:
		doc, err := a.Promoted(nats.OperatorKeys, time.Now(), time.Now())
		if err := k.advance(ctx, doc, err); err != nil {
			return err
		}
		if err := st.settleLinks(ctx); err != nil {
			return err
		}
		fmt.Fprint(out, "step 2 of 3: all accounts are signed by the fresh key.\n")
	case state.Former > 0:
		doc, err := a.Dropped(nats.OperatorKeys, time.Now())
		if err := k.advance(ctx, doc, err); err != nil {
			return err
		}
		fmt.Fprintf(out, "step 3 of 3: the former key counts nowhere; accounts are signed by %s\n", a.State(nats.OperatorKeys).Current[0])
		return a.WriteTrust(dir)
	default:
		doc, err := a.Prepared(nats.OperatorKeys)
		if err := k.advance(ctx, doc, err); err != nil {
			return err
		}
		fmt.Fprint(out, "step 1 of 3: a fresh key is made, and does not sign yet.\n")
	}
	if err := a.WriteTrust(dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "Put %s on every NATS server, restart them one after the other, and run this again.\n", filepath.Join(dir, "resolver.conf"))
	return nil
}

// untrusting names the servers that were configured otherwise.
func untrusting(all []nats.Trust, want nats.Trust) (names []string) {
	for _, t := range all {
		if t.Strict != want.Strict || !slices.Equal(t.Keys, want.Keys) {
			names = append(names, t.Server)
		}
	}
	slices.Sort(names)
	return names
}
