package main

import (
	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func connectionCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "connection", Short: "Name secret stores, and switch them off and on"}
	c.AddCommand(listConnectionsCommand(a), showConnectionCommand(a), createConnectionCommand(a),
		switchCommand(a, "disable", "disabled", "Refuse new requests for a connection"),
		switchCommand(a, "enable", "enabled", "Take requests for a connection again"))
	return c
}

func listConnectionsCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List connections",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("connections"), nil, limit, "NAME PROVIDER CLUSTER STATE DESCRIPTION", func(n api.Connection) []string {
				return []string{n.Name, n.Provider, n.Cluster, n.State, short(n.Description, 60)}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

func showConnectionCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show one connection",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			n, err := client.Get[api.Connection](c.Context(), to, client.Path("connections", args[0]), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), n, connectionText)
		}),
	}
}

func connectionText(n api.Connection) string {
	return fields("Connection", n.Name, "State", n.State, "Provider", n.Provider, "Cluster", n.Cluster,
		"Description", n.Description, "Created", when(n.CreatedAt), "Changed", when(n.ChangedAt))
}

func createConnectionCommand(a *cli) *cobra.Command {
	var ask api.CreateConnection
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Name a secret store behind the agents of a cluster",
		Long: "Names a secret store behind the agents of a cluster. Its address and its credentials are in the\n" +
			"agents' own configuration, under the same name.",
		Args: takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			ask.Name = args[0]
			made, err := client.Post[api.Connection](c.Context(), to, client.Path("connections"), ask)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), made, connectionText)
		}),
	}
	c.Flags().StringVar(&ask.Provider, "provider", "", "vault or file")
	c.Flags().StringVar(&ask.Cluster, "cluster", "", "the cluster whose agents reach it")
	c.Flags().StringVar(&ask.Description, "description", "", "what it is, for those who ask")
	require(c, "provider", "cluster")
	return c
}

func switchCommand(a *cli, verb, past, sentence string) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   verb + " NAME",
		Short: sentence,
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("connections", args[0], verb), why, past+" "+args[0])
		}),
	}
	if verb == "disable" {
		c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	}
	return c
}
