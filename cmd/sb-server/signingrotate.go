package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// previousSigningLife is how long what the old key signed stays good: a ticket lives for
// 7 days at most (SB_APPROVAL_TTL), and one more is for clocks and for agents that are
// away.
const previousSigningLife = 8 * 24 * time.Hour

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
		Long: "Makes a fresh signing key. Agents learn of it by themselves, also those that are away now;\n" +
			"what the old key signed stays good for 8 days. People have to follow: who has SB_SERVER_KEY needs the new key, which\n" +
			"is printed, and all others sign in again with sb login. With --now, for a key that leaked, the old key counts no longer:\n" +
			"jobs that wait in the queue are refused by agents, and have to be asked for again.\n" +
			"A server with a data directory must not be running; servers on your own NATS and Postgres take the key up within seconds.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&now, "now", false, "the old key has leaked: end it at once")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return offline(cmd.Context(), func(st *stack) error { return rotateSigning(cmd, st, now) })
	}
	return cmd
}

// rotateSigning rotates the key. Servers that run elsewhere notice, and take it up ([stack.moved]).
func rotateSigning(cmd *cobra.Command, st *stack, now bool) error {
	keys, out := st.keys.signing, cmd.OutOrStdout()
	if keys.finished {
		// The start found it in the log.
		fmt.Fprintf(out, "a rotation that a crash had interrupted is finished: the signing key has serial %d now\n", keys.doc.Serial)
		tellPeople(out, keys.key.Public().String())
		return nil
	}
	at := time.Now()
	until := at.Add(previousSigningLife)
	if now {
		until = at
	}
	if err := keys.prepare(cmd.Context(), until); err != nil {
		return err
	}
	statement, _, err := keys.next()
	if err != nil {
		return err
	}
	if now && statement.PreviousUntil.After(at) {
		defer fmt.Fprintln(out, "a rotation without --now had been begun, and was finished: run it again to end that key too")
	}
	if err := keys.record(cmd.Context(), st.store, operator, at); err != nil {
		return err
	}
	if err := keys.finish(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprintf(out, "the signing key has serial %d now; earlier ones count until %s\n",
		statement.Serial, statement.PreviousUntil.Format(time.RFC3339))
	tellPeople(out, statement.Key)
	return nil
}

// tellPeople says who has to hear of a new key. Agents follow by themselves, and people do
// not: to a client, another key is another server.
func tellPeople(out io.Writer, key string) {
	fmt.Fprintf(out, "people have to follow: who has SB_SERVER_KEY needs the new one, %s; all others sign in again with sb login\n", key)
}
