package main

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func requestCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "request", Short: "Ask for secrets and follow what becomes of it"}
	c.AddCommand(readCommand(a), patchCommand(a), listRequestsCommand(a), showRequestCommand(a),
		provideCommand(a), refuseCommand(a), reviewCommand(a))
	return c
}

func readCommand(a *cli) *cobra.Command {
	var ask api.Submit
	var glass string
	c := &cobra.Command{
		Use:   "read CONNECTION/REF|ID",
		Short: "Ask to read a secret",
		Long: "Asks to read a secret, by where it is or by its id in the inventory. Standard output is the\n" +
			"request's id alone. Once it is approved and executed, its values are opened with sb reveal.",
		Example: "  sb request read vault/secret/prod/db --key password --reason \"restore test on Tuesday\"",
		Args:    takes("CONNECTION/REF"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if byID(args[0]) {
				if _, err := located(c, to, args[0]); err != nil {
					return err
				}
			}
			ask.Secret = args[0]
			ask.BreakGlass = broken(glass)
			done, err := client.Post[api.Submitted](c.Context(), to, client.Path("requests"), ask)
			if err != nil {
				return err
			}
			return submitted(a, c, done)
		}),
	}
	c.Flags().StringArrayVar(&ask.Keys, "key", nil, "a key of the secret; repeat it for several (default: all keys)")
	c.Flags().StringVar(&ask.Reason, "reason", "", "why you need it, for those who decide")
	whyFlags(c, &ask.Ticket, &glass)
	require(c, "reason")
	return c
}

func listRequestsCommand(a *cli) *cobra.Command {
	var states, reviews []string
	var connection, project, environment string
	var mine bool
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List requests, newest first",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q := url.Values{"state": states, "review": reviews}
			if mine {
				q.Set("mine", "true")
			}
			for name, value := range map[string]string{"connection": connection, "project": project, "environment": environment} {
				if value != "" {
					q.Set(name, value)
				}
			}
			return listing(a, c, to, client.Path("requests"), q, limit, "ID STATE OPERATION SECRET KEYS REQUESTER SUBMITTED REASON", func(r api.Request) []string {
				return []string{r.ID, r.State, r.Operation, r.Secret, keys(r.Keys), name(r.Requester), ago(r.SubmittedAt), short(r.Reason, 50)}
			})
		}),
	}
	c.Flags().StringArrayVar(&states, "state", nil, "only this state: awaiting_values, pending, approved, running, unknown, executed, failed, rejected, refused, cancelled or expired; repeat it for several")
	c.Flags().StringArrayVar(&reviews, "review", nil, "only what went without approval and whose review is pending, overdue or done; repeat it for several")
	c.Flags().StringVar(&project, "project", "", "only secrets that lay in this project")
	c.Flags().StringVar(&environment, "environment", "", "only secrets that lay in an environment of this name")
	c.Flags().StringVar(&connection, "connection", "", "only this connection")
	c.Flags().BoolVar(&mine, "mine", false, "only your own")
	limitFlag(c, &limit)
	return c
}

func limitFlag(c *cobra.Command, limit *int) {
	c.Flags().IntVar(limit, "limit", 50, "how many at most")
}

// listing shows a list of the API.
func listing[T any](a *cli, c *cobra.Command, to *client.Client, path string, q url.Values, limit int, head string, line func(T) []string) error {
	_, err := counted(a, c, to, path, q, limit, head, line)
	return err
}

// counted is likewise, and tells how many items were shown. A list that ends where nobody
// said that it should says so, whatever the output: a program is misled likewise.
func counted[T any](a *cli, c *cobra.Command, to *client.Client, path string, q url.Values, limit int, head string, line func(T) []string) (int, error) {
	if limit < 1 {
		return 0, usage("--limit is at least 1")
	}
	items, more, err := client.List[T](c.Context(), to, path, q, limit)
	if err != nil {
		return 0, err
	}
	if err := list(a, c.OutOrStdout(), items, head, line); err != nil {
		return 0, err
	}
	if more && !c.Flags().Changed("limit") {
		how := "a higher --limit shows more"
		if c.Flags().Lookup("all") != nil {
			how = "--all lists all"
		}
		note(c, "these are the first %d, and there are more: %s", limit, how)
	}
	return len(items), nil
}

