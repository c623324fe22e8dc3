package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi/datamodel/high/base"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// unseen are limits whose breach looks like anything else that is wrong there, on
// purpose, with the tests that look inside.
var unseen = []string{
	"POST /sessions.email", "POST /sessions.password", // TestAllRefusalsLookTheSame
	"GET /auth/oidc/start?code_challenge", "GET /auth/oidc/start?return_to", // TestSignInsGoBackToPathsOfOurs
	"GET /auth/oidc/callback?state", "GET /auth/oidc/callback?code", "GET /auth/oidc/callback?iss", // each needs another; TestAStateCountsOnceInTheBrowserThatBegan
	"GET /auth/oidc/callback?error",
	"POST /agents/enrol.token", "POST /agents/enrol.user_key", // looked up by its hash; nkeys have one length
	"POST /links/redeem.token", "POST /links/redeem.password", // looked up by its hash; the password comes after it
	"POST /me/delegations.to",                                                                 // nobody has an id of another length
	"POST /agents/enrol.box_key", "POST /agents/enrol.sign_key", "POST /agents/enrol.version", // keys have one length each; the version comes after them
}

// TestTheServerKeepsTheLimitsOfTheContract goes beyond each limit of the text by one:
// every text of a body and a query, every list and every map. Each time the answer must
// be another than to the same call within the limit.
func TestTheServerKeepsTheLimitsOfTheContract(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.record(events.ConnectionStream("vault"), events.ConnectionCreated{Connection: "vault", Provider: events.ProviderVault, Cluster: "demo"})
	a := r.enrol()
	a.scan("file", listed("prod/db"))
	request, rejected := r.submit(r.developer), r.submit(r.developer)
	r.show(r.developer, rejected)
	job := a.queue("fingerprint", "file")
	everything := r.join("developer", "approver", "admin", "value-provider")
	ids := map[string]string{
		"/requests/": string(request), "/agents/": string(a.Agent), "/secrets/": string(secretID("prod/db")), "/jobs/": string(job.ID),
		"/connections/": "file", "/integrations/": "hook", "/people/": string(r.other.ID), "/machines/": made(r, everything, "/machines", api.CreateMachine{Name: "pipeline"}),
	}
	r.govern(object("payments", events.Team{}))
	r.call(everything, "POST", "/integrations", hook("hook")).wants(t, 201, "")
	r.record(events.IntegrationStream("argo"), events.IntegrationCreated{Integration: "argo", Kind: events.IntegrationArgoCD})
	grant := made(r, everything, "/people/"+ids["/people/"]+"/grants", api.GiveGrant{Role: "approver"})
	token := made(r, everything, "/machines/"+ids["/machines/"]+"/tokens", api.IssueToken{
		Name: "early", Permissions: []string{"request.create"}, Until: r.clock.Now().Add(time.Hour),
	})
	ids["/audit/holds/"] = made(r, everything, "/audit/holds", api.PlaceHold{Reason: "case 1", User: string(r.other.ID)})
	call := func(method, path string, body any) outcome {
		who := everything
		switch {
		case strings.HasPrefix(path, "/jobs/"):
			who = r.admin
		case strings.HasSuffix(path, "/cancel"), strings.HasSuffix(path, "/reveal"):
			who = r.developer // whose request it is
		}
		return outcomeOf(r.call(who, method, path, body))
	}
	tried, machines := 0, 0
	compare := func(where string, beyond, within outcome) {
		tried++
		refused := beyond.status == 400 || beyond.status == 404 || beyond.status == 413 || beyond.status == 422
		if (beyond == within || !refused) && !slices.Contains(unseen, where) {
			t.Errorf("%s: beyond its limit %+v, within it %+v", where, beyond, within)
		}
	}
	for _, in := range r.contract.Inputs() {
		if strings.HasSuffix(in.Path, "/erase") || strings.HasSuffix(in.Path, "/revoke-all") {
			continue // it takes nothing, and those it would shut out are needed
		}
		path := strings.Replace(in.Path, "/requests/{id}/reject", at(rejected, "/reject"), 1)
		switch { // one of another kind, and one that does not outlive the call
		case strings.HasPrefix(path, "/integrations/{name}/mappings"):
			path = strings.Replace(path, "{name}", "argo", 1)
		case path == "/integrations/{name}/remove":
			r.call(everything, "POST", "/integrations", hook("short")).wants(t, 201, "")
			path = strings.Replace(path, "{name}", "short", 1)
		}
		for begins, id := range ids {
			if strings.HasPrefix(path, begins) {
				path = strings.NewReplacer("{id}", id, "{name}", id, "{grant}", grant, "{token}", token).Replace(path)
			}
		}
		switch { // somebody of their own for each, as some do not outlive a call
		case strings.HasPrefix(path, "/people/"):
			path = strings.Replace(path, "{id}", string(r.join().ID), 1)
		case strings.HasPrefix(path, "/machines/"):
			machines++
			path = strings.Replace(path, "{id}", r.machine(fmt.Sprint("m", machines)), 1)
		}
		path = fill(path)
		where := in.Method + " " + in.Path
		for _, p := range in.Query {
			var example any
			if err := p.Example.Decode(&example); err != nil {
				t.Fatal(err)
			}
			needed := ""
			for _, other := range in.Query {
				if other != p && other.Required != nil && *other.Required {
					needed += "&" + other.Name + "=" + other.Example.Value
				}
			}
			within := call(in.Method, path+query(p.Name, example)+needed, nil)
			for _, b := range beyond(p.Schema.Schema(), example) {
				compare(where+"?"+p.Name+b.where, call(in.Method, path+query(p.Name, b.value)+needed, nil), within)
			}
		}
		if in.Body == nil {
			continue
		}
		// First all that is refused: what is within the limits may be done.
		examples := make([]any, len(in.Body.Examples))
		got := make([][]outcome, len(examples))
		for i, node := range in.Body.Examples {
			if err := node.Decode(&examples[i]); err != nil {
				t.Fatal(err)
			}
			switch in.Path {
			case "/me/delegations":
				examples[i].(map[string]any)["to"] = r.other.ID
			case "/audit/holds":
				examples[i].(map[string]any)["user"] = r.other.ID
			}
			for _, b := range beyond(in.Body, examples[i]) {
				got[i] = append(got[i], call(in.Method, path, b.value))
			}
		}
		for i, example := range examples {
			within := call(in.Method, path, example)
			for k, b := range beyond(in.Body, example) {
				compare(where+b.where, got[i][k], within)
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d limits were tried", tried)
	}
}

// made makes something and returns its id.
func made(r *rig, who person, path string, body any) string {
	r.t.Helper()
	var got api.Made
	if err := json.Unmarshal(r.call(who, "POST", path, body).wants(r.t, 201, "").body, &got); err != nil {
		r.t.Fatal(err)
	}
	return got.ID
}

// outcome is what an answer says.
type outcome struct {
	status int
	code   string
}

func outcomeOf(got answer) outcome {
	var p struct{ Code string }
	_ = json.Unmarshal(got.body, &p) // a list has none
	return outcome{got.StatusCode, p.Code}
}

func query(name string, value any) string {
	q := url.Values{}
	if list, ok := value.([]any); ok {
		for _, item := range list {
			q.Add(name, fmt.Sprint(item))
		}
	} else {
		q.Set(name, fmt.Sprint(value))
	}
	return "?" + q.Encode()
}

// mutation is a value with one thing in it that is beyond its limit.
type mutation struct {
	where string
	value any
}

// beyond makes all mutations of an example that fits a schema.
func beyond(s *base.Schema, example any) (all []mutation) {
	switch {
	case s.MaxLength != nil && s.ContentEncoding == "base64":
		return []mutation{{"", strings.Repeat("AAAA", int(*s.MaxLength)/4+1)}}
	case s.MaxLength != nil:
		text, _ := example.(string)
		return []mutation{{"", text + strings.Repeat("a", int(*s.MaxLength)+1-len(text))}}
	case s.MaxItems != nil:
		return beyondList(s, example)
	case s.MaxProperties != nil:
		many := map[string]any{}
		for i := range *s.MaxProperties + 1 {
			many[fmt.Sprint("name", i)] = "x"
		}
		if s.PropertyNames == nil { // of another standard
			return []mutation{{"", many}}
		}
		long := strings.Repeat("n", int(*s.PropertyNames.Schema().MaxLength)+1)
		all = []mutation{{"", many}, {".name", map[string]any{long: "x"}}}
		for _, b := range beyond(s.AdditionalProperties.A.Schema(), "x") {
			all = append(all, mutation{".value", map[string]any{"name": b.value}})
		}
	case s.Properties != nil:
		object, _ := example.(map[string]any)
		for name, property := range s.Properties.FromOldest() {
			for _, b := range beyond(property.Schema(), object[name]) {
				changed := map[string]any{}
				maps.Copy(changed, object)
				changed[name] = b.value
				all = append(all, mutation{"." + name + b.where, changed})
			}
		}
	}
	return all
}

func beyondList(s *base.Schema, example any) (all []mutation) {
	items := s.Items.A.Schema()
	list, _ := example.([]any)
	var many []any
	for i := range *s.MaxItems + 1 {
		switch {
		case len(list) == 0 && items.Properties != nil:
		case items.Properties != nil:
			item := maps.Clone(list[0].(map[string]any))
			if _, named := item["key"]; named {
				item["key"] = fmt.Sprint("key", i)
			}
			many = append(many, item)
		case len(items.Enum) > 0:
			many = append(many, items.Enum[int(i)%len(items.Enum)].Value)
		default:
			many = append(many, fmt.Sprint("k", i, ":v"))
		}
	}
	if many != nil {
		all = append(all, mutation{"", many})
	}
	if len(list) == 0 {
		return all
	}
	for _, b := range beyond(items, list[0]) {
		all = append(all, mutation{"[]" + b.where, append([]any{b.value}, list[1:]...)})
	}
	return all
}
