package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/identity/factors"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// here is the relying party of every rig.
var here = virtualwebauthn.RelyingParty{ID: "localhost", Name: "Secrets Bridge", Origin: "https://localhost:8443"}

// factors makes the keeper of the second factors.
func (r *rig) factors(logger *slog.Logger) *factors.Keeper {
	r.t.Helper()
	party, err := factors.NewParty(here.ID, []string{here.Origin})
	if err != nil {
		r.t.Fatal(err)
	}
	return factors.New(factors.Config{Log: r.log, Store: store.Factors{Pool: r.pool, Rows: r.macs}, Spent: &r.spent, Keys: r.keys, Party: party, Logger: logger, Now: r.clock.Now})
}

// fresh is somebody who signed in this moment.
func (r *rig) fresh(who person) person {
	r.t.Helper()
	who.token = r.session(who.ID)
	return who
}

// app is an authenticator app.
type app struct {
	api.TOTP
	r *rig
}

// shows is the code of a moment, as steps from now.
func (a app) shows(steps int) string {
	a.r.t.Helper()
	code, err := totp.GenerateCode(a.Secret, a.r.clock.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		a.r.t.Fatal(err)
	}
	return code
}

// wrong is a code that no step near shows.
func (a app) wrong() string {
	a.r.t.Helper()
	for n := 0; ; n++ {
		code := fmt.Sprintf("%06d", n)
		if code != a.shows(-1) && code != a.shows(0) && code != a.shows(1) {
			return code
		}
	}
}

// addApp enrols an app, and moves the clock so that its first code is over.
func (r *rig) addApp(who person) app {
	r.t.Helper()
	a := app{read[api.TOTP](r.t, r.call(who, "POST", "/me/factors/totp", api.NewTOTP{Name: "phone"})), r}
	r.call(who, "POST", "/me/factors/totp/"+a.ID+"/confirm", api.TOTPCode{Code: a.shows(0)}).wants(r.t, 200, "")
	r.clock.Add(time.Minute)
	return a
}

func (r *rig) stepUp(who person, m api.StepUp) answer {
	r.t.Helper()
	return r.call(who, "POST", "/me/step-up", m)
}

// passkey is one in a device.
type passkey struct {
	device     virtualwebauthn.Authenticator
	credential virtualwebauthn.Credential
	id         string
}

func newPasskey(who person) *passkey {
	device := virtualwebauthn.NewAuthenticator()
	device.Options.UserHandle = []byte(who.ID)
	return &passkey{device: device, credential: newCredential()}
}

// newCredential makes keys until both coordinates begin with something: the virtual device
// drops zeros at the front, which no real one does (RFC 9053, section 7.1.1).
func newCredential() virtualwebauthn.Credential {
	const whole = 77 // bytes of a COSE key on P-256
	for {
		if c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(c.Key.AttestationData()) == whole {
			return c
		}
	}
}

