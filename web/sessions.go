package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/window"
	"secretsbridge/policy"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// Limits of what is typed, in bytes. No address is longer (RFC 5321, section 4.5.3.1),
// and nobody remembers a longer password.
const (
	maxEmail    = 254
	maxPassword = 1024
)

// signIn opens a session. Outside, every refusal looks the same; inside, the fact says
// which it was.
func (a *API) signIn(c *call) (reply, error) {
	var m api.SignIn
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.SignInsOfAddress, a.network(c.r), 1); err != nil {
		return reply{}, err
	}
	if m.Cookie {
		if err := c.askedByPage(); err != nil {
			return reply{}, err
		}
	}
	var key seal.VerifyKey
	if len(m.Sealed) > 0 {
		var err error
		if m, key, err = a.openSignIn(c, m); err != nil {
			return reply{}, err
		}
	}
	email := strings.ToLower(strings.TrimSpace(m.Email))
	if email == "" || len(email) > maxEmail || !storable(email) || m.Password == "" || len(m.Password) > maxPassword {
		return reply{}, a.refuseSignIn(c, "", "impossible")
	}
	if err := a.limit(c, window.SignInsOfAccount, email+" "+a.network(c.r), 1); err != nil {
		return reply{}, err
	}
	password := secret.New([]byte(m.Password))
	defer password.Zero()
	person, err := a.verifyPassword(c, email, password)
	if code, refused := signInCode(err); refused {
		return reply{}, a.refuseSignIn(c, person.ID, code)
	}
	if err != nil {
		return reply{}, err
	}
	if key != (seal.VerifyKey{}) {
		if err := a.signedInOnce(c, key); err != nil {
			return reply{}, err
		}
	}
	opened, token, err := a.openSession(c, person.ID, key, m.Cookie)
	switch {
	case errors.Is(err, store.ErrNotFound): // disabled or erased this moment
		return reply{}, a.refuseSignIn(c, person.ID, "disabled")
	case errors.Is(err, store.ErrKeyUsed):
		return reply{}, errSignatureUsed
	case err != nil:
		return reply{}, err
	}
	defer token.Zero()
	seq, err := a.signedIn(c, opened)
	if err != nil {
		return reply{}, err
	}
	answer := api.Session{Expires: opened.Ends, Person: meOf(opened.Person, a.Rights.Powers(person.ID), a.Now())}
	if m.Cookie {
		c.keepSession(token, opened.Ends.Sub(opened.Created))
	} else {
		answer.Token = string(token.Expose())
	}
	return reply{status: http.StatusCreated, seq: seq, body: answer}, nil
}

// verifyPassword finds whose e-mail and password it is, as the log knows them by now.
func (a *API) verifyPassword(c *call, email string, password secret.Value) (store.Person, error) {
	person, err := a.People.Verify(c.ctx(), email, password, a.network(c.r))
	if err != nil {
		return person, err
	}
	ctx, cancel := context.WithTimeout(c.ctx(), viewPatience)
	defer cancel()
	if err := a.Rights.Fresh(ctx); err != nil {
		a.Logger.Error("rights are not known", "call", c.id, "err", err)
		return person, errUnavailable
	}
	return person, a.People.Current(c.ctx(), person, a.Rights.User(person.ID).Password)
}

func (a *API) openSession(c *call, person events.UserID, key seal.VerifyKey, cookie bool) (store.Session, secret.Value, error) {
	if cookie {
		return a.Sessions.OpenBrowser(c.ctx(), person)
	}
	return a.Sessions.Open(c.ctx(), person, key)
}

// signedIn records that a session was opened, and that it takes the place of the browser's old
// one. What is not recorded is not open.
func (a *API) signedIn(c *call, opened store.Session) (seq events.Seq, err error) {
	actor, fact := events.UserActor(opened.Person.ID), events.SignedIn{User: opened.Person.ID, Session: opened.ID}
	var old *store.Session
	if opened.Browser {
		old, err = a.replaced(c)
	}
	if err == nil && old != nil {
		err = a.Sessions.End(c.ctx(), old.ID, func() (err error) {
			seq, err = a.record(c, actor, fact, events.SessionRevoked{User: old.Person.ID, Session: old.ID, Cause: causeReplaced})
			return err
		})
	}
	if err == nil && seq == 0 { // there was none, or it ended this moment
		seq, err = a.record(c, actor, fact)
	}
	if err == nil {
		err = a.await(c, seq)
	}
	if err != nil {
		return 0, errors.Join(err, a.Sessions.Revoke(context.WithoutCancel(c.ctx()), opened.ID))
	}
	return seq, nil
}

