package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func secretCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "secret", Short: "Find secrets in the inventory, and say whose they are"}
	c.AddCommand(listSecretsCommand(a), facetsCommand(a), showSecretCommand(a), secretKeysCommand(a), assignCommand(a))
	return c
}

// secretID is the inventory's id of what was typed: CONNECTION/REF, from which it follows,
// or the id itself.
func secretID(arg string) (string, error) {
	if byID(arg) {
		return arg, checkSecret(arg)
	}
	connection, ref, _ := strings.Cut(arg, "/")
	if !events.ValidName(connection) || ref == "" {
		return "", usage("a secret is CONNECTION/REF, such as vault/secret/prod/db, or its id, i_…")
	}
	return string(events.SecretOf(events.ConnectionID(connection), ref)), nil
}

// byID reports whether a secret is named by its id: no connection is called so.
func byID(arg string) bool { return strings.HasPrefix(arg, "i_") }

// checkSecret refuses what is meant as an id and is none.
func checkSecret(arg string) error {
	if byID(arg) && !events.ValidID(arg, "i_") {
		return usage("an id of the inventory is i_ and 26 characters; sb secret show CONNECTION/REF tells it")
	}
	return nil
}

// located is CONNECTION/REF of a secret that was named by its id. The id follows from them,
// so an answer about another secret is none.
func located(c *cobra.Command, to *client.Client, id string) (string, error) {
	if err := checkSecret(id); err != nil {
		return "", err
	}
	s, err := client.Get[api.Secret](c.Context(), to, client.Path("secrets", id), nil)
	if err != nil {
		return "", err
	}
	if string(events.SecretOf(events.ConnectionID(s.Value.Connection), s.Value.Ref)) != id {
		return "", fmt.Errorf("%w: it is about another secret", client.ErrAnswer)
	}
	where := s.Value.Connection + "/" + s.Value.Ref
	note(c, "%s is %s", id, where)
	return where, nil
}

func listSecretsCommand(a *cli) *cobra.Command {
	var f secretFilter
	var status string
	var limit int
	var all, count bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List secrets of the inventory",
		Long: "Lists secrets that scans have met, by their labels, places and owners; there is nothing of their\n" +
			"values. All that is asked must hold. Those that are gone are shown where --status asks for them.\n" +
			"With --all every page is shown as it comes, and what was shown before an error stays. With --count it\n" +
			"only says how many there are.",
		Example: "  sb secret list --label Environment:prod --owner \"\" --older-than 90d --all",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q, err := f.query(c)
			if err != nil {
				return err
			}
			if status != "" {
				if !slices.Contains([]string{"present", "gone", "all"}, status) {
					return usage("--status is present, gone or all")
				}
				q.Set("status", status)
			}
			limited := c.Flags().Changed("limit")
			switch {
			case count && (all || limited), all && limited:
				return usage("--all, --count and --limit exclude each other")
			case count:
				n, err := client.Get[api.Count](c.Context(), to, client.Path("secrets", "count"), q)
				if err != nil {
					return err
				}
				if n.Value.Exact && n.Value.Count == 0 {
					defer f.hint(a, c, to, q)
				}
				return show(a, c.OutOrStdout(), n, countText)
			}
			var n int
			if all {
				n, err = walking(a, c, to, client.Path("secrets"), q, secretHead, func(s api.Secret) [][]string { return [][]string{secretLine(s)} })
			} else {
				n, err = counted(a, c, to, client.Path("secrets"), q, limit, secretHead, secretLine)
			}
			if err == nil && n == 0 {
				f.hint(a, c, to, q)
			}
			return err
		}),
	}
	f.flags(c, true)
	c.Flags().StringVar(&status, "status", "", "which: present, gone or all; without it those that are present")
	c.Flags().BoolVar(&all, "all", false, "list all, however many there are")
	c.Flags().BoolVar(&count, "count", false, "only say how many there are")
	limitFlag(c, &limit)
	return c
}

