package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

func TestOneJobOfATypeRunsForAConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.queue("discover", "file")
	if first.State != "queued" || first.QueuedBy != "user:"+string(r.admin.ID) || first.Cluster != "demo" || first.Seq == 0 || first.Progress != nil {
		t.Errorf("queued: %+v", first)
	}
	refused := r.call(r.admin, "POST", "/jobs", api.QueueJob{Type: "discover", Connection: "file"}).wants(t, 409, "scan_running")
	if !strings.Contains(refused.problem.Detail, first.ID) {
		t.Errorf("the detail does not name the job: %s", refused.problem.Detail)
	}
	r.queue("fingerprint", "file")
	r.call(r.admin, "POST", "/jobs/"+first.ID+"/cancel", api.Reason{Reason: "by mistake"}).wants(t, 200, "")
	r.call(r.admin, "POST", "/jobs/"+first.ID+"/cancel", nil).wants(t, 200, "")
	if got := r.showJob(r.admin, first.ID); got.State != "cancelled" || got.Reason != "by mistake" || got.EndedAt == nil || got.Waiting != "" || got.Progress != nil {
		t.Errorf("cancelled: %+v", got)
	}
	r.queue("discover", "file")
	tests := map[string]struct {
		ask    api.QueueJob
		status int
		code   string
	}{
		"an unknown connection":     {api.QueueJob{Type: "discover", Connection: "nowhere"}, 404, "connection_unknown"},
		"a connection that is none": {api.QueueJob{Type: "discover", Connection: "evt.>"}, 404, "connection_unknown"},
		"no connection":             {api.QueueJob{Type: "discover"}, 404, "connection_unknown"},
		"an unknown type":           {api.QueueJob{Type: "delete", Connection: "file"}, 422, "job_type_unknown"},
		"key names, of no secret":   {api.QueueJob{Type: "keys", Connection: "file"}, 422, "job_type_unknown"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r.call(r.admin, "POST", "/jobs", tt.ask).wants(t, tt.status, tt.code)
		})
	}
	r.call(r.admin, "POST", "/connections/file/disable", nil).wants(t, 200, "")
	r.call(r.admin, "POST", "/jobs", api.QueueJob{Type: "discover", Connection: "file"}).wants(t, 409, "connection_disabled")
}

func (r *rig) showJob(who person, id string) api.Job {
	r.t.Helper()
	return read[api.Job](r.t, r.call(who, "GET", "/jobs/"+id, nil, r.newest()))
}

func TestCancelRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	done := a.scan("file", listed("a"))
	r.call(r.admin, "POST", "/jobs/"+done.ID+"/cancel", nil).wants(t, 409, "job_over")
	open := r.queue("discover", "file")
	for _, reason := range []string{strings.Repeat("x", 2001), "a\x1b[2Jb"} {
		r.call(r.admin, "POST", "/jobs/"+open.ID+"/cancel", api.Reason{Reason: reason}).wants(t, 422, "cancel_reason_invalid")
	}
	for _, id := range []string{string(events.ScanOf("none", events.OperationDiscover, 1)), "x", "%00", "r_" + strings.Repeat("0", 26), "j_%2f"} {
		r.call(r.admin, "POST", "/jobs/"+id+"/cancel", nil).wants(t, 404, "job_unknown")
		r.call(r.admin, "GET", "/jobs/"+id, nil).wants(t, 404, "job_unknown")
		r.call(r.admin, "GET", "/jobs/"+id+"/stream", nil).wants(t, 404, "job_unknown")
		r.call(r.admin, "GET", "/jobs/"+id+"/keys", nil).wants(t, 404, "job_unknown")
	}
}

func TestJobsAreListedAndTellTheirProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	r.call(r.admin, "POST", "/connections", api.CreateConnection{Name: "other", Provider: "vault", Cluster: "far"}).wants(t, 201, "")
	far := r.queue("discover", "other")
	if got := r.showJob(r.admin, far.ID).Waiting; got != "cluster far has no agent; it begins when one is enrolled" {
		t.Errorf("waiting: %q", got)
	}
	job := r.queue("discover", "file")
	if got := r.showJob(r.admin, job.ID).Waiting; got != "waiting for an agent of cluster demo to take it" {
		t.Errorf("waiting: %q", got)
	}
	r.record(events.AgentStream(a.Agent), events.AgentLost{LastSeen: r.clock.Now()})
	r.settled()
	if got := r.showJob(r.admin, job.ID).Waiting; got != "no agent of cluster demo is online; it begins when one returns" {
		t.Errorf("waiting: %q", got)
	}
	s := a.take(job.ID)
	r.clock.Add(2 * time.Second)
	s.page(listed("a"), listed("b"), listed("c"))
	running := r.showJob(r.admin, job.ID)
	want := api.Progress{Pages: 1, Secrets: 3, Found: 3, PerSecond: 1.5, At: commandtest.Noon.Add(2 * time.Second)}
	if running.State != "running" || running.Agent != string(a.Agent) || running.Progress == nil || *running.Progress != want {
		t.Errorf("running: %+v, %+v", running, running.Progress)
	}
	r.clock.Add(5 * time.Second)
	s.finish()
	want.PerSecond, want.At = 0.4, commandtest.Noon.Add(7*time.Second) // 3 in 7 s, to one decimal place
	finished := r.showJob(r.admin, job.ID)
	if finished.State != "finished" || finished.Progress == nil || *finished.Progress != want {
		t.Errorf("finished: %+v, %+v", finished, finished.Progress)
	}
	second := r.queue("fingerprint", "file")
	ids := func(query string) []string {
		t.Helper()
		var all []string
		for _, j := range read[api.Page[api.Job]](t, r.call(r.admin, "GET", "/jobs"+query, nil, r.newest())).Items {
			all = append(all, j.ID)
		}
		return all
	}
	for query, want := range map[string][]string{
		"": {second.ID, job.ID, far.ID}, "?connection=file": {second.ID, job.ID}, "?type=discover": {job.ID, far.ID},
		"?state=finished": {job.ID}, "?state=queued&state=running": {second.ID, far.ID}, "?type=keys": nil, "?connection=none": nil,
	} {
		if got := ids(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if got := walk(r, r.admin, "/jobs", 1, func(j api.Job) string { return j.ID }, func() {}); !slices.Equal(got, []string{second.ID, job.ID, far.ID}) {
		t.Errorf("walked: %v", got)
	}
	for _, query := range []string{"?type=delete", "?type=discover&type=keys", "?state=lost", "?connection=No", "?connection=%00", "?cluster=demo"} {
		r.call(r.admin, "GET", "/jobs"+query, nil).wants(t, 400, "parameter_invalid")
	}
}

func TestAStreamTellsTheProgressOfAJobAndEndsWithIt(t *testing.T) {
	t.Parallel()
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.api.SetLook(20 * time.Millisecond)
			r.serve(protocol)
			a := r.enrol()
			job := r.queue("discover", "file")
			path := "/jobs/" + job.ID + "/stream"
			l := r.listen(t, r.admin, path)
			state := func(l *live, want string, secrets int) string {
				t.Helper()
				for {
					id, shown, ok := nextOf[api.Job](l, "job")
					if !ok || id != itoa(shown.Seq) {
						t.Fatalf("%v %s %+v, want %s", ok, id, shown, want)
					}
					if shown.State == want && (secrets == 0 || shown.Progress != nil && shown.Progress.Secrets == secrets) {
						return id
					}
				}
			}
			state(l, "queued", 0)
			s := a.take(job.ID)
			state(l, "running", 0)
			s.page(listed("a"), listed("b"))
			seen := state(l, "running", 2)
			s.page(listed("c"))
			state(l, "running", 3)
			resumed := r.listen(t, r.admin, path, with("Last-Event-ID", seen))
			s.finish()
			end := state(l, "finished", 3)
			if end == seen || state(resumed, "finished", 3) != end {
				t.Errorf("the end has the id %s, the event before %s", end, seen)
			}
			l.wantsEnd()
			resumed.wantsEnd()
			late := r.listen(t, r.admin, path)
			state(late, "finished", 3)
			late.wantsEnd()
			r.call(r.admin, "GET", path, nil, with("Last-Event-ID", end), r.newest()).wants(t, 204, "")
			r.call(r.admin, "GET", path, nil, with("Last-Event-ID", "x")).wants(t, 400, "parameter_invalid")
		})
	}
}