// openSignIn opens a sealed sign-in and checks that the key in it signed the call: whoever
// asks for a session of a key has the key. One that was recorded on the way opens nothing
// twice.
func (a *API) openSignIn(c *call, m api.SignIn) (api.SignIn, seal.VerifyKey, error) {
	if m.Email != "" || m.Password != "" || m.Cookie {
		return m, seal.VerifyKey{}, errBodyMalformed.because("a sealed sign-in has nothing beside it")
	}
	var in api.SealedSignIn
	key, err := a.openSealed(c, m.Sealed, &in, func() string { return in.Key })
	return api.SignIn{Email: in.Email, Password: in.Password}, key, err
}

// openSealed opens what was sealed to open a session, into a pointer to a struct, and checks the
// signature of the call by the key in it.
func (a *API) openSealed(c *call, sealed []byte, into any, keyOf func() string) (seal.VerifyKey, error) {
	plain, err := a.Custody.OpenSignIn(c.ctx(), sealed)
	if err != nil {
		return seal.VerifyKey{}, err
	}
	defer clear(plain)
	if decode(plain, into) != nil { // not its detail: it tells what was sealed
		return seal.VerifyKey{}, custody.ErrSignIn
	}
	key, err := seal.ParseVerifyKey(keyOf())
	if err != nil {
		return seal.VerifyKey{}, custody.ErrSignIn
	}
	if err := a.verify(c, key); err != nil {
		return seal.VerifyKey{}, err
	}
	if a.signIns.used(key) {
		return seal.VerifyKey{}, errSignatureUsed
	}
	return key, nil
}

// signInCode says why somebody may not sign in.
func signInCode(err error) (string, bool) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "unknown_person", true
	case errors.Is(err, store.ErrWrongPassword):
		return "wrong_password", true
	case errors.Is(err, store.ErrLocked):
		return "locked", true
	case errors.Is(err, store.ErrDisabled):
		return "disabled", true
	}
	return "", false
}

func (a *API) refuseSignIn(c *call, who events.UserID, code string) error {
	actor := events.Anonymous
	if who != "" {
		actor = events.UserActor(who)
	}
	if _, err := a.record(c, actor, events.SignInFailed{User: who, Code: code}); err != nil {
		return err
	}
	return errSignIn
}

// signOut ends the session that asks for it.
func (a *API) signOut(c *call) (reply, error) {
	var seq events.Seq
	err := a.Sessions.End(c.ctx(), c.session, func() (err error) {
		seq, err = a.record(c, c.actor, events.SignedOut{User: c.person.ID, Session: c.session})
		return err
	})
	if err == nil && c.cookie {
		dropCookie(c.w, sessionCookie)
	}
	return reply{status: http.StatusNoContent, seq: seq}, err
}

// me says who is signed in.
func (a *API) me(c *call) (reply, error) {
	return reply{status: http.StatusOK, body: meOf(c.person, c.powers, c.now)}, nil
}

func meOf(p store.Person, powers *policy.Powers, now time.Time) api.Me {
	me := api.Me{
		ID: string(p.ID), Email: p.Email, Name: p.Name, Roles: []string{}, Permissions: []string{},
		Grants: []api.Grant{}, Groups: append([]string{}, powers.Groups()...), Teams: append([]string{}, powers.Teams()...),
	}
	for _, permission := range powers.Permissions(now) {
		me.Permissions = append(me.Permissions, string(permission))
	}
	for _, g := range powers.Grants(now) {
		me.Grants = append(me.Grants, grantOf(g))
		me.Roles = append(me.Roles, g.Role)
	}
	slices.Sort(me.Roles)
	me.Roles = slices.Compact(me.Roles)
	slices.Sort(me.Teams)
	return me
}

func grantOf(g policy.GroupGrant) api.Grant {
	shown := api.Grant{Role: g.Role, Group: g.Group, Scope: api.Scope{
		Team: g.Scope.Team, Project: g.Scope.Project, Environment: g.Scope.Environment, Kind: string(g.Scope.Kind),
		Connection: string(g.Scope.Connection), Prefix: g.Scope.Prefix,
	}}
	if !g.Until.IsZero() {
		shown.Until = &g.Until
	}
	return shown
}

// record appends to the access stream of an actor, also when the caller has gone. What
// cannot be recorded does not happen: a fault is logged, and is [errUnavailable] outside.
func (a *API) record(c *call, actor events.Actor, facts ...events.Fact) (events.Seq, error) {
	meta := command.Meta{Command: events.NewCommandID(), Actor: actor, Time: c.now}
	seq, err := command.Record(context.WithoutCancel(c.ctx()), a.Log, events.AccessStream(actor), meta, facts...)
	if err != nil {
		a.Logger.ErrorContext(c.ctx(), "access is not recorded", "call", c.id, "err", err)
		return 0, errUnavailable
	}
	return seq, nil
}