func (p *passkey) made(t testing.TB, o api.PasskeyOptions) json.RawMessage {
	t.Helper()
	asked, err := virtualwebauthn.ParseAttestationOptions(string(o.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(virtualwebauthn.CreateAttestationResponse(here, p.device, p.credential, *asked))
}

func (p *passkey) answers(t testing.TB, at virtualwebauthn.RelyingParty, o api.PasskeyOptions) api.StepUp {
	t.Helper()
	asked, err := virtualwebauthn.ParseAssertionOptions(string(o.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return api.StepUp{Passkey: json.RawMessage(virtualwebauthn.CreateAssertionResponse(at, p.device, p.credential, *asked))}
}

func (r *rig) addPasskey(who person) *passkey {
	r.t.Helper()
	p := newPasskey(who)
	asked := read[api.PasskeyOptions](r.t, r.call(who, "POST", "/me/factors/passkeys", nil))
	p.id = read[api.Enrolled](r.t, r.call(who, "POST", "/me/factors/passkeys/finish", api.NewPasskey{Name: "key ring", Passkey: p.made(r.t, asked)})).ID
	return p
}

func (r *rig) asked(who person) api.PasskeyOptions {
	r.t.Helper()
	return read[api.PasskeyOptions](r.t, r.call(who, "POST", "/me/step-up/passkey", nil))
}

func (r *rig) myFactors(who person) api.Factors {
	r.t.Helper()
	return read[api.Factors](r.t, r.call(who, "GET", "/me/factors", nil))
}

// failed are the codes of the step-ups that failed.
func (r *rig) failed() (codes []string) {
	for _, e := range facts[events.StepUpFailed](r) {
		codes = append(codes, e.Fact.(events.StepUpFailed).Code)
	}
	return codes
}

func (r *rig) wantFailed(codes ...string) {
	r.t.Helper()
	if got := r.failed(); fmt.Sprint(got) != fmt.Sprint(codes) {
		r.t.Errorf("step-ups that failed: %v, want %v", got, codes)
	}
}

func TestAPasskeyIsEnrolledAndStepsUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	p := r.addPasskey(who)
	if got := facts[events.FactorEnrolled](r); len(got) != 1 || got[0].Stream != events.UserStream(who.ID) ||
		got[0].Fact != (events.FactorEnrolled{Factor: events.FactorID(p.id), Kind: events.FactorPasskey}) {
		t.Fatalf("enrolled: %+v", got)
	}
	p.credential.Counter = 7
	r.stepUp(who, p.answers(t, here, r.asked(who))).wants(t, 200, "")
	stepped := facts[events.SteppedUp](r)
	if len(stepped) != 1 {
		t.Fatalf("stepped up: %+v", stepped)
	}
	if f := stepped[0].Fact.(events.SteppedUp); f.User != who.ID || f.Kind != events.FactorPasskey || f.Factor != events.FactorID(p.id) || f.Session == "" {
		t.Errorf("stepped up: %+v", f)
	}
	mine := r.myFactors(who)
	if len(mine.Items) != 1 || mine.Items[0].Name != "key ring" || mine.Items[0].UsedAt == nil || mine.SteppedUpAt == nil {
		t.Errorf("factors: %+v", mine)
	}
	if other := r.myFactors(r.fresh(r.developer)); other.SteppedUpAt != nil {
		t.Error("another session of the same person is stepped up, too")
	}
}

func TestAPasskeysAnswerMustBeToThisChallengeForThisSiteByItsUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	p := r.addPasskey(who)
	elsewhere := func(id, origin string) virtualwebauthn.RelyingParty {
		return virtualwebauthn.RelyingParty{ID: id, Name: here.Name, Origin: origin}
	}
	for name, try := range map[string]func() api.StepUp{
		"another origin": func() api.StepUp { return p.answers(t, elsewhere(here.ID, "https://evil.example"), r.asked(who)) },
		"another port":   func() api.StepUp { return p.answers(t, elsewhere(here.ID, "https://localhost:9443"), r.asked(who)) },
		"no TLS":         func() api.StepUp { return p.answers(t, elsewhere(here.ID, "http://localhost:8443"), r.asked(who)) },
		"another party":  func() api.StepUp { return p.answers(t, elsewhere("evil.example", here.Origin), r.asked(who)) },
		"a challenge before the newest": func() api.StepUp {
			old := r.asked(who)
			r.asked(who)
			return p.answers(t, here, old)
		},
		"a challenge of another session": func() api.StepUp {
			other := r.asked(r.fresh(r.developer))
			r.asked(who)
			return p.answers(t, here, other)
		},
		"a challenge that is over": func() api.StepUp {
			old := r.asked(who)
			r.clock.Add(factors.ChallengeLife)
			return p.answers(t, here, old)
		},
		"no user verification": func() api.StepUp {
			careless := *p
			careless.device.Options.UserNotVerified = true
			return careless.answers(t, here, r.asked(who))
		},
		"no user presence": func() api.StepUp {
			careless := *p
			careless.device.Options.UserNotPresent = true
			return careless.answers(t, here, r.asked(who))
		},
		"another key": func() api.StepUp {
			thief := *p
			thief.credential.Key = newCredential().Key
			return thief.answers(t, here, r.asked(who))
		},
		"a passkey of nobody": func() api.StepUp { return newPasskey(who).answers(t, here, r.asked(who)) },
		"the handle of another person": func() api.StepUp {
			odd := *p
			odd.device.Options.UserHandle = []byte(r.other.ID)
			return odd.answers(t, here, r.asked(who))
		},
		"an answer to an enrolment": func() api.StepUp {
			asked := r.asked(who)
			return api.StepUp{Passkey: p.made(t, asked)}
		},
		"no answer": func() api.StepUp { r.asked(who); return api.StepUp{Passkey: json.RawMessage(`{"id":"x"}`)} },
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.failed())
			r.stepUp(who, try()).wants(t, 403, "step_up_failed")
			if len(r.failed()) != before+1 {
				t.Error("it left no fact")
			}
			r.clock.Add(3 * time.Second) // for the limit of attempts
		})
	}
	if r.myFactors(who).SteppedUpAt != nil {
		t.Fatal("the session is stepped up")
	}
	// The passkey itself is as good as before, and its answer counts once.
	good := p.answers(t, here, r.asked(who))
	r.stepUp(who, good).wants(t, 200, "")
	r.stepUp(who, good).wants(t, 403, "step_up_failed")
	r.asked(who)
	r.stepUp(who, good).wants(t, 403, "step_up_failed")
}

