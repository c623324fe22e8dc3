package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func policyCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "See what the rules say, and what others would"}
	c.AddCommand(explainCommand(a), simulateCommand(a))
	return c
}

func explainCommand(a *cli) *cobra.Command {
	var ask api.ExplainPolicy
	var at string
	c := &cobra.Command{
		Use:   "explain SECRET",
		Short: "Say what would become of a request, and why",
		Long: "Says what would become of a request that you, or somebody else, submitted now, and what had to do with it.\n" +
			"Nothing is submitted. SECRET is CONNECTION/REF or the id of a secret of the inventory.",
		Example: "  sb policy explain file/prod/db/password --operation patch --key password",
		Args:    takes("SECRET"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			ask.Secret = args[0]
			if at != "" {
				moment, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usage("--at is a time such as 2026-12-24T18:00:00Z")
				}
				ask.At = &moment
			}
			if ask.Operation != "" && ask.Operation != "read" && ask.Operation != "patch" {
				return usage("--operation is read or patch")
			}
			if strings.Contains(ask.Person, "@") {
				id, err := personID(c, to, ask.Person)
				if err != nil {
					return err
				}
				ask.Person = id
			}
			x, err := client.Post[api.Explanation](c.Context(), to, client.Path("policy", "explain"), ask)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), x, explanationText)
		}),
	}
	c.Flags().StringVar(&ask.Operation, "operation", "", "read, the default, or patch")
	c.Flags().StringArrayVar(&ask.Keys, "key", nil, "a key that would be asked for; repeat it for several")
	c.Flags().StringVar(&ask.Person, "person", "", "who would ask, by id or, of a person, by e-mail (default: you)")
	c.Flags().StringVar(&at, "at", "", "when it would be asked for (default: now)")
	c.Flags().BoolVar(&ask.Create, "create", false, "of a patch that makes a new secret")
	return c
}

func explanationText(x api.Explanation) string {
	var b strings.Builder
	line := func(text string) { b.WriteString(clean(text) + "\n") }
	switch {
	case !x.Allowed:
		line(x.Secret + ": refused (" + x.Refusal + ")")
	case x.Effect == "reveal":
		line(x.Secret + ": allowed at once, by rule " + x.Rule)
	default:
		line(x.Secret + ": allowed once workflow " + x.Workflow + " approves it, by rule " + x.Rule)
	}
	if p := x.Place; p != nil {
		b.WriteString(fields("project", p.Project, "environment", p.Environment, "kind", p.Kind, "team", p.Team, "owner", p.Owner))
	}
	for _, clause := range x.Clauses {
		name := strings.TrimSpace(clause.About + " " + clause.Name)
		if name != "" {
			name += ": "
		}
		line(mark(clause.Outcome) + " " + name + clause.Why)
		if clause.When != "" {
			line("    when " + clause.When)
		}
	}
	for _, s := range x.Steps {
		text := "step " + s.Step + ": " + plural(s.Approvals, "approval") + " of " + plural(s.Voters, "person") + " who may vote"
		if s.Fallback > 0 {
			text += ", and " + strconv.Itoa(s.Fallback) + " once it is escalated"
		}
		if s.Stranded {
			text += "; these are too few"
		}
		line(text)
		for _, p := range s.People {
			line("    " + who(p))
		}
	}
	return b.String()
}

// mark is what became of a clause, in one character.
func mark(outcome string) string {
	switch outcome {
	case "decided":
		return "→"
	case "fits":
		return "·"
	case "failed", "withheld":
		return "!"
	}
	return " "
}

func simulateCommand(a *cli) *cobra.Command {
	var from string
	var prune bool
	c := &cobra.Command{
		Use:   "simulate -f DIR",
		Short: "Try files of the governance on past requests",
		Long: "Decides the newest 10,000 requests again, as the governance is and as the files would make it, with the\n" +
			"rights that people have now, and says which would go another way; also where a request could never be\n" +
			"approved. Nothing is changed.",
		Example: "  sb policy simulate -f governance --prune",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			set, err := readFiles(a, c, from)
			if err != nil {
				return err
			}
			change, err := changeOf(c, to, set, prune)
			if err != nil {
				return err
			}
			s, err := client.Post[api.Simulation](c.Context(), to, client.Path("policy", "simulate"), change)
			if err != nil {
				return err
			}
			if err := tellFaults(c, placed(set, s.Value.Faults)); err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), s, simulationText)
		}),
	}
	c.Flags().StringVarP(&from, "file", "f", "", "directory with the files, or one file")
	c.Flags().BoolVar(&prune, "prune", false, "as if what the files do not name were removed")
	require(c, "file")
	return c
}

func simulationText(s api.Simulation) string {
	var b strings.Builder
	line := func(text string) { b.WriteString(clean(text) + "\n") }
	for _, change := range s.Changes {
		line(change.Request + ": " + strings.Join(change.Kinds, ", ") + ": " + wayText(change.Before) + " → " + wayText(change.After))
	}
	if s.More > 0 {
		line("and " + strconv.Itoa(s.More) + " more")
	}
	for _, p := range s.Stranded {
		line("stranded: binding " + p.Binding + ", rule " + p.Rule + ", workflow " + p.Workflow + ", step " + p.Step + ": " + p.Why)
	}
	if s.MoreStuck > 0 {
		line("and " + strconv.Itoa(s.MoreStuck) + " more stranded")
	}
	line(plural(s.Replayed, "past request") + " decided again: " + strconv.Itoa(len(s.Changes)+s.More) + " would go another way; " +
		strconv.Itoa(s.Idle) + " say nothing, because who asked may not ask there any more")
	if s.LeftOut > 0 || s.Unlooked > 0 {
		line("left out: " + plural(s.LeftOut, "request") + ", " + plural(s.Unlooked, "place"))
	}
	return b.String()
}

func wayText(w api.RequestWay) string {
	switch {
	case !w.Allowed:
		return "refused (" + w.Refusal + ")"
	case w.Direct:
		return "at once by " + w.Rule
	}
	return w.Workflow + " (" + plural(w.Approvals, "approval") + ") by " + w.Rule
}
