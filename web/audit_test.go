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

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

// audit reads all of it that filters want, newest first.
func (r *rig) audit(filters string) (found []api.Event) {
	r.t.Helper()
	for cursor := ""; ; {
		page := read[api.Page[api.Event]](r.t, r.call(r.admin, "GET", "/audit/events?limit=7&"+filters+cursor, nil, r.newest()))
		if found = append(found, page.Items...); page.Next == "" {
			return found
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
}

// busy is a rig in which something happened of all kinds that filters tell apart.
func busy(t *testing.T) *rig {
	r := newRig(t)
	a := r.enrol()
	a.scan("file", listed("prod/db"), listed("prod/api"))
	for range 3 {
		r.submit(r.developer)
	}
	r.queue("discover", "file")
	r.call(r.admin, "GET", "/secrets", nil, r.newest()).wants(t, 200, "")
	r.call(r.developer, "POST", "/secrets/"+string(secretID("prod/db"))+"/keys", sent("{}")).wants(t, 202, "")
	r.call(r.developer, "GET", "/people", nil).wants(t, 403, "forbidden")
	r.call(r.other, "GET", "/people", nil).wants(t, 403, "forbidden")
	r.signIn(r.other.Email, "wrong horse battery").wants(t, 401, "sign_in_failed")
	for _, path := range []string{"/audit/events", "/audit/histogram"} { // to read it is a fact, once in a while
		r.call(r.admin, "GET", path, nil).wants(t, 200, "")
	}
	return r
}

func TestTheAuditIsNarrowed(t *testing.T) {
	t.Parallel()
	r := busy(t)
	all := r.audit("")
	denied := func(e api.Event) bool {
		return e.Type == "sb.access.denied.v1" || e.Type == "sb.access.sign_in_failed.v1"
	}
	about := func(prefixes ...string) func(api.Event) bool {
		return func(e api.Event) bool {
			for _, p := range prefixes {
				if strings.HasPrefix(e.Stream, p) {
					return true
				}
			}
			return false
		}
	}
	keys := ""
	for _, e := range all {
		if data := e.Data.(map[string]any); e.Type == "sb.job.queued.v1" && data["operation"] == "keys" {
			keys = e.Stream
		}
	}
	for filters, match := range map[string]func(api.Event) bool{
		"outcome=denied": denied,
		"outcome=done":   func(e api.Event) bool { return !denied(e) },
		"outcome=denied&actor=" + "user:" + string(r.developer.ID): func(e api.Event) bool {
			return denied(e) && e.Actor == "user:"+string(r.developer.ID)
		},
		"secret=file/prod/db":           about("request/", keys),
		"secret=file/prod/api":          about("nothing"),
		"secret=file/prod/db&type=sb.j": about(keys),
		"cluster=demo":                  about("request/", "job/", "agent/", "connection/"),
		"cluster=far":                   about("nothing"),
		"connection=file":               about("request/", "job/", "connection/file", "inventory/", "secret/"),
		"connection=far":                about("nothing"),
		"action=person.list":            func(e api.Event) bool { return e.Type == "sb.access.denied.v1" },
		"action=person.list&actor=" + "user:" + string(r.other.ID): func(e api.Event) bool {
			return e.Type == "sb.access.denied.v1" && e.Actor == "user:"+string(r.other.ID)
		},
		"action=far":                     about("nothing"),
		"command=" + all[0].Command:      func(e api.Event) bool { return e.Command == all[0].Command },
		"command=c_far":                  about("nothing"),
		"text=DEPLOY":                    func(e api.Event) bool { return e.Type == "sb.request.submitted.v1" },
		"text=/api/v1/people":            func(e api.Event) bool { return e.Type == "sb.access.denied.v1" },
		"text=" + string(r.developer.ID): func(e api.Event) bool { return strings.Contains(stored(t, e), string(r.developer.ID)) },
	} {
		want := 0
		for _, e := range all {
			if match(e) {
				want++
			}
		}
		got := r.audit(filters)
		for _, e := range got {
			if !match(e) {
				t.Errorf("%s: %s of %s", filters, e.Type, e.Stream)
			}
		}
		if len(got) != want || want == 0 && !strings.Contains(filters, "far") && !strings.Contains(filters, "api") {
			t.Errorf("%s: %d facts, want %d", filters, len(got), want)
		}
	}
	for _, q := range []string{
		"outcome=refused", "outcome=", "outcome=done&outcome=denied", "text=ab", "secret=file", "secret=file/", "secret=/prod/db", "secret=%20/x",
		"secret=file/" + strings.Repeat("x", 513), "cluster=Demo", "connection=File", "connection=",
		"command=", "action=", "command=" + strings.Repeat("x", 129), "action=" + strings.Repeat("x", 129),
	} {
		r.call(r.admin, "GET", "/audit/events?"+q, nil).wants(t, 400, "parameter_invalid")
	}
}

// stored is what the log has of an event.
func stored(t *testing.T, e api.Event) string {
	t.Helper()
	e.ActorName = ""
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Names are found where people are, so erasing somebody takes theirs from what has long happened.
func TestTheAuditHasNamesUntilSomebodyIsErased(t *testing.T) {
	t.Parallel()
	r := busy(t)
	names := func() map[string]string {
		found := map[string]string{}
		for _, e := range r.audit("") {
			found[e.Actor] = e.ActorName
		}
		return found
	}
	actor := "user:" + string(r.developer.ID)
	if got := names(); got[actor] != r.developer.Name || got["user:"+string(r.admin.ID)] != r.admin.Name || got["system:test"] != "" {
		t.Errorf("names: %v", got)
	}
	id := r.queue("fingerprint", "file").ID
	if got := r.showJob(r.admin, id); got.QueuedByName != r.admin.Name {
		t.Errorf("who queued the job: %+v", got)
	}
	for _, job := range read[api.Page[api.Job]](t, r.call(r.admin, "GET", "/jobs", nil)).Items {
		want := r.admin.Name
		if job.Type == "keys" {
			want = r.developer.Name
		}
		if job.QueuedByName != want {
			t.Errorf("who queued a job of %s: %q, want %q", job.Type, job.QueuedByName, want)
		}
	}
	r.call(r.admin, "POST", people(string(r.developer.ID), "/erase"), nil).wants(t, 200, "")
	if got, there := names()[actor]; got != "" || !there {
		t.Errorf("an erased person's name: %q, facts of theirs: %v", got, there)
	}
}

// Whatever the filters, counts are those of the pages.
func TestFacetsAndHistogramAreThoseOfThePages(t *testing.T) {
	t.Parallel()
	r := busy(t)
	for _, filters := range []string{
		"", "outcome=denied", "outcome=done&type=sb.request.", "secret=file/prod/db", "text=deploy", "cluster=demo", "actor=user:" + string(r.developer.ID),
		"type=none", "until=2026-11-24T00:00:00Z",
	} {
		all := r.audit(filters)
		for by, of := range map[string]func(api.Event) string{
			"actor": func(e api.Event) string { return e.Actor }, "type": func(e api.Event) string { return e.Type },
			"aggregate": func(e api.Event) string { return strings.Split(e.Stream, "/")[0] },
			"outcome": func(e api.Event) string {
				if slices.Contains(events.TypesOf(events.OutcomeDenied), e.Type) {
					return "denied"
				}
				return "done"
			},
		} {
			want, names := map[string]int{}, map[string]string{}
			for _, e := range all {
				want[of(e)]++
				if by == "actor" && e.ActorName != "" {
					names[e.Actor] = e.ActorName
				}
			}
			got, named := map[string]int{}, map[string]string{}
			facets := read[api.AuditFacets](t, r.call(r.admin, "GET", "/audit/facets?by="+by+"&"+filters, nil))
			for _, f := range facets.Items {
				if got[f.Value] = f.Count; f.Name != "" {
					named[f.Value] = f.Name
				}
			}
			if !maps.Equal(got, want) || !maps.Equal(names, named) || facets.Total != len(all) || !facets.Exact {
				t.Errorf("%s by %s: %v with names %v, want %v with %v", filters, by, got, named, want, names)
			}
		}
		h := read[api.AuditHistogram](t, r.call(r.admin, "GET", "/audit/histogram?since=2026-11-01T00:00:00Z&"+filters, nil))
		n := 0
		for _, b := range h.Items {
			n += b.Done + b.Denied
		}
		if n != len(all) || !h.Exact {
			t.Errorf("%s over time: %d, want %d", filters, n, len(all))
		}
	}
	h := read[api.AuditHistogram](t, r.call(r.admin, "GET", "/audit/histogram", nil))
	if h.BucketSeconds != 6*3600 || len(h.Items) != 120 || !h.Items[0].At.Equal(h.Since) || !h.Until.After(r.clock.Now()) || h.Items[119].Done == 0 {
		t.Errorf("unless told: from %v to %v, %d buckets of %d seconds", h.Since, h.Until, len(h.Items), h.BucketSeconds)
	}
	for _, path := range []string{
		"/audit/facets", "/audit/facets?by=", "/audit/facets?by=id", "/audit/facets?by=type&by=actor", "/audit/facets?by=type&limit=1",
		"/audit/histogram?by=type", "/audit/histogram?since=2026-11-24T00:00:00Z&until=2026-11-24T00:00:00Z", "/audit/histogram?since=2001-01-01T00:00:00Z",
	} {
		r.call(r.admin, "GET", path, nil).wants(t, 400, "parameter_invalid")
	}
}

// export takes the audit along.
func (r *rig) export(filters string) (lines []string) {
	r.t.Helper()
	got := r.call(r.admin, "GET", "/audit/export?"+filters, nil, r.newest()).wants(r.t, 200, "")
	if kind, as := got.Header.Get("Content-Type"), got.Header.Get("Content-Disposition"); kind != "application/x-ndjson" || !strings.HasPrefix(as, `attachment; filename="audit-2`) {
		r.t.Errorf("%s, %s", kind, as)
	}
	if len(got.body) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(got.body), "\n"), "\n")
}

func TestAnExportIsTheAudit(t *testing.T) {
	t.Parallel()
	r := busy(t)
	r.submitBecause(`<b>"quoted" & more</b>`)
	for _, filters := range []string{
		"", "outcome=denied", "type=sb.request.", "text=deploy", "secret=file/prod/db&cluster=demo", "type=none", "until=2000-01-01T00:00:00Z",
	} {
		var want []string
		for _, e := range r.audit(filters) {
			want = append([]string{stored(t, e)}, want...)
		}
		var got []string
		for _, line := range r.export(filters) {
			var e api.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil || strings.Contains(line, "actor_name") || strings.Contains(line, r.admin.Name) {
				t.Fatalf("%v in %s", err, line)
			}
			got = append(got, stored(t, e))
		}
		if len(got) > len(want) { // its own fact may be there by now
			got = got[:len(want)]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filters, diff)
		}
	}
	whole := r.export("until=" + url.QueryEscape(r.clock.Now().Add(time.Hour).Format(time.RFC3339)))
	// Cut anywhere, also inside of a commit, it goes on there.
	for cut := range len(whole) {
		var last api.Event
		if err := json.Unmarshal([]byte(whole[cut]), &last); err != nil {
			t.Fatal(err)
		}
		rest := r.export(fmt.Sprintf("after=%d.%d&limit=3", last.Seq, last.Index))
		if want := whole[cut+1 : min(cut+4, len(whole))]; len(rest) > 3 || !slices.Equal(rest[:min(len(rest), len(want))], want) {
			t.Errorf("after %d.%d: %q, want %q", last.Seq, last.Index, rest, want)
		}
		next := r.export(fmt.Sprintf("after=%d&limit=1", last.Seq))
		for cut < len(whole)-1 && strings.HasPrefix(whole[cut+1], fmt.Sprintf(`{"seq":%d,`, last.Seq)) {
			cut++
		}
		if cut+1 < len(whole) && next[0] != whole[cut+1] {
			t.Errorf("after commit %d: %q", last.Seq, next)
		}
	}
	for _, q := range []string{"after=", "after=x", "after=1.", "after=.1", "after=-1", "after=1.-1", "after=1.2.3", "after=99999999999999999999", "after=1.9999999999", "limit=0", "limit=1000001", "cursor=MQ"} {
		r.call(r.admin, "GET", "/audit/export?"+q, nil).wants(t, 400, "parameter_invalid")
	}
}