func TestOneOfManySameAnswersOfAPasskeyCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	p := r.addPasskey(who)
	good := p.answers(t, here, r.asked(who))
	if won := r.atOnce(func() answer { return r.stepUp(who, good) }); won != 1 {
		t.Errorf("%d of 16 count", won)
	}
}

// atOnce makes sixteen calls at the same time and returns how many succeed.
func (r *rig) atOnce(call func() answer) (won int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			got := call()
			mu.Lock()
			defer mu.Unlock()
			if got.StatusCode < 300 {
				won++
			}
		})
	}
	all.Wait()
	return won
}

func TestAPasskeyWhoseCounterWentBackIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	p := r.addPasskey(who)
	p.credential.Counter = 7
	r.stepUp(who, p.answers(t, here, r.asked(who))).wants(t, 200, "")
	codes := read[api.RecoveryCodes](t, r.call(who, "POST", "/me/recovery-codes", nil)).Codes
	p.credential.Counter = 6
	r.stepUp(who, p.answers(t, here, r.asked(who))).wants(t, 403, "factor_cloned")
	r.wantFailed("cloned")
	want := events.FactorRemoved{Factor: events.FactorID(p.id), Kind: events.FactorPasskey, Cause: factors.CauseCloned}
	if got := facts[events.FactorRemoved](r); len(got) != 1 || got[0].Fact != want {
		t.Errorf("removed: %+v", got)
	}
	mine := r.myFactors(who)
	if len(mine.Items) != 0 || mine.SteppedUpAt != nil {
		t.Errorf("after a clone: %+v", mine)
	}
	r.call(who, "POST", "/me/step-up/passkey", nil).wants(t, 403, "factor_missing")
	// The recovery codes are the way back: nobody enrols another passkey by the password alone.
	again := r.fresh(r.developer)
	r.call(again, "POST", "/me/factors/passkeys", nil).wants(t, 401, "step_up_required")
	r.stepUp(again, api.StepUp{RecoveryCode: codes[0]}).wants(t, 200, "")
	r.addPasskey(again)
}

func TestAPasskeyWithoutACounterAlwaysSays0(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	p := r.addPasskey(who)
	for range 3 {
		r.stepUp(who, p.answers(t, here, r.asked(who))).wants(t, 200, "")
	}
	p.credential.Counter = 3 // it has one after all
	r.stepUp(who, p.answers(t, here, r.asked(who))).wants(t, 200, "")
	p.credential.Counter = 0
	r.stepUp(who, p.answers(t, here, r.asked(who))).wants(t, 403, "factor_cloned")
}

