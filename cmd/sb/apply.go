package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"secretsbridge/events"
	"secretsbridge/policy/files"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func applyCommand(a *cli) *cobra.Command {
	var from, why string
	var dry, prune, yes bool
	c := &cobra.Command{
		Use:   "apply -f DIR",
		Short: "Bring the governance to what files say",
		Long: "Brings roles, teams, groups, projects, bindings, workflows, rules and settings to what the YAML files\n" +
			"below a directory say, all or nothing. It shows what would change, who would gain or lose permissions\n" +
			"and what is wrong, and asks first; --yes does not ask. What the files do not name stays, unless --prune\n" +
			"removes it. Applying the same files twice changes nothing the second time. Where the settings ask for\n" +
			"approval, an amendment is proposed, and it counts once others approved it (sb amendment).\n\n" +
			"With --dry-run nothing is done, and the exit code says whether something would change: 0 nothing, 9 it\n" +
			"would. 9 is also the exit code of an amendment that waits.",
		Example: "  sb apply -f governance --dry-run\n  sb apply -f governance --prune --note \"what git has\" --yes",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			set, err := readFiles(a, c, from)
			if err != nil {
				return err
			}
			change, err := changeOf(c, to, set, prune)
			if err != nil {
				return err
			}
			change.Note = why
			plan, err := client.Post[api.Plan](c.Context(), to, client.Path("governance", "plan"), change)
			if err != nil {
				return err
			}
			if err := showPlan(a, c, set, plan, dry); err != nil {
				return err
			}
			switch {
			case len(plan.Value.Changes) == 0:
				return nil
			case dry:
				return fail("differs", "the files differ from what is in force: %s", plural(len(plan.Value.Changes), "object"))
			}
			if err := confirm(c, yes); err != nil {
				return err
			}
			return applyChange(a, c, to, change)
		}),
	}
	c.Flags().StringVarP(&from, "file", "f", "", "directory with the files, or one file")
	c.Flags().BoolVar(&dry, "dry-run", false, "only show what would change")
	c.Flags().BoolVar(&prune, "prune", false, "remove what the files do not name")
	c.Flags().StringVar(&why, "note", "", "why, for the history")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	require(c, "file")
	return c
}

// readFiles reads a directory or a file. Mistakes are told, each on a line.
func readFiles(a *cli, c *cobra.Command, from string) (*files.Set, error) {
	set, faults, err := readAt(from)
	if err != nil {
		return nil, usage("read %s: %w", from, err)
	}
	return set, tellFaults(c, faults)
}

func readAt(from string) (*files.Set, []files.Fault, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return files.Read(os.DirFS(from))
	}
	dir, name := filepath.Split(from)
	if dir == "" {
		dir = "."
	}
	return files.ReadFile(os.DirFS(dir), name)
}

// tellFaults writes what is wrong to standard error. Warnings alone are no error.
func tellFaults(c *cobra.Command, faults []files.Fault) error {
	wrong := 0
	for _, f := range faults {
		note(c, "%s", f.String())
		if !f.Warning {
			wrong++
		}
	}
	if wrong > 0 {
		return fail("files_invalid", "the files have %s, and nothing was done", plural(wrong, "mistake"))
	}
	return nil
}

// changeOf is what the files want to be different. Objects with e-mails go to the server in any
// case: only there it is known who that is.
func changeOf(c *cobra.Command, to *client.Client, set *files.Set, prune bool) (api.ChangeGovernance, error) {
	now, err := client.Get[api.Governance](c.Context(), to, client.Path("governance"), nil)
	if err != nil {
		return api.ChangeGovernance{}, err
	}
	change := api.ChangeGovernance{Version: &now.Value.Version, Set: []events.Object{}}
	wanted := set.Map()
	stands := map[events.ObjectRef]events.Object{}
	for _, o := range now.Value.Objects {
		stands[o.Ref()] = files.Tidy(o)
		if _, named := wanted[o.Ref()]; prune && !named {
			change.Removed = append(change.Removed, o.Ref())
		}
	}
	for _, o := range set.Objects {
		if had, ok := stands[o.Ref()]; !ok || !reflect.DeepEqual(had, o) {
			change.Set = append(change.Set, o)
		}
	}
	return change, nil
}

// showPlan shows what would change, and fails if it cannot.
func showPlan(a *cli, c *cobra.Command, set *files.Set, plan client.Item[api.Plan], dry bool) error {
	faults := placed(set, plan.Value.Faults)
	switch {
	case a.output == "json" && dry:
		if err := writeJSON(c.OutOrStdout(), plan.Raw); err != nil {
			return err
		}
	case a.output == "text":
		if _, err := io.WriteString(c.OutOrStdout(), planText(plan.Value, coloured(c.OutOrStdout()))); err != nil {
			return err
		}
	}
	return tellFaults(c, faults)
}

// placed says where faults stand in the files.
func placed(set *files.Set, faults []api.GovernanceFault) []files.Fault {
	var all []files.Fault
	for _, f := range faults {
		fault := files.Fault{Kind: events.ObjectKind(f.Kind), Name: f.Name, Field: f.Field, Problem: f.Problem, Warning: f.Warning}
		fault.File, fault.Line = set.At(events.ObjectRef{Kind: fault.Kind, Name: fault.Name}, f.Field)
		all = append(all, fault)
	}
	files.SortFaults(all)
	return all
}

