package files

import (
	"reflect"
	"slices"
	"strings"

	"secretsbridge/events"
)

// maxEmail is how long an e-mail is, in bytes (RFC 5321, section 4.5.3.1.3).
const maxEmail = 254

// IsID reports whether a person is named by id.
func IsID(who events.UserID) bool { return events.ValidID(string(who), "u_") }

// IsEmail reports whether a person is named by something that may be an e-mail.
func IsEmail(who events.UserID) bool {
	local, domain, ok := strings.Cut(string(who), "@")
	return ok && local != "" && domain != "" && len(who) <= maxEmail && !strings.ContainsFunc(string(who), func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// MapPeople puts others in place of the people that an object names, wherever it does. Path is
// of the field, such as "members[0]". The object that it is given stays as it is.
func MapPeople(o events.Object, to func(path string, who events.UserID) events.UserID) events.Object {
	return Tidy(inOrder(o, to))
}

// inOrder is likewise, and leaves lists in the order that they have.
func inOrder(o events.Object, to func(path string, who events.UserID) events.UserID) events.Object {
	v := reflect.New(reflect.TypeOf(o.Spec)).Elem()
	v.Set(reflect.ValueOf(o.Spec))
	o.Spec = mapped(v, "", to).Interface().(events.Spec)
	return o
}

// mapped is a copy of a value, with other people.
func mapped(v reflect.Value, path string, to func(string, events.UserID) events.UserID) reflect.Value {
	made := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		for i, name := range Fields(v.Type()) {
			made.Field(i).Set(mapped(v.Field(i), strings.TrimPrefix(path+"."+name, "."), to))
		}
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		made.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			made.Index(i).Set(mapped(v.Index(i), path+"["+itoa(i)+"]", to))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		made.Set(reflect.New(v.Type().Elem()))
		made.Elem().Set(mapped(v.Elem(), path, to))
	default:
		made.Set(v)
		if v.Type() == userID {
			made.SetString(string(to(path, events.UserID(v.String()))))
		}
	}
	return made
}

// sets are the lists whose order says nothing, by their types and fields.
var sets = map[reflect.Type][]string{
	reflect.TypeFor[events.Role]():       {"permissions"},
	reflect.TypeFor[events.Team]():       {"members", "heads"},
	reflect.TypeFor[events.Group]():      {"members"},
	reflect.TypeFor[events.Binding]():    {"operations", "keys"},
	reflect.TypeFor[events.Rule]():       {"operations"},
	reflect.TypeFor[events.Approvers]():  {"people", "groups", "roles"},
	reflect.TypeFor[events.Settings]():   {"step_up"},
	reflect.TypeFor[events.Amendments](): {"kinds"},
}

// Tidy is an object in the one form that it is compared in: what says nothing is left out, and
// sets are sorted. Who names somebody twice is told so by a check, and not here.
func Tidy(o events.Object) events.Object {
	v := reflect.New(reflect.TypeOf(o.Spec)).Elem()
	v.Set(reflect.ValueOf(o.Spec))
	o.Spec = tidied(v).Interface().(events.Spec)
	return o
}

func tidied(v reflect.Value) reflect.Value {
	made := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		t := v.Type()
		for i, name := range Fields(t) {
			field := tidied(v.Field(i))
			if field.Kind() == reflect.Slice {
				switch left := strings.Contains(t.Field(i).Tag.Get("json"), ",omitempty"); {
				case field.Len() == 0 && left:
					field = reflect.Zero(field.Type())
				case field.IsNil():
					field = reflect.MakeSlice(field.Type(), 0, 0)
				}
				if slices.Contains(sets[t], name) {
					sortTexts(field)
				}
			}
			made.Field(i).Set(field)
		}
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		made.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			made.Index(i).Set(tidied(v.Index(i)))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		made.Set(reflect.New(v.Type().Elem()))
		made.Elem().Set(tidied(v.Elem()))
	default:
		made.Set(v)
	}
	return made
}

// sortTexts sorts a list of texts in its place.
func sortTexts(list reflect.Value) {
	texts := make([]string, list.Len())
	for i := range texts {
		texts[i] = list.Index(i).String()
	}
	slices.Sort(texts)
	for i, text := range texts {
		list.Index(i).SetString(text)
	}
}
