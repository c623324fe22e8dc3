package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"filippo.io/torchwood"
	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// witnessesFlag narrows what checkpoint is wanted.
func witnessesFlag(c *cobra.Command, n *int) {
	c.Flags().IntVar(n, "witnesses", 0, "the newest checkpoint that at least so many witnesses cosigned; 0: the newest")
}

func witnessed(n int) (url.Values, error) {
	switch {
	case n < 0 || n > 64:
		return nil, usage("--witnesses is 0 to 64")
	case n == 0:
		return nil, nil
	}
	return url.Values{"witnesses": {strconv.Itoa(n)}}, nil
}

func proveAuditCommand(a *cli) *cobra.Command {
	var witnesses int
	var event string
	c := &cobra.Command{
		Use:   "prove SEQ",
		Short: "Write a proof that a commit is in the log",
		Long: "Writes a text that proves that a commit is in the log (c2sp.org/tlog-proof). Who has it, the commit's\n" +
			"bytes and a policy verifies it without access to the server: sb audit verify --proof. SEQ is the\n" +
			"number that audit list shows; --event writes the commit's bytes to a file beside it.",
		Example: "  sb audit prove 4711 --event event.json > event.proof",
		Args:    takes("SEQ"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			seq, err := commitSeq(args[0])
			if err != nil {
				return err
			}
			q, err := witnessed(witnesses)
			if err != nil {
				return err
			}
			text, err := client.Text(c.Context(), to, client.Path("audit", "log", "proof", args[0]), q)
			if err != nil {
				return err
			}
			if event != "" {
				line, n, err := client.Commits(c.Context(), to, seq-1, 1)
				if err == nil && n != 1 {
					err = fmt.Errorf("%w: it has no commit %d", client.ErrAnswer, seq)
				}
				if err != nil {
					return err
				}
				if err := os.WriteFile(event, bytes.TrimSuffix(line, []byte("\n")), 0o600); err != nil {
					return err
				}
			}
			if a.output == "json" {
				return encode(c.OutOrStdout(), map[string]any{"seq": seq, "proof": string(text)})
			}
			return writeText(c, text)
		}),
	}
	witnessesFlag(c, &witnesses)
	c.Flags().StringVar(&event, "event", "", "write the commit's bytes, exactly, to this file")
	return c
}

func checkpointCommand(a *cli) *cobra.Command {
	var witnesses int
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Show the newest checkpoint of the log",
		Long: "Shows the newest signed size and root of the log, with the cosignatures of witnesses\n" +
			"(c2sp.org/tlog-checkpoint). Nothing of it is verified here; sb audit verify does.",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q, err := witnessed(witnesses)
			if err != nil {
				return err
			}
			text, err := client.Text(c.Context(), to, client.Path("audit", "log", "checkpoint"), q)
			if err != nil {
				return err
			}
			if a.output != "json" {
				return writeText(c, text)
			}
			body, _, _ := bytes.Cut(text, []byte("\n\n"))
			k, err := torchwood.ParseCheckpoint(string(body) + "\n")
			if err != nil {
				return fmt.Errorf("%w: it is no checkpoint", client.ErrAnswer)
			}
			return encode(c.OutOrStdout(), map[string]any{"origin": k.Origin, "size": k.N, "root": k.Hash.String(), "signed": string(text)})
		}),
	}
	witnessesFlag(c, &witnesses)
	return c
}

// writeText writes a text of lines, of which none can mean anything to a terminal.
func writeText(c *cobra.Command, text []byte) error {
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Fprintln(c.OutOrStdout(), clean(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

func keysCommand(a *cli) *cobra.Command {
	var policy bool
	c := &cobra.Command{
		Use:   "keys",
		Short: "Show who signs and cosigns the log",
		Long: "Shows the log's name, the keys that sign its checkpoints, and those of witnesses and agents that\n" +
			"cosign them. With --policy it writes a policy to verify with (c2sp.org/tlog-policy). Compare it with\n" +
			"one that reached you on another way: until then, the server says by whom it is to be believed.",
		Example: "  sb audit keys --policy > policy.txt",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			got, err := client.Get[api.LogKeys](c.Context(), to, client.Path("audit", "log", "keys"), nil)
			if err != nil {
				return err
			}
			if policy && a.output != "json" {
				return writeText(c, []byte(got.Value.Policy))
			}
			return show(a, c.OutOrStdout(), got, keysText)
		}),
	}
	c.Flags().BoolVar(&policy, "policy", false, "write the policy alone")
	return c
}

func keysText(keys api.LogKeys) string {
	var b strings.Builder
	fmt.Fprintf(&b, "log      %s\n", clean(keys.Origin))
	for _, k := range keys.Keys {
		fmt.Fprintf(&b, "key      %s", clean(k.Key))
		if k.Until != nil {
			fmt.Fprintf(&b, " until %s", k.Until.Local().Format(time.DateTime+" MST"))
		}
		b.WriteByte('\n')
	}
	for _, w := range keys.Witnesses {
		fmt.Fprintf(&b, "%-8s %s\n", clean(w.Kind), clean(w.Key))
	}
	b.WriteString("\n")
	for line := range strings.Lines(keys.Policy) {
		b.WriteString(clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
