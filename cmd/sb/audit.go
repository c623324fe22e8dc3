package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/siem"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func auditCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Read the record of what happened"}
	c.AddCommand(listAuditCommand(a), holdCommand(a), exportAuditCommand(a), compareAuditCommand(a), verifyAuditCommand(a), proveAuditCommand(a), evidenceCommand(a), checkpointCommand(a), keysCommand(a), replayAuditCommand(a))
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
		"command": "only what this command caused", "action": "only denials of this permission, such as person.manage",
		"connection": "only this connection, its secrets, requests, jobs and scans",
		"outcome":    "only what was denied, or only what was done", "secret": "only what concerns this secret, CONNECTION/REF",
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

// followEach is how often a follower looks for more.
const followEach = 2 * time.Second

func exportAuditCommand(a *cli) *cobra.Command {
	var filter auditFilter
	e := exportOf{format: "event"}
	var stored bool
	c := &cobra.Command{
		Use:   "export",
		Short: "Write facts of the log, oldest first, one a line",
		Long: "Writes facts of the log, oldest first, one a line, without names of people: as they are stored, in JSON, or in\n" +
			"the words of those who watch many systems: cloudevents, ocsf (OCSF 1.6.0) or cef. Each line says where its fact\n" +
			"stands in the log. What was written before an error stays; --after goes on from there. With --follow it writes\n" +
			"what comes until it is stopped. That you exported is in the audit, once for each 4,096 facts, or, with --follow,\n" +
			"once in ten minutes.\n\n" +
			"With --commits it writes an events file instead: the bytes that the log holds and its checkpoints\n" +
			"are signed over, one commit a line, without any filter, for sb audit verify --events.",
		Example: "  sb audit export --since 720h > audit.jsonl\n" +
			"  sb audit export --after 184211.0 >> audit.jsonl\n" +
			"  sb audit export --format cef --follow --outcome denied\n" +
			"  sb audit export --commits > events.jsonl",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q, err := filter.query()
			if err != nil {
				return err
			}
			if stored && (e.follow || e.format != "event") {
				return usage("--commits writes the log's own bytes, once: leave --format and --follow out")
			}
			if stored {
				return exportStored(c, to, q, e.after)
			}
			if e.format != "event" {
				if !siem.Format(e.format).Valid() {
					return usage("--format is event, cloudevents, ocsf or cef")
				}
				q.Set("format", e.format)
			}
			if e.follow {
				q.Set("follow", "true")
			}
			return e.run(c, to, q)
		}),
	}
	filter.flags(c)
	c.Flags().StringVar(&e.after, "after", "", "only what follows this fact: its seq, a dot and its index; with --commits its seq")
	c.Flags().StringVar(&e.format, "format", e.format, "what a line is: event, cloudevents, ocsf or cef")
	c.Flags().BoolVar(&stored, "commits", false, "write the log's bytes, to verify them")
	c.Flags().BoolVar(&e.follow, "follow", false, "write also what comes, until it is stopped")
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

// exportOf is one export.
type exportOf struct {
	format, after string
	follow        bool
}

func (e *exportOf) run(c *cobra.Command, to *client.Client, q url.Values) error {
	for most := exportLines; ; {
		q.Set("limit", strconv.Itoa(most))
		if e.after != "" {
			q.Set("after", e.after)
		}
		lines := client.Lines
		if e.format == string(siem.CEF) {
			lines = client.TextLines
		}
		all, err := lines(c.Context(), to, client.Path("audit", "export"), q)
		var refused *client.Refused
		if errors.As(err, &refused) && refused.Problem.Code == "report_too_long" && most > 1 {
			most /= 2
			continue
		}
		if err != nil {
			return err
		}
		if err := e.write(c.OutOrStdout(), all); err != nil {
			return err
		}
		if len(all) == most {
			continue
		}
		if !e.follow {
			return nil
		}
		select {
		case <-c.Context().Done():
			return nil // being stopped is how it ends
		case <-time.After(followEach):
		}
	}
}

// write writes lines and remembers the place of the last.
func (e *exportOf) write(to io.Writer, lines [][]byte) error {
	out := bufio.NewWriter(to)
	for _, line := range lines {
		seq, index, err := e.place(line)
		if err != nil {
			return fmt.Errorf("%w: a line is no fact", client.ErrAnswer)
		}
		if e.format == string(siem.CEF) {
			_, err = out.WriteString(clean(string(line)) + "\n")
		} else {
			err = writeJSON(out, line)
		}
		if err != nil {
			return err
		}
		e.after = fmt.Sprintf("%d.%d", seq, index)
	}
	return out.Flush()
}

func (e *exportOf) place(line []byte) (seq uint64, index int, err error) {
	if e.format == "event" {
		var fact api.Event
		err := json.Unmarshal(line, &fact)
		return fact.Seq, fact.Index, err
	}
	at, index, err := siem.Format(e.format).At(line)
	return uint64(at), index, err
}

// moment reads a time, or a span back from now.
func moment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	return time.Parse(time.RFC3339, text)
}
