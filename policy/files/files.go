// Package files is the governance as files: it reads a directory of YAML into objects, says
// for every mistake where it stands, and writes objects back in one canonical form.
//
// A file has one or more documents, each an object with kind, name and spec. A person is an id
// or an e-mail; only ids get into facts. Comments and the order of lists that are sets are
// nobody's: writing keeps neither.
package files

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"secretsbridge/events"
)

// Limits of what is read. A change has limits of its own (package command).
const (
	MaxFiles     = 2_000
	MaxFileBytes = 2 << 20
	MaxBytes     = 32 << 20 // of all files together
	MaxDepth     = 16       // of what lies in each other; a workflow needs 6
	MaxFaults    = 200      // told at once
)

// Set is what some files say.
type Set struct {
	Objects []events.Object // by kind, then by name; each once
	places  map[events.ObjectRef]place
}

// place is where an object stands, and the line of each of its fields, such as "spec.steps[0].from".
type place struct {
	file  string
	line  int
	lines map[string]int
}

// Fault is one thing that is wrong, and where. Line counts from 1; 0: the file as a whole.
type Fault struct {
	File    string            `json:"file,omitempty"`
	Line    int               `json:"line,omitempty"`
	Kind    events.ObjectKind `json:"kind,omitempty"`
	Name    string            `json:"name,omitempty"`
	Field   string            `json:"field,omitempty"` // below spec
	Problem string            `json:"problem"`
	Warning bool              `json:"warning,omitempty"`
}

// String is FILE:LINE: KIND/NAME: FIELD: what is wrong.
func (f Fault) String() string {
	var s string
	switch {
	case f.File != "" && f.Line > 0:
		s = fmt.Sprintf("%s:%d: ", f.File, f.Line)
	case f.File != "":
		s = f.File + ": "
	}
	if f.Warning {
		s += "warning: "
	}
	if f.Kind != "" {
		s += string(f.Kind) + "/" + f.Name + ": "
	}
	if f.Field != "" {
		s += f.Field + ": "
	}
	return s + f.Problem
}

// SortFaults sorts by file, line and field.
func SortFaults(all []Fault) {
	slices.SortStableFunc(all, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), events.ObjectRef{Kind: a.Kind, Name: a.Name}.Compare(events.ObjectRef{Kind: b.Kind, Name: b.Name}),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Problem, b.Problem))
	})
}

// At is where a field of an object stands; where it does not, the nearest one around it counts.
// No file: the object is in none.
func (s *Set) At(ref events.ObjectRef, field string) (file string, line int) {
	at, ok := s.places[ref]
	if !ok {
		return "", 0
	}
	path := "spec"
	if field != "" {
		path += "." + field
	}
	for ; path != ""; path = outer(path) {
		if line, ok := at.lines[path]; ok {
			return at.file, line
		}
	}
	return at.file, at.line
}

// outer is the path of what a field lies in.
func outer(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

// Map is the objects by their names.
func (s *Set) Map() map[events.ObjectRef]events.Object {
	all := make(map[events.ObjectRef]events.Object, len(s.Objects))
	for _, o := range s.Objects {
		all[o.Ref()] = o
	}
	return all
}

// shapes are the specs of the kinds.
var shapes = map[events.ObjectKind]reflect.Type{
	events.KindRole: reflect.TypeFor[events.Role](), events.KindTeam: reflect.TypeFor[events.Team](), events.KindGroup: reflect.TypeFor[events.Group](),
	events.KindProject: reflect.TypeFor[events.Project](), events.KindBinding: reflect.TypeFor[events.Binding](),
	events.KindWorkflow: reflect.TypeFor[events.WorkflowSpec](), events.KindRule: reflect.TypeFor[events.Rule](), events.KindSettings: reflect.TypeFor[events.Settings](),
}

// Shape is what the spec of a kind is made of; false: there is no such kind.
func Shape(kind events.ObjectKind) (reflect.Type, bool) {
	t, ok := shapes[kind]
	return t, ok
}
