package web_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// denounced is why a row is on record as one that opens nothing: the newest of a table, and empty
// where none is.
func (r *rig) denounced(row string) (why string) {
	r.t.Helper()
	for _, e := range facts[events.AccessDenied](r) {
		if f := e.Fact.(events.AccessDenied); f.Action == "row.read" && strings.HasPrefix(f.Resource, "private."+row) {
			why = f.Code
		}
	}
	return why
}

// keep copies a table as it is; putBack adds the rows of the copy that are not there any more, as
// whoever has an older copy of the database can.
func (r *rig) keep(table string) {
	r.t.Helper()
	if _, err := r.db.Owner.Exec(r.t.Context(), "CREATE TABLE kept_"+table+" AS SELECT * FROM private."+table); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) putBack(table string) {
	r.t.Helper()
	r.forge("INSERT INTO private." + table + " SELECT * FROM kept_" + table + " ON CONFLICT DO NOTHING")
}

// TestAForgedRowOfAPersonOpensNothing writes and changes rows that let people in, as a superuser of
// Postgres can, and then comes by them. Nothing opens, it is on record, and the log is not changed
// by it.
func TestAForgedRowOfAPersonOpensNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.needs(0, policy.AuditRead)
	const chosen = "a-token-that-whoever-forged-the-row-has-chosen"
	hash := sha256.Sum256([]byte(chosen))
	thief := person{token: chosen}
	me := func(who person, forge string, args ...any) func() answer {
		return func() answer {
			r.forge(forge, args...)
			return r.call(who, "GET", "/me", nil)
		}
	}
	machine := r.machine("ci", events.Grant{Role: policy.RoleAdmin})
	ci := person{token: r.token(machine, api.Scope{}, policy.RequestCreate)}
	other := person{token: r.token(r.machine("other"), api.Scope{}, policy.RequestCreate)}
	link := linkToken(t, r.invite("eve@example.org"))
	mine := r.fresh(r.other)
	now := r.clock.Now()
	for _, test := range []struct {
		name   string
		do     func() answer
		code   string
		record string // empty: the row is not found at all
	}{
		{"a session of an administrator", me(thief, `INSERT INTO private.sessions (id, token_hash, person, created_at, touched_at, ends_at)
			VALUES ($1, $2, $3, $4, $4, $4::timestamptz + interval '1 hour')`, events.SessionID("s_forged"), hash[:], r.admin.ID, now), "session_expired", "sessions/s_forged"},
		{"with the MAC of another one", me(thief, "UPDATE private.sessions SET mac = (SELECT mac FROM private.sessions WHERE person = $1 LIMIT 1) WHERE id = 's_forged'", r.admin.ID), "session_expired", "sessions/s_forged"},
		{"one's own session is an administrator's", func() answer {
			who := r.fresh(r.developer)
			sum := sha256.Sum256([]byte(who.token))
			r.forge("UPDATE private.sessions SET person = $1 WHERE token_hash = $2", r.admin.ID, sum[:])
			return r.call(who, "GET", "/me", nil)
		}, "session_expired", "sessions/"},
		{"a factor was proved in one's own session", func() answer {
			who := r.fresh(r.admin)
			sum := sha256.Sum256([]byte(who.token))
			r.forge("UPDATE private.sessions SET stepped_up_at = $1, stepped_up_by = 'totp' WHERE token_hash = $2", now, sum[:])
			return r.call(who, "GET", "/audit/log/keys", nil)
		}, "session_expired", "sessions/"},
		{"a token that an administrator's session had before", func() answer {
			r.forge("DELETE FROM private.sessions WHERE id = 's_forged'")
			r.forge(`INSERT INTO private.former_tokens (token_hash, session, salt, counts_until)
				SELECT $1, id, '', $2 FROM private.sessions WHERE person = $3 LIMIT 1`, hash[:], now.Add(time.Hour), r.admin.ID)
			return r.call(thief, "GET", "/me", nil)
		}, "session_expired", "former_tokens/"},
		{"a machine's token is another's", func() answer {
			sum := sha256.Sum256([]byte(other.token))
			r.forge("UPDATE private.tokens SET machine = $1 WHERE token_hash = $2", machine, sum[:])
			return r.call(other, "GET", "/me", nil)
		}, "token_refused", "tokens/"},
		{"a machine's token has more time", func() answer {
			r.forge("UPDATE private.tokens SET ends_at = ends_at + interval '1 year' WHERE machine = $1", machine)
			return r.call(ci, "GET", "/me", nil)
		}, "token_refused", "tokens/"},
		{"a password of one's own choice", func() answer {
			r.forge("UPDATE private.people SET password_hash = (SELECT password_hash FROM private.people WHERE id = $1) WHERE id = $2", r.developer.ID, r.second.ID)
			return r.signIn(r.second.Email, password)
		}, "sign_in_failed", "people/" + string(r.second.ID)},
		{"sessions of who was changed are shut as well", func() answer { return r.call(r.second, "GET", "/me", nil) }, "session_expired", "people/" + string(r.second.ID)},
		{"an e-mail of somebody else", func() answer {
			r.forge("UPDATE private.people SET email = 'thief@example.org' WHERE id = $1", r.approver.ID)
			return r.signIn("thief@example.org", password)
		}, "sign_in_failed", "people/" + string(r.approver.ID)},
		{"a link for somebody else", func() answer {
			r.forge("UPDATE private.links SET person = $1", r.admin.ID)
			return r.redeem(link, fresh)
		}, "link_refused", "links/" + string(r.admin.ID)},
		{"and one's own session goes on", func() answer { return r.call(mine, "GET", "/me", nil) }, "", ""},
	} {
		if got := test.do(); got.problem.Code != test.code {
			t.Errorf("%s: %q, want %q", test.name, got.problem.Code, test.code)
		}
		if test.record != "" && r.denounced(test.record) != "row_forged" {
			t.Errorf("%s: on record is %q", test.name, r.denounced(test.record))
		}
	}
}

