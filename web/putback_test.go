package web_test

import (
	"errors"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

// restore makes a table what it was when it was kept, as a superuser of Postgres can.
func (r *rig) restore(table string) {
	r.t.Helper()
	r.forge("DELETE FROM private." + table)
	r.putBack(table)
}

// TestWhatWasUsedIsUsedWhateverRowsSay uses what counts once, puts the rows back as they were before
// that, and comes again.
func TestWhatWasUsedIsUsedWhateverRowsSay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	phone := r.addApp(who)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.clock.Add(time.Minute)
	codes := read[api.RecoveryCodes](t, r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 201, "")).Codes

	r.keep("recovery_codes")
	r.stepUp(who, api.StepUp{RecoveryCode: codes[0]}).wants(t, 200, "")
	r.restore("recovery_codes")
	r.stepUp(r.fresh(r.developer), api.StepUp{RecoveryCode: codes[0]}).wants(t, 403, "step_up_failed")
	if got := r.denounced("recovery_codes/" + string(who.ID)); got != "row_put_back" {
		t.Errorf("a recovery code: on record is %q", got)
	}
	r.stepUp(who, api.StepUp{RecoveryCode: codes[1]}).wants(t, 200, "")

	r.keep("factors")
	code := phone.shows(0)
	r.stepUp(who, api.StepUp{TOTPCode: code}).wants(t, 200, "")
	r.restore("factors")
	r.stepUp(who, api.StepUp{TOTPCode: code}).wants(t, 403, "step_up_failed")
	if got := r.denounced("factors/" + phone.ID); got != "row_put_back" {
		t.Errorf("a code of an app: on record is %q", got)
	}
	r.restore("factors") // also a code that is older than the newest one
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(-1)}).wants(t, 403, "step_up_failed")
	r.clock.Add(time.Minute)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")

	// Where nobody can say whether it was used it does not count, and is not used up either.
	r.spent.Err = errors.Join(command.ErrLogAway, errors.New("nobody answers"))
	r.stepUp(who, api.StepUp{RecoveryCode: codes[2]}).wants(t, 503, "unavailable")
	r.spent.Err = nil
	r.stepUp(who, api.StepUp{RecoveryCode: codes[2]}).wants(t, 200, "")
}

// TestAPasskeysCounterDoesNotGoBackWithItsRow has a copy of a passkey answer after the row of it was
// put back, and the same answer come twice after the row of its challenge was.
func TestAPasskeysCounterDoesNotGoBackWithItsRow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	own := r.addPasskey(who)
	own.credential.Counter = 7
	copied := *own
	r.keep("factors")
	r.stepUp(who, own.answers(t, here, r.asked(who))).wants(t, 200, "")
	r.restore("factors")
	r.stepUp(who, copied.answers(t, here, r.asked(who))).wants(t, 403, "step_up_failed")
	if got := r.denounced("factors/" + own.id); got != "row_put_back" {
		t.Errorf("the counter of a passkey: on record is %q", got)
	}
	own.credential.Counter = 8
	r.stepUp(who, own.answers(t, here, r.asked(who))).wants(t, 200, "")

	other := r.fresh(r.other)
	still := r.addPasskey(other) // without a counter, as those that are synced
	answer := still.answers(t, here, r.asked(other))
	r.keep("challenges")
	r.stepUp(other, answer).wants(t, 200, "")
	r.putBack("challenges")
	r.stepUp(other, answer).wants(t, 403, "step_up_failed")
	if got := r.denounced("challenges/"); got != "row_put_back" {
		t.Errorf("a challenge: on record is %q", got)
	}
	r.stepUp(other, still.answers(t, here, r.asked(other))).wants(t, 200, "")
}

// TestAnOlderTokenIsNotRenewed puts the session of a browser back as it was before its token was
// replaced, without a trace of the newer one. It is not renewed, and ends.
func TestAnOlderTokenIsNotRenewed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signedInTab(r.developer)
	thief := &tab{r: r, cookie: b.cookie}
	r.keep("sessions")
	r.clock.Add(2 * time.Minute)
	b.renew().wants(t, 200, "")
	if b.cookie == thief.cookie {
		t.Fatal("the token was not replaced")
	}
	r.forge("DELETE FROM private.former_tokens")
	r.restore("sessions")
	thief.renew().wants(t, 401, "session_expired")
	if got := r.denounced("sessions/"); got != "row_put_back" {
		t.Errorf("on record is %q", got)
	}
	ended := facts[events.SessionRevoked](r)
	if len(ended) != 1 || ended[0].Fact.(events.SessionRevoked).Cause != "token_copied" {
		t.Errorf("ends on record: %+v", ended)
	}
	thief.do("GET", "/me", nil).wants(t, 401, "session_expired")
	r.restore("sessions") // and now the log knows that it is over
	thief.do("GET", "/me", nil).wants(t, 401, "session_expired")
}
