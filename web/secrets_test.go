package web_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// stocked is a rig whose connections "file" and "other" hold some secrets.
func stocked(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	a := r.enrol()
	r.call(r.admin, "POST", "/connections", api.CreateConnection{Name: "other", Provider: "vault", Cluster: "demo"}).wants(t, 201, "")
	a.scan("file",
		aged("prod/db", 100, "team", "payments", "tier", "backend"),
		aged("prod/api", 10, "team", "payments"),
		aged("test/db", 400, "team", "shop", "k8s:app", "a:b"),
		events.SecretMetadata{Ref: "test/none"},
	)
	a.scan("other", aged("prod/db", 1, "empty", ""))
	a.scan("file",
		aged("prod/db", 100, "team", "payments", "tier", "backend"),
		aged("prod/api", 10, "team", "payments"),
		aged("test/db", 400, "team", "shop", "k8s:app", "a:b"),
	)
	r.settled()
	return r
}

func (r *rig) secrets(query string) string {
	r.t.Helper()
	return refs(read[api.Page[api.Secret]](r.t, r.call(r.developer, "GET", "/secrets"+query, nil)))
}

func TestFiltersNarrowTheInventory(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	r.call(r.admin, "POST", "/secrets/"+string(secretID("prod/db"))+"/assign", api.Assign{Owner: "payments", Environment: "production"}).wants(t, 200, "")
	tests := map[string]string{
		"":                     "prod/db prod/api test/db prod/db",
		"?status=all":          "prod/db prod/api test/db test/none prod/db",
		"?label=team:payments": "prod/db prod/api",
		"?label=team:payments&label=tier:backend": "prod/db",
		"?label=team:none":                        "",
		`?label=k8s\:app:a:b`:                     "test/db",
		"?label=empty:":                           "prod/db",
		"?prefix=test/":                           "test/db",
		"?prefix=test/&status=all":                "test/db test/none",
		"?provider=vault":                         "prod/db",
		"?cluster=nowhere":                        "",
		"?connection=other":                       "prod/db",
		"?status=gone":                            "test/none",
		"?status=present&connection=file":         "prod/db prod/api test/db",
		"?owner=payments":                         "prod/db",
		"?owner=&status=present&connection=file":  "prod/api test/db",
		"?environment=production":                 "prod/db",
		"?environment=&connection=other":          "prod/db",
		"?older_than_days=99":                     "prod/db test/db",
		"?older_than_days=36500":                  "",
		"?text=BACKEND":                           "prod/db",
		"?text=%27%3B--":                          "",
	}
	for query, want := range tests {
		if got := r.secrets(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		count := read[api.Count](t, r.call(r.developer, "GET", "/secrets/count"+query, nil))
		if n := len(strings.Fields(want)); count != (api.Count{Count: n, Exact: true}) {
			t.Errorf("count %s: %+v, want %d", query, count, n)
		}
	}
}

func TestFiltersThatAreNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := strings.Repeat("x", 1025)
	for _, query := range []string{
		"label=", "label=team", "label=:x", `label=\:x`, "label=" + long + ":x", "label=x:" + long, "label=a:1&label=a:2", "label=%00:x", "label=a:%ff",
		strings.Repeat("label=a:1&", 65), "prefix=", "prefix=" + long, "prefix=a&prefix=b", "provider=file2", "provider=", "cluster=No", "connection=a%2Fb",
		"status=lost", "status=present&status=gone", "owner=a&owner=b", "owner=" + long, "environment=%ff", "older_than_days=0", "older_than_days=-1",
		"older_than_days=1.5", "older_than_days=36501", "text=ab", "text=" + long, "text=", "Label=a:1", "sort=ref",
	} {
		for _, path := range []string{"/secrets", "/secrets/count"} {
			got := r.call(r.developer, "GET", path+"?"+query, nil).wants(t, 400, "parameter_invalid")
			if !strings.Contains(got.problem.Detail, " ") {
				t.Errorf("%s: %q is no sentence", query, got.problem.Detail)
			}
		}
	}
	r.call(r.developer, "GET", "/secrets/count?limit=1", nil).wants(t, 400, "parameter_invalid")
	for _, query := range []string{"label=", "label=a&label=b", "label=" + long, "connection=No", "provider=x", "text=abc", "cursor=MQ"} {
		r.call(r.developer, "GET", "/secrets/facets?"+query, nil).wants(t, 400, "parameter_invalid")
	}
}

