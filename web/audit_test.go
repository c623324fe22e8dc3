package web_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

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
	r.call(r.developer, "POST", "/secrets/"+string(secretID("prod/db"))+"/keys", sent("{}")).wants(t, 202, "")
	r.call(r.developer, "GET", "/people", nil).wants(t, 403, "forbidden")
	r.call(r.other, "GET", "/people", nil).wants(t, 403, "forbidden")
	r.signIn(r.other.Email, "wrong horse battery").wants(t, 401, "sign_in_failed")
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
		"secret=file/prod/db":            about("request/", keys),
		"secret=file/prod/api":           about("nothing"),
		"secret=file/prod/db&type=sb.j":  about(keys),
		"cluster=demo":                   about("request/", "job/", "agent/", "connection/"),
		"cluster=far":                    about("nothing"),
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
		"secret=file/" + strings.Repeat("x", 513), "cluster=Demo", "connection=file",
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
