package main

import (
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func delegationCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "delegation", Short: "Let somebody vote for you while you are away"}
	c.AddCommand(giveDelegationCommand(a), listDelegationsCommand(a), &cobra.Command{
		Use: "end ID", Short: "End a delegation before its time", Args: takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("me", "delegations", args[0], "end"), struct{}{}, "ended "+args[0])
		}),
	})
	return c
}

func listDelegationsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your delegations that have not ended",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("me", "delegations"), nil, maxPeople, "ID TO SINCE UNTIL ABSENT REASON", func(d api.Delegation) []string {
				absent := ""
				if d.Absent {
					absent = "yes"
				}
				return []string{d.ID, name(d.To), when(d.Since), when(d.Until), absent, short(d.Reason, 60)}
			})
		}),
	}
}

func giveDelegationCommand(a *cli) *cobra.Command {
	var ask api.Delegate
	var since, until string
	c := &cobra.Command{
		Use:   "give ID",
		Short: "Let another person vote for you",
		Long:  "Lets another person, named by their id, vote for you where a workflow allows it. With --absent you do not vote meanwhile.",
		Args:  takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			ask.To = args[0]
			end, err := ahead(until, time.Now())
			if err != nil {
				return usage("--until is a time such as 2027-01-31T00:00:00Z, or how far ahead, such as 12h or 14d; 92d at most")
			}
			ask.Until = end
			if since != "" {
				begin, err := ahead(since, time.Now())
				if err != nil {
					return usage("--since is a time such as 2027-01-17T00:00:00Z, or how far ahead, such as 12h or 3d")
				}
				ask.Since = &begin
			}
			made, err := client.Post[api.Made](c.Context(), to, client.Path("me", "delegations"), ask)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), made, func(m api.Made) string { return clean(m.ID) + "\n" })
		}),
	}
	c.Flags().StringVar(&since, "since", "", "when it begins: a time, or how far ahead; now unless given")
	c.Flags().StringVar(&until, "until", "", "when it ends: a time, or how far ahead")
	c.Flags().BoolVar(&ask.Absent, "absent", false, "you do not vote meanwhile")
	c.Flags().StringVar(&ask.Reason, "reason", "", "why, for the audit")
	require(c, "until")
	return c
}