// TestARowThatIsPutBackOpensNothing keeps rows, has them end as they do, and puts them back with
// their MACs, which are right. The log knows that they are over.
func TestARowThatIsPutBackOpensNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)

	out := r.fresh(r.developer)
	r.keep("sessions")
	r.call(out, "DELETE", "/sessions/current", nil).wants(t, 204, "")
	r.putBack("sessions")
	r.call(out, "GET", "/me", nil).wants(t, 401, "session_expired")
	if got := r.denounced("sessions/"); got != "row_put_back" {
		t.Errorf("a session: on record is %q", got)
	}
	r.putBack("sessions")
	again := r.register() // a server that starts now knows it, too
	if err := again.WaitFor(t.Context(), r.last()); err != nil {
		t.Fatal(err)
	}
	if ended := facts[events.SignedOut](r)[0].Fact.(events.SignedOut).Session; !again.Ended(ended) {
		t.Error("a server that starts does not know which sessions ended")
	}

	link := linkToken(t, r.invite("eve@example.org"))
	r.keep("links")
	r.redeem(link, fresh).wants(t, 200, "")
	r.putBack("links")
	r.redeem(link, "another fresh password").wants(t, 403, "link_refused")
	if got := r.denounced("links/"); got != "row_put_back" {
		t.Errorf("a link: on record is %q", got)
	}
	r.forge("DELETE FROM private.links")

	var eve person
	session := read[api.Session](t, r.signIn("eve@example.org", fresh).wants(t, 201, ""))
	eve.ID, eve.token = events.UserID(session.Person.ID), session.Token
	r.keep("people")
	r.call(eve, "POST", "/me/password", api.ChangePassword{Old: fresh, Password: "another fresh password"}).wants(t, 200, "")
	r.signIn("eve@example.org", "another fresh password").wants(t, 201, "")
	r.forge("UPDATE private.people p SET password_hash = k.password_hash, password_by = k.password_by, mac = k.mac FROM kept_people k WHERE k.id = p.id AND p.id = $1", eve.ID)
	r.signIn("eve@example.org", fresh).wants(t, 401, "sign_in_failed")
	if got := r.denounced("people/" + string(eve.ID)); got != "row_put_back" {
		t.Errorf("a password: on record is %q", got)
	}

	machine := r.machine("ci", events.Grant{Role: policy.RoleDeveloper})
	issued := r.issue(machine, api.Scope{}, policy.RequestCreate)
	r.keep("tokens")
	r.call(r.admin, "POST", "/machines/"+machine+"/tokens/"+issued.ID+"/revoke", api.Reason{Reason: "leaked"}).wants(t, 200, "")
	r.putBack("tokens")
	r.call(person{token: issued.Token}, "GET", "/me", nil).wants(t, 401, "token_refused")
}

// TestAFactorThatIsTakenAwayIsMissed removes somebody's second factor from the database, which the
// log tells of, and puts one back that was removed by its owner.
func TestAFactorThatIsTakenAwayIsMissed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.needs(0, policy.ConnectionList)
	who := r.fresh(r.developer)
	phone := r.addApp(who)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.clock.Add(time.Minute)
	codes := read[api.RecoveryCodes](t, r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 201, "")).Codes
	r.keep("recovery_codes")
	r.clock.Add(time.Second)
	r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 201, "")
	r.forge("DELETE FROM private.recovery_codes")
	r.keep("factors")

	// Without its row it proves nothing, and another first one is not enrolled either.
	r.forge("DELETE FROM private.factors")
	who = r.fresh(r.developer)
	r.call(who, "GET", "/connections", nil).wants(t, 403, "factor_missing")
	r.call(who, "POST", "/me/factors/totp", api.NewTOTP{Name: "thief's"}).wants(t, 403, "factor_missing")
	if got := r.denounced("factors/" + phone.ID); got != "row_missing" {
		t.Errorf("a factor that is gone: on record is %q", got)
	}
	r.putBack("recovery_codes") // with codes that were replaced
	r.clock.Add(time.Second)
	r.stepUp(who, api.StepUp{RecoveryCode: codes[0]}).wants(t, 403, "step_up_failed")

	r.putBack("factors")
	r.clock.Add(time.Minute)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.call(who, "POST", "/me/factors/"+phone.ID+"/remove", nil).wants(t, 200, "")
	r.putBack("factors")
	r.clock.Add(time.Minute)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 403, "step_up_failed")
	if got := r.denounced("factors/" + phone.ID); got != "row_put_back" {
		t.Errorf("a factor that was removed: on record is %q", got)
	}
}
