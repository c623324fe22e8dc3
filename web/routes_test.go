package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web"
)

var roles = []string{policy.RoleDeveloper, policy.RoleApprover, policy.RoleAdmin}

// line is one route, as the table and the contract both tell it.
type line struct {
	Method, Path, Permission string
	Key                      bool
}

func TestTheTableIsTheContract(t *testing.T) {
	c, err := text()
	if err != nil {
		t.Fatal(err)
	}
	var table, described []line
	for _, route := range web.Routes {
		table = append(table, line{route.Method, route.Path, string(route.Permission), route.NeedsKey()})
	}
	for _, op := range c.Operations() {
		described = append(described, line{op.Method, op.Path, op.Permission, op.NeedsIdempotencyKey})
	}
	byPath := func(a, b line) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) }
	slices.SortFunc(table, byPath)
	slices.SortFunc(described, byPath)
	if diff := cmp.Diff(described, table); diff != "" {
		t.Errorf("the table differs from the contract (-contract +table):\n%s", diff)
	}
}

func TestCodesAreThoseOfTheContract(t *testing.T) {
	c, err := text()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]int{}
	for _, p := range c.Problems() {
		described[p.Code] = p.Status
	}
	if diff := cmp.Diff(described, web.Statuses); diff != "" {
		t.Errorf("codes differ (-contract +server):\n%s", diff)
	}
}

// fill makes a path of a route's template.
func fill(template string) string {
	return strings.NewReplacer("{id}", "r_"+strings.Repeat("0", 26), "{envelope}", "e_"+strings.Repeat("0", 26), "{name}", "file", "{n}", "0",
		"{tile}", "0", "{seq}", "1",
		"{grant}", "g_"+strings.Repeat("0", 26), "{token}", "t_"+strings.Repeat("0", 26)).Replace(template)
}

func isPublic(p policy.Permission) bool  { return p == "public" }
func isSession(p policy.Permission) bool { return p == "session" }

func TestEveryRouteNeedsItsSessionAndPermission(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	people := map[string]person{policy.RoleDeveloper: r.developer, policy.RoleApprover: r.approver, policy.RoleAdmin: r.admin}
	outsider := r.join()
	for _, route := range web.Routes {
		if isPublic(route.Permission) {
			continue
		}
		path := fill(route.Path)
		r.clock.Add(5 * time.Second) // there is an end to denials in a while
		t.Run(route.Method+" "+route.Path, func(t *testing.T) {
			r.call(nobody, route.Method, path, nil).wants(t, http.StatusUnauthorized, "not_signed_in")
			for _, token := range []string{"garbage", strings.Repeat("A", 43), r.developer.token + "A", strings.ToUpper(r.developer.token)} {
				r.call(person{token: token}, route.Method, path, nil).wants(t, http.StatusUnauthorized, "session_expired")
			}
			for _, header := range []string{"Bearer", "Bearer ", "Basic " + r.admin.token, r.admin.token} {
				r.call(nobody, route.Method, path, nil, with("Authorization", header)).wants(t, http.StatusUnauthorized, "not_signed_in")
			}
			if isSession(route.Permission) {
				return
			}
			wrong := []person{outsider}
			for _, role := range roles {
				if !slices.Contains(permissionsOf(role), route.Permission) {
					wrong = append(wrong, people[role])
				}
			}
			for _, who := range wrong {
				before := len(facts[events.AccessDenied](r))
				r.call(who, route.Method, path, nil).wants(t, http.StatusForbidden, "forbidden")
				denied := facts[events.AccessDenied](r)
				want := events.AccessDenied{Action: string(route.Permission), Resource: route.Method + " " + web.Prefix + path, Code: "forbidden"}
				if len(denied) != before+1 || denied[before].Fact != want || denied[before].Actor != events.UserActor(who.ID) {
					t.Errorf("denials of %v: %+v, want %+v", who.roles, denied[before:], want)
				}
			}
		})
	}
	if n := len(facts[events.RequestSubmitted](r)) + len(facts[events.EnrolmentTokenIssued](r)); n != 0 {
		t.Errorf("%d commands were done", n)
	}
}

