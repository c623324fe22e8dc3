package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func connectionCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "connection", Short: "Name secret stores, and switch them off and on"}
	c.AddCommand(listConnectionsCommand(a), showConnectionCommand(a), createConnectionCommand(a), scheduleCommand(a),
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
			return listing(a, c, to, client.Path("connections"), nil, limit, "NAME PROVIDER CLUSTER STATE DISCOVER DESCRIPTION", func(n api.Connection) []string {
				return []string{n.Name, n.Provider, n.Cluster, n.State, every(n.DiscoverEverySeconds), short(n.Description, 60)}
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
		"Discover", discovered(n.DiscoverEverySeconds), "Description", n.Description, "Created", when(n.CreatedAt), "Changed", when(n.ChangedAt))
}

// every says how often a connection is scanned; empty if only when somebody asks.
func every(seconds int) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case seconds == 0:
		return ""
	case d%day == 0:
		return fmt.Sprintf("every %dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("every %dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("every %dm", d/time.Minute)
	}
	return fmt.Sprintf("every %ds", seconds)
}

func discovered(seconds int) string {
	if seconds == 0 {
		return "when somebody asks"
	}
	return every(seconds) + ", after the last scan was over"
}

// The server's bounds of a schedule: package command, MinDiscoverEvery and
// MaxDiscoverEvery.
const (
	minEvery = 15 * time.Minute
	maxEvery = 30 * day
)

func scheduleCommand(a *cli) *cobra.Command {
	var text string
	c := &cobra.Command{
		Use:   "schedule NAME",
		Short: "Say how often a connection is scanned into the inventory",
		Long: "Says how often a connection is scanned into the inventory: so long after the last scan was over,\n" +
			"15m to 30d, or off for only when somebody asks (sb discover).",
		Example: "  sb connection schedule vault --every 6h",
		Args:    takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			var ask api.Schedule
			if text != "off" {
				d, err := longSpan(text)
				if err != nil || d < minEvery || d > maxEvery || d%time.Second != 0 {
					return usage("--every is 15m to 30d in whole seconds, such as 6h, or off")
				}
				ask.EverySeconds = int(d / time.Second)
			}
			if !events.ValidName(args[0]) {
				return usage("NAME is %s", nameRule)
			}
			return give(a, c, to, client.Path("connections", args[0], "schedule"), ask, args[0]+" is scanned "+discovered(ask.EverySeconds))
		}),
	}
	c.Flags().StringVar(&text, "every", "", "how long after the last scan, such as 6h or 1d, or off")
	require(c, "every")
	return c
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
	c.Flags().StringVar(&ask.Provider, "provider", "", "vault, aws-secrets-manager, azure-key-vault, gcp-secret-manager or file")
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