// What somebody looks for is not kept, that they took it is: before they have any of it.
func TestAnExportIsAFactWithoutWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	const canary = "a-longcanary-somebody-typed"
	r := newRig(t)
	r.export("text=" + canary + "&since=2026-01-01T00:00:00Z")
	exported := facts[events.AuditExported](r)
	if len(exported) != 1 || exported[0].Actor != events.UserActor(r.admin.ID) || !slices.Equal(exported[0].Fact.(events.AuditExported).Filters, []string{"since", "text"}) {
		t.Errorf("facts: %+v", exported)
	}
	for _, path := range []string{"/audit/events?text=", "/audit/facets?by=actor&text=", "/audit/histogram?text=", "/audit/export?text="} {
		before := len(facts[events.AccessDenied](r))
		r.call(r.developer, "GET", path+canary, nil).wants(t, 403, "forbidden")
		if denied := facts[events.AccessDenied](r); len(denied) != before+1 {
			t.Errorf("%s: %d denials", path, len(denied)-before)
		}
	}
	for _, c := range r.commits() {
		if strings.Contains(string(c.Raw), canary) {
			t.Errorf("a fact holds what somebody looked for: %s", c.Raw)
		}
	}
	if strings.Contains(r.logged.String(), canary) {
		t.Error("the log holds what somebody looked for")
	}
	r.breaks(always(commandtest.Fails))
	if got := r.call(r.admin, "GET", "/audit/export", nil).wants(t, 503, "unavailable"); strings.Contains(string(got.body), `"seq"`) {
		t.Errorf("facts were handed out without a record: %s", got.body)
	}
	r.breaks(nil)
}

func (r *rig) submitBecause(reason string) {
	r.t.Helper()
	r.call(r.developer, "POST", "/requests", api.Submit{Secret: "file/prod/db", Keys: []string{"password"}, Reason: reason}).wants(r.t, 201, "")
}
