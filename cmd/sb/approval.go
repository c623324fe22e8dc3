package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// whyFlags are what an ask may have beside its reason.
func whyFlags(c *cobra.Command, ticket, glass *string) {
	c.Flags().StringVar(ticket, "ticket", "", "the ticket that it is for; some workflows ask for one")
	c.Flags().StringVar(glass, "break-glass", "", "do without approval, where you may: why it cannot wait, in other words than the reason; others review it")
}

func broken(reason string) *api.BreakGlass {
	if reason == "" {
		return nil
	}
	return &api.BreakGlass{Reason: reason}
}

func inboxCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "inbox",
		Short: "List what waits for you: votes, values and reviews",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("requests"), url.Values{"asked": {"me"}}, limit, "ID WAITS-FOR OPERATION SECRET PLACE REQUESTER SUBMITTED REASON", func(r api.Request) []string {
				return []string{r.ID, inboxText(r), r.Operation, r.Secret, placeText(r.Place), name(r.Requester), ago(r.SubmittedAt), short(r.Reason, 50)}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

// inboxText says what a request of the inbox waits for.
func inboxText(r api.Request) string {
	switch r.State {
	case "awaiting_values":
		return "values"
	case "pending":
		return "vote"
	}
	if r.Glass != nil && r.Glass.Review == "overdue" {
		return "review, overdue"
	}
	return "review"
}

func provideCommand(a *cli) *cobra.Command {
	var f patchFlags
	var comment string
	c := &cobra.Command{
		Use:   "provide ID",
		Short: "Fill in the values that somebody of another team asks your team for",
		Long: "Fills in the values of a request, all keys that it names. Values come from standard input or from\n" +
			"files, never from an argument, and are sealed before they leave this machine: --set and --set-file\n" +
			"are those of sb request patch. Whoever fills values in does not decide on them.",
		Example: "  sb request provide r_… --set password=- < new-password",
		Args:    takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			r, err := client.Get[api.Request](c.Context(), to, client.Path("requests", args[0]), nil)
			if err != nil {
				return err
			}
			changes, err := f.changes(c)
			defer func() {
				for _, change := range changes {
					change.Value.Zero()
				}
			}()
			if err == nil {
				err = inOrder(changes, r.Value.Keys)
			}
			if err != nil {
				return err
			}
			done, err := client.Provide(c.Context(), to, r.Value, comment, changes)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), done, func(api.Done) string { return "filled in " + clean(args[0]) + "\n" })
		}),
	}
	c.Flags().StringArrayVar(&f.set, "set", nil, "KEY=-: the value of this key is what standard input holds; only one value can come from there, unless it is a terminal")
	c.Flags().StringArrayVar(&f.files, "set-file", nil, "KEY=PATH: the value of this key is what a file holds; repeat it for several")
	c.Flags().StringArrayVar(&f.json, "json", nil, "the value of this key is JSON, such as 587 or true, and not a text")
	c.Flags().BoolVar(&f.allowEmpty, "allow-empty", false, "fill in empty values, too")
	c.Flags().StringVar(&comment, "comment", "", "a comment that everybody sees who sees the request")
	return c
}

// inOrder brings changes into the order of the keys that are asked for, and refuses others.
func inOrder(changes []client.Change, keys []string) error {
	if len(changes) != len(keys) {
		return usage("fill in exactly these keys: %s", strings.Join(keys, ", "))
	}
	for _, change := range changes {
		if !slices.Contains(keys, change.Key) {
			return usage("key %q is not asked for; fill in exactly these keys: %s", change.Key, strings.Join(keys, ", "))
		}
	}
	slices.SortFunc(changes, func(a, b client.Change) int { return slices.Index(keys, a.Key) - slices.Index(keys, b.Key) })
	return nil
}

func refuseCommand(a *cli) *cobra.Command {
	var refusal api.Refusal
	c := &cobra.Command{
		Use:   "refuse ID",
		Short: "Say that your team does not fill in the values of a request",
		Args:  takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("requests", args[0], "refuse"), refusal, "refused "+args[0])
		}),
	}
	c.Flags().StringVar(&refusal.Comment, "comment", "", "why, for the requester")
	require(c, "comment")
	return c
}

