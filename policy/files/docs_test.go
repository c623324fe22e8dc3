package files_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"secretsbridge/events"
	"secretsbridge/policy/files"
)

const referencePath = "../../docs/reference/governance.md"

// TestTheReferenceHasEveryField holds the tables of the reference against the code, both ways.
func TestTheReferenceHasEveryField(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string][]string{} // fields, by heading
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\|")
	heading := ""
	for line := range strings.Lines(string(text)) {
		if after, ok := strings.CutPrefix(line, "## "); ok {
			heading = strings.TrimSpace(after)
		} else if found := row.FindStringSubmatch(line); found != nil {
			sections[heading] = append(sections[heading], found[1])
		}
	}
	named := map[reflect.Type]string{
		reflect.TypeFor[events.StepSpec](): "Step", reflect.TypeFor[events.StepUp](): "Step-up", reflect.TypeFor[events.BreakGlass](): "Break-glass",
		reflect.TypeFor[events.WorkflowSpec](): "Workflow",
	}
	seen := map[string]bool{}
	var look func(t reflect.Type)
	look = func(kind reflect.Type) {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct {
			return
		}
		name, ok := named[kind]
		if !ok {
			name = kind.Name()
		}
		if seen[name] {
			return
		}
		seen[name] = true
		if want := files.Fields(kind); !slices.Equal(sections[name], want) {
			t.Errorf("section %s has the fields %v, want %v", name, sections[name], want)
		}
		for i := range kind.NumField() {
			look(kind.Field(i).Type)
		}
	}
	for _, kind := range events.ObjectKinds {
		shape, _ := files.Shape(kind)
		look(shape)
	}
}

// TestTheExamplesOfTheReferenceFitTogether reads and lints all of them as one governance.
func TestTheExamplesOfTheReferenceFitTogether(t *testing.T) {
	t.Parallel()
	for _, path := range []string{referencePath, "../../docs/how-to/governance-as-code.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(string(text), "```yaml\n")
		if len(parts) < 3 {
			t.Fatalf("%s has %d examples", path, len(parts)-1)
		}
		var all []string
		for _, part := range parts[1:] {
			example, _, _ := strings.Cut(part, "```")
			all = append(all, example)
		}
		set, faults := read(t, fstest.MapFS{"examples.yaml": &fstest.MapFile{Data: []byte(strings.Join(all, "---\n"))}})
		for _, f := range files.Lint(set) {
			faults = append(faults, f.String())
		}
		if len(faults) > 0 {
			t.Errorf("%s: %v", path, faults)
		}
		for _, o := range set.Objects {
			if written := files.Text(o); !strings.Contains(string(text), written) && path == referencePath {
				t.Errorf("%s is not written as an export does:\n%s", o.Ref(), written)
			}
		}
	}
}
