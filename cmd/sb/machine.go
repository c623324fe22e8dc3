package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func machineCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "machine", Short: "Let machines in by tokens"}
	token := &cobra.Command{Use: "token", Short: "Issue and revoke tokens"}
	token.AddCommand(issueTokenCommand(a), revokeTokenCommand(a))
	c.AddCommand(createMachineCommand(a), listMachinesCommand(a), token,
		machineVerb(a, "disable", "disabled", "Keep a machine out at once; all its tokens end"),
		machineVerb(a, "enable", "enabled", "Let a machine in again, with new tokens"),
		machineVerb(a, "erase", "erased", "Destroy name and tokens; facts keep the opaque id"))
	return c
}

func createMachineCommand(a *cli) *cobra.Command {
	var ask api.CreateMachine
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a machine, which has no rights yet",
		Long:  "Makes a machine, which has no rights yet: sb grant give gives some, and sb machine token issue a token.",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			ask.Name = args[0]
			made, err := client.Post[api.Made](c.Context(), to, client.Path("machines"), ask)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), made, func(m api.Made) string { return clean(m.ID) + "\n" })
		}),
	}
	c.Flags().StringVar(&ask.Description, "description", "", "what it is for")
	return c
}

func listMachinesCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List machines with their tokens",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("machines"), nil, limit, "ID NAME STATE ROLES TOKENS DESCRIPTION", func(m api.Machine) []string {
				var tokens []string
				for _, t := range m.Tokens {
					tokens = append(tokens, t.Name+" "+t.ID+" ends "+ago(t.Until))
				}
				return []string{m.ID, m.Name, m.State, short(strings.Join(rolesOf(m.Grants), ", "), 60), strings.Join(tokens, ", "), short(m.Description, 40)}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

func issueTokenCommand(a *cli) *cobra.Command {
	var ask api.IssueToken
	var until string
	c := &cobra.Command{
		Use:   "issue MACHINE",
		Short: "Make a token for a machine",
		Long: "Makes a token for a machine, named by id or name: at most the permissions that flags name, of those that its roles give.\n" +
			"Standard output is the token alone, which is shown once. The machine's sb takes it from SB_TOKEN, or from the file SB_TOKEN_FILE.",
		Example: "  sb machine token issue ci --name deploy --permission request.create --permission envelope.reveal --until 90d > token",
		Args:    takes("MACHINE"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			end, err := ahead(until, time.Now())
			if err != nil {
				return usage("--until is a time such as 2027-01-31T00:00:00Z, or how far ahead, such as 12h or 90d; 366d at most")
			}
			ask.Until = end
			id, err := machineID(c, to, args[0])
			if err != nil {
				return err
			}
			made, err := client.Post[api.IssuedToken](c.Context(), to, client.Path("machines", id, "tokens"), ask)
			if err != nil {
				return err
			}
			defer clear(made.Raw)
			err = show(a, c.OutOrStdout(), made, func(t api.IssuedToken) string { return clean(t.Token) + "\n" })
			if a.output == "text" {
				note(c, "issued %s; the token is shown once and ends %s", made.Value.ID, when(made.Value.Until))
			}
			return err
		}),
	}
	c.Flags().StringVar(&ask.Name, "name", "", "what the token is called: 1 to 40 of a-z, 0-9 and -, beginning with a letter")
	c.Flags().StringArrayVar(&ask.Permissions, "permission", nil, "what it may do, such as request.create; repeat it")
	scopeFlags(c, &ask.Scope)
	c.Flags().StringVar(&until, "until", "", "when it ends: a time (RFC 3339), or how far ahead, such as 12h or 90d")
	require(c, "name", "permission", "until")
	return c
}

func revokeTokenCommand(a *cli) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   "revoke MACHINE TOKEN",
		Short: "End a token at once",
		Long:  "Ends a token at once. sb machine list shows the ids of tokens.",
		Args:  takes("MACHINE", "TOKEN"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if strings.HasPrefix(args[1], "sbt_") { // it is not repeated, nor sent in a URL
				return usage("TOKEN is the id of the token, t_…, and never the token itself: whoever saw it here may have it now")
			}
			id, err := machineID(c, to, args[0])
			if err != nil {
				return err
			}
			return give(a, c, to, client.Path("machines", id, "tokens", args[1], "revoke"), why, "revoked "+args[1])
		}),
	}
	c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	return c
}

func machineVerb(a *cli, verb, past, sentence string) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   verb + " MACHINE",
		Short: sentence,
		Args:  takes("MACHINE"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := machineID(c, to, args[0])
			if err != nil {
				return err
			}
			return give(a, c, to, client.Path("machines", id, verb), why, past+" "+id)
		}),
	}
	if verb == "disable" {
		c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	}
	return c
}
