package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/identity/oidc"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/window"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// SignOn is sign-in by an identity provider. Package identity/oidc has it.
type SignOn interface {
	Begin(ctx context.Context, b oidc.Begin) (oidc.Begun, error)
	Finish(ctx context.Context, a oidc.Answer) (oidc.Arrived, error)
	Open(ctx context.Context, a oidc.Arrived, key seal.VerifyKey) (store.Session, secret.Value, error)
	Keep(ctx context.Context, a oidc.Arrived) (secret.Value, error)
	Redeem(ctx context.Context, code, verifier secret.Value) (oidc.Arrived, error)
	Leave(ctx context.Context, session events.SessionID, token secret.Value) (string, error)
	Logout(ctx context.Context, raw string) error
}

var (
	errNoSignOn   = &problem{"sso_not_configured", "this installation has no identity provider; sign in with e-mail and password"}
	errSignOnAway = &problem{"sso_unavailable", "the identity provider cannot be asked now; try again in a moment, or sign in with e-mail and password if you have one"}

	// signOnProblems are the refusals of package identity/oidc.
	signOnProblems = map[oidc.Code]*problem{
		oidc.CodeState:    {string(oidc.CodeState), "this sign-in was not begun in this browser, was finished before, or took longer than ten minutes; begin again"},
		oidc.CodeDenied:   {string(oidc.CodeDenied), "the identity provider did not sign you in"},
		oidc.CodeToken:    {string(oidc.CodeToken), "what the identity provider sent does not prove who you are; begin again, and ask an operator if it lasts"},
		oidc.CodeEmail:    {string(oidc.CodeEmail), "the identity provider does not vouch for an e-mail address of yours; have it verified there"},
		oidc.CodeTaken:    {string(oidc.CodeTaken), "somebody here has your e-mail address and does not come in by your account at the identity provider; ask an operator"},
		oidc.CodeDisabled: {string(oidc.CodeDisabled), "your account here is disabled; ask an operator"},
		oidc.CodeRedeem:   {string(oidc.CodeRedeem), "the code was used before, is older than a minute, or belongs to another sign-in; begin again"},
		oidc.CodeLogout:   {string(oidc.CodeLogout), "this is no log-out token of the identity provider for this installation, or it came before"},
	}
)

// Ports that a command line may listen on: those that need no rights.
const (
	minPort = 1024
	maxPort = 65535
)

// challengeLength is that of base64url of a SHA-256 (RFC 7636, section 4.2).
const challengeLength = 43

// signInPage is where people sign in. It says what a code means.
const signInPage = "/sign-in"

// beginSignOn sends a browser to the identity provider.
func (a *API) beginSignOn(c *call) (reply, error) {
	if err := a.limit(c, window.SignOns, a.network(c.r), 1); err != nil {
		return a.signOnEnds(c, 0, err)
	}
	wish, err := c.beginning()
	if q := c.r.URL.Query(); err != nil && (q.Has("cli_port") || q.Has("code_challenge")) {
		return reply{}, err // a command line that can be told nothing, and no page's
	}
	if err == nil && a.SignOn == nil {
		err = errNoSignOn
	}
	var begun oidc.Begun
	if err == nil {
		begun, err = a.SignOn.Begin(c.ctx(), wish)
	}
	if err != nil {
		return a.signOnEnds(c, wish.Port, err)
	}
	defer begun.Cookie.Zero()
	setCookie(c.w, loginCookie, string(begun.Cookie.Expose()), oidc.LoginEnd, http.SameSiteLaxMode) // lax: it must come back from another site
	return redirect(begun.URL), nil
}

