package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// patchFlags are the changes as they were typed. No value is among them.
type patchFlags struct {
	set, files, unset, json []string
	reason, ticket, glass   string
	create, allowEmpty      bool

	team   string // that brings the values
	within time.Duration
	asked  []string // keys, of that team
}

func patchCommand(a *cli) *cobra.Command {
	var f patchFlags
	c := &cobra.Command{
		Use:   "patch CONNECTION/REF|ID",
		Short: "Ask to change a secret, or to make a new one",
		Long: "Asks to set and to remove keys of a secret; other keys stay as they are. Values come from standard\n" +
			"input or from files, never from an argument, and are sealed before they leave this machine.\n" +
			"--set KEY=- reads standard input, without one line end at its end; on a terminal it asks without\n" +
			"echo. --set-file takes a file's bytes as they are. A value is written as a text, or with --json KEY\n" +
			"as the JSON that it is. An empty value is refused without --allow-empty. Standard output is the request's id alone.\n" +
			"A secret that is named by its id in the inventory is looked up and shown first.\n" +
			"With --from-team another team brings the values of the keys that --ask names; those who decide see the\n" +
			"request once they are there.",
		Example: "  sb request patch vault/secret/prod/db --set password=- --unset legacy --reason \"rotation\" < new-password\n" +
			"  sb request patch file/prod/tls --create --set-file cert=cert.pem --set-file key=key.pem --reason \"new host\"\n" +
			"  sb request patch vault/secret/prod/mail --set port=- --json port --reason \"new relay\" <<< 587",
		Args: takes("CONNECTION/REF"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			where := args[0]
			if byID(where) {
				var err error
				if where, err = located(c, to, where); err != nil {
					return err
				}
			}
			changes, err := f.changes(c)
			defer func() {
				for _, change := range changes {
					change.Value.Zero()
				}
			}()
			if err != nil {
				return err
			}
			ask, err := f.submit(where)
			if err != nil {
				return err
			}
			done, err := client.Patch(c.Context(), to, ask, changes)
			if err != nil {
				return err
			}
			return submitted(a, c, done)
		}),
	}
	c.Flags().StringArrayVar(&f.set, "set", nil, "KEY=-: set this key to what standard input holds; only one value can come from there, unless it is a terminal")
	c.Flags().StringArrayVar(&f.files, "set-file", nil, "KEY=PATH: set this key to what a file holds; repeat it for several")
	c.Flags().StringArrayVar(&f.unset, "unset", nil, "remove this key; repeat it for several")
	c.Flags().StringArrayVar(&f.json, "json", nil, "the value of this key is JSON, such as 587 or true, and not a text")
	c.Flags().BoolVar(&f.allowEmpty, "allow-empty", false, "set keys to empty values, too")
	c.Flags().BoolVar(&f.create, "create", false, "make a new secret: it must not exist yet")
	c.Flags().StringVar(&f.reason, "reason", "", "why it should change, for those who decide")
	c.Flags().StringVar(&f.team, "from-team", "", "ask this team for the values")
	c.Flags().StringArrayVar(&f.asked, "ask", nil, "with --from-team: a key that the team fills in; repeat it for several")
	c.Flags().DurationVar(&f.within, "within", 0, "with --from-team: how long the team has, such as 24h (default: as long as the request waits)")
	whyFlags(c, &f.ticket, &f.glass)
	require(c, "reason")
	return c
}

// submit is the ask but for its changes.
func (f patchFlags) submit(where string) (api.Submit, error) {
	ask := api.Submit{Secret: where, Create: f.create, Reason: f.reason, Ticket: f.ticket, BreakGlass: broken(f.glass)}
	switch {
	case f.team != "":
		ask.Fill = &api.AskFill{Team: f.team, WithinSeconds: int(f.within.Seconds())}
		if f.within != 0 && f.within < time.Second {
			return ask, usage("--within is a second at least")
		}
	case f.within != 0:
		return ask, usage("--within says how long a team has: name it with --from-team")
	}
	return ask, nil
}

// submitted tells the id of a new request.
func submitted(a *cli, c *cobra.Command, done client.Item[api.Submitted]) error {
	err := show(a, c.OutOrStdout(), done, func(s api.Submitted) string { return clean(s.ID) + "\n" })
	if a.output == "text" {
		note(c, "submitted; follow it with: sb request show %s --watch", done.Value.ID)
	}
	return err
}

