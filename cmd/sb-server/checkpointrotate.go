package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// previousCheckpointLife is how long the key before signs as well: auditors and witnesses that
// are seldom looked after have a month to learn of the next one.
const previousCheckpointLife = 30 * 24 * time.Hour

func checkpointKeyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "checkpoint-key", Short: "the key that signs checkpoints of the log"}
	cmd.AddCommand(checkpointKeyRotateCommand(), &cobra.Command{
		Use: "show", Short: "print the log's name and the keys that verify its checkpoints", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := loadSettings()
			if err != nil {
				return err
			}
			keys, err := shownCheckpointKeys(cmd.Context(), s)
			if err != nil {
				return err
			}
			for serial, key := range keys.public() {
				fmt.Fprintf(cmd.OutOrStdout(), "%d\t%s\n", serial+1, key)
			}
			return nil
		},
	})
	return cmd
}

// checkpointKeyRotateCommand gives the log another key.
func checkpointKeyRotateCommand() *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "make a fresh key of checkpoints, beside which the old one signs for a while",
		Long: "Makes a fresh key of checkpoints, and records it. The old key signs as well for 30 days, so whoever\n" +
			"knows it has that time to add the new one: it is printed, and belongs into the policies of auditors and the\n" +
			"configurations of witnesses. With --now, for a key that leaked, the old key signs no more.\n" +
			"A server with a data directory must not be running; servers on your own NATS and Postgres take the key up within seconds.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&now, "now", false, "the old key has leaked: end it at once")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return offline(cmd.Context(), func(st *stack) error { return rotateCheckpoints(cmd, st, now) })
	}
	return cmd
}

// rotateCheckpoints rotates the key. Servers that run elsewhere notice, and take it up ([stack.moved]).
func rotateCheckpoints(cmd *cobra.Command, st *stack, now bool) error {
	keys, out := st.keys.checkpoints, cmd.OutOrStdout()
	tell := func() {
		fmt.Fprintf(out, "auditors and witnesses have to follow: their policies need the new key\n%s\n", keys.public()[keys.doc.Serial-1])
	}
	if keys.finished {
		// The start found it in the log.
		fmt.Fprintf(out, "a rotation that a crash had interrupted is finished: the key of checkpoints has serial %d now\n", keys.doc.Serial)
		tell()
		return nil
	}
	at := time.Now()
	until := at.Add(previousCheckpointLife)
	if now {
		until = at
	}
	if err := keys.prepare(cmd.Context(), until); err != nil {
		return err
	}
	until = keys.doc.Next.PreviousUntil
	if now && until.After(at) {
		defer fmt.Fprintln(out, "a rotation without --now had been begun, and was finished: run it again to end that key too")
	}
	if err := keys.record(cmd.Context(), st.store, operator, at); err != nil {
		return err
	}
	if err := keys.finish(cmd.Context()); err != nil {
		return err
	}
	if _, err := keys.signer(time.Now()); err != nil { // a key that has ended leaves the disk now
		return err
	}
	fmt.Fprintf(out, "the key of checkpoints has serial %d now; the one before signs as well until %s\n", keys.doc.Serial, until.Format(time.RFC3339))
	tell()
	return nil
}

// shownCheckpointKeys opens the keys where the log is not asked, also beside a running server.
func shownCheckpointKeys(ctx context.Context, s settings) (*checkpointKeys, error) {
	if s.DatabaseURL == "" {
		return openCheckpointKeys(ctx, &keyFolder{dir: s.path("keys")})
	}
	ring, done, err := openRing(ctx, s)
	if err != nil {
		return nil, err
	}
	defer done()
	return openCheckpointKeys(ctx, ring)
}