// walking shows a list of the API to its end, page by page as they come, and tells how many
// items there were.
func walking[T any](a *cli, c *cobra.Command, to *client.Client, path string, q url.Values, head string, lines func(T) [][]string) (n int, err error) {
	l := newListed(a, c.OutOrStdout(), head, lines)
	err = client.Each(c.Context(), to, path, q, math.MaxInt, func(items []client.Item[T]) error {
		n += len(items)
		return l.add(items)
	})
	if err != nil {
		return n, err
	}
	return n, l.end()
}

func showRequestCommand(a *cli) *cobra.Command {
	var watching bool
	var then string
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show one request",
		Long: "Shows one request. With --watch it stays and shows each change, until the request has ended;\n" +
			"with --output json each is one object on a line. If it was not executed then, the exit code is 7.",
		Args: takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			q, err := asOf(then)
			switch {
			case err != nil:
				return err
			case watching && then != "":
				return usage("--watch follows what is, --as-of shows what was; say one of them")
			case watching:
				return watch(a, c, to, args[0])
			}
			r, err := client.Get[api.Request](c.Context(), to, client.Path("requests", args[0]), q)
			if err != nil {
				return err
			}
			if then == "" {
				saw(r.Value)
			}
			return show(a, c.OutOrStdout(), r, requestText)
		}),
	}
	c.Flags().BoolVar(&watching, "watch", false, "follow it until it has ended")
	asOfFlag(c, &then)
	return c
}

// requestText is a request for people.
func requestText(r api.Request) string {
	pairs := []string{"As of", asOfText(r.AsOf), "Request", r.ID, "State", r.State, "Waiting", r.Waiting}
	if r.Failure != nil {
		pairs = append(pairs, "Failure", r.Failure.Detail+" ("+r.Failure.Code+")")
	}
	pairs = append(pairs, "Secret", r.Secret)
	if r.Patch == nil {
		pairs = append(pairs, "Keys", keys(r.Keys))
	}
	pairs = append(pairs, patchText(r)...)
	pairs = append(pairs, "Place", placeText(r.Place), "Owner", r.Place.Owner, "Cluster", r.Cluster,
		"Requester", name(r.Requester), "Reason", r.Reason, "Ticket", r.Ticket, "Submitted", when(r.SubmittedAt))
	pairs = append(pairs, fillText(r)...)
	switch r.State {
	case "awaiting_values":
		pairs = append(pairs, "Lapses", when(r.Fill.Until))
	case "pending":
		pairs = append(pairs, "Lapses", when(r.PendingUntil))
	case "approved", "running", "unknown":
		pairs = append(pairs, "Approved", whenever(r.ApprovedAt), "Lapses", whenever(r.Until))
	default:
		pairs = append(pairs, "Approved", whenever(r.ApprovedAt), "Ended", whenever(r.EndedAt), "Comment", r.Comment)
	}
	pairs = append(pairs, approvalText(r)...)
	if r.Attempt > 0 {
		pairs = append(pairs, "Agent", r.Agent, "Attempt", strconv.Itoa(r.Attempt), "Version", r.ProviderVersion)
	}
	pairs = append(pairs, rolloutText(r)...)
	for _, e := range r.Envelopes {
		said := fmt.Sprintf("%s: %s since %s", e.Key, e.State, when(e.At))
		if e.State == "ready" {
			said = fmt.Sprintf("%s: ready until %s", e.Key, when(e.Expires))
		}
		pairs = append(pairs, "Value", said)
	}
	return fields(pairs...)
}

func keys(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ", ")
}

func name(p api.Person) string {
	if p.Name == "" {
		return p.ID
	}
	return p.Name
}