// changes reads all values. What was read is returned with an error, too, to be zeroed.
func (f patchFlags) changes(c *cobra.Command) (changes []client.Change, err error) {
	stdin := 0
	for _, arg := range f.set {
		key, source, ok := strings.Cut(arg, "=")
		if !ok || source != "-" {
			// Not the argument: it may be a value in the wrong place.
			return changes, usage("--set takes KEY=- and reads the value from standard input: a value in an argument would be seen by others; --set-file reads a file")
		}
		if key == "" {
			return changes, usage("--set takes KEY=-, and the key is missing")
		}
		if stdin++; stdin > 1 && !isTerminal(os.Stdin) {
			return changes, usage("standard input holds one value: use --set-file for the others")
		}
		value, err := readValue(c, key)
		if err != nil {
			return changes, err
		}
		changes = append(changes, client.Change{Key: key, Kind: f.kind(key), Value: value})
	}
	for _, arg := range f.files {
		key, path, ok := strings.Cut(arg, "=")
		switch {
		case !ok || path == "" || key == "":
			return changes, usage("--set-file takes KEY=PATH")
		case path == "-":
			return changes, usage("--set-file reads files: for standard input use --set %s=-", key)
		}
		value, err := readFileValue(path)
		if err != nil {
			return changes, err
		}
		changes = append(changes, client.Change{Key: key, Kind: f.kind(key), Value: value})
	}
	for _, key := range f.unset {
		changes = append(changes, client.Change{Key: key, Unset: true})
	}
	for _, key := range f.asked {
		changes = append(changes, client.Change{Key: key, Asked: true})
	}
	switch brings := len(f.set)+len(f.files)+len(f.unset) > 0; {
	case f.team == "" && len(f.asked) > 0:
		return changes, usage("--ask names keys that another team fills in: name it with --from-team")
	case f.team != "" && brings:
		return changes, usage("with --from-team the team brings all values: name the keys with --ask")
	}
	return changes, f.check(changes)
}

// check refuses what is a slip of the hand here; the rest is the server's to refuse.
func (f patchFlags) check(changes []client.Change) error {
	if len(changes) == 0 {
		return usage("nothing is changed: use --set, --set-file or --unset, or --from-team with --ask")
	}
	for i, change := range changes {
		if slices.ContainsFunc(changes[:i], func(other client.Change) bool { return other.Key == change.Key }) {
			return usage("key %q is there twice", change.Key)
		}
	}
	for _, change := range changes {
		if err := f.checkValue(change); err != nil {
			return err
		}
	}
	for _, key := range f.json {
		if !slices.ContainsFunc(changes, func(c client.Change) bool { return c.Key == key && !c.Unset }) {
			return usage("--json names key %q, which is not set", key)
		}
	}
	return nil
}

// checkValue refuses a value with a sentence that its owner can act on, and that says
// nothing of it.
func (f patchFlags) checkValue(change client.Change) error {
	value := change.Value.Expose()
	switch {
	case change.Unset, change.Asked:
		return nil
	case len(value) == 0 && change.Kind == seal.EntryJSON:
		return fail("value_invalid", "the value of key %q is empty, which is no JSON", change.Key)
	case len(value) == 0 && !f.allowEmpty:
		return usage("the value of key %q is empty; if it is meant to be, say --allow-empty", change.Key)
	case !utf8.Valid(value):
		return fail("value_invalid", "the value of key %q is no UTF-8 text: values are text, and what is binary can be stored encoded, such as in base64", change.Key)
	case change.Kind != seal.EntryJSON:
		return nil
	case !json.Valid(value):
		return fail("value_invalid", "the value of key %q is no JSON; for a text leave --json %s away", change.Key, change.Key)
	case bytes.TrimLeft(value, " \t\r\n")[0] == '"':
		return fail("value_invalid", "the value of key %q is a string in JSON: leave --json %s away, and the quotes, too", change.Key, change.Key)
	}
	return nil
}

func (f patchFlags) kind(key string) seal.EntryKind {
	if slices.Contains(f.json, key) {
		return seal.EntryJSON
	}
	return seal.EntryText
}

// readValue reads standard input, or asks for the value of a key without echo.
func readValue(c *cobra.Command, key string) (secret.Value, error) {
	if isTerminal(os.Stdin) {
		return ask(c, "Value of "+key)
	}
	text, err := readBounded(c.InOrStdin())
	if err != nil {
		return secret.Value{}, within(err, "the value of key %q cannot be taken from standard input", key)
	}
	return secret.New(bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))), nil
}