func reviewCommand(a *cli) *cobra.Command {
	var comment string
	var justified, unjustified bool
	c := &cobra.Command{
		Use:   "review ID",
		Short: "Say what you think of a request that went without approval",
		Args:  takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if justified == unjustified {
				return usage("say --justified or --unjustified")
			}
			review := api.Review{Outcome: "justified", Comment: comment}
			if unjustified {
				review.Outcome = "unjustified"
			}
			return give(a, c, to, client.Path("requests", args[0], "review"), review, "reviewed "+args[0])
		}),
	}
	c.Flags().BoolVar(&justified, "justified", false, "it could not wait")
	c.Flags().BoolVar(&unjustified, "unjustified", false, "it could have waited")
	c.Flags().StringVar(&comment, "comment", "", "why, for everybody who sees the request")
	require(c, "comment")
	return c
}

// placeText is where a secret lies, on one line.
func placeText(p api.Place) string {
	if p.Project == "" {
		return ""
	}
	said := p.Project + "/" + p.Environment
	if p.Kind != "" {
		said += " (" + p.Kind + ")"
	}
	if p.Team != "" {
		said += " of " + p.Team
	}
	return said
}

// fillText is what another team does for a request.
func fillText(r api.Request) []string {
	f := r.Fill
	if f == nil {
		return nil
	}
	said := "by team " + f.Team
	switch {
	case f.By != nil && f.Refused:
		said += ": refused by " + name(*f.By) + ", " + whenever(f.At)
	case f.By != nil:
		said += ": filled in by " + name(*f.By) + ", " + whenever(f.At)
	default:
		said += ": not yet"
	}
	if f.Comment != "" {
		said += ": " + f.Comment
	}
	return []string{"Values", said}
}

// approvalText is how a request is decided, and how far that is.
func approvalText(r api.Request) []string {
	var pairs []string
	if r.Direct {
		pairs = append(pairs, "Approval", "none needed, by rule "+r.Rule)
	} else if r.Workflow != "" {
		pairs = append(pairs, "Workflow", r.Workflow+", by rule "+r.Rule)
	}
	for _, s := range r.Steps {
		pairs = append(pairs, "Step", stepText(s))
	}
	if r.Veto != nil {
		pairs = append(pairs, "Veto", decidersText(*r.Veto))
	}
	for _, v := range r.Votes {
		said := fmt.Sprintf("%s by %s", v.Decision, name(v.Approver))
		if len(v.Via) > 0 {
			names := make([]string, len(v.Via))
			for i, p := range v.Via {
				names[i] = name(p)
			}
			said += " for " + strings.Join(names, ", for ")
		}
		said += ", " + when(v.At)
		if v.Comment != "" {
			said += ": " + v.Comment
		}
		pairs = append(pairs, "Vote", said)
	}
	return append(pairs, glassText(r)...)
}

func stepText(s api.Step) string {
	said := fmt.Sprintf("%s: %d of %d by %s", s.ID, s.Given, s.Approvals, decidersText(s.From))
	if s.Escalated && s.Fallback != nil {
		said += ", or by " + decidersText(*s.Fallback) + " since it is escalated"
	}
	if s.Reminders > 0 {
		said += ", reminded " + times(s.Reminders)
	}
	return said
}

func decidersText(a api.Deciders) string {
	said := slices.Clone(a.Roles)
	for _, p := range a.People {
		said = append(said, name(p))
	}
	for _, g := range a.Groups {
		said = append(said, "group "+g)
	}
	if a.TeamHeads {
		said = append(said, "heads of the project's team")
	}
	if a.Owners {
		said = append(said, "owners of the secret")
	}
	return strings.Join(said, ", ")
}

// glassText is how a request went without approval, and what others think of it.
func glassText(r api.Request) []string {
	g := r.Glass
	if g == nil {
		return nil
	}
	pairs := []string{"Glass", "broken: " + g.Reason}
	if g.Review != "done" {
		return append(pairs, "Review", g.Review+", until "+when(g.ReviewUntil)+" by "+decidersText(g.Reviewers))
	}
	by := ""
	if g.By != nil {
		by = " by " + name(*g.By)
	}
	return append(pairs, "Review", g.Outcome+by+", "+whenever(g.At)+": "+g.Comment)
}