func TestANewPasskeyMustAnswerItsOwnChallengeWithVerification(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	ask := func(who person) api.PasskeyOptions {
		return read[api.PasskeyOptions](t, r.call(who, "POST", "/me/factors/passkeys", nil))
	}
	finish := func(p *passkey, o api.PasskeyOptions) answer {
		return r.call(who, "POST", "/me/factors/passkeys/finish", api.NewPasskey{Passkey: p.made(t, o)})
	}
	careless := newPasskey(who)
	careless.device.Options.UserNotVerified = true
	finish(careless, ask(who)).wants(t, 422, "factor_proof_invalid")
	other := ask(r.fresh(r.developer))
	ask(who)
	finish(newPasskey(who), other).wants(t, 422, "factor_proof_invalid")
	late := ask(who)
	r.clock.Add(factors.ChallengeLife)
	finish(newPasskey(who), late).wants(t, 422, "factor_proof_invalid")
	r.call(who, "POST", "/me/factors/passkeys/finish", api.NewPasskey{Passkey: json.RawMessage(`{}`), Name: strings.Repeat("x", 65)}).wants(t, 422, "factor_name_invalid")
	if n := len(facts[events.FactorEnrolled](r)); n != 0 {
		t.Fatalf("%d factors are enrolled", n)
	}
	p, asked := newPasskey(who), ask(who)
	finish(p, asked).wants(t, 200, "")
	r.stepUp(who, p.answers(t, here, r.asked(who))).wants(t, 200, "")
	finish(p, asked).wants(t, 422, "factor_proof_invalid") // the challenge is used
	// Another person cannot enrol what is somebody's.
	who = r.fresh(r.other)
	finish(p, ask(who)).wants(t, 409, "factor_exists")
}

func TestATOTPCodeCountsOnceAndNearItsTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	a := r.addApp(who)
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(-2)}).wants(t, 403, "step_up_failed")
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(2)}).wants(t, 403, "step_up_failed")
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(-1)}).wants(t, 200, "")
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(-1)}).wants(t, 403, "step_up_failed")
	r.stepUp(r.fresh(r.developer), api.StepUp{TOTPCode: a.shows(-1)}).wants(t, 403, "step_up_failed")
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(1)}).wants(t, 200, "")
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 403, "step_up_failed") // an older one
	r.wantFailed("wrong_code", "wrong_code", "code_used", "code_used", "code_used")
	r.clock.Add(time.Minute)
	code := a.shows(0)
	if won := r.atOnce(func() answer { return r.stepUp(who, api.StepUp{TOTPCode: code}) }); won != 1 {
		t.Errorf("%d of 16 same codes count", won)
	}
	r.clock.Add(time.Minute)
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 200, "") // a used code is no guess: nothing is locked
	for _, body := range []string{`{}`, `{"totp_code":""}`, `{"totp_code":"1","recovery_code":"2"}`} {
		r.call(who, "POST", "/me/step-up", sent(body)).wants(t, 400, "body_malformed")
	}
}

func TestTheFirstCodeOfAnAppIsUsedUpByConfirmingIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	a := app{read[api.TOTP](t, r.call(who, "POST", "/me/factors/totp", api.NewTOTP{})), r}
	confirm := "/me/factors/totp/" + a.ID + "/confirm"
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 403, "step_up_failed") // it does not count yet
	r.call(who, "POST", confirm, api.TOTPCode{Code: a.wrong()}).wants(t, 422, "factor_proof_invalid")
	r.call(r.fresh(r.other), "POST", confirm, api.TOTPCode{Code: a.shows(0)}).wants(t, 404, "factor_unknown")
	if won := r.atOnce(func() answer { return r.call(who, "POST", confirm, api.TOTPCode{Code: a.shows(0)}) }); won != 1 {
		t.Errorf("%d of 16 confirm it", won)
	}
	if n := len(facts[events.FactorEnrolled](r)); n != 1 {
		t.Errorf("%d facts", n)
	}
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 403, "step_up_failed")
	late := app{read[api.TOTP](t, r.call(r.fresh(r.other), "POST", "/me/factors/totp", api.NewTOTP{})), r}
	r.clock.Add(factors.PendingLife)
	r.call(r.fresh(r.other), "POST", "/me/factors/totp/"+late.ID+"/confirm", api.TOTPCode{Code: late.shows(0)}).wants(t, 404, "factor_unknown")
}

