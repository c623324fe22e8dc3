package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/agent/witness"
)

func acceptLogCommand() *cobra.Command {
	var dir, root string
	var forget bool
	c := &cobra.Command{
		Use:   "accept-log",
		Short: "Say that the log which the control plane shows now is the right one",
		Long: "An agent that is shown another log than the one it saw before does no jobs. Without\n" +
			"--root this shows both. With --root, the agent goes on with the one of that root: it\n" +
			"is for the restore of a backup, after which people know which log is the right one.\n" +
			"A running agent takes it at its next look, within seconds.",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needed("dir", dir); err != nil {
				return err
			}
			if forget && root != "" {
				return fmt.Errorf("%w: --forget is in place of --root", errUsage)
			}
			if forget {
				return forgetLog(dir, c.OutOrStdout())
			}
			return acceptLog(dir, root, c.OutOrStdout())
		},
	}
	dirFlag(c, &dir)
	c.Flags().StringVar(&root, "root", "", "root of the log to accept, as this command and sb audit checkpoint print it")
	c.Flags().BoolVar(&forget, "forget", false, "in place of --root: believe the log that is shown next; before a restored control plane starts")
	return c
}

func forgetLog(dir string, out io.Writer) error {
	if err := witness.Forget(dir); err != nil {
		return fmt.Errorf("accept log: %w", err)
	}
	_, err := fmt.Fprintln(out, "The agent forgets the log that it saw, and believes the one that it is shown next.")
	return err
}

func acceptLog(dir, root string, out io.Writer) error {
	if root == "" {
		t, err := witness.Look(dir)
		if err != nil {
			return fmt.Errorf("accept log: %w", err)
		}
		_, err = fmt.Fprintf(out, "%s.\nseen before  %d commits, root %s\nshown since  %d commits, root %s, log %s\nevidence     %s\n"+
			"Compare the second with what the restored control plane has. If it is the right one:\nsb-agent accept-log --dir %s --root %s\n",
			t.Why.Sentence(), t.Known.N, t.Known.Hash, t.Shown.N, t.Shown.Hash, t.Origin, t.Evidence, dir, t.Shown.Hash)
		return err
	}
	hash, err := tlog.ParseHash(root)
	if err != nil {
		return fmt.Errorf("%w: --root is no hash in base64", errUsage)
	}
	t, err := witness.Accept(dir, hash)
	if err != nil {
		return fmt.Errorf("accept log: %w", err)
	}
	_, err = fmt.Fprintf(out, "The log of %d commits is accepted; the agent holds the control plane to it from now on.\nThe evidence stays in %s\n", t.Shown.N, t.Evidence)
	return err
}
