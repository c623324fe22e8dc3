package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// fakeJob is a job of the API in memory.
type fakeJob struct {
	api.Job
	changes uint64 // of the job and of its progress
	names   []string
}

// findJob is called with the lock.
func (f *fake) findJob(id string) *fakeJob {
	for _, j := range f.jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// newJob is called with the lock.
func (f *fake) newJob(kind, connection string) *fakeJob {
	j := &fakeJob{Job: api.Job{
		ID: fmt.Sprintf("j_%d", len(f.jobs)+1), Type: kind, State: "queued", Connection: connection, Provider: "file", Cluster: "demo",
		QueuedBy: "user:u_1", QueuedAt: time.Now(), Until: time.Now().Add(24 * time.Hour), Seq: f.seq + 1,
		Waiting: "no agent of cluster demo is online",
	}, changes: 1}
	f.jobs = append(f.jobs, j)
	return j
}

func (f *fake) queueJob(w *httptest.ResponseRecorder, body []byte) {
	var in api.QueueJob
	f.decode(body, &in)
	for _, j := range f.jobs {
		if j.Connection == in.Connection && j.Type == in.Type && !jobOver(j.State) {
			problem(w, 409, "scan_running")
			return
		}
	}
	if in.Connection != "file" {
		problem(w, 422, "connection_unknown")
		return
	}
	f.write(w, 201, f.newJob(in.Type, in.Connection).Job)
}

func (f *fake) queryJobs(w *httptest.ResponseRecorder, r *http.Request, part []string) {
	q := r.URL.Query()
	if len(part) == 1 {
		var found []api.Job
		for _, j := range slices.Backward(f.jobs) {
			if states := q["state"]; len(states) == 0 || slices.Contains(states, j.State) {
				found = append(found, j.Job)
			}
		}
		page(w, r, found)
		return
	}
	j := f.findJob(part[1])
	switch {
	case j == nil:
		problem(w, 404, "job_unknown")
	case len(part) == 2:
		reply(w, 200, j.Job)
	case part[2] == "keys" && j.State == "finished":
		reply(w, 200, api.KeyNames{Keys: j.names, Version: j.Version})
	default:
		problem(w, 404, "not_found")
	}
}

func (f *fake) cancelJob(w *httptest.ResponseRecorder, j *fakeJob, body []byte) {
	var in api.Reason
	f.decode(body, &in)
	if j.State == "cancelled" {
		f.write(w, 200, api.Done{Seq: f.seq})
		return
	}
	if jobOver(j.State) {
		problem(w, 409, "job_over")
		return
	}
	j.State, j.Waiting, j.Reason = "cancelled", "", in.Reason
	f.write(w, 200, api.Done{Seq: f.seq + 1})
	f.changeJob(j)
}

// changeJob is called with the lock.
func (f *fake) changeJob(j *fakeJob) {
	j.changes++
	close(f.changed)
	f.changed = make(chan struct{})
}

// step has an agent get on with a job.
func (f *fake) step(id, how string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.findJob(id)
	if j == nil {
		return fmt.Errorf("there is no job %s", id)
	}
	now := time.Now()
	switch how {
	case "take":
		j.State, j.Waiting, j.Agent, j.Attempt, j.TakenAt, j.Progress = "running", "", "a_1", 1, &now, &api.Progress{At: now}
	case "page":
		p := *j.Progress
		p.Pages, p.Secrets, p.Found, p.Changed, p.PerSecond, p.At = p.Pages+1, p.Secrets+500, p.Found+7, p.Changed+2, 410, now
		j.Progress = &p
	case "finish", "finish-partly":
		p := *j.Progress
		j.State, j.EndedAt = "finished", &now
		if p.Gone = 3; how == "finish-partly" {
			p.Gone, p.Skipped, p.Unlisted = 0, 1, 2
		}
		if j.Type == "fingerprint" {
			p.Gone, p.Refused = 0, 4
		}
		j.Progress = &p
	case "fail":
		j.State, j.Waiting, j.EndedAt = "failed", "", &now
		j.Failure = &api.Failure{Code: "provider_forbidden", Detail: "the agent may not list\x1b[2J"}
	case "schedule":
		j.Scheduled = true
	default:
		return fmt.Errorf("a job cannot %s", how)
	}
	f.changeJob(j)
	return nil
}

// askKeys makes a job for key names. What becomes of it is in the ref.
func (f *fake) askKeys(w *httptest.ResponseRecorder, s api.Secret) {
	j := f.newJob("keys", s.Connection)
	j.Secret, j.Ref = s.ID, s.Ref
	now := time.Now()
	switch {
	case strings.HasSuffix(s.Ref, "/slow"): // an agent comes later, or never
	case strings.HasSuffix(s.Ref, "/closed"):
		j.State, j.Waiting, j.EndedAt = "failed", "", &now
		j.Failure = &api.Failure{Code: "provider_forbidden", Detail: "the agent may not read this secret"}
	default:
		j.State, j.Waiting, j.Attempt, j.Agent, j.EndedAt = "finished", "", 1, "a_1", &now
		j.names, j.Keys, j.Version = []string{"password", "us\x1b]0;er"}, 2, "4"
	}
	f.write(w, 202, j.Job)
}

// fakeSecrets is the inventory.
func fakeSecrets() []api.Secret {
	days := 93
	rotated := time.Now().Add(-93 * 24 * time.Hour)
	var all []api.Secret
	for _, ref := range []string{"prod/db", "prod/slow", "prod/closed", "prod/evil", "old/mail"} {
		s := api.Secret{
			ID: string(events.SecretOf("file", ref)), Secret: "file/" + ref, Connection: "file", Cluster: "demo", Provider: "file", Ref: ref,
			Labels: map[string]string{"Environment": "prod", "Team": "payments"}, Version: "4", FirstSeenAt: rotated, LastSeenAt: time.Now(),
			Status: "present", RotatedAt: &rotated, AgeDays: &days, Seq: 1,
		}
		switch ref {
		case "prod/db":
			s.Owner, s.OwnerFrom, s.Environment, s.EnvironmentFrom = "payments", "hand", "prod", "rule"
		case "prod/evil":
			s.Labels = map[string]string{"na\x1b[2Jme": "\u202evalue"}
			s.RotatedAt, s.AgeDays = nil, nil
		case "old/mail":
			gone := time.Now().Add(-3 * time.Hour)
			s.Status, s.GoneAt = "gone", &gone
		}
		all = append(all, s)
	}
	return all
}

func (f *fake) querySecrets(w *httptest.ResponseRecorder, r *http.Request, part []string) {
	q := r.URL.Query()
	switch all := fakeSecrets(); {
	case len(part) == 1 && f.empty:
		page(w, r, []api.Secret{})
	case f.empty && part[1] == "count":
		reply(w, 200, api.Count{Exact: true})
	case f.empty:
		reply(w, 200, api.Page[api.Facet]{Items: []api.Facet{}})
	case len(part) == 1 && q.Get("text") == "sparse" && q.Get("cursor") == "":
		reply(w, 200, api.Page[api.Secret]{Items: []api.Secret{}, Next: "1"}) // looked at many, found none yet
	case len(part) == 1 && q.Get("prefix") == "nothing":
		page(w, r, []api.Secret{})
	case len(part) == 1 && f.many:
		page(w, r, slices.Repeat(all[:1], 51))
	case len(part) == 1:
		page(w, r, all)
	case part[1] == "facets" && q.Get("label") == "Nope":
		reply(w, 200, api.Page[api.Facet]{Items: []api.Facet{}})
	case part[1] == "count":
		reply(w, 200, api.Count{Count: 10000, Exact: q.Get("prefix") != ""})
	case part[1] == "facets" && q.Get("label") == "":
		reply(w, 200, api.Page[api.Facet]{Items: []api.Facet{{Value: "Environment", Count: 5}, {Value: "na\x1b[2Jme", Count: 1}}})
	case part[1] == "facets":
		reply(w, 200, api.Page[api.Facet]{Items: []api.Facet{{Value: "prod", Count: 5}}})
	default:
		for _, s := range all {
			if s.ID != part[1] {
				continue
			}
			s.AsOf = f.asOf(r)
			if f.misplaced {
				s.Ref, s.Secret = "other/place", "file/other/place"
			}
			reply(w, 200, s)
			return
		}
		problem(w, 404, "secret_unknown")
	}
}

func (f *fake) queryReport(w *httptest.ResponseRecorder, r *http.Request, kind string) {
	all := fakeSecrets()
	switch {
	case r.URL.Query().Get("format") == "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		_, _ = w.WriteString("secret,owner\r\nfile/prod/db,\"pay\x1b[2Jments\"\r\n")
	case f.empty && kind != "duplicates" && kind != "duplicates/coverage":
		page(w, r, []api.Secret{})
	case kind == "stale", kind == "unowned":
		page(w, r, all)
	case kind == "out-of-band":
		page(w, r, []api.OutOfBand{
			{Secret: all[0], Kind: "changed", FromVersion: "3", ToVersion: "4", SeenAt: time.Now()},
			{Secret: all[3], Kind: "created", ToVersion: "1\x1b[2J", SeenAt: time.Now()},
			{Secret: all[1], Kind: "changed", FromVersion: "3", ToVersion: "4", SeenAt: time.Now()},
		})
	case kind == "duplicates/coverage":
		page := api.Page[api.Coverage]{Items: []api.Coverage{
			{Connection: "old", KeyID: "9f8e7d6c5b4a", Secrets: 2, FingerprintedAt: time.Now().Add(-50 * time.Hour)},
			{Connection: "file", KeyID: "1a2b3c4d5e6f", Secrets: 3, FingerprintedAt: time.Now().Add(-2 * time.Minute)},
			{Connection: "vault", KeyID: "1a2b3c4d5e6f", Secrets: 1, FingerprintedAt: time.Now().Add(-time.Hour)},
		}}
		if f.empty {
			page.Items = []api.Coverage{}
		}
		reply(w, 200, page)
	case f.empty:
		page(w, r, []api.Duplicate{})
	default:
		page(w, r, []api.Duplicate{{Group: "g1", Total: 102, Secrets: []api.SecretName{{ID: "i_1", Secret: "file/a"}, {ID: "i_2", Secret: "vault/\x1bb", Changed: true}}}})
	}
}

// commandSecret is a command about one secret of the inventory.
func (f *fake) commandSecret(w *httptest.ResponseRecorder, id, verb string, body []byte) {
	for _, s := range fakeSecrets() {
		if s.ID != id {
			continue
		}
		if verb == "keys" {
			f.decode(body, &struct{}{})
			f.askKeys(w, s)
			return
		}
		f.decode(body, &f.assigned)
		f.write(w, 200, api.Done{Seq: f.seq + 1})
		return
	}
	problem(w, 404, "secret_unknown")
}

func (f *fake) setOwnership(w *httptest.ResponseRecorder, body []byte) {
	var in api.Ownership
	f.decode(body, &in)
	if in.Version != f.ownership.Version {
		problem(w, 409, "ownership_rules_moved")
		return
	}
	if compareRules(f.ownership.Rules, in.Rules).none() {
		f.write(w, 200, api.Done{Seq: f.seq})
		return
	}
	f.ownership = api.Ownership{Version: in.Version + 1, Rules: in.Rules, Seq: f.seq + 1}
	f.write(w, 200, api.Done{Seq: f.seq + 1})
}
