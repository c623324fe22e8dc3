package web

import (
	"net/http"

	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/window"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

func (a *API) personSessions(c *call) (reply, error) {
	if _, _, err := a.subject(c, events.UserPerson); err != nil {
		return reply{}, err
	}
	return a.sessionsOf(c, events.UserID(c.param("id")))
}

func (a *API) mySessions(c *call) (reply, error) {
	return a.sessionsOf(c, c.person.ID)
}

func (a *API) sessionsOf(c *call, id events.UserID) (reply, error) {
	open, err := a.Sessions.List(c.ctx(), id)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.OpenSession]{Items: []api.OpenSession{}}
	for _, s := range open {
		page.Items = append(page.Items, sessionOf(s, c.session))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func sessionOf(s store.Session, current events.SessionID) api.OpenSession {
	return api.OpenSession{ID: string(s.ID), Current: s.ID == current, Browser: s.Browser, CreatedAt: s.Created, UsedAt: s.Touched, Expires: s.Ends}
}

func (a *API) endPersonSessions(c *call) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if _, _, err := a.subject(c, events.UserPerson); err != nil {
		return reply{}, err
	}
	return endedReply(a.Accounts.EndSessions(c.ctx(), c.meta(), events.UserID(c.param("id"))))
}

func (a *API) endMySession(c *call) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	seq, err := a.Accounts.EndSession(c.ctx(), c.meta(), c.person.ID, events.SessionID(c.param("id")))
	return endedReply(1, seq, err)
}

func (a *API) endMyOthers(c *call) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	return endedReply(a.Accounts.EndOthers(c.ctx(), c.meta(), c.person.ID, c.session))
}

// endAllMine ends the session that asks as well.
func (a *API) endAllMine(c *call) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	ended, err := endedReply(a.Accounts.EndOthers(c.ctx(), c.meta(), c.person.ID, ""))
	if err == nil && c.cookie {
		dropCookie(c.w, sessionCookie)
	}
	return ended, err
}

func endedReply(n int, seq events.Seq, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: seq, body: api.Ended{Sessions: n, Seq: uint64(seq)}}, nil
}

// changePassword takes the old password and a new one. Its command is known by the key of the
// call alone: what is derived from a body with a password must not be stored.
func (a *API) changePassword(c *call) (reply, error) {
	var m api.ChangePassword
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.SignInsOfAccount, string(c.person.ID), 1); err != nil {
		return reply{}, err
	}
	if len(m.Sealed) > 0 {
		if m.Old != "" || m.Password != "" {
			return reply{}, errBodyMalformed.because("a sealed password has nothing beside it")
		}
		plain, err := a.Custody.OpenSignIn(c.ctx(), m.Sealed)
		if err != nil {
			return reply{}, err
		}
		defer clear(plain)
		var in api.SealedPassword
		if decode(plain, &in) != nil { // not its detail: it tells what was sealed
			return reply{}, custody.ErrSignIn
		}
		m.Old, m.Password = in.Old, in.Password
	}
	old, password := secret.New([]byte(m.Old)), secret.New([]byte(m.Password))
	defer old.Zero()
	defer password.Zero()
	meta := c.meta()
	meta.Command = events.DeriveCommandID("password", string(c.actor), c.r.Header.Get(api.HeaderIdempotencyKey))
	return doneReply(a.Accounts.ChangePassword(c.ctx(), meta, c.person, c.session, a.network(c.r), old, password))
}

// redeemLink sets a password by a link. Nobody is signed in by it.
func (a *API) redeemLink(c *call) (reply, error) {
	var m api.Redeem
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.SignInsOfAddress, a.network(c.r), 1); err != nil {
		return reply{}, err
	}
	if len(m.Sealed) > 0 {
		var err error
		if m, err = a.openRedeem(c, m); err != nil {
			return reply{}, err
		}
	}
	token, password := secret.New([]byte(m.Token)), secret.New([]byte(m.Password))
	defer token.Zero()
	defer password.Zero()
	_, seq, err := a.Accounts.Redeem(c.ctx(), c.meta(), token, password)
	return doneReply(seq, err)
}

// openRedeem opens a sealed call and checks that the key in it signed the call, so that its
// answer is signed to somebody. One that was recorded on the way finds the link used.
func (a *API) openRedeem(c *call, m api.Redeem) (api.Redeem, error) {
	if m.Token != "" || m.Password != "" {
		return m, errBodyMalformed.because("a sealed call has nothing beside it")
	}
	plain, err := a.Custody.OpenSignIn(c.ctx(), m.Sealed)
	if err != nil {
		return m, err
	}
	defer clear(plain)
	var in api.SealedRedeem
	if decode(plain, &in) != nil {
		return m, custody.ErrSignIn
	}
	key, err := seal.ParseVerifyKey(in.Key)
	if err != nil {
		return m, custody.ErrSignIn
	}
	if err := a.verify(c, key); err != nil {
		return m, err
	}
	return api.Redeem{Token: in.Token, Password: in.Password}, nil
}
