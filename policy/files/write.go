package files

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"secretsbridge/events"
)

// maxWritten is about how long a written file becomes, in bytes, before another one is begun.
const maxWritten = 512 << 10

// File is one file as it is to be written.
type File struct {
	Name string // without a folder
	Text string
}

// Write is objects as files: those of each kind in one, such as rules.yaml, or in several if
// they are many. The same objects are always the same bytes.
func Write(objects []events.Object) []File {
	objects = slices.Clone(objects)
	slices.SortFunc(objects, func(a, b events.Object) int { return a.Ref().Compare(b.Ref()) })
	var all []File
	part := 1
	for i, o := range objects {
		text := Text(o)
		switch n := len(all) - 1; {
		case i == 0 || objects[i-1].Kind != o.Kind:
			all, part = append(all, File{fileOf(o.Kind, 1), text}), 1
		case len(all[n].Text)+len(text) > maxWritten:
			part++
			all = append(all, File{fileOf(o.Kind, part), text})
		default:
			all[n].Text += "---\n" + text
		}
	}
	return all
}

// fileOf names a file of a kind.
func fileOf(kind events.ObjectKind, part int) string {
	name := strings.ToLower(string(kind))
	if kind != events.KindSettings {
		name += "s"
	}
	if part > 1 {
		name += "-" + strconv.Itoa(part)
	}
	return name + ".yaml"
}

// Text is one object as a document.
func Text(o events.Object) string {
	o = Tidy(o)
	var b strings.Builder
	fmt.Fprintf(&b, "kind: %s\nname: %s\n", scalar(string(o.Kind)), scalar(o.Name))
	spec := reflect.ValueOf(o.Spec)
	if spec.IsZero() {
		return b.String() + "spec: {}\n"
	}
	b.WriteString("spec:\n")
	writeFields(&b, spec, "  ", "  ")
	return b.String()
}

// writeFields writes what is said in a struct; first is before its first line. Nothing said is {}.
func writeFields(b *strings.Builder, v reflect.Value, first, indent string) {
	before := first
	for i, name := range Fields(v.Type()) {
		field := v.Field(i)
		if left(v.Type().Field(i), field) {
			continue
		}
		b.WriteString(before + name + ":")
		before = indent
		writeValue(b, field, indent)
	}
	if before == first && first != indent {
		b.WriteString(first + "{}\n") // in a list
	}
}

// left reports whether a field is not written: the same ones as in JSON.
func left(f reflect.StructField, v reflect.Value) bool {
	return v.IsZero() && (strings.Contains(f.Tag.Get("json"), ",omitempty") || strings.Contains(f.Tag.Get("json"), ",omitzero"))
}

// writeValue writes what follows a name and its colon.
func writeValue(b *strings.Builder, v reflect.Value, indent string) {
	switch v.Kind() {
	case reflect.Pointer:
		writeValue(b, v.Elem(), indent)
	case reflect.Struct:
		var inner strings.Builder
		writeFields(&inner, v, indent+"  ", indent+"  ")
		if inner.Len() == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteString("\n" + inner.String())
	case reflect.Slice:
		if v.Len() == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteString("\n")
		for i := range v.Len() {
			item := v.Index(i)
			if item.Kind() == reflect.Struct {
				writeFields(b, item, indent+"- ", indent+"  ")
				continue
			}
			b.WriteString(indent + "- " + scalar(item.String()) + "\n")
		}
	case reflect.String:
		b.WriteString(" " + scalar(v.String()) + "\n")
	default:
		fmt.Fprintf(b, " %v\n", v.Interface())
	}
}

// plain are texts that YAML takes as they are, but for some words.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./,()@-]*( [A-Za-z0-9_./,()@][A-Za-z0-9_./,()@-]*)*$`)

// words are those that YAML, in one version or another, takes for something else.
var words = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

// scalar is a text in YAML. What is not plain is quoted, with escapes for all that is not
// printable: in YAML they mean what they mean in Go.
func scalar(s string) string {
	if plain.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) {
		return s
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar }) {
		return strconv.QuoteToASCII(s)
	}
	return strconv.Quote(s)
}

func itoa(i int) string { return strconv.Itoa(i) }
