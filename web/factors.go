package web

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"secretsbridge/events"
	"secretsbridge/identity/factors"
	"secretsbridge/internal/window"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

const (
	// factorFreshness is how long ago somebody proved a factor who changes their factors.
	factorFreshness = 5 * time.Minute

	// firstFactorWindow is how long after signing in somebody may enrol their first factor.
	// There is nothing else that could be proved; a session that was stolen later is no use.
	firstFactorWindow = 5 * time.Minute

	// maxCode is how long a code may be that somebody types, in bytes.
	maxCode = 64

	// maxPasskey is how long the answer of a passkey may be, in bytes of JSON, and
	// maxPasskeyFields how many fields it has. Web Authentication knows eight, and what
	// is in them is a few KiB: attestations are not asked for.
	maxPasskey       = 32 << 10
	maxPasskeyFields = 16
)

// checkPasskey refuses an answer of a passkey that is beyond its limits, before anything looks
// into it. No answer is fine.
func checkPasskey(answer json.RawMessage) error {
	if len(answer) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if len(answer) > maxPasskey || json.Unmarshal(answer, &fields) != nil || len(fields) > maxPasskeyFields {
		return errBodyMalformed.because("the passkey's answer is one object of at most 16 fields and 32 KiB, as toJSON of the browser makes it")
	}
	return nil
}

// checkCode refuses what is no code by its length.
func checkCode(code string) error {
	if len(code) > maxCode {
		return errBodyMalformed.because("a code has at most 64 characters")
	}
	return nil
}

// errFactorLost refuses who has a second factor by the log, and not in the database.
var errFactorLost = errFactorMissing.because("the log says that you have a second factor, and the database has lost it or was changed; an operator of the server's host ends it with `sb-server person end-factors EMAIL`, and then you enrol another one")

// requireStepUp refuses a call unless its caller proved a second factor in this session,
// within that time. Errors: step_up_required, with the challenge of RFC 9470, and
// factor_missing for somebody who has nothing to prove.
func (a *API) requireStepUp(c *call, within time.Duration) error {
	if c.provedWithin(within) {
		return nil
	}
	standing, err := a.Factors.Standing(c.ctx(), c.person.ID)
	if err != nil {
		return err
	}
	switch {
	case !standing.Any():
		return errFactorMissing
	case len(standing.Factors) == 0 && standing.Codes == 0:
		return errFactorLost
	}
	return c.reauthenticate(errStepUpRequired, within)
}

// reauthenticate tells a client how fresh a proof has to be (RFC 9470, section 3).
func (c *call) reauthenticate(p *problem, within time.Duration) error {
	c.w.Header().Set("WWW-Authenticate", `Bearer realm="secrets-bridge", error="insufficient_user_authentication", max_age=`+
		strconv.Itoa(int(within.Seconds())))
	return p
}

// mayEnrol refuses a call unless its caller may have one more factor: by proving another one,
// or, before there is any, by having signed in a moment ago. first is true for the latter, and
// then must still be so when the factor is enrolled.
func (a *API) mayEnrol(c *call) (first bool, err error) {
	standing, err := a.Factors.Standing(c.ctx(), c.person.ID)
	switch {
	case err != nil:
		return false, err
	case standing.Any():
		return false, a.requireStepUp(c, factorFreshness)
	case c.now.Sub(c.found.Created) > firstFactorWindow:
		return false, c.reauthenticate(errSignInStale, firstFactorWindow)
	}
	return true, nil
}

// enrolled explains why a factor was not enrolled.
func (c *call) enrolled(err error) error {
	if errors.Is(err, factors.ErrNotFirst) {
		return c.reauthenticate(errStepUpRequired, factorFreshness)
	}
	return err
}

func (a *API) listFactors(c *call) (reply, error) {
	standing, err := a.Factors.Standing(c.ctx(), c.person.ID)
	if err != nil {
		return reply{}, err
	}
	list := api.Factors{Items: make([]api.Factor, 0, len(standing.Factors)), RecoveryCodes: standing.Codes, SteppedUpAt: moment(c.found.SteppedUp)}
	for _, f := range standing.Factors {
		item := api.Factor{ID: string(f.ID), Kind: string(f.Kind), Name: f.Name, EnrolledAt: f.Enrolled, UsedAt: moment(f.Used)}
		if c.now.Before(f.Locked) {
			item.LockedUntil = moment(f.Locked)
		}
		list.Items = append(list.Items, item)
	}
	return reply{status: http.StatusOK, body: list}, nil
}

// moment is a time that may be missing.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// startTOTP makes the secret of an authenticator app. It is in this answer and nowhere else.
func (a *API) startTOTP(c *call) (reply, error) {
	var m api.NewTOTP
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if _, err := a.mayEnrol(c); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.StepUps, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	made, err := a.Factors.StartTOTP(c.ctx(), c.meta(), m.Name, c.person.Email)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: api.TOTP{ID: string(made.Factor), Secret: made.Secret, URI: made.URI, Until: made.Until}}, nil
}

func (a *API) confirmTOTP(c *call) (reply, error) {
	var m api.TOTPCode
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if err := checkCode(m.Code); err != nil {
		return reply{}, err
	}
	first, err := a.mayEnrol(c)
	if err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.StepUps, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	id := events.FactorID(c.param("id"))
	seq, err := a.Factors.ConfirmTOTP(c.ctx(), c.meta(), id, m.Code, first)
	if err != nil {
		return reply{}, c.enrolled(err)
	}
	return reply{status: http.StatusOK, seq: seq, body: api.Enrolled{ID: string(id), Seq: uint64(seq)}}, nil
}