func TestAStreamOfAJobEndsForWhoMayNotSeeItAnyMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.api.SetHeartbeat(50 * time.Millisecond)
	job := r.queue("discover", "file")
	reader := r.join("admin")
	l := r.listen(t, reader, "/jobs/"+job.ID+"/stream")
	if _, shown, ok := nextOf[api.Job](l, "job"); !ok || shown.ID != job.ID {
		t.Fatalf("%v %+v", ok, shown)
	}
	l.wantsComment()
	r.setRoles(reader.ID, "developer")
	l.wantsEnd()
}

// keysJob is a job for the names of the keys of prod/db, of the developer.
func (r *rig) keysJob() api.Job {
	r.t.Helper()
	id := r.found("prod/db")
	return read[api.Job](r.t, r.call(r.developer, "POST", "/secrets/"+string(id)+"/keys", nil).wants(r.t, 202, ""))
}

func (a agent) tellKeys(job string, names ...string) {
	a.t.Helper()
	s := a.take(job)
	ask[events.Done](a, events.ServiceFinish, events.FinishJob{Job: s.job, Attempt: s.attempt, Keys: names, Version: "7"})
}

func TestNamesOfKeysAreToldToWhoAskedAndThatIsOnRecord(t *testing.T) {
	t.Parallel()
	const canary = "canary-key-name-0c77"
	r := newRig(t)
	a := r.enrol()
	job := r.keysJob()
	if job.Type != "keys" || job.State != "queued" || job.Ref != "prod/db" || job.Secret != string(secretID("prod/db")) {
		t.Errorf("queued: %+v", job)
	}
	path := "/jobs/" + job.ID + "/keys"
	r.call(r.developer, "GET", path, nil).wants(t, 409, "job_not_finished")
	a.tellKeys(job.ID, "zeta", canary)
	if got := r.showJob(r.developer, job.ID); got.State != "finished" || got.Keys != 2 || got.Version != "7" || got.Progress != nil {
		t.Errorf("finished: %+v", got)
	}

	before := len(facts[events.AccessDenied](r))
	for i, who := range []person{r.other, r.approver, r.admin} {
		r.call(who, "GET", path, nil).wants(t, 404, "job_unknown")
		denied := facts[events.AccessDenied](r)
		if len(denied) != before+i+1 || denied[before+i].Fact.(events.AccessDenied).Code != "job_hidden" || denied[before+i].Actor != events.UserActor(who.ID) {
			t.Errorf("denials: %+v", denied[before:])
		}
	}
	for name, fault := range faults {
		r.breaks(always(fault))
		if got := r.call(r.developer, "GET", path, nil); strings.Contains(string(got.body), canary) || got.StatusCode < 500 {
			t.Errorf("%s: told although it is not on record: %s", name, got.body)
		}
		r.breaks(nil)
	}
	if n := len(facts[events.SecretKeysListed](r)); n != 0 {
		t.Errorf("%d facts about names that nobody was told", n)
	}
	for range 2 {
		got := read[api.KeyNames](t, r.call(r.developer, "GET", path, nil))
		if !slices.Equal(got.Keys, []string{canary, "zeta"}) || got.Version != "7" {
			t.Errorf("told %+v", got)
		}
	}
	recorded := facts[events.SecretKeysListed](r)
	want := events.SecretKeysListed{Secret: secretID("prod/db"), Job: events.JobID(job.ID), By: r.developer.ID, Keys: 2, Version: "7"}
	if len(recorded) != 1 || recorded[0].Fact != want || recorded[0].Actor != events.UserActor(r.developer.ID) || recorded[0].Stream != events.SecretStream(want.Secret) {
		t.Errorf("on record: %+v", recorded)
	}
	elsewhere := r.logged.String() + r.marks.dump()
	for _, c := range r.commits() {
		elsewhere += string(c.Raw)
	}
	if strings.Contains(elsewhere, canary) {
		t.Error("a name is in the log, in a mark or in a fact")
	}
	r.clock.Add(10 * time.Minute)
	r.call(r.developer, "GET", path, nil).wants(t, 410, "key_names_gone")
}

