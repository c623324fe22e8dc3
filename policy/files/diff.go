package files

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"secretsbridge/events"
)

// FieldChange is one field that differs. Before is empty where there was none, After where
// there is none any more. Each entry of a set counts by itself.
type FieldChange struct {
	Field  string `json:"field"` // such as steps[approve].approvals
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff says in which fields two specs of one kind differ, in the order of the fields. Nil is
// what was not there, or is not any more. Two specs differ in no field if they are the same
// once they are tidied.
func Diff(before, after events.Spec) []FieldChange {
	was, is := flat(before), flat(after)
	var all []FieldChange
	for _, l := range is {
		switch i := slices.IndexFunc(was, func(w leaf) bool { return w.path == l.path && (!l.set || w.text == l.text) }); {
		case i < 0:
			all = append(all, FieldChange{Field: l.path, After: l.text})
		case was[i].text != l.text:
			all = append(all, FieldChange{Field: l.path, Before: was[i].text, After: l.text})
		}
	}
	for _, w := range was {
		if !slices.ContainsFunc(is, func(l leaf) bool { return l.path == w.path && (!w.set || w.text == l.text) }) {
			all = append(all, FieldChange{Field: w.path, Before: w.text})
		}
	}
	return all
}

// leaf is a value with its path. Of a set there is one for each entry, all of one path.
type leaf struct {
	path, text string
	set        bool
}

func flat(s events.Spec) []leaf {
	if s == nil {
		return nil
	}
	var all []leaf
	v := reflect.ValueOf(Tidy(events.Object{Spec: s}).Spec)
	flatten(&all, v, "")
	return all
}

func flatten(all *[]leaf, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		before := len(*all)
		if flatten(all, v.Elem(), path); len(*all) == before {
			*all = append(*all, leaf{path: path, text: "{}"})
		}
	case reflect.Struct:
		for i, name := range Fields(v.Type()) {
			at := strings.TrimPrefix(path+"."+name, ".")
			if f := v.Field(i); slices.Contains(sets[v.Type()], name) {
				for j := range f.Len() {
					*all = append(*all, leaf{at, f.Index(j).String(), true})
				}
			} else {
				flatten(all, f, at)
			}
		}
	case reflect.Slice:
		flattenList(all, v, path)
	default:
		if !v.IsZero() {
			*all = append(*all, leaf{path: path, text: fmt.Sprint(v.Interface())})
		}
	}
}

// flattenList names the items of a list by their id or name, so that one more at the front is one
// more and not all of them; their order is a value of its own. Grants have no names.
func flattenList(all *[]leaf, v reflect.Value, path string) {
	var order []string
	for i := range v.Len() {
		item := v.Index(i)
		if grant, ok := item.Interface().(events.Grant); ok {
			*all = append(*all, leaf{path, grantText(grant), true})
			continue
		}
		name := strconv.Itoa(i)
		if item.Kind() == reflect.Struct && item.NumField() > 0 && item.Field(0).Kind() == reflect.String {
			name = item.Field(0).String() // id or name come first
		}
		if slices.Contains(order, name) {
			name += "#" + strconv.Itoa(i)
		}
		order = append(order, name)
		flatten(all, item, path+"["+name+"]")
	}
	if len(order) > 0 {
		*all = append(*all, leaf{path: path, text: strings.Join(order, ", ")})
	}
}

// grantText is a grant in words.
func grantText(g events.Grant) string {
	text := g.Role
	for _, part := range ScopeWords(g.Scope) {
		text += ", " + part
	}
	return text
}

// ScopeWords are the fields of a scope that are set, in words; none: everywhere.
func ScopeWords(s events.Scope) []string {
	var words []string
	v := reflect.ValueOf(s)
	for i, name := range Fields(v.Type()) {
		if text := v.Field(i).String(); text != "" {
			words = append(words, name+" "+scalar(text))
		}
	}
	return words
}
