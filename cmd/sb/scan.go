package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"secretsbridge/events"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func discoverCommand(a *cli) *cobra.Command {
	return scanCommand(a, string(events.OperationDiscover), "List what a connection holds into the inventory",
		"Has an agent list what a connection holds, names, labels, versions and times and no values, into\n"+
			"the inventory.")
}

func fingerprintCommand(a *cli) *cobra.Command {
	return scanCommand(a, string(events.OperationFingerprint), "Compare the values of a connection with those of others",
		"Has an agent make keyed fingerprints of the values of a connection, so that sb report duplicates\n"+
			"can tell which secrets share one. The control plane has no key to them.")
}

// scanCommand starts a job over a connection.
func scanCommand(a *cli, kind, sentence, long string) *cobra.Command {
	var noWait bool
	c := &cobra.Command{
		Use:   kind + " CONNECTION",
		Short: sentence,
		Long: long + " It stays and shows how the job gets on, on standard error; standard output is what\n" +
			"it came to, and with --output json the job as it ended. If a job of this kind is under way for the\n" +
			"connection, it says so and follows that one. A signal ends watching, and not the job. If the job was\n" +
			"not finished, the exit code is 7. With --no-wait standard output is the job's id alone.",
		Example: "  sb " + kind + " vault",
		Args:    takes("CONNECTION"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if !events.ValidName(args[0]) {
				return usage("CONNECTION is %s", nameRule)
			}
			job, err := begin(c, to, api.QueueJob{Type: kind, Connection: args[0]})
			switch {
			case err != nil:
				return err
			case !noWait:
				return watchJob(a, c, to, job.Value.ID, false)
			}
			err = show(a, c.OutOrStdout(), job, func(j api.Job) string { return clean(j.ID) + "\n" })
			if a.output == "text" {
				note(c, "follow it with: sb job show %s --watch", job.Value.ID)
			}
			return err
		}),
	}
	c.Flags().BoolVar(&noWait, "no-wait", false, "only start it")
	return c
}

// begin starts a job, or finds the one that is under way.
func begin(c *cobra.Command, to *client.Client, ask api.QueueJob) (client.Item[api.Job], error) {
	made, refusal := client.Post[api.Job](c.Context(), to, client.Path("jobs"), ask)
	var refused *client.Refused
	if !errors.As(refusal, &refused) || refused.Problem.Code != "scan_running" {
		return made, refusal
	}
	newest, _, err := client.List[api.Job](c.Context(), to, client.Path("jobs"), url.Values{"connection": {ask.Connection}, "type": {ask.Type}}, 1)
	if err != nil || len(newest) == 0 || jobOver(newest[0].Value.State) {
		return made, refusal // it ended in this moment
	}
	job := newest[0].Value
	note(c, "%s is under way for %s already: %s, queued %s by %s", ask.Type, ask.Connection, job.ID, ago(job.QueuedAt), queuedBy(job))
	return newest[0], nil
}

// watchJob shows how a job gets on until it has ended. An end other than that it was
// finished is an error. Whole says that the job itself is asked for and not what it came
// to: then it is shown before, and in JSON after each change.
func watchJob(a *cli, c *cobra.Command, to *client.Client, id string, whole bool) error {
	var job client.Item[api.Job]
	line := &progress{out: c.ErrOrStderr(), now: func() time.Time { return time.Now().Add(to.Clock()) }, columns: columns(c)}
	shown, told := false, false // the job itself, and how it ended
	stop := func() {}
	if a.output == "text" {
		stop = line.run()
	}
	err := client.FollowJob(c.Context(), to, id, client.Follower[api.Job]{
		Changed: func(j client.Item[api.Job]) error {
			again := string(j.Raw) == string(job.Raw)
			job = j
			if whole && (!shown || a.output == "json" && !again) {
				shown, told = true, jobOver(j.Value.State)
				if err := show(a, c.OutOrStdout(), j, jobText); err != nil {
					return err
				}
			}
			if a.output == "text" && !jobOver(j.Value.State) {
				line.show(j.Value)
			}
			if jobOver(j.Value.State) {
				return client.ErrStop
			}
			return nil
		},
		Lost: func(err error) {
			line.clear()
			note(c, "reconnecting: %v", err)
		},
	})
	stop()
	switch {
	case errors.Is(err, context.Canceled):
		return fail("interrupted", "watching ended, and the job goes on: come back with sb job show %s --watch, or end it with sb job cancel %s", id, id)
	case err != nil:
		return err
	}
	if !told {
		if err := show(a, c.OutOrStdout(), job, resultText); err != nil {
			return err
		}
	}
	return jobEnded(job.Value)
}

// resultText is what a job came to.
func resultText(j api.Job) string {
	p := j.Progress
	if p == nil {
		return fmt.Sprintf("%s of %s %s\n", clean(j.Type), clean(j.Connection), clean(j.State))
	}
	took := ""
	if j.TakenAt != nil && j.EndedAt != nil {
		took = " in " + j.EndedAt.Sub(*j.TakenAt).Round(time.Second).String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s %s: %s, %s%s\n", clean(j.Type), clean(j.Connection), clean(j.State), plural(p.Secrets, "secret"), plural(p.Pages, "page"), took)
	found := findings(j)
	for _, said := range found {
		fmt.Fprintf(&b, "  %s\n", said)
	}
	if len(found) == 0 && j.Type == string(events.OperationDiscover) && j.State == string(events.JobStateFinished) {
		b.WriteString("  nothing is new, changed or gone\n")
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// columns says how wide the terminal is that standard error goes to; nil if it is none.
func columns(c *cobra.Command) func() int {
	if !isTerminal(c.ErrOrStderr()) {
		return nil
	}
	return func() int {
		width, _, err := term.GetSize(int(os.Stderr.Fd()))
		if err != nil || width < 20 {
			return 80
		}
		return width
	}
}
