package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/policy/files"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func lintCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "lint DIR",
		Short: "Check files of the governance without a server",
		Long: "Checks the YAML files below a directory, or one file, as a whole governance: what sb apply --prune would\n" +
			"make of them. It asks no server, so it does not know which people and connections there are. Each fault\n" +
			"is a line with its place, sorted; warnings alone are no error. With --output json it is a list.",
		Example: "  sb lint governance",
		Args:    takes("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			set, faults, err := readAt(args[0])
			if err != nil {
				return usage("read %s: %w", args[0], err)
			}
			if len(faults) == 0 {
				faults = files.Lint(set) // else names that lean on what was not read would be faults, too
			}
			if a.output == "json" {
				if err := encode(c.OutOrStdout(), append([]files.Fault{}, faults...)); err != nil {
					return err
				}
			} else {
				for _, f := range faults {
					if _, err := io.WriteString(c.OutOrStdout(), clean(f.String())+"\n"); err != nil {
						return err
					}
				}
			}
			wrong := slices.DeleteFunc(slices.Clone(faults), func(f files.Fault) bool { return f.Warning })
			if len(wrong) > 0 {
				return fail("files_invalid", "the files have %s", plural(len(wrong), "mistake"))
			}
			return nil
		},
	}
}

func exportCommand(a *cli) *cobra.Command {
	var out, version, then string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the governance as files",
		Long: "Writes the governance as YAML, in the one form that sb apply reads: the same governance is always the same\n" +
			"bytes, and applying them changes nothing. People are written by their ids. Comments are not kept, because\n" +
			"the server never gets them. Without -o it is one text on standard output; with -o there is a file for\n" +
			"each kind, and a directory that holds other YAML files is refused.",
		Example: "  sb export -o governance\n  sb export --version 3 > then.yaml",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			g, err := governanceOf(c, to, version, then)
			if err != nil {
				return err
			}
			written := files.Write(g.Value.Objects)
			if out == "" {
				return show(a, c.OutOrStdout(), g, governanceText)
			}
			if err := writeFiles(out, written); err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), g, func(g api.Governance) string {
				return "wrote version " + strconv.Itoa(g.Version) + ", " + plural(len(g.Objects), "object") + ", to " + clean(out) + "\n"
			})
		}),
	}
	c.Flags().StringVarP(&out, "out", "o", "", "directory to write to")
	c.Flags().StringVar(&version, "version", "", "an earlier version")
	asOfFlag(c, &then)
	return c
}

// governanceOf asks for the objects of a version, or of a moment; empty: the newest.
func governanceOf(c *cobra.Command, to *client.Client, version, then string) (client.Item[api.Governance], error) {
	path := client.Path("governance")
	q, err := asOf(then)
	switch {
	case err != nil:
		return client.Item[api.Governance]{}, err
	case version != "" && then != "":
		return client.Item[api.Governance]{}, usage("--version and --as-of both say which; give one of them")
	case version != "":
		if n, err := strconv.Atoi(version); err != nil || n < 0 {
			return client.Item[api.Governance]{}, usage("a version is a number, as sb governance history lists them")
		}
		path = client.Path("governance", "versions", version)
	}
	return client.Get[api.Governance](c.Context(), to, path, q)
}

func governanceText(g api.Governance) string {
	texts := make([]string, len(g.Objects))
	for i, o := range g.Objects {
		texts[i] = files.Text(o)
	}
	return strings.Join(texts, "---\n")
}

// writeFiles writes to a directory, each file whole or not at all.
func writeFiles(dir string, written []files.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usage("write to %s: %w", dir, err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return usage("write to %s: %w", dir, err)
	}
	for _, entry := range there {
		name := entry.Name()
		ours := slices.ContainsFunc(written, func(f files.File) bool { return f.Name == name })
		if !ours && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")) {
			return usage("%s has the file %s, which sb apply would read, too; move it away", dir, name)
		}
	}
	for _, f := range written {
		if err := writeWhole(filepath.Join(dir, f.Name), f.Text); err != nil {
			return fail("fault", "write %s: %w", f.Name, err)
		}
	}
	return nil
}

// writeWhole puts a file in the place of another, whole or not at all.
func writeWhole(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".sb-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return err
}

func governanceCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "governance", Short: "What counts, and what counted"}
	c.AddCommand(historyCommand(a), showGovernanceCommand(a))
	return c
}

func historyCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "history",
		Short:   "List versions of the governance, newest first",
		Example: "  sb governance history --limit 10",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("governance", "history"), nil, limit, "VERSION WHEN BY OBJECTS NOTE", func(v api.GovernanceVersion) []string {
				by := v.Name
				if by == "" {
					by = v.Actor
				}
				why := v.Note
				if v.Amendment != "" {
					why = strings.TrimSpace(why + " (" + v.Amendment + ")")
				}
				return []string{strconv.Itoa(v.Version), ago(v.At), by, refsText(v), short(why, 60)}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

// refsText names the objects of a version, some of them.
func refsText(v api.GovernanceVersion) string {
	var words []string
	for i, refs := range [][]events.ObjectRef{v.Set, v.Removed} {
		for _, ref := range refs {
			words = append(words, []string{"", "-"}[i]+ref.String())
		}
	}
	const most = 3
	if over := len(words) - most + v.LeftOut; over > 0 {
		words = append(words[:min(most, len(words))], strconv.Itoa(over)+" more")
	}
	return strings.Join(words, ", ")
}

func showGovernanceCommand(a *cli) *cobra.Command {
	var version, then string
	c := &cobra.Command{
		Use:     "show",
		Short:   "Show all objects in YAML, now, of a version or as of a moment",
		Example: "  sb governance show --version 3\n  sb governance show --as-of 2026-11-24T09:30:00Z",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			g, err := governanceOf(c, to, version, then)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), g, func(g api.Governance) string {
				head := "# version " + strconv.Itoa(g.Version)
				if g.AsOf > 0 {
					head += ", as of " + asOfText(g.AsOf)
				}
				return head + "\n" + governanceText(g)
			})
		}),
	}
	c.Flags().StringVar(&version, "version", "", "an earlier version")
	asOfFlag(c, &then)
	return c
}
