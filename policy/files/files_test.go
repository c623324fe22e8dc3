package files_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/policy/files"
)

func read(t testing.TB, dir fs.FS) (*files.Set, []string) {
	t.Helper()
	set, faults, err := files.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	told := []string{}
	for _, f := range faults {
		told = append(told, f.String())
	}
	return set, told
}

func dir(texts ...string) fstest.MapFS {
	d := fstest.MapFS{}
	for i := 0; i < len(texts); i += 2 {
		d[texts[i]] = &fstest.MapFile{Data: []byte(texts[i+1])}
	}
	return d
}

// fill makes any value of a spec's type.
func fill(t *rapid.T, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), depth+1)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), depth+1)
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[events.UserID]() {
			v.SetString(rapid.SampledFrom([]string{string(events.NewUserID()), "dana@example.org"}).Draw(t, "person"))
			return
		}
		v.SetString(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", "on", "No", "null", "~", "1", "0x1f", "1e3", ".inf", "- a", "a: b", "a #b", " a", "a ", "'", `"`, "a\nb", "a\n", "\u0085", "\u2028", "\ufeff", "é", "!x", "&x", "*x", "{a", "[", "prod/db", "2026-01-01",
			`resource.key.matches("^[a-z]+$") && request.time.getHours("UTC") < 8`,
		})).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int:
		v.SetInt(int64(rapid.IntRange(-1000, 1_000_000).Draw(t, "number")))
	default:
		t.Fatalf("a %s", v.Kind())
	}
}

func governance(t *rapid.T) map[events.ObjectRef]events.Object {
	objects := map[events.ObjectRef]events.Object{}
	for range rapid.IntRange(0, 6).Draw(t, "objects") {
		kind := rapid.SampledFrom(events.ObjectKinds).Draw(t, "kind")
		shape, _ := files.Shape(kind)
		spec := reflect.New(shape).Elem()
		fill(t, spec, 0)
		o := events.Object{Kind: kind, Name: rapid.StringMatching(`[a-z][a-z0-9-]{0,8}`).Draw(t, "name"), Spec: spec.Interface().(events.Spec)}
		objects[o.Ref()] = files.Tidy(o)
	}
	return objects
}

func TestWhatIsWrittenReadsAsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := governance(t)
		var all []events.Object
		for _, o := range want {
			all = append(all, o)
		}
		d := fstest.MapFS{}
		for _, f := range files.Write(all) {
			d[f.Name] = &fstest.MapFile{Data: []byte(f.Text)}
		}
		set, faults, err := files.Read(d)
		if err != nil || len(faults) > 0 {
			t.Fatalf("%v, %v in %v", err, faults, files.Write(all))
		}
		if diff := cmp.Diff(want, set.Map()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		again := fstest.MapFS{}
		for _, f := range files.Write(set.Objects) {
			again[f.Name] = &fstest.MapFile{Data: []byte(f.Text)}
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatalf("written twice (-first +second):\n%s", diff)
		}
	})
}

// TestTidyIsWhatFactsGiveBack says that what was tidied is the same after it went through a fact:
// else every apply would find a difference.
func TestTidyIsWhatFactsGiveBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		for _, want := range governance(t) {
			raw, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := events.DecodeObject(raw)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
			}
		}
	})
}

func TestEveryMistakeIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"an unknown field":    {"kind: Rule\nname: a\nspec:\n  efect: deny\n", `a.yaml:4: Rule/a: unknown field "efect": here are description, disabled, priority, scope, operations, when, effect, workflow, reveal_ttl_seconds`},
		"one further in":      {"kind: Workflow\nname: a\nspec:\n  steps:\n  - id: x\n    approvals: 1\n    from:\n      peeple: [a]\n", `a.yaml:8: Workflow/a: steps[0].from: unknown field "peeple": here are people, groups, roles, team_heads, owners`},
		"one of the document": {"kind: Team\nname: a\nspec: {}\nversion: 1\n", `a.yaml:4: Team/a: unknown field "version": an object has kind, name and spec`},
		"another case":        {"kind: Team\nname: a\nspec:\n  Parent: b\n", `a.yaml:4: Team/a: unknown field "Parent": here are description, parent, members, heads`},
		"a field twice":       {"kind: Team\nname: a\nspec:\n  parent: b\n  parent: c\n", `a.yaml:5: it is no YAML: mapping key "parent" already defined at [4:3]`},
		"no kind":             {"name: a\nspec: {}\n", "a.yaml:1: kind is missing"},
		"an unknown kind":     {"\nkind: Roll\nname: a\nspec: {}\n", `a.yaml:2: Roll/a: kind "Roll" is none of Role, Team, Group, Project, Binding, Workflow, Rule, Settings`},
		"no name":             {"kind: Team\nspec: {}\n", "a.yaml:1: Team/: name is missing"},
		"no spec":             {"kind: Team\nname: a\n", "a.yaml:1: Team/a: spec is missing"},
		"a spec of nothing":   {"kind: Team\nname: a\nspec:\n", "a.yaml:3: Team/a: nothing is said here; leave the field out"},
		"a number for a text": {"kind: Team\nname: a\nspec:\n  parent: 7\n", "a.yaml:4: Team/a: parent: it must be a text: put it in quotes"},
		"a text for a number": {"kind: Rule\nname: a\nspec:\n  priority: high\n", "a.yaml:4: Rule/a: priority: it must be a whole number"},
		"a half":              {"kind: Rule\nname: a\nspec:\n  priority: 1.5\n", "a.yaml:4: Rule/a: priority: it must be a whole number"},
		"a text for a truth":  {"kind: Rule\nname: a\nspec:\n  disabled: \"true\"\n", "a.yaml:4: Rule/a: disabled: it must be true or false"},
		"a text for a list":   {"kind: Role\nname: a\nspec:\n  permissions: request.create\n", "a.yaml:4: Role/a: permissions: it must be a list"},
		"a list for fields":   {"kind: Rule\nname: a\nspec:\n  scope: [a]\n", "a.yaml:4: Rule/a: scope: it must be fields with values"},
		"nobody":              {"kind: Team\nname: a\nspec:\n  members:\n  - u_1\n", "a.yaml:5: Team/a: members[0]: a person is an id, u_…, or an e-mail"},
		"no object":           {"- a\n", "a.yaml:1: it must be fields with values"},
		"an anchor":           {"kind: Team\nname: &a a\nspec: {}\n", "a.yaml:2: anchors, aliases and merges are not taken: write it out"},
		"an alias":            {"kind: Team\nname: *a\nspec: {}\n", "a.yaml:2: anchors, aliases and merges are not taken: write it out"},
		"a merge":             {"kind: Team\nname: a\nspec:\n  <<: {a: b}\n", "a.yaml:4: anchors, aliases and merges are not taken: write it out"},
		"a tag":               {"kind: !!str Team\nname: a\nspec: {}\n", "a.yaml:1: tags are not taken"},
		"no YAML":             {"kind: [\n", "a.yaml:1: it is no YAML: sequence end token ']' not found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, faults := read(t, dir("a.yaml", test.text))
			if diff := cmp.Diff([]string{test.want}, faults); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(set.Objects) > 0 {
				t.Errorf("an object came of it: %v", set.Objects)
			}
		})
	}
}

func TestFilesAreReadFromAllFoldersButHiddenOnes(t *testing.T) {
	t.Parallel()
	set, faults := read(t, dir(
		"teams/a.yaml", "# the first\nkind: Team\nname: a\nspec: {}\n---\n---\n# the second\nkind: Team\nname: b\nspec:\n  parent: a\n",
		"c.yml", "---\nkind: Group\nname: c\nspec: {members: [dana@example.org]}\n",
		".git/d.yaml", "garbage", ".hidden.yaml", "garbage", "README.md", "garbage", "empty.yaml", "", "comment.yaml", "# nothing\n",
	))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := []events.Object{
		{Kind: "Team", Name: "a", Spec: events.Team{}}, {Kind: "Team", Name: "b", Spec: events.Team{Parent: "a"}},
		{Kind: "Group", Name: "c", Spec: events.Group{Members: []events.UserID{"dana@example.org"}}},
	}
	if diff := cmp.Diff(want, set.Objects); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for field, want := range map[string]string{"parent": "teams/a.yaml:11", "": "teams/a.yaml:10", "members[0]": "teams/a.yaml:10"} {
		file, line := set.At(events.ObjectRef{Kind: "Team", Name: "b"}, field)
		if got := fmt.Sprintf("%s:%d", file, line); got != want {
			t.Errorf("%q stands at %s, want %s", field, got, want)
		}
	}
}

