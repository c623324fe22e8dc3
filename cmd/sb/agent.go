package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func agentCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "agent", Short: "Invite, see and revoke agents"}
	c.AddCommand(listAgentsCommand(a), showAgentCommand(a), inviteCommand(a), revokeCommand(a))
	return c
}

func listAgentsCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List agents",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("agents"), nil, limit, "ID NAME CLUSTER STATE VERSION INVITED COSIGNED", func(g api.Agent) []string {
				return []string{g.ID, g.Name, g.Cluster, g.State, g.Version, ago(g.InvitedAt), cosigned(g)}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

func showAgentCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one agent",
		Args:  takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			g, err := client.Get[api.Agent](c.Context(), to, client.Path("agents", args[0]), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), g, func(g api.Agent) string {
				ends := ""
				if g.State == "invited" {
					ends = when(g.TokenEnds)
				}
				return fields("Agent", g.ID, "Name", g.Name, "Cluster", g.Cluster, "State", g.State, "Version", g.Version,
					"Invited", when(g.InvitedAt), "Token ends", ends, "Enrolled", whenever(g.EnrolledAt),
					"Connected", whenever(g.ConnectedAt), "Lost", whenever(g.LostAt), "Revoked", whenever(g.RevokedAt), "Cosigned", cosigned(g))
			})
		}),
	}
}

// cosigned says how far an agent vouches for the log.
func cosigned(g api.Agent) string {
	if g.Cosigned == nil {
		return ""
	}
	return fmt.Sprintf("%d commits, %s", g.Cosigned.Size, ago(g.Cosigned.At))
}

func inviteCommand(a *cli) *cobra.Command {
	var ask api.Invite
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "invite NAME",
		Short: "Make a one-time token that enrols an agent",
		Long: "Makes a one-time token that enrols an agent. It is shown once: standard output is the token alone,\n" +
			"for sb-agent enrol --token-file.",
		Args: takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if ttl%time.Second != 0 || ttl < time.Second {
				return usage("--ttl is in whole seconds, such as 10m")
			}
			ask.Name, ask.TTLSeconds = args[0], int(ttl/time.Second)
			made, err := client.Post[api.Invitation](c.Context(), to, client.Path("agents", "invitations"), ask)
			if err != nil {
				return err
			}
			defer clear(made.Raw)
			err = show(a, c.OutOrStdout(), made, func(m api.Invitation) string { return clean(m.Token) + "\n" })
			if a.output == "text" {
				note(c, "invited %s; the token is shown once and ends %s", made.Value.Agent, when(made.Value.Expires))
			}
			return err
		}),
	}
	c.Flags().StringVar(&ask.Cluster, "cluster", "", "the cluster that the agent serves")
	c.Flags().DurationVar(&ttl, "ttl", 10*time.Minute, "how long the token is good, at most 15m")
	require(c, "cluster")
	return c
}

func revokeCommand(a *cli) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke an agent or an invitation at once",
		Args:  takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("agents", args[0], "revoke"), why, "revoked "+args[0])
		}),
	}
	c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	require(c, "reason")
	return c
}
