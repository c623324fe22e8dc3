package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func jobCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "job", Short: "See and end jobs that no request stands behind"}
	c.AddCommand(listJobsCommand(a), showJobCommand(a), cancelJobCommand(a))
	return c
}

var (
	jobTypes  = []string{string(events.OperationDiscover), string(events.OperationFingerprint), string(events.OperationKeys)}
	jobStates = []string{
		string(events.JobStateQueued), string(events.JobStateRunning), string(events.JobStateFinished),
		string(events.JobStateFailed), string(events.JobStateCancelled),
	}
)

func listJobsCommand(a *cli) *cobra.Command {
	var states []string
	var kind, connection string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List jobs, newest first",
		Long: "Lists jobs, newest first. FOUND counts secrets that are new, or there again; CHANGED those with other\n" +
			"labels, another version or other times.",
		Example: "  sb job list --connection vault --state failed",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q := url.Values{}
			for _, state := range states {
				if !slices.Contains(jobStates, state) {
					return usage("--state is one of %s", strings.Join(jobStates, ", "))
				}
				q.Add("state", state)
			}
			if kind != "" {
				if !slices.Contains(jobTypes, kind) {
					return usage("--type is one of %s", strings.Join(jobTypes, ", "))
				}
				q.Set("type", kind)
			}
			if connection != "" {
				if !events.ValidName(connection) {
					return usage("--connection is %s", nameRule)
				}
				q.Set("connection", connection)
			}
			return listing(a, c, to, client.Path("jobs"), q, limit, "ID TYPE STATE CONNECTION SECRETS FOUND CHANGED GONE QUEUED BY", func(j api.Job) []string {
				p := cmp.Or(j.Progress, &api.Progress{})
				return []string{j.ID, j.Type, j.State, j.Connection, number(p.Secrets), number(p.Found), number(p.Changed), number(p.Gone), ago(j.QueuedAt), queuedBy(j)}
			})
		}),
	}
	c.Flags().StringArrayVar(&states, "state", nil, "only this state: queued, running, finished, failed or cancelled; repeat it for several")
	c.Flags().StringVar(&kind, "type", "", "only this type: discover, fingerprint or keys")
	c.Flags().StringVar(&connection, "connection", "", "only this connection")
	limitFlag(c, &limit)
	return c
}

// nameRule says what names a connection or a cluster.
const nameRule = "a name of a-z, 0-9 and -, such as vault-eu"

func queuedBy(j api.Job) string {
	if j.Scheduled {
		return "schedule"
	}
	return j.QueuedBy
}

func showJobCommand(a *cli) *cobra.Command {
	var watching bool
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show one job",
		Long: "Shows one job. With --watch it stays and shows how the job gets on, until it has ended; with\n" +
			"--output json each change is one object on a line. If it was not finished then, the exit code is 7.",
		Example: "  sb job show JOB --watch",
		Args:    takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if watching {
				return watchJob(a, c, to, args[0], true)
			}
			j, err := client.Get[api.Job](c.Context(), to, client.Path("jobs", args[0]), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), j, jobText)
		}),
	}
	c.Flags().BoolVar(&watching, "watch", false, "follow it until it has ended")
	return c
}

func cancelJobCommand(a *cli) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:     "cancel ID",
		Short:   "End a job; what it found until then stays",
		Example: "  sb job cancel JOB --reason \"the provider is under load\"",
		Args:    takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if err := give(a, c, to, client.Path("jobs", args[0], "cancel"), why, "cancelled "+args[0]); err != nil {
				return err
			}
			// To cancel it again changes nothing, also not the reason. The command was done,
			// whatever this query says.
			j, err := client.Get[api.Job](c.Context(), to, client.Path("jobs", args[0]), nil)
			if first := j.Value.Reason; err == nil && j.Value.State == string(events.JobStateCancelled) && first != why.Reason {
				note(c, "it was cancelled before, and keeps its first reason: %s", cmp.Or(first, "none was given"))
			}
			return nil
		}),
	}
	c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	return c
}

// jobText is a job for people.
func jobText(j api.Job) string {
	pairs := []string{"Job", j.ID, "Type", j.Type, "State", j.State, "Waiting", j.Waiting}
	if j.Failure != nil {
		pairs = append(pairs, "Failure", j.Failure.Detail+" ("+j.Failure.Code+")")
	}
	connection := j.Connection
	if j.Ref != "" {
		pairs, connection = append(pairs, "Secret", j.Connection+"/"+j.Ref), ""
	}
	pairs = append(pairs, "Connection", connection, "Provider", j.Provider, "Cluster", j.Cluster,
		"Queued", when(j.QueuedAt), "By", queuedBy(j), "Reason", j.Reason)
	if j.Attempt > 0 {
		pairs = append(pairs, "Agent", j.Agent, "Attempt", strconv.Itoa(j.Attempt), "Taken", whenever(j.TakenAt))
	}
	if jobOver(j.State) {
		pairs = append(pairs, "Ended", whenever(j.EndedAt))
	} else {
		pairs = append(pairs, "Lapses", when(j.Until))
	}
	if p := j.Progress; p != nil {
		pairs = append(pairs, "Pages", number(p.Pages), "Secrets", number(p.Secrets))
		for _, said := range findings(j) {
			pairs = append(pairs, "Found", said)
		}
		if p.PerSecond > 0 {
			pairs = append(pairs, "Rate", rate(*p))
		}
	}
	pairs = append(pairs, "Keys", number(j.Keys), "Version", j.Version)
	return fields(pairs...)
}

// jobOver reports whether nothing more happens to a job. A state that this program does
// not know is not the end.
func jobOver(state string) bool { return events.JobState(state).Over() }

// jobEnded is nil for a job that was finished, and else why it was not.
func jobEnded(j api.Job) error {
	switch {
	case events.JobState(j.State) == events.JobStateFinished:
		return nil
	case j.Failure != nil:
		return &failure{exit: exitEnded, code: j.Failure.Code, text: j.Failure.Detail}
	case j.Reason != "":
		return fail("job_ended", "the job was not finished: it is %s, because: %s", j.State, j.Reason)
	}
	return fail("job_ended", "the job was not finished: it is %s", j.State)
}

// findings say what a job over a connection met, each in a sentence, with what it means.
func findings(j api.Job) []string {
	p := j.Progress
	if p == nil {
		return nil
	}
	var said []string
	add := func(n int, format string) {
		if n > 0 {
			said = append(said, fmt.Sprintf(format, n))
		}
	}
	if j.Type == string(events.OperationFingerprint) {
		add(p.Skipped, "%d skipped: secrets with a name that no ref can spell, or that could not be read")
		add(p.Unlisted, "%d unlisted: folders that did not open to the agent, or secrets that it cannot describe, so they are not compared")
		add(p.Refused, "%d without a fingerprint, counted in values and not in secrets: they are too easy to guess")
		return said
	}
	add(p.Found, "%d new, or there again")
	add(p.Changed, "%d changed: other labels, another version or other times")
	add(p.Gone, "%d gone")
	add(p.Skipped, "%d skipped: a name that no ref can spell")
	add(p.Unlisted, "%d unlisted: folders that did not open to the agent, or secrets that it cannot describe, so nothing counts as gone")
	return said
}

// number is empty for none.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func rate(p api.Progress) string { return strconv.FormatFloat(p.PerSecond, 'f', 0, 64) + "/s" }
