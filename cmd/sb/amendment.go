package main

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func amendmentCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "amendment", Short: "Changes of the governance that others must approve"}
	c.AddCommand(
		listAmendmentsCommand(a), showAmendmentCommand(a),
		amendCommand(a, "approve", "approved", "Approve an amendment; with the last approval it counts at once"),
		amendCommand(a, "reject", "rejected", "Reject an amendment: one no is enough"),
		amendCommand(a, "withdraw", "withdrew", "Take an amendment of yours back"),
	)
	return c
}

var amendmentStates = []string{"open", "stale", "over", "applied", "rejected", "withdrawn"}

func listAmendmentsCommand(a *cli) *cobra.Command {
	var states []string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List amendments, newest first",
		Long: "Lists amendments, newest first. A stale one was written for a version that is not the newest any more, and\n" +
			"cannot be approved; one that is over reached its end.",
		Example: "  sb amendment list --state open",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q := url.Values{}
			for _, state := range states {
				if !slices.Contains(amendmentStates, state) {
					return usage("--state is one of %s", strings.Join(amendmentStates, ", "))
				}
				q.Add("state", state)
			}
			return listing(a, c, to, client.Path("amendments"), q, limit, "ID STATE BY ON OBJECTS APPROVALS PROPOSED NOTE", func(m api.Amendment) []string {
				return []string{m.ID, m.State, m.By.Name, strconv.Itoa(m.On), strconv.Itoa(m.Objects), approvalsText(m), ago(m.ProposedAt), short(m.Note, 50)}
			})
		}),
	}
	c.Flags().StringArrayVar(&states, "state", nil, "only this state: open, stale, over, applied, rejected or withdrawn; repeat it for several")
	limitFlag(c, &limit)
	return c
}

func approvalsText(m api.Amendment) string {
	given := 0
	for _, w := range m.Words {
		if w.Decision == "approved" {
			given++
		}
	}
	return strconv.Itoa(given) + " of " + strconv.Itoa(m.Approvals)
}

func showAmendmentCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show an amendment and what it changes",
		Long: "Shows an amendment and what it changes, from the version that it was written for. Where the governance\n" +
			"has changed since, it also shows what it would change now.",
		Example: "  sb amendment show AMENDMENT",
		Args:    takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			m, err := client.Get[api.Amendment](c.Context(), to, client.Path("amendments", args[0]), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), m, amendmentText)
		}),
	}
}

func amendmentText(m api.Amendment) string {
	var b strings.Builder
	made := ""
	if m.Version > 0 {
		made = strconv.Itoa(m.Version)
	}
	b.WriteString(fields("id", m.ID, "state", m.State, "by", who(m.By), "note", m.Note, "version", strconv.Itoa(m.On), "made version", made,
		"approvals", approvalsText(m)+" from "+approversText(m.From, nil), "proposed", when(m.ProposedAt), "until", when(m.Until)))
	for _, w := range m.Words {
		b.WriteString(clean(w.Person.Name+" "+w.Decision+" it "+ago(w.At)+": "+w.Comment) + "\n")
	}
	line := func(_, text string) { b.WriteString(clean(text) + "\n") }
	changesText(line, m.Changes, nil)
	if m.State == "stale" {
		b.WriteString("what it would change now:\n")
		changesText(line, m.Now, nil)
	}
	return b.String()
}

func amendCommand(a *cli, verb, past, sentence string) *cobra.Command {
	var said api.Comment
	c := &cobra.Command{
		Use:     verb + " ID",
		Short:   sentence,
		Example: "  sb amendment " + verb + " AMENDMENT",
		Args:    takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			done, err := client.Post[api.Applied](c.Context(), to, client.Path("amendments", args[0], verb), said)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), done, func(done api.Applied) string {
				text := past + " " + clean(args[0]) + "\n"
				if done.Version > 0 {
					text += appliedText(api.Applied{Version: done.Version})
				}
				return text
			})
		}),
	}
	if verb != "withdraw" {
		c.Flags().StringVar(&said.Comment, "comment", "", "a comment that everybody sees who sees the amendment")
	}
	return c
}
