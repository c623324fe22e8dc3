package main

import (
	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func approveCommand(a *cli) *cobra.Command {
	return verdictCommand(a, "approve", "approved", "Approve a request")
}

func rejectCommand(a *cli) *cobra.Command {
	return verdictCommand(a, "reject", "rejected", "Reject a request")
}

func cancelCommand(a *cli) *cobra.Command {
	return verdictCommand(a, "cancel", "cancelled", "Cancel a request of yours")
}

func verdictCommand(a *cli, verb, past, sentence string) *cobra.Command {
	var verdict api.Verdict
	c := &cobra.Command{
		Use:   verb + " ID",
		Short: sentence,
		Args:  takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if verb == "approve" && !c.Flags().Changed("comparison") {
				var err error
				if verdict.Comparison, err = reviewed(c, to, args[0]); err != nil {
					return err
				}
			} else if p := seen(args[0]); p.Comparison == verdict.Comparison {
				warn(c, p.Problem)
			}
			return give(a, c, to, client.Path("requests", args[0], verb), verdict, past+" "+args[0])
		}),
	}
	c.Flags().StringVar(&verdict.Comment, "comment", "", "a comment that everybody sees who sees the request")
	if verb == "approve" {
		c.Flags().IntVar(&verdict.Comparison, "comparison", 0, "of a patch: the number of the comparison that you approve (default: the one that sb showed you last, or else the newest, which it says); refused if there is a newer one")
	}
	return c
}

// give gives a command that makes nothing new, and says in text that it was done.
func give(a *cli, c *cobra.Command, to *client.Client, path string, body any, done string) error {
	answer, err := client.Post[api.Done](c.Context(), to, path, body)
	if err != nil {
		return err
	}
	return show(a, c.OutOrStdout(), answer, func(api.Done) string { return clean(done) + "\n" })
}
