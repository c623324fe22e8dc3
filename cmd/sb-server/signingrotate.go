package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/events"
)

// previousSigningLife is how long what the old key signed stays good: a ticket lives for
// 7 days at most (SB_APPROVAL_TTL), and one more is for clocks and for agents that are
// away.
const previousSigningLife = 8 * 24 * time.Hour

// signingActor is who rotates: somebody on the server's own machine.
var signingActor = events.SystemActor("operator")

func signingCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "signing", Short: "the key that the control plane signs with"}
	cmd.AddCommand(signingRotateCommand())
	return cmd
}

// signingRotateCommand gives the control plane another signing key.
func signingRotateCommand() *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "make a fresh signing key, which the old one vouches for",
		Long: "Makes a fresh signing key in SB_DATA_DIR. Agents learn of it by themselves, also those that are away now;\n" +
			"what the old key signed stays good for 8 days. With --now, for a key that leaked, the old key counts no longer:\n" +
			"jobs that wait in the queue are refused by agents, and have to be asked for again.\n" +
			"The server must not be running.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&now, "now", false, "the old key has leaked: end it at once")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		s, err := loadSettings()
		if err != nil {
			return err
		}
		if _, err := os.Stat(s.path("nats")); err != nil {
			return fmt.Errorf("%s is no data directory of sb-server: set SB_DATA_DIR", s.DataDir)
		}
		dir, err := openDataDir(s)
		if err != nil {
			return err
		}
		defer dir.close()
		ca, err := openCA(s.DataDir)
		if err != nil {
			return err
		}
		before, err := openSigning(s.path("keys"))
		if err != nil {
			return err
		}
		s.LeafAddr = "127.0.0.1:0" // nobody is to link meanwhile
		st, err := openStack(ctx, s, s.logger(), ca, false)
		if err != nil {
			return err
		}
		defer st.close()
		keys, out := st.keys.signing, cmd.OutOrStdout()
		if before.doc.Next != nil && keys.doc.Next == nil {
			// The start found it in the log.
			fmt.Fprintf(out, "a rotation that a crash had interrupted is finished: the signing key has serial %d now\n", keys.doc.Serial)
			return nil
		}
		at := time.Now()
		until := at.Add(previousSigningLife)
		if now {
			until = at
		}
		if err := keys.prepare(until); err != nil {
			return err
		}
		statement, _, err := keys.next()
		if err != nil {
			return err
		}
		if now && statement.PreviousUntil.After(at) {
			defer fmt.Fprintln(out, "a rotation without --now had been begun, and was finished: run it again to end that key too")
		}
		if err := keys.record(ctx, st.store, signingActor, at); err != nil {
			return err
		}
		if err := keys.finish(); err != nil {
			return err
		}
		fmt.Fprintf(out, "the signing key has serial %d now; earlier ones count until %s\n",
			statement.Serial, statement.PreviousUntil.Format(time.RFC3339))
		return nil
	}
	return cmd
}