// TestEveryPostReadsItsBodyStrictly sends what no call takes, as somebody who may call.
func TestEveryPostReadsItsBodyStrictly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	everything := r.join("developer", "approver", "admin", "value-provider")
	deep := func(n int) []byte { return sent(`{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}") }
	bad := map[string]struct {
		body   []byte
		status int
		code   string
		option option
	}{
		"no JSON":               {body: sent("{"), status: 400, code: "body_malformed"},
		"an array":              {body: sent("[]"), status: 400, code: "body_malformed"},
		"a text":                {body: sent(`"x"`), status: 400, code: "body_malformed"},
		"a number":              {body: sent("1"), status: 400, code: "body_malformed"},
		"null":                  {body: sent("null"), status: 400, code: "body_malformed"},
		"an unknown field":      {body: sent(`{"<canary-5f>":1}`), status: 400, code: "body_malformed"},
		"something behind":      {body: sent(`{} {}`), status: 400, code: "body_malformed"},
		"a brace behind":        {body: sent(`{}}`), status: 400, code: "body_malformed"},
		"no UTF-8":              {body: sent("{\"reason\":\"\xff\"}"), status: 400, code: "body_malformed"},
		"UTF-16":                {body: sent("\xff\xfe{\x00}\x00"), status: 400, code: "body_malformed"},
		"a field twice":         {body: sent(`{"reason":"x","reason":"y","comment":"x","comment":"y","email":"","email":"","name":"","name":"","token":"","token":""}`), status: 400, code: "body_malformed"},
		"a field in capitals":   {body: sent(`{"REASON":"x"}`), status: 400, code: "body_malformed"},
		"an unfinished field":   {body: sent(`{"reason":"x`), status: 400, code: "body_malformed"},
		"a byte order mark":     {body: sent("\xef\xbb\xbf{}"), status: 400, code: "body_malformed"},
		"deep nesting":          {body: deep(5000), status: 400, code: "body_malformed"},
		"deeper nesting":        {body: deep(20000), status: 400, code: "body_malformed"},
		"more than 2 MiB":       {body: sent(`{"reason":"` + strings.Repeat("x", 2<<20) + `"}`), status: 413, code: "body_too_large"},
		"a form":                {body: sent("reason=x"), status: 415, code: "content_type_unsupported", option: with("Content-Type", "application/x-www-form-urlencoded")},
		"JSON said to be text":  {body: sent("{}"), status: 415, code: "content_type_unsupported", option: with("Content-Type", "text/plain")},
		"no content type":       {body: sent("{}"), status: 415, code: "content_type_unsupported", option: with("Content-Type", "")},
		"a broken content type": {body: sent("{}"), status: 415, code: "content_type_unsupported", option: with("Content-Type", "application/json;;=")},
	}
	before := len(r.commits())
	for _, route := range web.Routes {
		if route.Method != http.MethodPost || route.TakesForm() {
			continue
		}
		path := fill(route.Path)
		if route.MaxBody() <= 64<<10 {
			r.call(everything, route.Method, path, sent(`{"reason":"`+strings.Repeat("x", 64<<10)+`"}`)).wants(t, 413, "body_too_large")
		}
		for name, tt := range bad {
			t.Run(route.Path+" "+name, func(t *testing.T) {
				code := tt.code
				if name == "a field twice" && (strings.HasPrefix(route.Path, "/connections") && !strings.HasSuffix(route.Path, "able") || route.Path == "/jobs") {
					code = "credential_in_body" // it has a token, too
				}
				got := r.call(everything, route.Method, path, tt.body, tt.option).wants(t, tt.status, code)
				if strings.Contains(string(got.body), "canary") || strings.Contains(string(got.body), " api.") {
					t.Errorf("the problem repeats what was sent, or names a type: %s", got.body)
				}
			})
		}
		if route.NeedsKey() {
			r.call(everything, route.Method, path, sent("{}"), key("")).wants(t, 400, "idempotency_key_missing")
			for _, k := range []string{strings.Repeat("k", 129), "with space", "täst", "tab\there"} {
				r.call(everything, route.Method, path, sent("{}"), key(k)).wants(t, 400, "idempotency_key_invalid")
			}
		}
	}
	if after := len(r.commits()); after != before {
		t.Errorf("%d facts were recorded", after-before)
	}
}

func TestWhoActsComesFromTheSessionAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.submit(r.developer)
	for _, field := range []string{"requester", "approver", "user", "actor", "by", "person", "roles", "time", "id", "command", "workflow"} {
		value := fmt.Sprintf(`%q:%q`, field, r.other.ID)
		r.call(r.developer, "POST", "/requests", sent(`{"secret":"file/a","reason":"x",`+value+`}`)).wants(t, 400, "body_malformed")
		for _, verb := range []string{"/approve", "/reject"} {
			r.call(r.approver, "POST", at(id, verb), sent(`{`+value+`}`)).wants(t, 400, "body_malformed")
		}
		r.call(r.developer, "POST", at(id, "/cancel"), sent(`{`+value+`}`)).wants(t, 400, "body_malformed")
		r.call(r.developer, "POST", at(id, "/envelopes/e_x/reveal"), sent(`{`+value+`}`)).wants(t, 400, "body_malformed")
	}
	for _, name := range []string{"X-User", "X-Actor", "X-Forwarded-User", "X-Remote-User", "From"} {
		r.call(nobody, "GET", "/me", nil, with(name, string(r.admin.ID))).wants(t, 401, "not_signed_in")
	}
	if got := facts[events.RequestSubmitted](r); len(got) != 1 || got[0].Actor != events.UserActor(r.developer.ID) {
		t.Errorf("submitted: %+v", got)
	}
}

func TestPathsThatAreNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{
		"//nothing", "//api", "//api/v1", "//api/v1/", "//api/v2/me", "/me/", "//api/v1//me", "//api/v1/../v1/me", "//api/v1/./me", "/connections/../me",
		"/%2e%2e/v1/me", "/connections/%2e%2e%2fme/x", "/requests%2fx", "/ME", "/sessions/current/x", "//etc/passwd", "/openapi.yaml/..", "/requests/a/b/c/d/e",
		"//api/v1/me%00", "//api/v1/%6de%2f",
	} {
		r.call(r.admin, "GET", path, nil).wants(t, http.StatusNotFound, "not_found")
	}
	// One segment stays one, however it is spelled.
	for path, code := range map[string]string{
		"/connections/a%2fb": "connection_unknown", "/connections/%2e%2e": "connection_unknown", "/connections/%00": "connection_unknown", "/connections/%ff": "connection_unknown",
		"/agents/%00": "agent_unknown", "/agents/a_%2f..": "agent_unknown", "/agents/" + strings.Repeat("a", 4000): "agent_unknown",
		"/requests/%00": "request_unknown", "/requests/r_1'--": "request_unknown", "/requests/..%2f..%2fme": "request_unknown",
	} {
		r.call(r.admin, "GET", path, nil).wants(t, http.StatusNotFound, code)
	}
}

// asIDs are paths that are also those of an agent or a secret that nobody has.
var asIDs = []string{"/agents/enrol", "/agents/invitations", "/secrets/count", "/secrets/facets"}

func TestMethodsThatAreNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}
	for _, route := range web.Routes {
		path := fill(route.Path)
		var taken []string
		for _, other := range web.Routes {
			if other.Path == route.Path || fill(other.Path) == path {
				taken = append(taken, other.Method)
			}
		}
		for _, method := range methods {
			if slices.Contains(taken, method) || slices.Contains(asIDs, route.Path) {
				continue
			}
			got := r.call(r.admin, method, path, nil)
			if method == "HEAD" {
				if got.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("HEAD %s: %d", path, got.StatusCode)
				}
			} else {
				got.wants(t, http.StatusMethodNotAllowed, "method_not_allowed")
			}
			allowed := strings.Split(got.Header.Get("Allow"), ", ")
			slices.Sort(taken)
			slices.Sort(allowed)
			if diff := cmp.Diff(slices.Compact(taken), allowed); diff != "" {
				t.Errorf("%s %s: Allow (RFC 9110, section 15.5.6; -want +got):\n%s", method, path, diff)
			}
		}
	}
}

func TestCallsFromOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, o := range map[string]option{
		"Sec-Fetch-Site: cross-site": with("Sec-Fetch-Site", "cross-site"),
		"Sec-Fetch-Site: same-site":  with("Sec-Fetch-Site", "same-site"),
		"Origin: null":               with("Origin", "null"),
		"another Origin":             with("Origin", "https://evil.example"),
	} {
		t.Run(name, func(t *testing.T) {
			r.call(r.developer, "POST", "/requests", sent(`{"secret":"file/a","reason":"x"}`), o).wants(t, 403, "forbidden")
		})
	}
	if got := facts[events.RequestSubmitted](r); len(got) != 0 {
		t.Errorf("%d requests", len(got))
	}
	r.call(r.developer, "POST", "/requests", sent(`{"secret":"file/a","reason":"x"}`), with("Sec-Fetch-Site", "same-origin"), with("Origin", r.url)).wants(t, 201, "")
}

func TestTheRootIsAPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	resp, err := r.client.Do(r.request(nobody, "GET", "//", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || resp.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	r.call(nobody, "GET", "/openapi.yaml", nil).wants(t, 200, "")
}

// permissionsOf are those of some system roles, in order, each once.
func permissionsOf(roles ...string) (all []policy.Permission) {
	for _, role := range roles {
		for _, p := range policy.System[role].Permissions {
			all = append(all, policy.Permission(p))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
