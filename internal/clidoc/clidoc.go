// Package clidoc writes the reference of a command line from its commands.
package clidoc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Page is the reference of a whole command line, in Markdown. says stands below its heading.
func Page(root *cobra.Command, title, says string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\nGenerated from the commands of `%s`; do not edit.\n\n%s\n\n## Commands\n", title, root.Name(), says)
	Describe(&b, root)
	return b.String()
}

// Describe writes the commands below one, in order. Those of completion are cobra's.
func Describe(b *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if c.Hidden || parent.Name() == "completion" {
			continue
		}
		c.InitDefaultHelpFlag()
		if c.HasSubCommands() && c.Name() != "completion" {
			Describe(b, c)
			continue
		}
		text := c.Long
		if text == "" || c.Name() == "completion" {
			text = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
		}
		use := c.UseLine()
		if c.Name() == "completion" {
			use = c.Root().Name() + " completion bash|fish|powershell|zsh"
		}
		fmt.Fprintf(b, "\n### `%s`\n\n%s\n", strings.TrimSuffix(use, " [flags]"), strings.TrimSpace(text))
		if c.Example != "" {
			fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimSpace(c.Example), "\n  ", "\n"))
		}
		var table strings.Builder
		if Flags(&table, c.LocalNonPersistentFlags()); table.Len() > 0 && c.Name() != "completion" {
			b.WriteString("\n" + table.String())
		}
	}
}

// Flags writes a table of flags, in the order of their names.
func Flags(b *strings.Builder, flags *pflag.FlagSet) {
	var lines []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		kind, says := pflag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			says += " (default " + f.DefValue + ")"
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s |\n", strings.TrimSpace("--"+f.Name+" "+kind), says))
	})
	if len(lines) == 0 {
		return
	}
	slices.Sort(lines)
	b.WriteString("| flag | means |\n| --- | --- |\n" + strings.Join(lines, ""))
}
