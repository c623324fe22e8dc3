package events_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"secretsbridge/events"
)

const cataloguePath = "../docs/reference/facts.md"

// TestTheCatalogueOfFactsIsCurrent compares the generated page; go test ./events
// -update writes it.
func TestTheCatalogueOfFactsIsCurrent(t *testing.T) {
	want := catalogue()
	if *update {
		if err := os.WriteFile(cataloguePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(cataloguePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the code says; run go test ./events -update", cataloguePath)
	}
}

func catalogue() string {
	var b strings.Builder
	b.WriteString(`# Catalogue of facts

Generated from package events; do not edit. Each fact is the ` + "`data`" + ` of one CloudEvents 1.0 event. One message of
the log is a JSON batch of one or more events of one stream; its subject is ` + "`evt.<aggregate>.<id>`" + `. Beside the
standard attributes every event has ` + "`actor`, `correlation` and `command`" + `. No fact carries a value, a name of a
person or a token.
`)
	aggregate := events.Aggregate("")
	for _, kind := range events.Catalogue() {
		if kind.Aggregate != aggregate {
			aggregate = kind.Aggregate
			fmt.Fprintf(&b, "\n## %s\n", aggregate)
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n%s.\n", kind.Type, strings.ToUpper(kind.Sentence[:1])+kind.Sentence[1:])
		if kind.Go.NumField() > 0 {
			b.WriteString("\n| field | kind |\n| --- | --- |\n")
		}
		for i := range kind.Go.NumField() {
			f := kind.Go.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			optional := ""
			if options != "" {
				optional = ", optional"
			}
			fmt.Fprintf(&b, "| `%s` | %s%s |\n", name, describe(f.Type), optional)
		}
	}
	return b.String()
}

func describe(t reflect.Type) string {
	switch {
	case t.String() == "time.Time":
		return "time, RFC 3339, UTC"
	case t == reflect.TypeFor[[]byte]():
		return "bytes in base64"
	case t == reflect.TypeFor[events.Object]():
		return "{`kind`: ObjectKind; `name`: string; `spec`: what that kind says, as in docs/reference/governance.md}"
	case t.Kind() == reflect.Pointer:
		return describe(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + describe(t.Elem())
	case t.Kind() == reflect.Struct:
		var fields []string
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			fields = append(fields, "`"+name+"`: "+describe(t.Field(i).Type))
		}
		return "{" + strings.Join(fields, "; ") + "}"
	case t.PkgPath() != "":
		return t.Name()
	}
	return t.String()
}