func TestWrongCodesLockAnAppForLongerAndLongerOverAllSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	a := r.addApp(who)
	wrong := func(n int) {
		t.Helper()
		for range n {
			r.stepUp(r.fresh(r.developer), api.StepUp{TOTPCode: a.wrong()}).wants(t, 403, "step_up_failed")
		}
	}
	locked := func(code string, seconds string) {
		t.Helper()
		got := r.stepUp(r.fresh(r.developer), api.StepUp{TOTPCode: code}).wants(t, 429, "factor_locked")
		if after := got.Header.Get("Retry-After"); after != seconds {
			t.Errorf("Retry-After is %s, want %s", after, seconds)
		}
	}
	wrong(4)
	r.clock.Add(15 * time.Minute) // long ago
	wrong(4)
	locked(a.wrong(), "60")
	locked(a.shows(0), "60") // the right one is refused as well
	if mine := r.myFactors(r.fresh(r.developer)); mine.Items[0].LockedUntil == nil {
		t.Error("the list does not say that it is locked")
	}
	for _, next := range []string{"120", "240", "480", "960", "1920", "3600", "3600"} {
		r.clock.Add(time.Hour)
		locked(a.wrong(), next)
	}
	r.clock.Add(time.Hour)
	r.stepUp(r.fresh(r.developer), api.StepUp{TOTPCode: a.shows(0)}).wants(t, 200, "")
	wrong(4) // it begins anew
	r.clock.Add(time.Minute)
	r.stepUp(r.fresh(r.developer), api.StepUp{TOTPCode: a.shows(0)}).wants(t, 200, "")
}

func TestManyWrongCodesAtOnceLockAsIfTheyCameInTurn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	a := r.addApp(who)
	wrong := a.wrong()
	r.atOnce(func() answer { return r.stepUp(who, api.StepUp{TOTPCode: wrong}) })
	plain := 0
	for _, code := range r.failed() {
		if code == "wrong_code" {
			plain++
		}
	}
	if plain != 4 {
		t.Errorf("%d of 16 wrong codes were counted before the lock, want 4", plain)
	}
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 429, "factor_locked")
}

func TestAFactorThatWasPutUnderAnotherPersonDoesNotOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mine, theirs := r.fresh(r.developer), r.fresh(r.other)
	a, b := r.addApp(mine), r.addApp(theirs)
	p := r.addPasskeyAfter(theirs, api.StepUp{TOTPCode: b.shows(0)})
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := r.db.Owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	r.clock.Add(time.Minute)
	// The thief has an app of their own and can write to the database.
	exec(`UPDATE private.factors SET box = t.box, wrapped = t.wrapped, kms_key = t.kms_key FROM private.factors t WHERE factors.id = $1 AND t.id = $2`, b.ID, a.ID)
	r.stepUp(theirs, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 403, "step_up_failed")
	exec(`UPDATE private.factors SET person = $1 WHERE id = $2`, theirs.ID, a.ID)
	r.stepUp(theirs, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 403, "step_up_failed")
	asked := r.asked(theirs)
	exec(`UPDATE private.factors SET person = $1 WHERE id = $2`, mine.ID, p.id)
	r.call(mine, "POST", "/me/step-up/passkey", nil).wants(t, 403, "factor_missing")
	r.stepUp(mine, p.answers(t, here, asked)).wants(t, 403, "step_up_failed")
	if got := r.denounced("factors/" + string(p.id)); got != "row_forged" {
		t.Errorf("on record is %q", got)
	}
}