// confirm asks on the terminal. Where there is none, --yes must have been said.
func confirm(c *cobra.Command, yes bool) error {
	switch {
	case yes:
		return nil
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return usage("there is no terminal to ask on: look at it with --dry-run, then say --yes")
	}
	answer := make(chan string, 1)
	if _, err := io.WriteString(c.ErrOrStderr(), "Apply this? Type yes: "); err != nil {
		return err
	}
	go func() { // ends with the answer, or with the process
		line, _ := bufio.NewReader(io.LimitReader(os.Stdin, 100)).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-c.Context().Done():
		return context.Cause(c.Context())
	case said := <-answer:
		if said != "yes" {
			return fail("interrupted", "nothing was done")
		}
		return nil
	}
}

// applyChange gives the command. Its key follows from what it says, so that a second try is the
// first one; where that one became an amendment which is over, it is a new one.
func applyChange(a *cli, c *cobra.Command, to *client.Client, change api.ChangeGovernance) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(body)
	done, err := client.PostAs[api.Applied](c.Context(), to, client.Path("governance", "apply"), change, "apply-"+hex.EncodeToString(digest[:16]))
	if err != nil {
		return err
	}
	if id := done.Value.Amendment; id != "" {
		over, err := amendmentOver(c, to, id)
		if err != nil {
			return err
		}
		if over {
			if done, err = client.PostAs[api.Applied](c.Context(), to, client.Path("governance", "apply"), change, rand.Text()); err != nil {
				return err
			}
		}
	}
	if err := show(a, c.OutOrStdout(), done, appliedText); err != nil {
		return err
	}
	if done.Value.Amendment != "" {
		return fail("differs", "amendment %s waits for approval, and nothing has changed yet", done.Value.Amendment)
	}
	return nil
}

func amendmentOver(c *cobra.Command, to *client.Client, id string) (bool, error) {
	m, err := client.Get[api.Amendment](c.Context(), to, client.Path("amendments", id), nil)
	var refused *client.Refused
	if errors.As(err, &refused) && refused.Problem.Status == 403 {
		return false, nil // it cannot be seen, and may as well be open
	}
	return m.Value.State != "open", err
}

func appliedText(done api.Applied) string {
	switch {
	case done.Amendment != "":
		return "proposed amendment " + done.Amendment + "\n"
	case done.Version == 0:
		return "nothing changed\n"
	}
	return "applied: the governance is now version " + strconv.Itoa(done.Version) + "\n"
}

func coloured(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && isTerminal(w) }

var paints = map[string]string{"added": "\x1b[32m", "removed": "\x1b[31m", "changed": "\x1b[33m"}

var marks = map[string]string{"added": "+", "removed": "-", "changed": "~"}

// planText is a plan for people, with colours or without.
func planText(plan api.Plan, colour bool) string {
	var b strings.Builder
	line := func(action, text string) {
		text = clean(text)
		if colour {
			text = paints[action] + text + "\x1b[0m"
		}
		b.WriteString(text + "\n")
	}
	changesText(line, plan.Changes, plan.Names)
	for _, p := range plan.People {
		who := who(p.Person)
		if len(p.Gained) > 0 {
			line("added", who+" gains "+partsText(p.Gained))
		}
		if len(p.Lost) > 0 {
			line("removed", who+" loses "+partsText(p.Lost))
		}
	}
	if plan.PeopleLeftOut > 0 {
		line("", plural(plan.PeopleLeftOut, "more person")+" may gain or lose permissions, and cannot be shown")
	}
	if len(plan.Changes) == 0 && !slices.ContainsFunc(plan.Faults, func(f api.GovernanceFault) bool { return !f.Warning }) {
		line("", "nothing changes")
	}
	if need := plan.Amendment; need != nil {
		line("", "it needs "+plural(need.Approvals, "approval")+" from "+approversText(need.From, plan.Names))
	} else if plan.OwnRights != "" {
		line("removed", plan.OwnRights+": somebody else must apply it")
	}
	return b.String()
}

// changesText tells changes of objects, each with its fields.
func changesText(line func(action, text string), changes []api.ObjectChange, names map[string]string) {
	for _, change := range changes {
		line(change.Action, marks[change.Action]+" "+change.Kind+"/"+change.Name)
		for _, f := range change.Fields {
			before, after := calledBy(f.Before, names), calledBy(f.After, names)
			switch {
			case f.Before != "" && f.After != "":
				line("changed", "    "+f.Field+": "+before+" → "+after)
			case f.After != "":
				line("added", "  + "+f.Field+": "+after)
			default:
				line("removed", "  - "+f.Field+": "+before)
			}
		}
		if change.LeftOut > 0 {
			line("", "    and "+plural(change.LeftOut, "more field"))
		}
	}
}

func calledBy(text string, names map[string]string) string {
	if name := names[text]; name != "" {
		return text + " (" + name + ")"
	}
	return text
}

func who(p api.Person) string {
	if p.Name == "" {
		return p.ID
	}
	return p.Name + " (" + p.ID + ")"
}

func partsText(parts []api.PermissionShift) string {
	words := make([]string, len(parts))
	for i, p := range parts {
		where := strings.Join(p.At, ", ")
		if p.Everywhere {
			where = "all places"
		}
		if p.LeftOut > 0 {
			where += " and " + plural(p.LeftOut, "more place")
		}
		words[i] = p.Permission + " at " + where
	}
	return strings.Join(words, "; ")
}

func approversText(a events.Approvers, names map[string]string) string {
	var words []string
	for _, p := range a.People {
		words = append(words, calledBy(string(p), names))
	}
	for _, g := range a.Groups {
		words = append(words, "group "+g)
	}
	for _, r := range a.Roles {
		words = append(words, "role "+r)
	}
	return strings.Join(words, ", ")
}
