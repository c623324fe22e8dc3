package main

import (
	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func holdCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "hold", Short: "Have nothing removed that a court, an auditor or an inquiry may ask for"}
	c.AddCommand(placeHoldCommand(a), listHoldsCommand(a), liftHoldCommand(a))
	return c
}

func placeHoldCommand(a *cli) *cobra.Command {
	var ask api.PlaceHold
	c := &cobra.Command{
		Use:   "place",
		Short: "Place a legal hold, of somebody or of everybody",
		Long: "Places a legal hold. While it counts nothing is removed of that person or machine, or of everybody, that would\n" +
			"be removed in time, and they cannot be erased. Values are not held. The reason stays in the log for ever: name\n" +
			"the case, and nobody.",
		Example: "  sb audit hold place --reason 'case 2026-118' --of anna@example.org\n" +
			"  sb audit hold place --reason 'case 2026-118'",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			if ask.User != "" {
				var err error
				if ask.User, err = holderID(c, to, ask.User); err != nil {
					return err
				}
			}
			made, err := client.Post[api.Made](c.Context(), to, client.Path("audit", "holds"), ask)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), made, func(m api.Made) string { return clean(m.ID) + "\n" })
		}),
	}
	c.Flags().StringVar(&ask.User, "of", "", "who is held: a person or a machine, by id, e-mail or name of the machine; none is everybody")
	c.Flags().StringVar(&ask.Reason, "reason", "", "why, for the audit, such as the number of the case")
	require(c, "reason")
	return c
}

func listHoldsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the legal holds that count",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			held, err := client.Get[api.LegalHolds](c.Context(), to, client.Path("audit", "holds"), nil)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return writeJSON(c.OutOrStdout(), held.Raw)
			}
			rows := make([]client.Item[api.LegalHold], len(held.Value.Items))
			for i, h := range held.Value.Items {
				rows[i].Value = h
			}
			return list(a, c.OutOrStdout(), rows, "ID OF SINCE BY REASON", func(h api.LegalHold) []string {
				return []string{h.ID, holdOf(h), ago(h.At), named(h.By, h.ByName), short(h.Reason, 60)}
			})
		}),
	}
}

func holdOf(h api.LegalHold) string {
	if h.User == "" {
		return "everybody"
	}
	return named(h.User, h.UserName)
}

func named(id, name string) string {
	if name == "" {
		return id
	}
	return name
}

func liftHoldCommand(a *cli) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   "lift HOLD",
		Short: "End a legal hold",
		Args:  takes("HOLD"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("audit", "holds", args[0], "lift"), why, "lifted "+args[0])
		}),
	}
	c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	require(c, "reason")
	return c
}
