package main

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func auditCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Read the record of what happened"}
	c.AddCommand(listAuditCommand(a))
	return c
}

func listAuditCommand(a *cli) *cobra.Command {
	var since, until string
	var limit int
	filters := map[string]*string{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List facts of the log, newest first",
		Long:  "Lists facts of the log, newest first. What each holds is in the output with --output json.",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q := url.Values{}
			for name, value := range filters {
				if *value != "" {
					q.Set(name, *value)
				}
			}
			for name, text := range map[string]string{"since": since, "until": until} {
				if text == "" {
					continue
				}
				t, err := moment(text, time.Now())
				if err != nil {
					return usage("--%s is a time such as 2026-11-24T10:00:00Z, or how long ago, such as 24h", name)
				}
				q.Set(name, t.UTC().Format(time.RFC3339Nano))
			}
			return listing(a, c, to, client.Path("audit", "events"), q, limit, "SEQ TIME TYPE STREAM ACTOR", func(e api.Event) []string {
				return []string{strconv.FormatUint(e.Seq, 10), e.Time.Local().Format("2006-01-02 15:04:05 MST"), e.Type, e.Stream, e.Actor}
			})
		}),
	}
	for name, says := range map[string]string{
		"actor": "only what this actor did, such as user:u_…", "type": "only types that begin so, such as sb.request.",
		"stream": "only this stream, such as request/r_…", "correlation": "only what belongs to this correlation",
	} {
		filters[name] = c.Flags().String(name, "", says)
	}
	c.Flags().StringVar(&since, "since", "", "not before: a time (RFC 3339), or how long ago, such as 24h")
	c.Flags().StringVar(&until, "until", "", "only before: a time, or how long ago")
	limitFlag(c, &limit)
	return c
}

// moment reads a time, or a span back from now.
func moment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	return time.Parse(time.RFC3339, text)
}
