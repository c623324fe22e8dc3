package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func auditCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Read the record of what happened"}
	c.AddCommand(listAuditCommand(a), exportAuditCommand(a), compareAuditCommand(a), verifyAuditCommand(a), proveAuditCommand(a), evidenceCommand(a), checkpointCommand(a), keysCommand(a), replayAuditCommand(a))
	return c
}

// auditFilter narrows what is read of the audit.
type auditFilter struct {
	texts        map[string]*string
	since, until string
}

func (f *auditFilter) flags(c *cobra.Command) {
	f.texts = map[string]*string{}
	for name, says := range map[string]string{
		"actor": "only what this actor did, such as user:u_…", "type": "only types that begin so, such as sb.request.",
		"stream": "only this stream, such as request/r_…", "correlation": "only what belongs to this correlation",
		"outcome": "only what was denied, or only what was done", "secret": "only what concerns this secret, CONNECTION/REF",
		"cluster": "only agents, connections, requests and jobs of this cluster", "text": "only facts that have this text",
	} {
		f.texts[name] = c.Flags().String(name, "", says)
	}
	c.Flags().StringVar(&f.since, "since", "", "not before: a time (RFC 3339), or how long ago, such as 24h")
	c.Flags().StringVar(&f.until, "until", "", "only before: a time, or how long ago")
}

func (f *auditFilter) query() (url.Values, error) {
	q := url.Values{}
	for name, value := range f.texts {
		if *value != "" {
			q.Set(name, *value)
		}
	}
	for name, text := range map[string]string{"since": f.since, "until": f.until} {
		if text == "" {
			continue
		}
		t, err := moment(text, time.Now())
		if err != nil {
			return nil, usage("--%s is a time such as 2026-11-24T10:00:00Z, or how long ago, such as 24h", name)
		}
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
	return q, nil
}

func listAuditCommand(a *cli) *cobra.Command {
	var filter auditFilter
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List facts of the log, newest first",
		Long:  "Lists facts of the log, newest first. What each holds is in the output with --output json.",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q, err := filter.query()
			if err != nil {
				return err
			}
			return listing(a, c, to, client.Path("audit", "events"), q, limit, "SEQ TIME TYPE STREAM ACTOR", func(e api.Event) []string {
				return []string{strconv.FormatUint(e.Seq, 10), e.Time.Local().Format("2006-01-02 15:04:05 MST"), e.Type, e.Stream, e.Actor}
			})
		}),
	}
	filter.flags(c)
	limitFlag(c, &limit)
	return c
}

// exportLines is how many facts are asked for at a time. Where those are too long for one answer
// that is signed, it is half as many from there on.
const exportLines = 4_096

func exportAuditCommand(a *cli) *cobra.Command {
	var filter auditFilter
	var after string
	var stored bool
	c := &cobra.Command{
		Use:   "export",
		Short: "Write facts of the log, oldest first, as JSON",
		Long: "Writes facts of the log as they are stored, oldest first, one JSON object a line, without names of\n" +
			"people. What was written before an error stays; --after goes on from there. That you exported is in\n" +
			"the audit, once for each 4,096 facts.\n\n" +
			"With --commits it writes an events file instead: the bytes that the log holds and its checkpoints\n" +
			"are signed over, one commit a line, without any filter, for sb audit verify --events.",
		Example: "  sb audit export --since 720h > audit.jsonl\n" +
			"  sb audit export --after 184211.0 >> audit.jsonl\n" +
			"  sb audit export --commits > events.jsonl",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q, err := filter.query()
			if err != nil {
				return err
			}
			if stored {
				return exportStored(c, to, q, after)
			}
			return exportAudit(c, to, q, after)
		}),
	}
	filter.flags(c)
	c.Flags().StringVar(&after, "after", "", "only what follows this fact: its seq, a dot and its index; with --commits its seq")
	c.Flags().BoolVar(&stored, "commits", false, "write the log's bytes, to verify them")
	return c
}

// exportStored writes an events file from a commit on.
func exportStored(c *cobra.Command, to *client.Client, q url.Values, after string) error {
	if len(q) > 0 {
		return usage("--commits takes no filter: what is left out cannot be verified")
	}
	var seq uint64
	if after != "" {
		var err error
		if seq, err = strconv.ParseUint(after, 10, 53); err != nil {
			return usage("--after is the number of a commit")
		}
	}
	return exportCommits(c, to, seq)
}

func exportAudit(c *cobra.Command, to *client.Client, q url.Values, after string) error {
	for most := exportLines; ; {
		q.Set("limit", strconv.Itoa(most))
		if after != "" {
			q.Set("after", after)
		}
		lines, err := client.Lines(c.Context(), to, client.Path("audit", "export"), q)
		var refused *client.Refused
		if errors.As(err, &refused) && refused.Problem.Code == "report_too_long" && most > 1 {
			most /= 2
			continue
		}
		if err != nil {
			return err
		}
		out := bufio.NewWriter(c.OutOrStdout())
		for _, line := range lines {
			var e api.Event
			if err := json.Unmarshal(line, &e); err != nil {
				return fmt.Errorf("%w: a line is no fact", client.ErrAnswer)
			}
			if err := writeJSON(out, line); err != nil {
				return err
			}
			after = fmt.Sprintf("%d.%d", e.Seq, e.Index)
		}
		if err := out.Flush(); err != nil || len(lines) < most {
			return err
		}
	}
}

// moment reads a time, or a span back from now.
func moment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	return time.Parse(time.RFC3339, text)
}