// beginning reads what a sign-in is for.
func (c *call) beginning() (oidc.Begin, error) {
	q, err := c.query("return_to", "cli_port", "code_challenge")
	if err != nil {
		return oidc.Begin{}, err
	}
	wish := oidc.Begin{Return: "/", Challenge: q.Get("code_challenge")}
	if q.Has("return_to") {
		wish.Return = q.Get("return_to")
	}
	if !oidc.ValidReturn(wish.Return) {
		return oidc.Begin{}, errParameter.because("return_to is a path of this server: it begins with one slash, and is ASCII without blanks, backslashes and double slashes")
	}
	if !q.Has("cli_port") && !q.Has("code_challenge") {
		return wish, nil
	}
	wish.Port, err = strconv.Atoi(q.Get("cli_port"))
	if err != nil || wish.Port < minPort || wish.Port > maxPort || strconv.Itoa(wish.Port) != q.Get("cli_port") || q.Has("return_to") {
		return oidc.Begin{}, errParameter.because("cli_port is 1024 to 65535, and comes with code_challenge and nothing else")
	}
	if len(wish.Challenge) != challengeLength || strings.ContainsFunc(wish.Challenge, notBase64URL) {
		return oidc.Begin{}, errParameter.because("code_challenge is the SHA-256 of a verifier in base64url, 43 characters")
	}
	return wish, nil
}