func readFileValue(path string) (secret.Value, error) {
	file, err := os.Open(path)
	if err != nil {
		return secret.Value{}, usage("read a value: %w", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return secret.Value{}, usage("read a value: %s is a folder", path)
	}
	text, err := readBounded(file)
	if err != nil {
		return secret.Value{}, within(err, "%s cannot be taken as a value", path)
	}
	return secret.New(text), nil
}

// within says what a failure was about, and keeps its code.
func within(err error, format string, args ...any) error {
	f := *explain(err)
	f.text = fmt.Sprintf(format, args...) + ": " + f.text
	return &f
}

// readBounded reads into one buffer that does not grow: growing would leave copies.
func readBounded(from io.Reader) ([]byte, error) {
	buffer := make([]byte, seal.MaxEntry+1)
	n, err := io.ReadFull(from, buffer)
	switch {
	case err == nil:
		clear(buffer)
		return nil, fail("value_invalid", "it has more than %d bytes, which is the most that a value can have", seal.MaxEntry)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return buffer[:n:n], nil
	}
	clear(buffer)
	return nil, fail("fault", "%w", err)
}

// patchText is what a request changes, for people.
func patchText(r api.Request) []string {
	p := r.Patch
	if p == nil {
		return nil
	}
	what := "change a secret"
	if p.Create {
		what = "make a new secret"
	}
	pairs := []string{"Patch", what}
	for _, c := range p.Changes {
		said := c.Key + ": " + c.Action
		if c.Effect != "" {
			said = c.Key + ": " + effectText(c)
		}
		pairs = append(pairs, "Change", said)
	}
	if p.EffectsWithheld && p.Comparison != nil {
		pairs = append(pairs, "Effects", withheldText)
	}
	if l := p.Comparison; l != nil {
		pairs = append(pairs, "Compared", comparisonText(*l))
	}
	if problem := wouldFail(r); problem != "" {
		pairs = append(pairs, "Attention", "it would fail now: "+problem)
	}
	if p.Changed && p.Outcome == "" {
		pairs = append(pairs, "Attention", fmt.Sprintf("the secret changed since it was first compared: version %s, now %s", versionText(p.FirstVersion), versionText(p.Comparison.Version)))
	}
	if p.Voided > 0 {
		pairs = append(pairs, "Attention", "approvals ended "+times(p.Voided)+" because the secret changed after them")
	}
	if p.Outcome != "" {
		pairs = append(pairs, "Outcome", outcomeText(r))
	}
	return pairs
}

// outcomeText says how an executed patch came to be at the provider.
func outcomeText(r api.Request) string {
	said := fmt.Sprintf("%s: version %s", r.Patch.Outcome, r.ProviderVersion)
	switch {
	case r.Patch.Outcome == "unchanged":
		return said
	case r.Patch.PreviousVersion == "":
		return said + ", new"
	}
	return said + ", on top of version " + r.Patch.PreviousVersion
}

// wouldFail says why a patch that has not ended would fail, by the newest comparison; empty
// if nothing speaks against it.
func wouldFail(r api.Request) string {
	if r.Patch == nil || r.Patch.Comparison == nil || r.Patch.Comparison.Problem == nil || final(r.State) {
		return ""
	}
	p := r.Patch.Comparison.Problem
	return p.Detail + " (" + p.Code + ")"
}

// effectText is what would become of a key.
func effectText(c api.Change) string {
	if c.Action == "unset" && c.Effect == "unchanged" {
		return "not there"
	}
	return c.Effect
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// withheldText says why there are no effects.
const withheldText = "approvers see what it would change, and you once it is approved"

// effectsText is what a patch would do, on one line.
func effectsText(p api.Patch) string {
	if p.Comparison.Problem != nil {
		return fmt.Sprintf("comparison %d: it cannot be compared: %s", p.Comparison.Number, p.Comparison.Problem.Detail)
	}
	if p.EffectsWithheld {
		return fmt.Sprintf("comparison %d; %s", p.Comparison.Number, withheldText)
	}
	effects := make([]string, len(p.Changes))
	for i, c := range p.Changes {
		effects[i] = c.Key + " " + effectText(c)
	}
	return fmt.Sprintf("comparison %d: %s", p.Comparison.Number, strings.Join(effects, ", "))
}

func comparisonText(l api.Comparison) string {
	said := fmt.Sprintf("no. %d, %s", l.Number, when(l.At))
	switch {
	case l.Problem != nil:
		return said + ": " + l.Problem.Detail + " (" + l.Problem.Code + ")"
	case !l.Exists:
		return said + ": there is no such secret yet"
	}
	return said + ": with version " + l.Version
}

func versionText(version string) string {
	if version == "" {
		return "none"
	}
	return version
}