// addPasskeyAfter enrols a passkey as one more factor.
func (r *rig) addPasskeyAfter(who person, proof api.StepUp) *passkey {
	r.t.Helper()
	r.stepUp(who, proof).wants(r.t, 200, "")
	return r.addPasskey(who)
}

func TestARecoveryCodeCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 403, "factor_missing")
	a := r.addApp(who)
	r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 401, "step_up_required")
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 200, "")
	old := read[api.RecoveryCodes](t, r.call(who, "POST", "/me/recovery-codes", nil)).Codes
	codes := read[api.RecoveryCodes](t, r.call(who, "POST", "/me/recovery-codes", nil)).Codes
	if n := len(facts[events.RecoveryCodesMade](r)); n != 2 || len(codes) != factors.RecoveryCodes {
		t.Errorf("%d facts, %d codes", n, len(codes))
	}
	r.stepUp(who, api.StepUp{RecoveryCode: old[0]}).wants(t, 403, "step_up_failed")
	r.stepUp(r.fresh(r.other), api.StepUp{RecoveryCode: codes[0]}).wants(t, 403, "step_up_failed")
	r.stepUp(who, api.StepUp{RecoveryCode: "not a code"}).wants(t, 403, "step_up_failed")
	again := r.fresh(r.developer)
	r.stepUp(again, api.StepUp{RecoveryCode: " " + strings.ToUpper(strings.ReplaceAll(codes[0], "-", " "))}).wants(t, 200, "")
	r.stepUp(again, api.StepUp{RecoveryCode: codes[0]}).wants(t, 403, "step_up_failed")
	r.clock.Add(time.Minute)
	if won := r.atOnce(func() answer { return r.stepUp(again, api.StepUp{RecoveryCode: codes[1]}) }); won != 1 {
		t.Errorf("%d of 16 same codes count", won)
	}
	if mine := r.myFactors(again); mine.RecoveryCodes != factors.RecoveryCodes-2 {
		t.Errorf("%d codes are left", mine.RecoveryCodes)
	}
}

func TestTheFirstFactorNeedsAFreshSignInAndEveryOtherAFreshProof(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stale := r.fresh(r.developer)
	r.clock.Add(5*time.Minute + time.Second)
	for _, path := range []string{"/me/factors/totp", "/me/factors/passkeys", "/me/factors/totp/f_x/confirm", "/me/factors/passkeys/finish"} {
		got := r.call(stale, "POST", path, sent("{}")).wants(t, 401, "sign_in_stale")
		if h := got.Header.Get("WWW-Authenticate"); !strings.Contains(h, `error="insufficient_user_authentication"`) || !strings.Contains(h, "max_age=300") {
			t.Errorf("WWW-Authenticate (RFC 9470): %q", h)
		}
	}
	who := r.fresh(r.developer)
	a := r.addApp(who)
	for _, path := range []string{"/me/factors/totp", "/me/factors/passkeys", "/me/factors/totp/f_x/confirm", "/me/factors/passkeys/finish", "/me/factors/" + a.ID + "/remove", "/me/recovery-codes"} {
		body := sent("{}")
		if strings.HasSuffix(path, "/remove") || strings.HasSuffix(path, "codes") {
			body = nil
		}
		got := r.call(r.fresh(r.developer), "POST", path, body).wants(t, 401, "step_up_required")
		if h := got.Header.Get("WWW-Authenticate"); !strings.Contains(h, `Bearer realm="secrets-bridge", error="insufficient_user_authentication", max_age=300`) {
			t.Errorf("WWW-Authenticate (RFC 9470): %q", h)
		}
	}
	denied := facts[events.AccessDenied](r)
	if len(denied) != 10 || denied[9].Fact.(events.AccessDenied).Code != "step_up_required" {
		t.Errorf("denied: %+v", denied)
	}
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 200, "")
	r.clock.Add(5 * time.Minute)
	second := r.addPasskey(who) // on the last moment
	r.clock.Add(time.Second)
	r.call(who, "POST", "/me/factors/"+second.id+"/remove", nil).wants(t, 401, "step_up_required")
	r.stepUp(who, second.answers(t, here, r.asked(who))).wants(t, 200, "")
	r.call(who, "POST", "/me/factors/"+second.id+"/remove", nil).wants(t, 200, "")
	r.call(who, "POST", "/me/factors/"+a.ID+"/remove", nil).wants(t, 401, "step_up_required") // a removal ends every step-up
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 200, "")
	r.call(who, "POST", "/me/factors/"+a.ID+"/remove", nil).wants(t, 200, "")
	if got := facts[events.FactorRemoved](r); len(got) != 2 || got[1].Fact != (events.FactorRemoved{Factor: events.FactorID(a.ID), Kind: events.FactorTOTP, Cause: "owner"}) {
		t.Errorf("removed: %+v", got)
	}
}

