package siem_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"secretsbridge/events"
	"secretsbridge/siem"
)

// schema is what testdata has of OCSF.
type schema struct {
	Version string
	Classes map[string]struct {
		shape
		Name       string
		Activities []int
	}
	Objects map[string]shape
	Paths   map[string]string // of an attribute to its object
}

type shape struct {
	Required, Attributes []string
	AtLeastOne           []string `json:"at_least_one"`
	TypeIDs              []int    `json:"type_ids"`
}

// fits reports what of an object the schema does not have, or needs and has not.
func (s shape) fits(t *testing.T, where string, object map[string]any, beside ...string) {
	t.Helper()
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			t.Errorf("%s has no %s", where, name)
		}
	}
	for name, value := range object {
		if !slices.Contains(s.Attributes, name) && !slices.Contains(beside, name) {
			t.Errorf("%s has %s, which the schema has not", where, name)
		}
		if value == "" || value == nil {
			t.Errorf("%s has an empty %s", where, name)
		}
	}
	if len(s.AtLeastOne) > 0 && !slices.ContainsFunc(s.AtLeastOne, func(name string) bool { return object[name] != nil }) {
		t.Errorf("%s has none of %v", where, s.AtLeastOne)
	}
	if n, ok := object["type_id"].(float64); ok && !slices.Contains(s.TypeIDs, int(n)) {
		t.Errorf("%s has type_id %v", where, n)
	}
}

func loadSchema(t *testing.T) (s schema) {
	t.Helper()
	text, err := os.ReadFile("testdata/ocsf-1.6.0.json")
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// walk visits every object of a record, and those in lists.
func (s schema) walk(t *testing.T, where, path string, object map[string]any) {
	t.Helper()
	for name, value := range object {
		at := name
		if path != "" {
			at = path + "." + name
		}
		all, _ := value.([]any)
		if one, ok := value.(map[string]any); ok {
			all = []any{one}
		}
		for _, v := range all {
			inner, ok := v.(map[string]any)
			if !ok || at == "unmapped" {
				continue
			}
			name, ok := s.Paths[at]
			if !ok {
				t.Errorf("%s: nobody says which object %s is", where, at)
				continue
			}
			s.Objects[name].fits(t, where+": "+at, inner)
			s.walk(t, where, at, inner)
		}
	}
}

// TestEveryFactIsAnEventOfTheSchema holds every kind of fact to the requirements of OCSF.
func TestEveryFactIsAnEventOfTheSchema(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	denied := events.TypesOf(events.OutcomeDenied)
	classes := map[string]int{}
	for typ, raw := range commits(t) {
		if !siem.Meant(typ) {
			t.Errorf("%s has no class: say in meaning.go what it is", typ)
		}
		for _, short := range []int{0, siem.MinRecord} {
			r := records(t, 12, raw)[1]
			line, err := siem.OCSF.Append(nil, r, short)
			if err != nil {
				t.Fatal(err)
			}
			var e map[string]any
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			number := func(name string) int { return int(e[name].(float64)) }
			class, ok := s.Classes[fmt.Sprint(number("class_uid"))]
			if !ok {
				t.Fatalf("%s is of class %v", typ, e["class_uid"])
			}
			classes[class.Name]++
			class.fits(t, typ, e, "action_id", "disposition_id")
			s.walk(t, typ, "", e)
			activity := number("activity_id")
			if !slices.Contains(class.Activities, activity) || (activity == 99) != (e["activity_name"] != nil) {
				t.Errorf("%s has activity %d, named %v", typ, activity, e["activity_name"])
			}
			if number("type_uid") != 100*number("class_uid")+activity || number("category_uid") != number("class_uid")/1000 {
				t.Errorf("%s has type %v and category %v", typ, e["type_uid"], e["category_uid"])
			}
			if n := number("severity_id"); n < 1 || n > 5 {
				t.Errorf("%s has severity %d", typ, n)
			}
			if number("time") != int(r.Time.UnixMilli()) {
				t.Errorf("%s happened at %v", typ, e["time"])
			}
			meta := e["metadata"].(map[string]any)
			if meta["version"] != s.Version || meta["uid"] != "c_1.1" || meta["sequence"] != 12.0 || meta["event_code"] != typ {
				t.Errorf("%s: %v", typ, meta)
			}
			isDenied := slices.Contains(denied, typ)
			if (e["action_id"] == 2.0) != isDenied || isDenied && e["status_id"] != 2.0 || (meta["profiles"] != nil) != isDenied {
				t.Errorf("%s is denied with action %v, status %v, profiles %v", typ, e["action_id"], e["status_id"], meta["profiles"])
			}
			unmapped := e["unmapped"].(map[string]any)
			if meta["is_truncated"] == nil && unmapped["data"] == nil {
				t.Errorf("%s lost its data", typ)
			}
		}
	}
	if len(classes) != len(s.Classes) {
		t.Errorf("facts are of %v only", classes)
	}
}

// TestClassesAreThoseThatAnAnalystLooksFor pins some.
func TestClassesAreThoseThatAnAnalystLooksFor(t *testing.T) {
	t.Parallel()
	all := commits(t)
	for typ, want := range map[string]int{
		"sb.access.signed_in.v1": 300201, "sb.access.sign_in_failed.v1": 300201, "sb.access.signed_out.v1": 300202, "sb.access.stepped_up.v1": 300299,
		"sb.access.denied.v1": 600399, "sb.user.added.v1": 300101, "sb.user.erased.v1": 300106, "sb.user.factor_enrolled.v1": 300110,
		"sb.user.grant_given.v1": 300501, "sb.request.submitted.v1": 600301, "sb.request.envelope_revealed.v1": 600302,
		"sb.governance.changed.v1": 300403, "sb.setting.legal_hold_lifted.v1": 300404,
	} {
		line, err := siem.OCSF.Append(nil, records(t, 1, all[typ])[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			TypeUID int `json:"type_uid"`
		}
		if err := json.Unmarshal(line, &e); err != nil || e.TypeUID != want {
			t.Errorf("%s is of type %d, want %d", typ, e.TypeUID, want)
		}
	}
}
