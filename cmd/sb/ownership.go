package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxRules bounds a file of rules, in bytes: more than the server takes in one call.
const maxRules = 1 << 20

func ownershipCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "ownership", Short: "The rules that say whose secrets are"}
	c.AddCommand(showOwnershipCommand(a), applyOwnershipCommand(a))
	return c
}

func showOwnershipCommand(a *cli) *cobra.Command {
	return alsoOutputs(&cobra.Command{
		Use:   "show",
		Short: "Show the rules that say whose secrets are",
		Long: "Shows the rules that say whose secrets are, in YAML, with their version: what sb ownership apply\n" +
			"takes. The first rule that matches and says something counts, for owner and environment each by\n" +
			"itself.",
		Example: "  sb ownership show > rules.yaml",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			o, err := client.Get[api.Ownership](c.Context(), to, client.Path("ownership"), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), o, rulesText)
		}),
	}, "yaml")
}

func applyOwnershipCommand(a *cli) *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Replace the rules that say whose secrets are",
		Long: "Replaces the rules that say whose secrets are by those in a file, YAML or JSON, or with - on\n" +
			"standard input. It has the version that it was made from, as sb ownership show tells it: if\n" +
			"somebody changed the rules since, nothing is done. What changes is shown: rules that are added (+),\n" +
			"removed (-) or moved (~). With --dry-run nothing is done; in JSON it is the difference, with places that\n" +
			"count from 1.",
		Example: "  sb ownership apply rules.yaml --dry-run",
		Args:    takes("FILE"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			wanted, err := readRules(c, args[0])
			if err != nil {
				return err
			}
			now, err := client.Get[api.Ownership](c.Context(), to, client.Path("ownership"), nil)
			if err != nil {
				return err
			}
			if now.Value.Version != wanted.Version {
				return fail("ownership_rules_moved", "the rules in force are version %d, and these are made from version %d; take sb ownership show and change that", now.Value.Version, wanted.Version)
			}
			diff := compareRules(now.Value.Rules, wanted.Rules)
			if dry && a.output == "json" {
				return encode(c.OutOrStdout(), diff)
			}
			if a.output == "text" {
				if _, err := io.WriteString(c.OutOrStdout(), diff.text()); err != nil {
					return err
				}
			}
			if dry {
				return nil
			}
			done, err := client.Post[api.Done](c.Context(), to, client.Path("ownership"), wanted)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), done, func(api.Done) string {
				if diff.none() {
					return "" // which was said
				}
				return "applied " + plural(len(wanted.Rules), "rule") + "\n"
			})
		}),
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only show what would change")
	return c
}

// rulesFile is what a file of rules may hold. What must be there is a pointer: no rules at
// all would take every owner away.
type rulesFile struct {
	Version *int                 `yaml:"version"`
	Rules   *[]api.OwnershipRule `yaml:"rules"`
	Seq     uint64               `yaml:"seq"` // of the rules as they were read, which means nothing here
}

// readRules reads a file, or standard input. JSON is YAML, too.
func readRules(c *cobra.Command, path string) (api.Ownership, error) {
	from := c.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return api.Ownership{}, usage("read the rules: %w", err)
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxRules+1))
	switch {
	case err != nil:
		return api.Ownership{}, usage("read the rules: %w", err)
	case len(text) > maxRules:
		return api.Ownership{}, usage("read the rules: they have more than %d MiB", maxRules>>20)
	}
	return parseRules(text)
}

func parseRules(text []byte) (api.Ownership, error) {
	var f rulesFile
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		said, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return api.Ownership{}, usage("the rules are not what sb ownership show gives: %s", said)
	}
	switch {
	case f.Version == nil || *f.Version < 0:
		return api.Ownership{}, usage("the rules have no version: take the one that sb ownership show gives")
	case f.Rules == nil:
		return api.Ownership{}, usage("there are no rules; to have none, say rules: []")
	case !errors.Is(decoder.Decode(&rulesFile{}), io.EOF):
		return api.Ownership{}, usage("there is more than one document")
	}
	return api.Ownership{Version: *f.Version, Rules: append([]api.OwnershipRule{}, *f.Rules...)}, nil
}

// rulesText is the rules in YAML. What is not plain is quoted, with escapes for all that
// is not printable: in YAML they mean what they mean in Go.
func rulesText(o api.Ownership) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: %d\n", o.Version)
	if len(o.Rules) == 0 {
		b.WriteString("rules: []\n")
		return b.String()
	}
	b.WriteString("rules:\n")
	for _, r := range o.Rules {
		before := "- "
		add := func(name, value string) {
			b.WriteString(before + name + ":" + value + "\n")
			before = "  "
		}
		for _, field := range ruleFields(r)[:2] {
			if field[1] != "" {
				add(field[0], " "+scalar(field[1]))
			}
		}
		if len(r.Labels) > 0 {
			add("labels", "")
			for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
				b.WriteString("    " + scalar(name) + ": " + scalar(r.Labels[name]) + "\n")
			}
		}
		for _, field := range ruleFields(r)[2:] {
			if field[1] != "" {
				add(field[0], " "+scalar(field[1]))
			}
		}
		if before == "- " {
			b.WriteString("- {}\n")
		}
	}
	return b.String()
}

func ruleFields(r api.OwnershipRule) [][2]string {
	return [][2]string{
		{"connection", r.Connection}, {"prefix", r.Prefix},
		{"owner", r.Owner}, {"owner_label", r.OwnerLabel}, {"environment", r.Environment}, {"environment_label", r.EnvironmentLabel},
	}
}

// plainScalar are texts that YAML takes as they are. Words that it takes for something else are
// short or have capitals and digits only.
var plainScalar = regexp.MustCompile(`^[a-z][a-z0-9_/-]{5,}$`)

func scalar(s string) string {
	if plainScalar.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
