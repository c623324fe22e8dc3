package contract_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi/datamodel/high/base"
)

// acting are names of fields that could say who acts. The session says it, and nothing else.
var acting = []string{
	"requester", "approver", "reviewer", "actor", "by", "user", "user_id", "person", "person_id", "acting_as", "act_as", "as_user", "on_behalf_of",
	"impersonate", "sudo", "sub", "subject", "identity", "principal", "voter", "submitter", "created_by", "revoked_by", "roles", "permissions_of",
}

// notActing are the few that narrow a list by what others did, or say what something is for, or
// whom a question is about.
var notActing = []string{
	"get /audit/events actor", "get /audit/facets actor", "get /audit/facets by", "get /audit/histogram actor", "get /audit/export actor",
	"get /requests requester", "post /policy/explain person",
	"post /audit/holds user", // who is held
}

// TestNothingSentNamesWhoActs walks every body, query, header and cookie that a call takes.
func TestNothingSentNamesWhoActs(t *testing.T) {
	tried := 0
	for route, item := range model(t).Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			where := method + " " + route
			for _, p := range slices.Concat(item.Parameters, op.Parameters) {
				tried++
				name := strings.ReplaceAll(strings.ToLower(p.Name), "-", "_")
				if p.In != "path" && slices.Contains(acting, strings.TrimPrefix(name, "x_")) && !slices.Contains(notActing, where+" "+p.Name) {
					t.Errorf("%s takes %s %s", where, p.In, p.Name)
				}
			}
			if op.RequestBody == nil {
				continue
			}
			for _, content := range op.RequestBody.Content.FromOldest() {
				fields(content.Schema.Schema(), where, func(at, name string) {
					tried++
					if slices.Contains(acting, name) && !slices.Contains(notActing, at) {
						t.Errorf("%s says who acts", at)
					}
				})
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d names were looked at", tried)
	}
}

// fields walks the names of a schema's fields.
func fields(s *base.Schema, at string, each func(at, name string)) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		for name, property := range s.Properties.FromOldest() {
			each(at+" "+name, name)
			fields(property.Schema(), at+" "+name, each)
		}
	}
	if s.Items != nil && s.Items.IsA() {
		fields(s.Items.A.Schema(), at+"[]", each)
	}
	for _, proxy := range slices.Concat(s.AllOf, s.OneOf, s.AnyOf) {
		fields(proxy.Schema(), at, each)
	}
}