// TestAMegabyteOfFiltersIsRefused before anything reads it.
func TestAMegabyteOfFiltersIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	req := r.request(r.developer, "GET", "/secrets?text="+strings.Repeat("x", 1<<20), nil)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 431 {
		t.Errorf("%d, want 431 (RFC 6585, section 5)", resp.StatusCode)
	}
	r.call(r.developer, "GET", "/secrets?text="+strings.Repeat("%C3%A4", 512), nil).wants(t, 200, "")
}

// TestLabelsOfEveryCharacter asks for labels that are hard to spell.
func TestLabelsOfEveryCharacter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	var every strings.Builder
	for c := rune(1); c < 0x13c; c++ { // as many as a name may have
		every.WriteRune(c)
	}
	names := []string{
		every.String(), ":", "a:b:c", `\`, `a\:b`, `a\`, `\\`, " ", "%00", "a&b=c", "+", "'; DROP TABLE x;--", `"`, "{}", "名前", "🔑", "\t", "a,b", "#", "?", "\u202e", "%", "_",
	}
	secrets := make([]events.SecretMetadata, len(names))
	for i, name := range names {
		secrets[i] = listed(fmt.Sprintf("s%d", i), name, name+":"+name)
	}
	a.scan("file", secrets...)
	r.settled()
	for i, name := range names {
		escaped := strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(name)
		if got, want := r.secrets("?label="+url.QueryEscape(escaped+":"+name+":"+name)), fmt.Sprintf("s%d", i); got != want {
			t.Errorf("label %q: %q, want %q", name, got, want)
		}
		values := read[api.Page[api.Facet]](t, r.call(r.developer, "GET", "/secrets/facets?label="+url.QueryEscape(name), nil))
		if diff := cmp.Diff([]api.Facet{{Value: name + ":" + name, Count: 1}}, values.Items); diff != "" {
			t.Errorf("values of %q (-want +got):\n%s", name, diff)
		}
	}
	// Before anything but a colon and itself a backslash stands for itself.
	if got := r.secrets("?label=" + url.QueryEscape(`\::`+`\:\`)); got != "" {
		t.Errorf("%q", got)
	}
}

func TestFacetsCountLabels(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	facets := func(query string) []api.Facet {
		t.Helper()
		return read[api.Page[api.Facet]](t, r.call(r.developer, "GET", "/secrets/facets"+query, nil)).Items
	}
	tests := map[string][]api.Facet{
		"?label=team":                  {{Value: "payments", Count: 2}, {Value: "shop", Count: 1}},
		"?label=team&limit=1":          {{Value: "payments", Count: 2}},
		"?label=k8s:app":               {{Value: "a:b", Count: 1}},
		"?connection=other":            {{Value: "empty", Count: 1}},
		"?provider=vault&label=team":   {},
		"?cluster=demo&label=tier":     {{Value: "backend", Count: 1}},
		"?connection=file&cluster=far": {},
	}
	for query, want := range tests {
		if diff := cmp.Diff(want, facets(query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestPagesOfSecretsWalkEverythingOnce(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	want := []string{"file/prod/db", "file/prod/api", "file/test/db", "file/test/none", "other/prod/db"}
	more := 0
	got := walk(r, r.developer, "/secrets?status=all", 2, func(s api.Secret) string { return s.Secret }, func() {
		more++
		r.found(fmt.Sprint("more", more))
	})
	if !containsInOrder(got, want) {
		t.Errorf("walked %v", got)
	}
	r.call(r.developer, "GET", "/secrets?cursor=LTE", nil).wants(t, 400, "cursor_invalid")
}

func TestASecretHasAnETagAndAnAge(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	path := "/secrets/" + string(secretID("prod/db"))
	first := r.call(r.developer, "GET", path, nil).wants(t, 200, "")
	shown, tag := read[api.Secret](t, first), first.Header.Get("ETag")
	if shown.Secret != "file/prod/db" || shown.AgeDays == nil || *shown.AgeDays != 100 || shown.Status != "present" || shown.Labels["tier"] != "backend" || shown.Owner != "" {
		t.Errorf("%+v", shown)
	}
	again := r.call(r.developer, "GET", path, nil, with("If-None-Match", tag)).wants(t, 304, "")
	if len(again.body) != 0 || again.Header.Get("ETag") != tag {
		t.Errorf("%q %q", again.body, again.Header.Get("ETag"))
	}
	r.clock.Add(24 * time.Hour)
	older := person{r.developer.Person, r.session(r.developer.ID), r.developer.roles}
	if got := read[api.Secret](t, r.call(older, "GET", path, nil, with("If-None-Match", tag))); *got.AgeDays != 101 {
		t.Errorf("a day later it is %d days old", *got.AgeDays)
	}
	for _, id := range []string{"x", "%00", "..", "i_" + strings.Repeat("0", 26), "r_" + strings.Repeat("0", 26)} {
		r.call(older, "GET", "/secrets/"+id, nil).wants(t, 404, "secret_unknown")
	}
	if got := read[api.Secret](t, r.call(older, "GET", "/secrets/"+string(secretID("test/none")), nil)); got.Status != "gone" || got.GoneAt == nil || got.AgeDays != nil {
		t.Errorf("%+v", got)
	}
}

func TestAssignmentsTakeThePlaceOfRules(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	path := "/secrets/" + string(secretID("prod/db"))
	show := func() api.Secret {
		t.Helper()
		return read[api.Secret](t, r.call(r.developer, "GET", path, nil, r.newest()))
	}
	none := read[api.Ownership](t, r.call(r.developer, "GET", "/ownership", nil))
	if none.Version != 0 || len(none.Rules) != 0 {
		t.Errorf("before any: %+v", none)
	}
	rules := []api.OwnershipRule{{Connection: "file", Prefix: "prod/", Environment: "production"}, {Labels: map[string]string{"team": "payments"}, OwnerLabel: "team"}}
	r.call(r.admin, "POST", "/ownership", api.Ownership{Rules: rules}).wants(t, 200, "")
	if got := show(); got.Owner != "payments" || got.OwnerFrom != "rule" || got.Environment != "production" || got.EnvironmentFrom != "rule" {
		t.Errorf("by rule: %+v", got)
	}
	first := r.call(r.developer, "GET", "/ownership", nil, r.newest()).wants(t, 200, "")
	now := read[api.Ownership](t, first)
	if diff := cmp.Diff(rules, now.Rules); now.Version != 1 || now.Seq == 0 || diff != "" {
		t.Errorf("version %d (-want +got):\n%s", now.Version, diff)
	}
	r.call(r.developer, "GET", "/ownership", nil, with("If-None-Match", first.Header.Get("ETag"))).wants(t, 304, "")
	r.call(r.admin, "POST", "/ownership", api.Ownership{Version: 0, Rules: []api.OwnershipRule{}}).wants(t, 409, "ownership_rules_moved")

	r.call(r.admin, "POST", path+"/assign", api.Assign{Owner: "-security"}).wants(t, 200, "")
	if got := show(); got.Owner != "-security" || got.OwnerFrom != "hand" || got.Environment != "production" {
		t.Errorf("by hand: %+v", got)
	}
	r.call(r.admin, "POST", path+"/assign", api.Assign{}).wants(t, 200, "")
	if got := show(); got.Owner != "payments" || got.OwnerFrom != "rule" {
		t.Errorf("by rule again: %+v", got)
	}
	now.Rules = []api.OwnershipRule{}
	r.call(r.admin, "POST", "/ownership", now).wants(t, 200, "")
	if got := show(); got.Owner != "" || got.OwnerFrom != "" {
		t.Errorf("by nobody: %+v", got)
	}
}

func TestAssignmentsAndRulesRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := "/secrets/" + string(r.found("a")) + "/assign"
	for body, code := range map[string]string{
		`{}`: "body_malformed", `{"owner":"x"}`: "body_malformed", `{"owner":null,"environment":""}`: "body_malformed", `{"owner":1,"environment":""}`: "body_malformed",
		`{"owner":"` + strings.Repeat("x", 129) + `","environment":""}`: "assignment_invalid", `{"owner":"a\u001b","environment":""}`: "assignment_invalid",
	} {
		got := r.call(r.admin, "POST", path, sent(body))
		got.wants(t, got.StatusCode, code)
	}
	r.call(r.admin, "POST", "/secrets/"+string(secretID("never"))+"/assign", api.Assign{}).wants(t, 404, "secret_unknown")
	many := make([]api.OwnershipRule, 201)
	for i := range many {
		many[i] = api.OwnershipRule{Owner: fmt.Sprint(i)}
	}
	r.call(r.admin, "POST", "/ownership", api.Ownership{Rules: many}).wants(t, 422, "too_many_rules")
	r.call(r.admin, "POST", "/ownership", api.Ownership{Rules: []api.OwnershipRule{{Prefix: "x"}}}).wants(t, 422, "ownership_rule_invalid")
	for _, body := range []string{
		`{}`, `{"version":0}`, `{"rules":[]}`, `{"version":0,"rules":null}`, `{"version":0,"rules":{}}`, `{"version":0,"rules":[{"owner":"x","token":"y"}]}`,
		`{"version":0,"rules":[{"owner":"x","labels":{"a":"1","a":"2"}}]}`, `{"version":0,"rules":[{"owner":"x","owner":"y"}]}`, `{"version":"0","rules":[]}`,
	} {
		r.call(r.admin, "POST", "/ownership", sent(body)).wants(t, 400, "body_malformed")
	}
	if n := len(facts[events.OwnershipRulesSet](r)) + len(facts[events.SecretAssigned](r)); n != 0 {
		t.Errorf("%d facts", n)
	}
}

func TestARequestMayNameASecretByItsID(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	ask := func(secret string) api.Submit { return api.Submit{Secret: secret, Reason: "x"} }
	first := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", ask(string(secretID("prod/db"))), key("k")))
	if got := r.show(r.developer, events.RequestID(first.ID)); got.Connection != "file" || got.Ref != "prod/db" || got.Secret != "file/prod/db" {
		t.Errorf("%+v", got)
	}
	r.call(r.developer, "POST", "/requests", ask(string(secretID("test/none")))).wants(t, 409, "secret_gone")
	for _, id := range []string{string(secretID("never")), "i_" + strings.Repeat("0", 26), "i_", "i_x"} {
		r.call(r.developer, "POST", "/requests", ask(id)).wants(t, 404, "secret_unknown")
	}
	// A try of the same call, after the secret has gone, is answered alike.
	job := events.ScanOf("file", events.OperationDiscover, 1001)
	r.record(events.PageStream(job, 1), events.SecretsGone{Scan: job, Connection: "file", Refs: []string{"prod/db"}})
	r.settled()
	r.call(r.developer, "POST", "/requests", ask(string(secretID("prod/db")))).wants(t, 409, "secret_gone")
	r.marks.forget()
	if again := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", ask(string(secretID("prod/db"))), key("k"))); again != first {
		t.Errorf("%+v, then %+v", first, again)
	}
}

// TestAPatchOfASecretByItsIDIsBoundToConnectionAndRef seals values as a client must that
// knows only the id.
func TestAPatchOfASecretByItsIDIsBoundToConnectionAndRef(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	id := string(secretID("prod/db"))
	seals := func(ref, key string) api.Submit {
		t.Helper()
		entry, err := seal.EncodeEntry(seal.EntryText, []byte("canary-proposed-1f"))
		if err != nil {
			t.Fatal(err)
		}
		to := r.intakeKey()
		value, err := seal.SealProposal(to, seal.Binding{
			Direction: seal.Propose, Request: key, Key: "password", Connection: "file", Ref: ref, Agent: string(r.developer.ID), AgentKey: to.ID(),
		}, entry)
		if err != nil {
			t.Fatal(err)
		}
		return api.Submit{Secret: id, Operation: "patch", Reason: "x", Changes: []api.ProposedChange{{Key: "password", Action: "set", Sealed: value}}}
	}
	made := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", seals("prod/db", "k1"), key("k1")))
	if got := r.show(r.developer, events.RequestID(made.ID)); got.Ref != "prod/db" || got.Operation != "patch" {
		t.Errorf("%+v", got)
	}
	r.call(r.developer, "POST", "/requests", seals(id, "k2"), key("k2")).wants(t, 422, "value_invalid")
	r.call(r.developer, "POST", "/requests", seals("prod/api", "k3"), key("k3")).wants(t, 422, "value_invalid")
}

func TestCredentialsInABodyAreNamedAndNotKept(t *testing.T) {
	t.Parallel()
	const canary = "canary-credential-90ab"
	r := newRig(t)
	for _, path := range []string{"/jobs", "/connections", "/connections/file/schedule"} {
		for _, body := range []string{
			`{"token":"%s"}`, `{"VAULT_TOKEN":"%s"}`, `{"password":"%s"}`, `{"secret_key":"%s"}`, `{"aws_access_key_id":"%s"}`, `{"client-secret":"%s"}`,
			`{"apiKey":"%s"}`, `{"privateKey":["%s"]}`, `{"name":"x","auth":{"role_id":"%s"}}`, `{"config":[{"Bearer":"%s"}]}`, `{"connection_string":"%s"}`,
			`{"credentials":{"x":"%s"}}`,
		} {
			got := r.call(r.admin, "POST", path, sent(fmt.Sprintf(body, canary))).wants(t, 400, "credential_in_body")
			if strings.Contains(string(got.body), canary) {
				t.Errorf("%s: the answer repeats it: %s", path, got.body)
			}
		}
		for _, body := range []string{`{"url":"https://x"}`, `{"settings":{"team":"x"}}`, `{"password":`, `[]`} {
			r.call(r.admin, "POST", path, sent(body)).wants(t, 400, "body_malformed")
		}
	}
	kept := r.logged.String() + r.marks.dump() + r.rows()
	for _, c := range r.commits() {
		kept += string(c.Raw)
	}
	if strings.Contains(kept, canary) {
		t.Error("a credential was kept")
	}
}

func TestAConnectionIsScannedBySchedule(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := "/connections/file/schedule"
	r.call(r.admin, "POST", path, api.Schedule{EverySeconds: 86400}).wants(t, 200, "")
	show := func() int {
		t.Helper()
		return read[api.Connection](t, r.call(r.developer, "GET", "/connections/file", nil, r.newest())).DiscoverEverySeconds
	}
	if got := show(); got != 86400 {
		t.Errorf("every %d s", got)
	}
	for _, body := range []string{`{"every_seconds":899}`, `{"every_seconds":-1}`, `{"every_seconds":2592001}`, `{"every_seconds":9223372036854775807}`} {
		r.call(r.admin, "POST", path, sent(body)).wants(t, 422, "schedule_invalid")
	}
	for _, body := range []string{``, `{}`, `{"every_seconds":null}`, `{"every_seconds":"900"}`, `{"every_seconds":1e300}`} {
		r.call(r.admin, "POST", path, sent(body)).wants(t, 400, "body_malformed")
	}
	if got := show(); got != 86400 {
		t.Errorf("every %d s", got)
	}
	r.call(r.admin, "POST", path, api.Schedule{}).wants(t, 200, "")
	if got := show(); got != 0 {
		t.Errorf("every %d s", got)
	}
	r.call(r.admin, "POST", "/connections/nowhere/schedule", api.Schedule{}).wants(t, 404, "connection_unknown")
}
