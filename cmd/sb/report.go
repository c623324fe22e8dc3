package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func reportCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "report", Short: "What in the inventory needs somebody's attention"}
	c.AddCommand(
		reportOf(a, "stale", "Secrets that were not rotated for long, the oldest first",
			"Those of which the provider tells no time are not among them.",
			"  sb report stale --older-than 180d --label Environment:prod",
			"SECRET OWNER ENVIRONMENT AGE ROTATED", true, func(s api.Secret) [][]string {
				return [][]string{{s.Secret, s.Owner, s.Environment, age(s), whenever(s.RotatedAt)}}
			}),
		reportOf(a, "unowned", "Secrets that are nobody's: no rule and no hand says whose",
			"sb secret assign says it for one, sb ownership apply for many.",
			"  sb report unowned --connection vault --output csv > unowned.csv",
			"SECRET ENVIRONMENT AGE LABELS", true, func(s api.Secret) [][]string {
				return [][]string{{s.Secret, s.Environment, age(s), short(labels(s), 60)}}
			}),
		reportOf(a, "out-of-band", "Changes that no approved request stands behind, the newest first",
			"Where a provider lists no versions there is nothing to tell a change by.",
			"  sb report out-of-band --label Environment:prod",
			"SEEN SECRET KIND FROM TO OWNER", true, func(o api.OutOfBand) [][]string {
				return [][]string{{when(o.SeenAt), o.Secret.Secret, o.Kind, o.FromVersion, o.ToVersion, o.Owner}}
			}),
		reportOf(a, "duplicates", "Values that several secrets share",
			"It covers connections that sb fingerprint went through; on standard error it says which those are, but\nfor --output json. A group names a value in this report and says nothing of it. A secret that is\nmarked as changed since has another version now than when it was fingerprinted.",
			"  sb report duplicates",
			"GROUP SECRETS SECRET", false, duplicateLines),
	)
	return c
}

// reportOf is one report. Only some can be narrowed.
func reportOf[T any](a *cli, kind, sentence, more, example, head string, narrowed bool, lines func(T) [][]string) *cobra.Command {
	var f secretFilter
	c := &cobra.Command{
		Use:   kind,
		Short: sentence,
		Long: sentence + ". " + more + "\n" +
			"All pages are shown as they come, and what was shown before an error stays. --output csv is the\n" +
			"server's own table of the whole report; on a terminal, what is not printable in it is escaped.",
		Example: example,
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q := url.Values{}
			var err error
			if narrowed {
				if q, err = f.query(c); err != nil {
					return err
				}
			}
			path := client.Path("reports", kind)
			if a.output == "csv" {
				q.Set("format", "csv")
				text, err := client.CSV(c.Context(), to, path, q)
				if err != nil {
					return err
				}
				err = writeCSV(c.OutOrStdout(), text, isTerminal(c.OutOrStdout()))
			} else {
				var n int
				if n, err = walking(a, c, to, path, q, head, lines); err == nil && n == 0 && narrowed {
					f.hint(a, c, to, q)
				}
			}
			if err == nil && kind == "duplicates" && a.output != "json" {
				tellCoverage(c, to)
			}
			return err
		}),
	}
	if narrowed {
		f.flags(c, kind != "unowned")
	}
	return alsoOutputs(c, "csv")
}

// duplicateLines has a line for each secret that shares a value.
func duplicateLines(d api.Duplicate) [][]string {
	rows := make([][]string, 0, len(d.Secrets)+1)
	for _, s := range d.Secrets {
		where := s.Secret
		if s.Changed {
			where += " (changed since)"
		}
		rows = append(rows, []string{d.Group, fmt.Sprint(d.Total), where})
	}
	if left := d.Total - len(d.Secrets); left > 0 {
		rows = append(rows, []string{d.Group, fmt.Sprint(d.Total), fmt.Sprintf("… and %d more", left)})
	}
	return rows
}

// writeCSV writes a table of the server's. A pipe gets its bytes; a terminal gets nothing
// that could control it.
func writeCSV(w io.Writer, text []byte, terminal bool) error {
	if !terminal {
		_, err := w.Write(text)
		return err
	}
	for line := range strings.Lines(string(text)) {
		if _, err := io.WriteString(w, clean(strings.TrimRight(line, "\r\n"))+"\n"); err != nil {
			return err
		}
	}
	return nil
}
