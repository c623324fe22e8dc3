package main

import (
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxPeople is how many people, and how many machines, are looked at to find one by name.
const maxPeople = 10_000

func personCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "person", Short: "Invite people, keep them out, and erase them"}
	c.AddCommand(listPeopleCommand(a), showPersonCommand(a), invitePersonCommand(a), resetLinkCommand(a),
		personVerb(a, "disable", "disabled", "Keep a person out at once: sessions and links end"),
		personVerb(a, "enable", "enabled", "Let a person in again"),
		personVerb(a, "erase", "erased", "Destroy name, e-mail, password and all ways in; facts keep the opaque id"),
		personSessionsCommand(a), endPersonSessionsCommand(a))
	return c
}

func listPeopleCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List people, oldest first",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("people"), nil, limit, "ID E-MAIL NAME STATE ROLES SIGNED-IN", func(p api.Account) []string {
				signedIn := "never"
				if p.SignedInAt != nil {
					signedIn = ago(*p.SignedInAt)
				}
				return []string{p.ID, p.Email, short(p.Name, 40), standing(p), short(strings.Join(rolesOf(p.Grants), ", "), 60), signedIn}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

// standing is where a person stands, in one word.
func standing(p api.Account) string {
	if p.State == "active" && !p.Password && p.SignedInAt == nil {
		return "invited"
	}
	return p.State
}

func rolesOf(grants []api.PersonGrant) (roles []string) {
	for _, g := range grants {
		role := g.Role
		if g.Scope != (api.Scope{}) {
			role += " in " + scopeText(g.Scope)
		}
		roles = append(roles, role)
	}
	return roles
}

// scopeText is a scope as the flags say it.
func scopeText(s api.Scope) string {
	var parts []string
	for _, p := range [][2]string{
		{"team", s.Team}, {"project", s.Project}, {"environment", s.Environment}, {"kind", s.Kind}, {"connection", s.Connection}, {"prefix", s.Prefix},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+"="+p[1])
		}
	}
	if len(parts) == 0 {
		return "everywhere"
	}
	return strings.Join(parts, " ")
}

func showPersonCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show PERSON",
		Short: "Show one person, by id or e-mail",
		Args:  takes("PERSON"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := personID(c, to, args[0])
			if err != nil {
				return err
			}
			p, err := client.Get[api.Account](c.Context(), to, client.Path("people", id), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), p, func(p api.Account) string {
				breakGlass := ""
				if p.BreakGlass {
					breakGlass = "yes"
				}
				return fields("Person", p.ID, "E-mail", p.Email, "Name", p.Name, "State", standing(p), "Break-glass", breakGlass,
					"Roles", strings.Join(rolesOf(p.Grants), ", "), "Groups", strings.Join(p.Groups, ", "), "Factors", strings.Join(p.Factors, ", "),
					"Invited", when(p.CreatedAt), "Signed in", whenever(p.SignedInAt))
			})
		}),
	}
}

// personID takes an id as it is, and looks an e-mail up in the list, so that none is in a URL.
func personID(c *cobra.Command, to *client.Client, who string) (string, error) {
	if events.ValidID(who, "u_") {
		return who, nil
	}
	all, _, err := client.List[api.Account](c.Context(), to, client.Path("people"), nil, maxPeople)
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if strings.EqualFold(p.Value.Email, who) {
			return p.Value.ID, nil
		}
	}
	return "", fail("person_unknown", "nobody has that id or e-mail; sb person list shows who there is")
}

func machineID(c *cobra.Command, to *client.Client, who string) (string, error) {
	if events.ValidID(who, "u_") {
		return who, nil
	}
	all, _, err := client.List[api.Machine](c.Context(), to, client.Path("machines"), nil, maxPeople)
	if err != nil {
		return "", err
	}
	for _, m := range all {
		if m.Value.Name == who {
			return m.Value.ID, nil
		}
	}
	return "", fail("person_unknown", "there is no machine of that id or name; sb machine list shows them")
}

// holderID is a person or a machine: an e-mail has an @, and the name of a machine has none.
func holderID(c *cobra.Command, to *client.Client, who string) (string, error) {
	if strings.Contains(who, "@") {
		return personID(c, to, who)
	}
	return machineID(c, to, who)
}

const linkText = "Standard output is the link alone. It is shown once and works once; hand it over on a way that others do not\n" +
	"read. Whoever gets it opens it in a browser, or runs sb link redeem, and chooses a password."

func invitePersonCommand(a *cli) *cobra.Command {
	var ask api.InvitePerson
	c := &cobra.Command{
		Use:   "invite EMAIL",
		Short: "Let a person in, who has no rights yet",
		Long:  "Lets a person in, who has no rights yet: sb grant give gives some. " + linkText,
		Args:  takes("EMAIL"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			ask.Email = args[0]
			return linking(a, c, to, client.Path("people"), ask, "invited")
		}),
	}
	c.Flags().StringVar(&ask.Name, "name", "", "the person's name")
	c.Flags().BoolVar(&ask.BreakGlass, "break-glass", false, "an account for emergencies, which no guessing locks; its password is long")
	require(c, "name")
	return c
}

func resetLinkCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "reset-link PERSON",
		Short: "Make a link by which a person sets a new password",
		Long:  "Makes a link by which a person, named by id or e-mail, sets a new password. All their sessions end when it is used.\n" + linkText,
		Args:  takes("PERSON"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := personID(c, to, args[0])
			if err != nil {
				return err
			}
			return linking(a, c, to, client.Path("people", id, "reset-link"), struct{}{}, "a link for")
		}),
	}
}

func linking(a *cli, c *cobra.Command, to *client.Client, path string, ask any, what string) error {
	made, err := client.Post[api.Link](c.Context(), to, path, ask)
	if err != nil {
		return err
	}
	defer clear(made.Raw)
	err = show(a, c.OutOrStdout(), made, func(l api.Link) string { return clean(l.Link) + "\n" })
	if a.output == "text" {
		note(c, "%s %s; the link is shown once, works once and ends %s", what, made.Value.Person, when(made.Value.Expires))
	}
	return err
}

func personVerb(a *cli, verb, past, sentence string) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   verb + " PERSON",
		Short: sentence,
		Args:  takes("PERSON"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := personID(c, to, args[0])
			if err != nil {
				return err
			}
			return give(a, c, to, client.Path("people", id, verb), why, past+" "+id)
		}),
	}
	if verb == "disable" {
		c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	}
	return c
}

func personSessionsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "sessions PERSON",
		Short: "List the open sessions of a person",
		Args:  takes("PERSON"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := personID(c, to, args[0])
			if err != nil {
				return err
			}
			return listSessions(a, c, to, client.Path("people", id, "sessions"))
		}),
	}
}

func endPersonSessionsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "end-sessions PERSON",
		Short: "End all sessions of a person",
		Args:  takes("PERSON"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := personID(c, to, args[0])
			if err != nil {
				return err
			}
			return endSessions(a, c, to, client.Path("people", id, "sessions", "revoke"))
		}),
	}
}
