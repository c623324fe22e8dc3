package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func compareAuditCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "compare",
		Short: "Fold the log again and name every row that differs",
		Long: "Has the server fold the log again, beside the views and the audit, and compare every table with what\n" +
			"stands there: each row that differs is named, up to 10,000; the rest is counted. It fails if any row\n" +
			"differs. It takes about as long as a rebuild, and nobody has to wait meanwhile. That you compared, and\n" +
			"how many rows differ, is in the audit. With --output json each line is a difference or the outcome.",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			lines, err := client.Compare(c.Context(), to)
			if err != nil {
				return err
			}
			var outcome *api.AuditCompared
			for _, line := range lines {
				var l api.AuditComparison
				if err := json.Unmarshal(line, &l); err != nil || (l.Difference == nil) == (l.Outcome == nil) {
					return fmt.Errorf("%w: a line is neither a difference nor the outcome", client.ErrAnswer)
				}
				switch {
				case a.output == "json":
					err = writeJSON(c.OutOrStdout(), line)
				case l.Difference != nil:
					_, err = fmt.Fprint(c.OutOrStdout(), *l.Difference)
				}
				if err != nil {
					return err
				}
				outcome = l.Outcome
			}
			switch {
			case outcome == nil:
				return fmt.Errorf("%w: it has no outcome", client.ErrAnswer)
			case outcome.Differences > 0:
				return fmt.Errorf("%d rows differ from what the log says (%d named), in %s", outcome.Differences, outcome.Named, strings.Join(outcome.Tables, ", "))
			case a.output != "json":
				fmt.Fprintf(c.OutOrStdout(), "views and audit are what the log says, up to commit %d\n", outcome.UpTo)
			}
			return nil
		}),
	}
}