func TestNamesOfKeysNeedTheRightToAsk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	job := r.keysJob()
	a.tellKeys(job.ID, "password")
	r.setRoles(r.developer.ID, "admin")
	r.call(r.developer, "GET", "/jobs/"+job.ID+"/keys", nil).wants(t, 404, "job_unknown")
	scan := r.queue("discover", "file")
	r.call(r.admin, "GET", "/jobs/"+scan.ID+"/keys", nil).wants(t, 410, "key_names_gone")
}

func TestAJobForKeysThatFailsHasNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	job := r.keysJob()
	s := a.take(job.ID)
	ask[events.Done](a, events.ServiceAbandon, events.AbandonJob{Job: s.job, Attempt: s.attempt, Code: events.FailureForbidden})
	r.call(r.developer, "GET", "/jobs/"+job.ID+"/keys", nil).wants(t, 410, "key_names_gone")
	if got := r.showJob(r.developer, job.ID); got.Failure == nil || got.Failure.Code != "provider_forbidden" {
		t.Errorf("failed: %+v", got)
	}
}

func TestOnesOwnJobIsVisibleAndAnothersLooksLikeNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	job := r.keysJob()
	r.call(r.developer, "GET", "/jobs", nil).wants(t, 403, "forbidden")
	for _, who := range []person{r.developer, r.admin} {
		if got := r.showJob(who, job.ID); got.QueuedBy != "user:"+string(r.developer.ID) {
			t.Errorf("%+v", got)
		}
	}
	for _, more := range []string{"", "/stream", "/keys"} {
		before := len(facts[events.AccessDenied](r))
		hidden := r.call(r.other, "GET", "/jobs/"+job.ID+more, nil).wants(t, 404, "job_unknown")
		denied := facts[events.AccessDenied](r)
		if len(denied) != before+1 || denied[before].Fact.(events.AccessDenied).Code != "job_hidden" {
			t.Errorf("%s: denials %+v", more, denied[before:])
		}
		none := r.call(r.other, "GET", "/jobs/"+string(events.ScanOf("none", events.OperationDiscover, 1))+more, nil).wants(t, 404, "job_unknown")
		if hidden.problem.Detail != none.problem.Detail || hidden.Header.Get("Content-Length") != none.Header.Get("Content-Length") {
			t.Errorf("a hidden job looks different from none: %s, %s", hidden.body, none.body)
		}
	}
}

func TestKeysOfASecretRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	a.scan("file", listed("stays"), listed("goes"))
	a.scan("file", listed("stays"))
	r.settled()
	keys := func(id string) string { return "/secrets/" + id + "/keys" }
	for _, id := range []string{"x", "%00", "i_" + strings.Repeat("0", 26), string(secretID("never"))} {
		r.call(r.developer, "POST", keys(id), nil).wants(t, 404, "secret_unknown")
	}
	r.call(r.developer, "POST", keys(string(secretID("goes"))), nil).wants(t, 409, "secret_gone")
	r.call(r.developer, "POST", keys(string(secretID("stays"))), sent(`{"keys":[]}`)).wants(t, 400, "body_malformed")
	for range 60 {
		r.call(r.developer, "POST", keys(string(secretID("stays"))), nil).wants(t, 202, "")
	}
	if got := r.call(r.developer, "POST", keys(string(secretID("stays"))), nil).wants(t, 429, "too_many_requests"); got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r.call(r.admin, "POST", "/connections/file/disable", nil).wants(t, 200, "")
	r.call(r.other, "POST", keys(string(secretID("stays"))), nil).wants(t, 409, "connection_disabled")
}
