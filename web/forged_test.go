package web_test

import (
	"encoding/json"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// forge changes the database as a superuser does who minds no trigger.
func (r *rig) forge(statement string, args ...any) {
	r.t.Helper()
	conn, err := r.db.Owner.Acquire(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Release()
	for _, table := range []string{"commits", "events", "nodes"} {
		if _, err := conn.Exec(r.t.Context(), "ALTER TABLE audit."+table+" DISABLE TRIGGER ALL"); err != nil {
			r.t.Fatal(err)
		}
	}
	done, err := conn.Exec(r.t.Context(), statement, args...)
	if err != nil || done.RowsAffected() == 0 {
		r.t.Fatalf("%s: %d rows, %v", statement, done.RowsAffected(), err)
	}
}

// adopt gives rows that a test wrote their MACs.
func (r *rig) adopt() {
	r.t.Helper()
	if _, err := store.Adopt(r.t.Context(), r.db.Owner, r.macs, r.clock.Now(), r.rights.User); err != nil {
		r.t.Fatal(err)
	}
}

// TestForgedRowsOpenNothing forges one row after another, as whoever runs the database can, and
// then does what it seems to allow. Facts decide, and rows do not.
func TestForgedRowsOpenNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	gone := r.join(string(policy.RoleAdmin))
	r.settle(r.record(events.UserStream(gone.ID), events.UserDisabled{Reason: "left"}))
	both := r.join(string(policy.RoleDeveloper), string(policy.RoleApprover))

	pending, own := r.submit(r.developer), r.submit(both)
	executed, reveal := r.ready(a, "a-longcanary-value")
	used, opened := r.ready(a, "another-longcanary-value")
	r.call(r.developer, "POST", opened, nil).wants(t, 200, "")
	r.show(r.developer, used)
	r.ledger.sign(t, 0)
	grants, err := json.Marshal([]events.GrantGiven{{Grant: events.GrantOf("c_forged"), Role: policy.RoleAdmin}})
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		name  string
		forge string
		args  []any
		do    func() answer
		code  string
	}{
		{"a stranger's request is one's own: reveal", "UPDATE views.requests SET requester = $1 WHERE id = $2", []any{r.other.ID, executed},
			func() answer { return r.call(r.other, "POST", reveal, nil) }, "reveal_not_allowed"},
		{"a stranger's request is one's own: cancel", "UPDATE views.requests SET requester = $1 WHERE id = $2", []any{r.other.ID, pending},
			func() answer { return r.call(r.other, "POST", at(pending, "/cancel"), api.Verdict{}) }, "request_unknown"},
		{"one's own request is a stranger's: approve", "UPDATE views.requests SET requester = $1 WHERE id = $2", []any{r.developer.ID, own},
			func() answer { return r.call(both, "POST", at(own, "/approve"), nil) }, "self_approval"},
		{"a request that waits is approved: it runs", "UPDATE views.requests SET state = 'approved', approved_at = now(), until = '2030-01-01', job = $1 WHERE id = $2",
			[]any{events.JobOf(pending), pending}, func() answer {
				got := r.refusedBy(a, events.StartJob{Request: pending, Job: events.JobOf(pending)})
				return answer{problem: api.Problem{Code: got}}
			}, "job_unknown"},
		{"a request that is over waits: approve", "UPDATE views.requests SET state = 'pending', pending_until = '2030-01-01' WHERE id = $1", []any{executed},
			func() answer { return r.call(r.second, "POST", at(executed, "/approve"), nil) }, "not_pending"},
		{"roles in a row: govern", "UPDATE views.users SET grants = $1 WHERE id = $2", []any{grants, r.other.ID},
			func() answer { return r.call(r.other, "POST", "/governance/apply", changeOn(1)) }, "forbidden"},
		{"roles in a row: evidence", "UPDATE views.users SET grants = $1 WHERE id = $2", []any{grants, r.other.ID},
			func() answer { return r.call(r.other, "GET", "/audit/evidence/"+string(executed), nil) }, "forbidden"},
		{"roles in a row: the log", "UPDATE views.users SET grants = $1 WHERE id = $2", []any{grants, r.other.ID},
			func() answer { return r.call(r.other, "GET", "/audit/log/commits", nil) }, "forbidden"},
		{"somebody who left is there", "UPDATE views.users SET state = 'active' WHERE id = $1", []any{gone.ID},
			func() answer { return r.call(gone, "GET", "/me", nil) }, "session_expired"},
		{"an envelope that was opened is ready", "UPDATE views.envelopes SET state = 'ready', expires_at = '2030-01-01' WHERE request = $1", []any{used},
			func() answer { return r.call(r.developer, "POST", opened, nil) }, "already_revealed"},
		{"a fact in the audit alone", `INSERT INTO audit.events SELECT seq, 99, 'c_forged.0', 'sb.request.approved.v1', 'request/' || $1, time, actor, correlation, command
			FROM audit.events WHERE seq = 1 AND place = 0`, []any{string(pending)},
			func() answer {
				got := r.refusedBy(a, events.StartJob{Request: pending, Job: events.JobOf(pending)})
				return answer{problem: api.Problem{Code: got}}
			}, "job_unknown"},
		{"an envelope that has ended goes on", "UPDATE views.envelopes SET expires_at = '2030-01-01' WHERE request = $1", []any{executed},
			func() answer {
				r.forge("UPDATE private.envelopes SET expires_at = '2030-01-01' WHERE request = $1", executed)
				r.clock.Add(revealTTL + time.Second)
				return r.call(r.fresh(r.developer), "POST", reveal, nil)
			}, "envelope_expired"},
	} {
		r.forge(test.forge, test.args...)
		if got := test.do(); got.problem.Code != test.code {
			t.Errorf("%s: %q, want %q", test.name, got.problem.Code, test.code)
		}
	}

	// A server that starts now believes the rows no more.
	again := r.register()
	if err := again.WaitFor(t.Context(), r.last()); err != nil {
		t.Fatal(err)
	}
	if again.Powers(r.other.ID).Anywhere(policy.AuditRead, r.clock.Now()) || again.User(gone.ID).State == "active" {
		t.Error("a server that starts believes what rows say of rights")
	}
}