// TestOfTwoFirstFactorsOneIsTheFirst: an intruder beside the owner, both signed in a moment ago.
func TestOfTwoFirstFactorsOneIsTheFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner, intruder := r.fresh(r.developer), r.fresh(r.developer)
	p := newPasskey(owner)
	asked := read[api.PasskeyOptions](t, r.call(intruder, "POST", "/me/factors/passkeys", nil))
	r.addApp(owner)
	r.call(intruder, "POST", "/me/factors/passkeys/finish", api.NewPasskey{Passkey: p.made(t, asked)}).wants(t, 401, "step_up_required")
	// At the same moment: the check before the call sees nothing yet, and the store decides.
	var ids [16]person
	var options [16]api.PasskeyOptions
	for i := range ids {
		ids[i] = r.fresh(r.other)
		options[i] = read[api.PasskeyOptions](t, r.call(ids[i], "POST", "/me/factors/passkeys", nil))
	}
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			r.call(ids[i], "POST", "/me/factors/passkeys/finish", api.NewPasskey{Passkey: newPasskey(r.other).made(t, options[i])})
		})
	}
	all.Wait()
	if mine := r.myFactors(r.fresh(r.other)); len(mine.Items) != 1 {
		t.Errorf("%d first factors", len(mine.Items))
	}
}

func TestOnePersonHasAtMostFiveFactors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	p := r.addPasskey(who)
	for range factors.MaxFactors - 1 {
		r.addPasskeyAfter(who, p.answers(t, here, r.asked(who)))
	}
	asked := read[api.PasskeyOptions](t, r.call(who, "POST", "/me/factors/passkeys", nil))
	r.call(who, "POST", "/me/factors/passkeys/finish", api.NewPasskey{Passkey: newPasskey(who).made(t, asked)}).wants(t, 409, "too_many_factors")
}

func TestWithoutALogNoFactorCountsAndNoneIsForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	a := app{read[api.TOTP](t, r.call(who, "POST", "/me/factors/totp", api.NewTOTP{})), r}
	away := func(call func()) { r.breaks(always(commandtest.Fails)); call(); r.breaks(nil) }
	away(func() {
		r.call(who, "POST", "/me/factors/totp/"+a.ID+"/confirm", api.TOTPCode{Code: a.shows(0)}).wants(t, 503, "unavailable")
	})
	if mine := r.myFactors(who); len(mine.Items) != 0 {
		t.Fatalf("a factor counts that the log does not know: %+v", mine)
	}
	r.call(who, "POST", "/me/factors/totp/"+a.ID+"/confirm", api.TOTPCode{Code: a.shows(0)}).wants(t, 200, "")
	r.clock.Add(time.Minute)
	away(func() {
		r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wantsRetry(t)
		r.stepUp(who, api.StepUp{TOTPCode: a.wrong()}).wantsRetry(t)
	})
	if r.myFactors(who).SteppedUpAt != nil {
		t.Fatal("stepped up without a record")
	}
	r.clock.Add(time.Minute)
	r.stepUp(who, api.StepUp{TOTPCode: a.shows(0)}).wants(t, 200, "")
	r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 201, "")
	away(func() { r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 503, "unavailable") })
	if mine := r.myFactors(who); mine.RecoveryCodes != 10 {
		t.Errorf("%d recovery codes are left of the 10 in whose place no others were recorded", mine.RecoveryCodes)
	}
	// A removal that could not be recorded counts at once, and is recorded later, once.
	away(func() { r.call(who, "POST", "/me/factors/"+a.ID+"/remove", nil).wants(t, 503, "unavailable") })
	for range 2 {
		if mine := r.myFactors(who); len(mine.Items) != 0 || len(facts[events.FactorRemoved](r)) != 1 {
			t.Errorf("after a removal: %+v, %d facts", mine, len(facts[events.FactorRemoved](r)))
		}
	}
}

func TestProofsOfOnePersonHaveAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	n := 0
	for ; n < 100 && r.stepUp(who, api.StepUp{RecoveryCode: "wrong"}).StatusCode != http.StatusTooManyRequests; n++ {
	}
	if n != 20 || len(r.failed()) != n {
		t.Errorf("%d attempts, %d facts", n, len(r.failed()))
	}
}

// TestWhatAFactorIsRecognisedByIsNowhereInClear takes secret, codes and recovery codes through
// every call and looks for them wherever something is kept or said.
func TestWhatAFactorIsRecognisedByIsNowhereInClear(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	a := r.addApp(who)
	code := a.shows(0)
	for n := 0; strings.Contains(r.everywhere(), code) && n < 100; n++ { // six digits are easily met by chance
		r.clock.Add(30 * time.Second)
		code = a.shows(0)
	}
	wrong := "canary-no-code-6d0f31"
	r.stepUp(who, api.StepUp{TOTPCode: wrong}).wants(t, 403, "step_up_failed")
	r.stepUp(who, api.StepUp{RecoveryCode: wrong}).wants(t, 403, "step_up_failed")
	r.stepUp(who, api.StepUp{TOTPCode: code}).wants(t, 200, "")
	r.stepUp(who, api.StepUp{TOTPCode: code}).wants(t, 403, "step_up_failed")
	codes := read[api.RecoveryCodes](t, r.call(who, "POST", "/me/recovery-codes", nil)).Codes
	r.stepUp(who, api.StepUp{RecoveryCode: codes[0]}).wants(t, 200, "")
	r.stepUp(who, api.StepUp{RecoveryCode: codes[0]}).wants(t, 403, "step_up_failed")
	r.call(who, "POST", "/me/step-up", sent(`{"totp_code":"`+wrong+`","recovery_code":"`+wrong+`"}`)).wants(t, 400, "body_malformed")
	r.call(r.admin, "GET", "/audit/events?limit=200", nil, r.newest()).wants(t, 200, "")
	all := r.everywhere()
	plain := strings.ReplaceAll(codes[0], "-", "")
	for what, secret := range map[string]string{"secret": a.Secret, "recovery code": codes[0], "bare recovery code": plain, "unused code": codes[9], "what was typed": wrong} {
		for _, form := range spelled(secret) {
			if strings.Contains(all, form) {
				t.Errorf("the %s is somewhere", what)
			}
		}
	}
	if strings.Contains(all, code) {
		t.Error("the code is somewhere")
	}
}

// everywhere is all that is kept and said, but for the answers that show something once.
func (r *rig) everywhere() string {
	var all strings.Builder
	all.WriteString(r.rows())
	all.WriteString(r.logged.String())
	for _, c := range r.commits() {
		all.Write(c.Raw)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.seen {
		if !bytes.Contains(a.body, []byte(`"codes":`)) && !bytes.Contains(a.body, []byte(`"secret":`)) {
			all.Write(a.body)
		}
	}
	r.marks.mu.Lock()
	defer r.marks.mu.Unlock()
	for _, k := range r.marks.all {
		fmt.Fprintf(&all, "%s", k.answer.Body)
	}
	return all.String()
}