func notBase64URL(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// finishSignOn takes what a browser brings from the identity provider.
func (a *API) finishSignOn(c *call) (reply, error) {
	if err := a.limit(c, window.SignOns, a.network(c.r), 1); err != nil {
		return a.signOnEnds(c, 0, err)
	}
	answer, err := c.providerAnswer()
	if err == nil && a.SignOn == nil {
		err = errNoSignOn
	}
	if err != nil {
		return a.signOnEnds(c, 0, err)
	}
	dropCookie(c.w, loginCookie) // it counts once
	arrived, err := a.SignOn.Finish(c.ctx(), answer)
	if err == nil && arrived.Port != 0 {
		return a.toCommandLine(c, arrived)
	}
	var opened store.Session
	var token secret.Value
	var seq events.Seq
	if err == nil {
		opened, token, seq, err = a.openSignedOn(c, arrived, seal.VerifyKey{})
	}
	if err = a.signOnRefused(c, err); err != nil {
		return a.signOnEnds(c, arrived.Port, err)
	}
	defer token.Zero()
	c.keepSession(token, opened.Ends.Sub(opened.Created))
	answered := redirect(arrived.Return)
	answered.seq = seq
	return answered, nil
}

// answerParameters are those that count, with how long they may be, in bytes. Codes are as long as
// a provider likes.
var answerParameters = map[string]int{"state": 128, "code": 4 << 10, "iss": 512, "error": 128}

// providerAnswer reads the parameters of the authorization response. Providers add some of
// their own; what counts is there at most once.
func (c *call) providerAnswer() (oidc.Answer, error) {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return oidc.Answer{}, errParameter.because("the query string is malformed")
	}
	for name, most := range answerParameters {
		if len(q[name]) > 1 || len(q.Get(name)) > most {
			return oidc.Answer{}, errParameter.because(name + " is there twice, or has more than " + strconv.Itoa(most) + " bytes")
		}
	}
	answer := oidc.Answer{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error")}
	if answer.State == "" || (answer.Code == "") == (answer.Error == "") {
		return oidc.Answer{}, errParameter.because("the identity provider sends state, and code or error")
	}
	answer.Cookie = secret.New([]byte(cookieOf(c.r, loginCookie)))
	return answer, nil
}

// openSignedOn opens a session for somebody who arrived, and records it.
func (a *API) openSignedOn(c *call, arrived oidc.Arrived, key seal.VerifyKey) (store.Session, secret.Value, events.Seq, error) {
	opened, token, err := a.SignOn.Open(c.ctx(), arrived, key)
	switch {
	case errors.Is(err, store.ErrNotFound): // disabled or erased this moment
		return opened, token, 0, &oidc.Refused{Code: oidc.CodeDisabled, Why: "disabled", Person: arrived.Person.ID}
	case errors.Is(err, store.ErrKeyUsed):
		return opened, token, 0, errSignatureUsed
	case err != nil:
		return opened, token, 0, err
	}
	seq, err := a.signedIn(c, opened)
	return opened, token, seq, err
}

// signOnRefused records a refusal and puts it into our words; other errors stay.
func (a *API) signOnRefused(c *call, err error) error {
	var refused *oidc.Refused
	if !errors.As(err, &refused) {
		return err
	}
	actor := events.Anonymous
	if refused.Person != "" {
		actor = events.UserActor(refused.Person)
	}
	if _, err := a.record(c, actor, events.SignInFailed{User: refused.Person, Code: "sso_" + refused.Why}); err != nil {
		return err
	}
	return signOnProblems[refused.Code]
}

// signOnEnds tells why a sign-in ends: the page where people sign in, or the command line that
// waits for it. Both get nothing but a code.
func (a *API) signOnEnds(c *call, port int, err error) (reply, error) {
	p, known := explain(err)
	if !known {
		a.Logger.ErrorContext(c.ctx(), "call failed", "call", c.id, "route", c.r.Method+" "+c.r.URL.EscapedPath(), "err", err)
	}
	if port == 0 {
		return redirect(signInPage + "?" + url.Values{"problem": {p.Code}}.Encode()), nil
	}
	return redirect(commandLine(port, "error", p.Code)), nil
}

// toCommandLine sends the browser to the command line that began, with a code (RFC 8252,
// section 7.3).
func (a *API) toCommandLine(c *call, arrived oidc.Arrived) (reply, error) {
	code, err := a.SignOn.Keep(c.ctx(), arrived)
	if err != nil {
		return reply{}, err
	}
	defer code.Zero()
	return redirect(commandLine(arrived.Port, "code", string(code.Expose()))), nil
}

func commandLine(port int, name, value string) string {
	return "http://127.0.0.1:" + strconv.Itoa(port) + "/done?" + url.Values{name: {value}}.Encode()
}

// redeemCode trades a code of the command line for a session of a key. The call is sealed and signed
// like a sign-in.
func (a *API) redeemCode(c *call) (reply, error) {
	var m api.RedeemCode
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if a.SignOn == nil {
		return reply{}, errNoSignOn
	}
	if err := a.limit(c, window.SignOns, a.network(c.r), 1); err != nil {
		return reply{}, err
	}
	var in api.SealedCode
	key, err := a.openSealed(c, m.Sealed, &in, func() string { return in.Key })
	if err != nil {
		return reply{}, err
	}
	code, verifier := secret.New([]byte(in.Code)), secret.New([]byte(in.Verifier))
	defer code.Zero()
	defer verifier.Zero()
	arrived, err := a.SignOn.Redeem(c.ctx(), code, verifier)
	if err != nil {
		return reply{}, a.signOnRefused(c, err)
	}
	if !a.signIns.take(key, c.now, c.now.Add(custody.IntakeEnd)) {
		return reply{}, errSignatureUsed
	}
	opened, token, seq, err := a.openSignedOn(c, arrived, key)
	if err != nil {
		return reply{}, a.signOnRefused(c, err)
	}
	return reply{status: http.StatusCreated, seq: seq, body: api.Session{
		Token: string(token.Expose()), Expires: opened.Ends, Person: meOf(opened.Person, a.Rights.Powers(opened.Person.ID), a.Now()),
	}}, nil
}

// signOff ends the session here, and says where the browser ends the one at the identity
// provider.
func (a *API) signOff(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	if a.SignOn == nil {
		return reply{}, errNoSignOn
	}
	to, err := a.SignOn.Leave(c.ctx(), c.session, c.bearer)
	if err != nil {
		return reply{}, err
	}
	ended, err := a.signOut(c)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: ended.seq, body: api.SignedOff{EndSession: to}}, nil
}

// backchannel takes a log-out token from the identity provider itself (OpenID Connect
// Back-Channel Logout 1.0, section 2.5).
func (a *API) backchannel(c *call) (reply, error) {
	if a.SignOn == nil {
		return reply{}, errNoSignOn
	}
	if err := a.limit(c, window.Logouts, a.network(c.r), 1); err != nil {
		return reply{}, err
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil || len(form["logout_token"]) != 1 {
		return reply{}, signOnProblems[oidc.CodeLogout].because("send one logout_token, as a form")
	}
	err = a.SignOn.Logout(c.ctx(), form.Get("logout_token"))
	var refused *oidc.Refused
	if errors.As(err, &refused) {
		return reply{}, signOnProblems[refused.Code]
	}
	return reply{status: http.StatusOK}, err
}

// redirect sends a browser elsewhere, with GET.
func redirect(to string) reply { return reply{status: http.StatusSeeOther, location: to} }

// formRoutes take a form in place of JSON: their callers are not ours.
var formRoutes = []string{"/auth/oidc/backchannel"}

// form reports whether the body of a call is a form.
func (r Route) form() bool { return slices.Contains(formRoutes, r.Path) }
