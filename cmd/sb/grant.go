package main

import (
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func grantCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "grant", Short: "Give roles to people and machines, and take them"}
	c.AddCommand(listGrantsCommand(a), giveGrantCommand(a), takeGrantCommand(a))
	return c
}

const holderRule = "WHO is the e-mail of a person, the name of a machine, or an id."

func listGrantsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list WHO",
		Short: "List the roles of somebody, where you manage grants",
		Long:  "Lists the roles of somebody that lie where you manage grants. " + holderRule,
		Args:  takes("WHO"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := holderID(c, to, args[0])
			if err != nil {
				return err
			}
			return listing(a, c, to, client.Path("people", id, "grants"), nil, maxPeople, "ID ROLE SCOPE UNTIL REASON", func(g api.PersonGrant) []string {
				why := g.Reason
				if g.Group != "" {
					why = "by the group " + g.Group
				}
				return []string{g.ID, g.Role, scopeText(g.Scope), whenever(g.Until), short(why, 60)}
			})
		}),
	}
}

// scopeFlags are the fields of a scope.
func scopeFlags(c *cobra.Command, s *api.Scope) {
	c.Flags().StringVar(&s.Team, "team", "", "only what belongs to this team and the teams below")
	c.Flags().StringVar(&s.Project, "project", "", "only what belongs to this project")
	c.Flags().StringVar(&s.Environment, "environment", "", "only environments of this name")
	c.Flags().StringVar(&s.Kind, "kind", "", "only environments of this kind: prod or non-prod")
	c.Flags().StringVar(&s.Connection, "connection", "", "only this connection")
	c.Flags().StringVar(&s.Prefix, "prefix", "", "only refs below this prefix; needs --connection")
}

func giveGrantCommand(a *cli) *cobra.Command {
	var ask api.GiveGrant
	var until string
	c := &cobra.Command{
		Use:   "give WHO",
		Short: "Give somebody a role",
		Long: "Gives somebody a role, everywhere unless flags narrow it. Whoever manages grants in a scope gives only inside of it.\n" +
			holderRule,
		Example: "  sb grant give ada@example.org --role approver --team payments --until 30d",
		Args:    takes("WHO"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if until != "" {
				end, err := ahead(until, time.Now())
				if err != nil {
					return usage("--until is a time such as 2027-01-31T00:00:00Z, or how far ahead, such as 12h or 30d")
				}
				ask.Until = &end
			}
			id, err := holderID(c, to, args[0])
			if err != nil {
				return err
			}
			made, err := client.Post[api.Made](c.Context(), to, client.Path("people", id, "grants"), ask)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), made, func(m api.Made) string { return clean(m.ID) + "\n" })
		}),
	}
	c.Flags().StringVar(&ask.Role, "role", "", "the role: developer, approver, admin, auditor, value-provider, or one of your own")
	scopeFlags(c, &ask.Scope)
	c.Flags().StringVar(&until, "until", "", "when it ends: a time (RFC 3339), or how far ahead, such as 12h or 30d")
	c.Flags().StringVar(&ask.Reason, "reason", "", "why, for the audit")
	require(c, "role")
	return c
}

// ahead reads a time, or a span from now on, to the second.
func ahead(text string, now time.Time) (time.Time, error) {
	if d, err := longSpan(text); err == nil {
		return now.Add(d).UTC().Truncate(time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at.UTC(), err
}

func takeGrantCommand(a *cli) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   "take WHO GRANT",
		Short: "Take a role from somebody at once",
		Long:  "Takes a role from somebody at once. " + holderRule + " sb grant list shows the ids of grants.",
		Args:  takes("WHO", "GRANT"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := holderID(c, to, args[0])
			if err != nil {
				return err
			}
			return give(a, c, to, client.Path("people", id, "grants", args[1], "take"), why, "taken "+args[1])
		}),
	}
	c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	return c
}