func (a *API) startPasskey(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	if _, err := a.mayEnrol(c); err != nil {
		return reply{}, err
	}
	holder := factors.Holder{User: c.person.ID, Email: c.person.Email, Name: c.person.Name}
	options, until, err := a.Factors.StartPasskey(c.ctx(), c.meta(), c.session, holder)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: api.PasskeyOptions{PublicKey: options, Until: until}}, nil
}

func (a *API) finishPasskey(c *call) (reply, error) {
	var m api.NewPasskey
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if err := checkPasskey(m.Passkey); err != nil {
		return reply{}, err
	}
	first, err := a.mayEnrol(c)
	if err != nil {
		return reply{}, err
	}
	id, seq, err := a.Factors.FinishPasskey(c.ctx(), c.meta(), c.session, m.Name, m.Passkey, first)
	if err != nil {
		return reply{}, c.enrolled(err)
	}
	return reply{status: http.StatusOK, seq: seq, body: api.Enrolled{ID: string(id), Seq: uint64(seq)}}, nil
}

func (a *API) removeFactor(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	if err := a.requireStepUp(c, factorFreshness); err != nil {
		return reply{}, err
	}
	seq, err := a.Factors.Remove(c.ctx(), c.meta(), c.person.ID, events.FactorID(c.param("id")), factors.CauseOwner)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: seq, body: api.Done{Seq: uint64(seq)}}, nil
}

// makeRecoveryCodes replaces the codes. They are in this answer and nowhere else.
func (a *API) makeRecoveryCodes(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	if err := a.requireStepUp(c, factorFreshness); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.StepUps, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	codes, seq, err := a.Factors.MakeCodes(c.ctx(), c.meta())
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, seq: seq, body: api.RecoveryCodes{Codes: codes, Seq: uint64(seq)}}, nil
}

func (a *API) askPasskey(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	options, until, err := a.Factors.StartAssertion(c.ctx(), c.meta(), c.session)
	if errors.Is(err, factors.ErrNone) {
		return reply{}, errFactorMissing.because("you have no passkey; step up with a code, or enrol one first")
	}
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: api.PasskeyOptions{PublicKey: options, Until: until}}, nil
}

// proveFactor takes the proof of a second factor for this session. The fact comes before what it
// opens: a crash in between leaves a record of a step-up that opened nothing.
func (a *API) proveFactor(c *call) (reply, error) {
	var m api.StepUp
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	kind, err := kindOf(m)
	if err := errors.Join(err, checkPasskey(m.Passkey), checkCode(m.TOTPCode), checkCode(m.RecoveryCode)); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.StepUps, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	factor, err := a.prove(c, kind, m)
	if err != nil {
		return reply{}, a.refuseStepUp(c, kind, err)
	}
	seq, err := a.record(c, c.actor, events.SteppedUp{User: c.person.ID, Session: c.session, Kind: kind, Factor: factor})
	if err != nil {
		return reply{}, err
	}
	err = a.Sessions.StepUp(c.ctx(), c.session, kind, c.now)
	if errors.Is(err, store.ErrNotFound) { // signed out this moment
		err = errSessionExpired
	}
	return reply{status: http.StatusOK, seq: seq, body: api.Done{Seq: uint64(seq)}}, err
}

// kindOf says what is to be proved. One thing at a time: else a refusal would not say which.
func kindOf(m api.StepUp) (kind events.FactorKind, err error) {
	given := 0
	for k, there := range map[events.FactorKind]bool{
		events.FactorPasskey: len(m.Passkey) > 0, events.FactorTOTP: m.TOTPCode != "", events.FactorRecovery: m.RecoveryCode != "",
	} {
		if there {
			kind, given = k, given+1
		}
	}
	if given != 1 {
		return "", errBodyMalformed.because("give one of passkey, totp_code and recovery_code")
	}
	return kind, nil
}

func (a *API) prove(c *call, kind events.FactorKind, m api.StepUp) (events.FactorID, error) {
	switch kind {
	case events.FactorPasskey:
		return a.Factors.ByPasskey(c.ctx(), c.meta(), c.session, m.Passkey)
	case events.FactorTOTP:
		return a.Factors.ByTOTP(c.ctx(), c.meta(), m.TOTPCode)
	}
	return "", a.Factors.ByRecoveryCode(c.ctx(), c.meta(), m.RecoveryCode)
}

// failures are the codes that facts have for what was not proved.
var failures = []struct {
	err  error
	code string
}{
	{factors.ErrWrongCode, "wrong_code"}, {factors.ErrUsedCode, "code_used"}, {factors.ErrNoCode, "code_unknown"},
	{factors.ErrChallenge, "challenge_gone"}, {factors.ErrAssertion, "passkey_refused"}, {factors.ErrNone, "no_such_factor"},
	{factors.ErrUnknown, "factor_removed"},
}

// refuseStepUp records why a proof does not count. Outside, most reasons look the same.
func (a *API) refuseStepUp(c *call, kind events.FactorKind, err error) error {
	refusal, code := errStepUpFailed, ""
	var locked *factors.LockedError
	var cloned *factors.ClonedError
	switch {
	case errors.As(err, &locked):
		refusal, code = errFactorLocked, "locked"
		c.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(time.Second, locked.Until.Sub(c.now)).Seconds()))))
	case errors.As(err, &cloned):
		refusal, code = errFactorCloned, "cloned"
	default:
		for _, f := range failures {
			if errors.Is(err, f.err) {
				code = f.code
			}
		}
	}
	if code == "" {
		return err // a fault
	}
	failed := events.StepUpFailed{User: c.person.ID, Session: c.session, Kind: kind, Code: code}
	if _, err := a.record(c, c.actor, failed); err != nil {
		return err
	}
	return refusal
}