const secretHead = "SECRET STATUS OWNER ENVIRONMENT AGE LABELS"

func secretLine(s api.Secret) []string {
	return []string{s.Secret, s.Status, s.Owner, s.Environment, age(s), short(labels(s), 60)}
}

func countText(n api.Count) string {
	if !n.Exact {
		return fmt.Sprintf("more than %d\n", n.Count)
	}
	return fmt.Sprintf("%d\n", n.Count)
}

// age is how long ago a secret was rotated; empty if nobody knows.
func age(s api.Secret) string {
	if s.AgeDays == nil {
		return ""
	}
	return strconv.Itoa(*s.AgeDays) + "d"
}

func labels(s api.Secret) string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(s.Labels)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(labelText(name, s.Labels[name]))
	}
	return b.String()
}

// escaped spells the name of a label as it is asked for, so that the first colon that is not
// escaped ends it.
var escaped = strings.NewReplacer(`\`, `\\`, `:`, `\:`)

func labelText(name, value string) string { return escaped.Replace(name) + ": " + value }

func facetsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "facets [LABEL]",
		Short: "List labels, or the values of one, and how many secrets have them",
		Long: "Lists the names of labels, or the values of one label, and how many secrets have them, the most\n" +
			"frequent first.",
		Example: "  sb secret facets Environment",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New(c.CommandPath() + " takes only LABEL")
			}
			return nil
		},
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			q, head := url.Values{}, "LABEL SECRETS"
			if len(args) == 1 {
				if args[0] == "" {
					return usage("LABEL is empty")
				}
				q.Set("label", args[0])
				head = "VALUE SECRETS"
			}
			facets, err := client.Whole[api.Facet](c.Context(), to, client.Path("secrets", "facets"), q)
			if err != nil {
				return err
			}
			err = list(a, c.OutOrStdout(), facets, head, func(f api.Facet) []string {
				return []string{f.Value, strconv.Itoa(f.Count)}
			})
			if err == nil && len(facets) == 0 && a.output == "text" && !nothingScanned(c, to) && len(args) == 1 {
				note(c, "no secret has the label %s; sb secret facets lists those there are", args[0])
			}
			return err
		}),
	}
}

func showSecretCommand(a *cli) *cobra.Command {
	var then string
	c := &cobra.Command{
		Use:     "show CONNECTION/REF|ID",
		Short:   "Show one secret of the inventory",
		Example: "  sb secret show vault/secret/prod/db",
		Args:    takes("CONNECTION/REF"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := secretID(args[0])
			if err != nil {
				return err
			}
			q, err := asOf(then)
			if err != nil {
				return err
			}
			s, err := client.Get[api.Secret](c.Context(), to, client.Path("secrets", id), q)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), s, secretText)
		}),
	}
	asOfFlag(c, &then)
	return c
}

// secretText is a secret of the inventory for people.
func secretText(s api.Secret) string {
	pairs := []string{"As of", asOfText(s.AsOf), "Secret", s.Secret, "Id", s.ID, "Status", s.Status, "Gone", whenever(s.GoneAt),
		"Owner", from(s.Owner, s.OwnerFrom), "Environment", from(s.Environment, s.EnvironmentFrom),
		"Provider", s.Provider, "Cluster", s.Cluster}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		pairs = append(pairs, "Label", labelText(name, s.Labels[name]))
	}
	return fields(append(pairs, "Version", s.Version, "Created", whenever(s.CreatedAt), "Updated", whenever(s.UpdatedAt), "Age", age(s),
		"First seen", when(s.FirstSeenAt), "Last seen", when(s.LastSeenAt))...)
}

// from says who said something.
func from(said, by string) string {
	switch {
	case said == "":
		return "nobody says"
	case by == "rule":
		return said + " (by a rule)"
	case by == "hand":
		return said + " (by hand)"
	}
	return said
}

func secretKeysCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "keys CONNECTION/REF|ID",
		Short: "List the names of a secret's keys",
		Long: "Has an agent list the names of a secret's keys and waits for them; there is nothing of their\n" +
			"values. That you were told is in the audit. If the agent cannot, the exit code is 7.",
		Example: "  sb secret keys vault/secret/prod/db",
		Args:    takes("CONNECTION/REF"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			id, err := secretID(args[0])
			if err != nil {
				return err
			}
			job, err := client.Post[api.Job](c.Context(), to, client.Path("secrets", id, "keys"), struct{}{})
			if err != nil {
				return err
			}
			waiting := ""
			err = client.FollowJob(c.Context(), to, job.Value.ID, client.Follower[api.Job]{
				Changed: func(j client.Item[api.Job]) error {
					if jobOver(j.Value.State) {
						return cmp.Or(jobEnded(j.Value), client.ErrStop)
					}
					if waiting != j.Value.Waiting && a.output == "text" {
						note(c, "%s", j.Value.Waiting)
					}
					waiting = j.Value.Waiting
					return nil
				},
				Lost: func(err error) { note(c, "reconnecting: %v", err) },
			})
			if errors.Is(err, context.Canceled) {
				return fail("interrupted", "interrupted; ask again")
			}
			if err != nil {
				return err
			}
			names, err := client.Get[api.KeyNames](c.Context(), to, client.Path("jobs", job.Value.ID, "keys"), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), names, func(n api.KeyNames) string {
				var b strings.Builder
				for _, key := range n.Keys {
					b.WriteString(clean(key) + "\n")
				}
				return b.String()
			})
		}),
	}
}

func assignCommand(a *cli) *cobra.Command {
	var ask api.Assign
	var clearOwner, clearEnvironment bool
	c := &cobra.Command{
		Use:   "assign CONNECTION/REF|ID",
		Short: "Say by hand whose a secret is",
		Long: "Says by hand whose a secret is, and what environment it serves, in place of what rules say. What is\n" +
			"not named stays as it is; --clear-owner and --clear-environment leave it to the rules again.",
		Example: "  sb secret assign vault/secret/prod/db --owner payments --environment prod",
		Args:    takes("CONNECTION/REF"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			owner, environment := c.Flags().Changed("owner"), c.Flags().Changed("environment")
			switch {
			case owner && clearOwner, environment && clearEnvironment:
				return usage("to say something and to clear it exclude each other")
			case owner && ask.Owner == "", environment && ask.Environment == "":
				return usage("an empty text says nothing: use --clear-owner or --clear-environment")
			case !owner && !environment && !clearOwner && !clearEnvironment:
				return usage("nothing is said: use --owner, --environment, --clear-owner or --clear-environment")
			}
			id, err := secretID(args[0])
			if err != nil {
				return err
			}
			if !(owner || clearOwner) || !(environment || clearEnvironment) {
				s, err := client.Get[api.Secret](c.Context(), to, client.Path("secrets", id), nil)
				if err != nil {
					return err
				}
				if s.Value.OwnerFrom == "hand" && !owner && !clearOwner {
					ask.Owner = s.Value.Owner
				}
				if s.Value.EnvironmentFrom == "hand" && !environment && !clearEnvironment {
					ask.Environment = s.Value.Environment
				}
			}
			return give(a, c, to, client.Path("secrets", id, "assign"), ask, fmt.Sprintf("assigned %s: owner %s, environment %s", args[0], byRules(ask.Owner), byRules(ask.Environment)))
		}),
	}
	c.Flags().StringVar(&ask.Owner, "owner", "", "whose it is")
	c.Flags().StringVar(&ask.Environment, "environment", "", "what it serves, such as prod")
	c.Flags().BoolVar(&clearOwner, "clear-owner", false, "leave the owner to the rules")
	c.Flags().BoolVar(&clearEnvironment, "clear-environment", false, "leave the environment to the rules")
	return c
}

func byRules(said string) string {
	if said == "" {
		return "as the rules say"
	}
	return said
}