func TestANameIsTakenOnceOverAllFiles(t *testing.T) {
	t.Parallel()
	_, faults := read(t, dir("a.yaml", "kind: Team\nname: x\nspec: {}\n", "b/c.yaml", "\nkind: Team\nname: x\nspec: {}\n---\nkind: Group\nname: x\nspec: {}\n"))
	if diff := cmp.Diff([]string{"b/c.yaml:2: Team/x: it is there twice: a.yaml:1 has it, too"}, faults); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBombsEndAtOnce feeds what is short and grows, or goes deep.
func TestBombsEndAtOnce(t *testing.T) {
	t.Parallel()
	laughs := "kind: Team\nname: a\nspec:\n  members: &a [x, x]\n"
	for i := range 30 {
		laughs += fmt.Sprintf("  m%d: &m%d [*a, *a]\n", i, i)
	}
	deep := files.MaxFileBytes - 100
	for name, text := range map[string]string{
		"laughs": laughs, "brackets": strings.Repeat("[", deep), "braces": strings.Repeat("{a: ", deep/4), "entries": strings.Repeat("- ", deep/2),
		"keys": strings.Repeat("? ", deep/2), "indents": indents(1500), "quotes": strings.Repeat(`"`, deep), "anchors": strings.Repeat("&a ", deep/3),
		"colons": strings.Repeat("a: ", deep/3), "documents": strings.Repeat("---\n", deep/4), "blocks": strings.Repeat("|\n", deep/2), "tabs": strings.Repeat("\t", deep),
		"many keys": keys(100_000), "short lines": strings.Repeat("\"\n", deep/2), "items": "a:\n" + strings.Repeat("- a: b\n", deep/8), "texts": strings.Repeat("a\n", deep/2),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			set, _, err := files.Read(dir("a.yaml", text))
			if err != nil || len(set.Objects) > 0 {
				t.Errorf("%v, %d objects", err, len(set.Objects))
			}
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("it took %s", d)
			}
		})
	}
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: b\n", i)
	}
	return b.String()
}

// indents is a mapping that goes deeper with each line.
func indents(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestLintTellsWhatDoesNotFitTogetherWithItsPlace(t *testing.T) {
	t.Parallel()
	set, faults := read(t, dir("all.yaml", `kind: Team
name: payments
spec:
  members:
  - olu@example.org
  - dana@example.org
  - eve@example.org
  - dana@example.org
---
kind: Project
name: shop
spec:
  team: payment
  environments:
  - name: prod
    kind: prod
---
kind: Rule
name: reads
spec:
  effect: require
  workflow: nowhere
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var places []string
	for _, f := range files.Lint(set) {
		places = append(places, f.String())
	}
	want := []string{`all.yaml:8: Team/payments: members[1]: "dana@example.org" is there twice; take one out`,
		`all.yaml:13: Project/shop: team: there is no team "payment"; make it in the same change, or name another`, `all.yaml:22: Rule/reads: workflow: there is no workflow "nowhere"; make it in the same change, or name another`}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, files.Lint(set))
	}
}

func TestNoDifferenceHides(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		for _, o := range governance(t) {
			if d := files.Diff(o.Spec, o.Spec); len(d) > 0 {
				t.Fatalf("it differs from itself: %v", d)
			}
			other := reflect.New(reflect.TypeOf(o.Spec)).Elem()
			fill(t, other, 0)
			changed := files.Tidy(events.Object{Kind: o.Kind, Name: o.Name, Spec: other.Interface().(events.Spec)})
			if d := files.Diff(o.Spec, changed.Spec); (len(d) == 0) != reflect.DeepEqual(o, changed) {
				t.Fatalf("%v between\n%s and\n%s", d, files.Text(o), files.Text(changed))
			}
		}
	})
}

func TestDifferencesAreOfFields(t *testing.T) {
	t.Parallel()
	step := func(id string, n int) events.StepSpec {
		return events.StepSpec{ID: events.StepID(id), Approvals: n, From: events.Approvers{Roles: []string{"approver"}}}
	}
	got := files.Diff(
		events.WorkflowSpec{Description: "old", Steps: []events.StepSpec{step("a", 1), step("b", 1)}},
		events.WorkflowSpec{Steps: []events.StepSpec{step("b", 2), step("a", 1)}, BreakGlass: &events.BreakGlass{}})
	want := []files.FieldChange{
		{Field: "steps[b].approvals", Before: "1", After: "2"}, {Field: "steps", Before: "a, b", After: "b, a"},
		{Field: "break_glass", After: "{}"}, {Field: "description", Before: "old"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = files.Diff(
		events.Group{Members: []events.UserID{"b", "a"}, Grants: []events.Grant{{Role: "approver", Scope: events.Scope{Project: "shop", Kind: "prod"}}}},
		events.Group{Members: []events.UserID{"c", "b"}, Grants: []events.Grant{{Role: "approver"}}})
	want = []files.FieldChange{
		{Field: "members", After: "c"}, {Field: "grants", After: "approver"},
		{Field: "members", Before: "a"}, {Field: "grants", Before: "approver, project shop, environment_kind prod"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
