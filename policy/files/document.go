package files

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"secretsbridge/events"
)

var userID = reflect.TypeFor[events.UserID]()

// document reads one object. Its lines count from the one that is before it in the file.
// A parser that lost some of its fields took something for what it is not.
func (r *reader) document(name string, body ast.Node, before, keys int) {
	d := &document{before: before, lines: map[string]int{}}
	d.object(body)
	if d.faults == nil && d.keys != keys {
		d.wrong(body, "", "it is no YAML that is understood as a whole")
	}
	if d.faults == nil {
		r.take(d.found, place{file: name, line: d.line(body), lines: d.lines})
		return
	}
	for _, f := range d.faults {
		f.File, f.Kind, f.Name = name, d.found.Kind, d.found.Name
		r.wrong(f)
	}
}

type document struct {
	before int // lines of the file
	keys   int // fields that were seen
	found  events.Object
	lines  map[string]int
	faults []Fault
}

func (d *document) line(n ast.Node) int { return d.before + lineOf(n) }

func (d *document) wrong(n ast.Node, path, problem string, args ...any) {
	field := strings.TrimPrefix(strings.TrimPrefix(path, "spec"), ".")
	d.faults = append(d.faults, Fault{Line: d.line(n), Field: field, Problem: fmt.Sprintf(problem, args...)})
}

// object reads kind and name first, wherever they stand: they say what spec is.
func (d *document) object(body ast.Node) {
	entries, ok := d.entries(body, "")
	if !ok {
		return
	}
	var spec ast.Node
	var kind, name string
	for _, e := range entries {
		switch key, _ := d.key(e); key {
		case "kind":
			d.fill(e.Value, reflect.ValueOf(&kind).Elem(), key)
		case "name":
			d.fill(e.Value, reflect.ValueOf(&name).Elem(), key)
		case "spec":
			spec = e.Value
			d.lines["spec"] = d.line(e.Key)
		default:
			d.wrong(e.Key, "", "unknown field %q: an object has kind, name and spec", key)
		}
	}
	d.found.Kind, d.found.Name = events.ObjectKind(kind), name
	shape, known := Shape(d.found.Kind)
	switch {
	case kind == "":
		d.wrong(body, "", "kind is missing")
		return
	case !known:
		d.wrong(body, "", "kind %q is none of %s", kind, joined(events.ObjectKinds))
		return
	case name == "":
		d.wrong(body, "", "name is missing")
		return
	case spec == nil:
		d.wrong(body, "", "spec is missing")
		return
	}
	said := reflect.New(shape).Elem()
	d.fill(spec, said, "spec")
	d.found.Spec = said.Interface().(events.Spec)
}

// entries are the fields of a mapping.
func (d *document) entries(n ast.Node, path string) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		d.keys += len(m.Values)
		return m.Values, true
	case *ast.MappingValueNode:
		d.keys++
		return []*ast.MappingValueNode{m}, true
	}
	d.wrong(n, path, "it must be fields with values")
	return nil, false
}

func (d *document) key(e *ast.MappingValueNode) (string, bool) {
	if s, ok := e.Key.(*ast.StringNode); ok {
		return s.Value, true
	}
	return e.Key.String(), false
}

// fill reads a node as a value of v's type.
func (d *document) fill(n ast.Node, v reflect.Value, path string) {
	if strings.Count(path, ".")+strings.Count(path, "[") > MaxDepth {
		d.wrong(n, path, "it is nested too deeply")
		return
	}
	if n == nil || n.Type() == ast.NullType {
		d.wrong(n, path, "nothing is said here; leave the field out")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.fill(n, v.Elem(), path)
	case reflect.Struct:
		d.fields(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.String:
		text, ok := textOf(n)
		if !ok {
			d.wrong(n, path, "it must be a text: put it in quotes")
			return
		}
		if v.Type() == userID && !IsID(events.UserID(text)) && !IsEmail(events.UserID(text)) {
			d.wrong(n, path, "a person is an id, u_…, or an e-mail")
			return
		}
		v.SetString(text)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			d.wrong(n, path, "it must be true or false")
			return
		}
		v.SetBool(b.Value)
	case reflect.Int:
		number, ok := numberOf(n)
		if !ok {
			d.wrong(n, path, "it must be a whole number")
			return
		}
		v.SetInt(number)
	default:
		panic("a spec with a " + v.Kind().String()) // a defect
	}
}

func (d *document) fields(n ast.Node, v reflect.Value, path string) {
	entries, ok := d.entries(n, path)
	if !ok {
		return
	}
	known := Fields(v.Type())
	for _, e := range entries {
		name, _ := d.key(e)
		i := index(known, name)
		if i < 0 {
			d.wrong(e.Key, path, "unknown field %q: here are %s", name, strings.Join(known, ", "))
			continue
		}
		below := path + "." + name
		if _, twice := d.lines[below]; twice {
			d.wrong(e.Key, path, "the field %q is there twice", name)
			continue
		}
		d.lines[below] = d.line(e.Key)
		d.fill(e.Value, v.Field(i), below)
		if slices.Contains(sets[v.Type()], name) {
			d.sort(v.Field(i), below)
		}
	}
}

// sort brings a set into its order, and the lines of its items with them: places are then
// right for the object as everybody else sees it.
func (d *document) sort(list reflect.Value, path string) {
	type item struct {
		text string
		line int
	}
	items := make([]item, list.Len())
	for i := range items {
		items[i] = item{list.Index(i).String(), d.lines[fmt.Sprintf("%s[%d]", path, i)]}
	}
	slices.SortStableFunc(items, func(a, b item) int { return strings.Compare(a.text, b.text) })
	for i, one := range items {
		list.Index(i).SetString(one.text)
		d.lines[fmt.Sprintf("%s[%d]", path, i)] = one.line
	}
}

func (d *document) list(n ast.Node, v reflect.Value, path string) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrong(n, path, "it must be a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = d.line(item)
		d.fill(item, v.Index(i), at)
	}
}

func textOf(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	}
	return "", false
}

func numberOf(n ast.Node) (int64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch value := i.Value.(type) {
	case int64:
		return value, true
	case uint64:
		return int64(value), value <= 1<<53
	}
	return 0, false
}

// Fields are the names of a struct's fields in files, which are those of JSON, in order.
func Fields(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

func index(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil {
		return 0
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return lineOf(m.Key)
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		return lineOf(m.Values[0].Key)
	}
	return n.GetToken().Position.Line
}

func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}