// refusedBy is the code by which the gateway refuses a start.
func (r *rig) refusedBy(a agent, m events.StartJob) string {
	r.t.Helper()
	reply := replied[events.JobLease](a, events.ServiceStart, m)
	if reply.Error == nil {
		return ""
	}
	return reply.Error.Code
}

// TestForgedCircumstancesLeadToNoOtherRule forges what rules look at besides rights: labels and
// owners of secrets, how much somebody has open, and what of theirs was not reviewed.
func TestForgedCircumstancesLeadToNoOtherRule(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.api.OpenRequests = 2
	r.govern(
		aRule("critical", events.Rule{Priority: 20, Effect: events.EffectDeny, When: `"critical" in secret.labels`}),
		aRule("theirs", events.Rule{Priority: 20, Effect: events.EffectDeny, When: `secret.owner == "payments"`}),
	)
	scan := events.ScanOf("file", events.OperationDiscover, 1000)
	page := func(n int, secrets ...events.SecretMetadata) {
		r.record(events.PageStream(scan, n), events.SecretsFound{Scan: scan, Connection: "file", Secrets: secrets})
	}
	page(1, listed("prod/db", "critical", "yes"), listed("prod/api", "team", "payments"), listed("prod/pay"), listed("prod/free"))
	r.record(events.SettingOwnership(), events.OwnershipRulesSet{Version: 1, Rules: []events.OwnershipRule{{OwnerLabel: "team"}}})
	r.record(events.SecretStream(secretID("prod/pay")), events.SecretAssigned{Secret: secretID("prod/pay"), Connection: "file", Ref: "prod/pay", Owner: "payments"})
	r.settled()
	asks := func(ref string) answer {
		return r.call(r.developer, "POST", "/requests", api.Submit{Secret: "file/" + ref, Keys: []string{"password"}, Reason: "deploy"})
	}
	for name, test := range map[string]struct{ ref, forge string }{
		"without the label":         {"prod/db", "UPDATE views.secrets SET labels = '{}' WHERE ref = 'prod/db'"},
		"without the label's owner": {"prod/api", "UPDATE views.secret_owners o SET owner = '' FROM views.secrets s WHERE s.place = o.place AND s.ref = 'prod/api'"},
		"without the owner by hand": {"prod/pay", "DELETE FROM views.secret_assignments"},
		"without rules":             {"prod/api", "DELETE FROM views.ownership_rules"},
		"gone":                      {"prod/db", "UPDATE views.secrets SET status = 'gone', gone_at = now() WHERE ref = 'prod/db'"},
		"never seen":                {"prod/pay", "DELETE FROM views.secrets WHERE ref = 'prod/pay'"},
	} {
		asks(test.ref).wants(t, 403, "policy_denied")
		r.forge(test.forge)
		if got := asks(test.ref); got.problem.Code != "policy_denied" {
			t.Errorf("%s: %q", name, got.problem.Code)
		}
	}
	// A row that says already what the provider will say hides nothing from the log.
	r.forge("UPDATE views.secrets SET labels = '{\"critical\": \"yes\"}' WHERE ref = 'prod/free'")
	if there, same := r.inventory.Told.Known("file", listed("prod/free", "critical", "yes")); !there || same {
		t.Errorf("the scan takes the row's word: there %t, the same %t", there, same)
	}
	asks("prod/free").wants(t, 201, "")
	asks("prod/free").wants(t, 201, "")
	asks("prod/free").wants(t, 409, "too_many_open_requests")
	r.forge("UPDATE views.requests SET requester = $1 WHERE requester = $2", r.other.ID, r.developer.ID)
	asks("prod/free").wants(t, 409, "too_many_open_requests")
	if named, _ := r.compare(); len(named) == 0 {
		t.Error("the comparison names nothing")
	}
}
