package contract_test

import (
	"encoding/json"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi/datamodel/high/base"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// taken are the shapes of what calls take, by the name of their schema.
var taken = map[string]any{
	"SignIn": api.SignIn{}, "SealedSignIn": api.SealedSignIn{}, "Submit": api.Submit{}, "Verdict": api.Verdict{}, "Nothing": struct{}{},
	"Reveal": api.Reveal{}, "CreateConnection": api.CreateConnection{}, "Reason": api.Reason{}, "RevocationReason": api.Reason{}, "PlaceHold": api.PlaceHold{}, "LiftHold": api.Reason{},
	"QueueJob": api.QueueJob{}, "Schedule": api.Schedule{}, "Assign": api.Assign{}, "Ownership": api.Ownership{},
	"Invite": api.Invite{}, "Enrol": events.Enrol{},
	"Values": api.Values{}, "Refusal": api.Refusal{}, "Review": api.Review{},
	"RedeemCode": api.RedeemCode{}, "SealedCode": api.SealedCode{},

	"InvitePerson": api.InvitePerson{}, "Redeem": api.Redeem{}, "SealedRedeem": api.SealedRedeem{}, "ChangePassword": api.ChangePassword{},
	"SealedPassword": api.SealedPassword{}, "GiveGrant": api.GiveGrant{}, "CreateMachine": api.CreateMachine{}, "IssueToken": api.IssueToken{},
	"CreateIntegration": api.CreateIntegration{}, "ChangeIntegration": api.ChangeIntegration{}, "RotateSecret": api.RotateSecret{}, "AddMapping": api.AddMapping{},
	"Delegate":         api.Delegate{},
	"ChangeGovernance": api.ChangeGovernance{}, "ExplainPolicy": api.ExplainPolicy{}, "Comment": api.Comment{},
	"NewTotp": api.NewTOTP{}, "TotpCode": api.TOTPCode{}, "NewPasskey": api.NewPasskey{}, "StepUp": api.StepUp{},
	"ChooseNotices": api.ChooseNotices{},
}

// foreign are objects whose fields another standard names. What they hold is bounded as a
// whole, in bytes, which the schema cannot say and its description does.
var foreign = []string{"passkey"}

// TestEveryInputHasALimit walks all that a caller can send, in the text and in Go: no
// text is without a longest, no list without a most. That the server keeps these limits
// is tested in package web.
func TestEveryInputHasALimit(t *testing.T) {
	m, named := model(t), map[string]bool{}
	for route, item := range m.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			where := method + " " + route
			for _, p := range slices.Concat(item.Parameters, op.Parameters) {
				bounded(t, where+" "+p.Name, p.Schema.Schema())
			}
			if op.RequestBody == nil {
				continue
			}
			for media, content := range op.RequestBody.Content.FromOldest() {
				if media == "application/x-www-form-urlencoded" { // other fields are not looked at
					for name, field := range content.Schema.Schema().Properties.FromOldest() {
						bounded(t, where+"."+name, field.Schema())
					}
					continue
				}
				if media != "application/json" {
					t.Errorf("%s takes %s, which nothing bounds", where, media)
				}
				named[path.Base(content.Schema.GetReference())] = true
				bounded(t, where, content.Schema.Schema())
			}
		}
	}
	for _, inside := range []string{"SealedSignIn", "SealedCode", "SealedRedeem", "SealedPassword"} {
		named[inside] = true // sealed, in another
	}
	for name, shape := range taken {
		schema := load(t).Schema(name)
		if schema == nil || !named[name] {
			t.Errorf("no call takes %s", name)
			continue
		}
		bounded(t, name, schema)
		boundedShape(t, name, reflect.TypeOf(shape), schema)
	}
	for name := range named {
		if _, ok := taken[name]; !ok {
			t.Errorf("a call takes %q, which has no shape here", name)
		}
	}
}

// bounded reports what has no end in a schema.
func bounded(t *testing.T, where string, s *base.Schema) {
	t.Helper()
	switch {
	case len(s.Enum) > 0 || s.Const != nil || s.Format == "date-time":
	case strings.HasSuffix(where, ".set[].spec"): // its kind bounds it (package policy), and the body does
	case slices.Contains(s.Type, "string"):
		if s.MaxLength == nil {
			t.Errorf("%s: a text without maxLength", where)
		}
	case slices.Contains(s.Type, "array"):
		if s.MaxItems == nil {
			t.Errorf("%s: a list without maxItems", where)
		}
		bounded(t, where+"[]", s.Items.A.Schema())
	case slices.Contains(s.Type, "object"):
		for name, property := range s.Properties.FromOldest() {
			bounded(t, where+"."+name, property.Schema())
		}
		if slices.Contains(foreign, where[strings.LastIndex(where, ".")+1:]) {
			if s.MaxProperties == nil || !strings.Contains(s.Description, "at most 32 KiB") {
				t.Errorf("%s: an object of another standard without a size", where)
			}
		} else if s.AdditionalProperties == nil || s.AdditionalProperties.IsB() && s.AdditionalProperties.B {
			t.Errorf("%s: an object of anything", where)
		} else if s.AdditionalProperties.IsA() {
			if s.MaxProperties == nil || s.PropertyNames == nil || s.PropertyNames.Schema().MaxLength == nil {
				t.Errorf("%s: a map without maxProperties, or names without maxLength", where)
			}
			bounded(t, where+"{}", s.AdditionalProperties.A.Schema())
		}
	case slices.Contains(s.Type, "integer"), slices.Contains(s.Type, "boolean"):
	default:
		t.Errorf("%s: of type %v", where, s.Type)
	}
}

// boundedShape walks a Go type beside its schema, so that no field is without one.
func boundedShape(t *testing.T, where string, kind reflect.Type, s *base.Schema) {
	t.Helper()
	switch kind.Kind() {
	case reflect.Pointer:
		boundedShape(t, where, kind.Elem(), s)
	case reflect.Struct:
		if kind == reflect.TypeFor[events.Object]() {
			return // see bounded
		}
		if kind == reflect.TypeFor[time.Time]() {
			if s.Format != "date-time" {
				t.Errorf("%s: a time that the text has as something else", where)
			}
			return
		}
		for _, f := range fieldsOf(kind) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			property, ok := s.Properties.Get(name)
			if !ok {
				t.Errorf("%s.%s is in no schema", where, name)
				continue
			}
			boundedShape(t, where+"."+name, f.Type, property.Schema())
		}
	case reflect.Slice:
		if kind == reflect.TypeFor[json.RawMessage]() {
			if s.MaxProperties == nil {
				t.Errorf("%s: an object without maxProperties", where)
			}
		} else if kind.Elem().Kind() == reflect.Uint8 {
			if s.ContentEncoding != "base64" || s.MaxLength == nil {
				t.Errorf("%s: bytes without a longest base64", where)
			}
		} else if s.MaxItems == nil {
			t.Errorf("%s: a list without maxItems", where)
		} else {
			boundedShape(t, where+"[]", kind.Elem(), s.Items.A.Schema())
		}
	case reflect.Map:
		if s.MaxProperties == nil {
			t.Errorf("%s: a map without maxProperties", where)
		}
	case reflect.String:
		if s.MaxLength == nil && len(s.Enum) == 0 {
			t.Errorf("%s: a text without maxLength", where)
		}
	case reflect.Bool, reflect.Int, reflect.Uint64:
	default:
		t.Errorf("%s: a %s has no limit that this test knows", where, kind)
	}
}
