package main

import (
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
			keys, err := openCheckpointKeys(s.path("keys"))
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
		Long: "Makes a fresh key of checkpoints in SB_DATA_DIR, and records it. The old key signs as well for 30 days, so whoever\n" +
			"knows it has that time to add the new one: it is printed, and belongs into the policies of auditors and the\n" +
			"configurations of witnesses. With --now, for a key that leaked, the old key signs no more.\n" +
			"The server must not be running.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&now, "now", false, "the old key has leaked: end it at once")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		var begun bool
		return offline(cmd.Context(),
			func(s settings) error {
				before, err := openCheckpointKeys(s.path("keys"))
				if err == nil {
					begun = before.doc.Next != nil
				}
				return err
			},
			func(st *stack) error { return rotateCheckpoints(cmd, st, begun, now) })
	}
	return cmd
}

// rotateCheckpoints rotates the key of a control plane that does not run. Begun says that a
// rotation was on disk before the log was asked.
func rotateCheckpoints(cmd *cobra.Command, st *stack, begun, now bool) error {
	keys, out := st.keys.checkpoints, cmd.OutOrStdout()
	tell := func() {
		fmt.Fprintf(out, "auditors and witnesses have to follow: their policies need the new key\n%s\n", keys.public()[keys.doc.Serial-1])
	}
	if begun && keys.doc.Next == nil {
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
	if err := keys.prepare(until); err != nil {
		return err
	}
	until = keys.doc.Next.PreviousUntil
	if now && until.After(at) {
		defer fmt.Fprintln(out, "a rotation without --now had been begun, and was finished: run it again to end that key too")
	}
	if err := keys.record(cmd.Context(), st.store, operator, at); err != nil {
		return err
	}
	if err := keys.finish(); err != nil {
		return err
	}
	if _, err := keys.signer(time.Now()); err != nil { // a key that has ended leaves the disk now
		return err
	}
	fmt.Fprintf(out, "the key of checkpoints has serial %d now; the one before signs as well until %s\n", keys.doc.Serial, until.Format(time.RFC3339))
	tell()
	return nil
}
