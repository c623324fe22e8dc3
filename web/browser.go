package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

var errNotRenewable = &problem{"session_not_renewable", "only the session of a browser is renewed, by its cookie; any other stays open while it is used"}

// Why sessions of browsers end, beside what ends all.
const (
	causeReplaced = "replaced"     // by a sign-in in the same browser
	causeCopied   = "token_copied" // a token came that was replaced before
)

// guardian ends sessions that nobody asked to end.
var guardian = events.SystemActor("sessions")

// askedByPage refuses a call that a page of another site could have a browser send: such a page
// can send no header of ours.
func (c *call) askedByPage() error {
	if c.r.Header.Get(api.HeaderRequestedWith) == "" {
		return errForbidden.because("a call with a session's cookie needs the header " + api.HeaderRequestedWith + ", which no page of another site can send")
	}
	return nil
}

// byWhom refuses the call of a page that was loaded for somebody else: another tab signed in again,
// and what this one was told to do is not the new person's wish.
func (c *call) byWhom() error {
	if who := c.r.Header.Get(api.HeaderPerson); who != "" && who != string(c.person.ID) {
		return errSessionExpired.because("the session of this page has ended, as somebody else signed in in this browser; sign in again")
	}
	return nil
}

// keepSession gives a browser the token of its session. Strict: a page that somebody comes to from
// another site needs no cookie, only the calls that it makes.
func (c *call) keepSession(token secret.Value, life time.Duration) {
	setCookie(c.w, sessionCookie, string(token.Expose()), life, http.SameSiteStrictMode)
}

// replaced is the session that a browser had before it signed in again, or nil.
func (a *API) replaced(c *call) (*store.Session, error) {
	token := secret.New([]byte(cookieOf(c.r, sessionCookie)))
	defer token.Zero()
	old, err := a.lookUp(c, token)
	if errors.Is(err, store.ErrNotFound) || err == nil && !old.Browser {
		return nil, nil
	}
	return &old, err
}

// renewSession keeps a browser's session open. Nothing else does: a page that is left alone asks
// for news all the same.
func (a *API) renewSession(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	if !c.cookie || !c.found.Browser {
		return reply{}, errNotRenewable
	}
	var seq events.Seq
	token, err := a.Sessions.Renew(c.ctx(), c.found, c.bearer, func() (err error) {
		seq, err = a.record(c, c.actor, events.SessionRenewed{User: c.person.ID, Session: c.session})
		return err
	})
	if errors.Is(err, store.ErrCopied) { // its row was put back, and the older token with it
		if err = a.endCopied(c, c.found); err == nil {
			err = errSessionExpired
		}
	}
	if errors.Is(err, store.ErrNotFound) { // it ended this moment
		return reply{}, errSessionExpired
	}
	if err != nil {
		return reply{}, err
	}
	defer token.Zero()
	c.keepSession(token, c.found.Ends.Sub(c.now))
	return reply{status: http.StatusOK, seq: seq, body: api.Renewed{
		Expires: c.found.Ends, IdleSeconds: int(store.BrowserIdleEnd.Seconds()), Now: c.now,
	}}, nil
}

// lookUp finds the session of a token, or returns store.ErrNotFound.
func (a *API) lookUp(c *call, token secret.Value) (store.Session, error) {
	found, err := a.Sessions.Lookup(c.ctx(), token)
	if errors.Is(err, store.ErrCopied) {
		if err = a.endCopied(c, found); err == nil {
			err = store.ErrNotFound
		}
	}
	return found, err
}

// endCopied ends a session whose token was replaced and came all the same: it, or the newest one,
// is in two hands, and nobody knows whose are the right ones.
func (a *API) endCopied(c *call, s store.Session) error {
	ctx := context.WithoutCancel(c.ctx())
	err := a.Sessions.End(ctx, s.ID, func() error {
		meta := command.Meta{Command: events.NewCommandID(), Actor: guardian, Time: a.Now()}
		fact := events.SessionRevoked{User: s.Person.ID, Session: s.ID, Cause: causeCopied}
		_, err := command.Record(ctx, a.Log, events.AccessStream(events.UserActor(s.Person.ID)), meta, fact)
		return err
	})
	if err != nil {
		return err
	}
	a.Logger.WarnContext(c.ctx(), "a session ended, as its token was copied", "call", c.id)
	return nil
}
