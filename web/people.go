package web

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"secretsbridge/accounts"
	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/window"
	"secretsbridge/policy"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// Accounts let people and machines in and keep them out. Package accounts has it.
type Accounts interface {
	Invite(ctx context.Context, meta command.Meta, in accounts.Invitation) (accounts.Linked, error)
	Reset(ctx context.Context, meta command.Meta, by, id events.UserID) (accounts.Linked, error)
	Redeem(ctx context.Context, meta command.Meta, token, password secret.Value) (events.UserID, events.Seq, error)
	ChangePassword(ctx context.Context, meta command.Meta, person store.Person, session events.SessionID, network string, old, password secret.Value) (events.Seq, error)
	Disable(ctx context.Context, meta command.Meta, by, id events.UserID, reason string) (events.Seq, error)
	Enable(ctx context.Context, meta command.Meta, by, id events.UserID) (events.Seq, error)
	Erase(ctx context.Context, meta command.Meta, by, id events.UserID) (events.Seq, error)
	EndSessions(ctx context.Context, meta command.Meta, id events.UserID) (int, events.Seq, error)
	EndSession(ctx context.Context, meta command.Meta, id events.UserID, session events.SessionID) (events.Seq, error)
	EndOthers(ctx context.Context, meta command.Meta, id events.UserID, keep events.SessionID) (int, events.Seq, error)
	Give(ctx context.Context, meta command.Meta, powers *policy.Powers, id events.UserID, g events.GrantGiven) (events.GrantID, events.Seq, error)
	Take(ctx context.Context, meta command.Meta, powers *policy.Powers, id events.UserID, grant events.GrantID, reason string) (events.Seq, error)
	MakeMachine(ctx context.Context, meta command.Meta, name, description string) (events.UserID, events.Seq, error)
	IssueToken(ctx context.Context, meta command.Meta, by, id events.UserID, t events.TokenIssued) (accounts.Linked, events.TokenID, error)
	RevokeToken(ctx context.Context, meta command.Meta, id events.UserID, token events.TokenID, reason string) (events.Seq, error)
	Delegate(ctx context.Context, meta command.Meta, id events.UserID, d events.DelegationGiven) (events.DelegationID, events.Seq, error)
	EndDelegation(ctx context.Context, meta command.Meta, id events.UserID, delegation events.DelegationID) (events.Seq, error)
}

// defaultPage is how many items a page has unless asked.
const defaultPage = 50

// Directory is who people and machines are, and what they came in by. Package store has it.
type Directory interface {
	Account(ctx context.Context, id events.UserID) (store.Account, error)
	Accounts(ctx context.Context, kind events.UserKind, after store.Place, limit int) ([]store.Account, error)

	// Named returns people by the beginnings of words of their names, in the order of those.
	Named(ctx context.Context, text string, limit int) ([]store.Person, error)
	Names(ctx context.Context, ids []events.UserID) (map[events.UserID]string, error)
}

// listPeople lists them, oldest first. Whom a crash left without a fact is nobody.
func (a *API) listPeople(c *call) (reply, error) {
	found, next, err := a.pageOf(c, events.UserPerson)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Account]{Items: []api.Account{}, Next: next}
	for _, account := range found {
		if user := a.Rights.User(account.ID); known(user) {
			page.Items = append(page.Items, a.accountOf(c, account, user))
		}
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func known(u command.User) bool { return u.State != "" && u.State != command.UserErased }

// pageOf is a page of accounts of a kind, and the cursor of the next one.
func (a *API) pageOf(c *call, kind events.UserKind) ([]store.Account, string, error) {
	q, err := c.query("cursor", "limit")
	if err != nil {
		return nil, "", err
	}
	limit, err := limitOf(q)
	if err != nil {
		return nil, "", err
	}
	after, err := pagePlace(q)
	if err != nil {
		return nil, "", err
	}
	if limit == 0 {
		limit = defaultPage
	}
	found, err := a.Directory.Accounts(c.ctx(), kind, after, limit+1)
	if err != nil || len(found) <= limit {
		return found, "", err
	}
	found = found[:limit]
	last := found[limit-1]
	cursor := strconv.FormatInt(last.Created.UnixMicro(), 10) + " " + string(last.ID)
	return found, base64.RawURLEncoding.EncodeToString([]byte(cursor)), nil
}

func pagePlace(q url.Values) (store.Place, error) {
	text := q.Get("cursor")
	if text == "" {
		return store.Place{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	micro, id, found := strings.Cut(string(raw), " ")
	at, bad := strconv.ParseInt(micro, 10, 64)
	if err != nil || bad != nil || !found || !events.ValidID(id, "u_") {
		return store.Place{}, errCursor
	}
	return store.Place{Created: time.UnixMicro(at).UTC(), ID: events.UserID(id)}, nil
}

func (a *API) showPerson(c *call) (reply, error) {
	account, user, err := a.subject(c, events.UserPerson)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: a.accountOf(c, account, user)}, nil
}

// subject is who the path names, of a kind.
func (a *API) subject(c *call, kind events.UserKind) (store.Account, command.User, error) {
	id := events.UserID(c.param("id"))
	if !events.ValidID(string(id), "u_") {
		return store.Account{}, command.User{}, command.ErrUserUnknown
	}
	user := a.Rights.User(id)
	if user.State == command.UserErased && user.Kind == kind {
		return store.Account{}, command.User{}, command.ErrUserGone
	}
	if !known(user) || user.Kind != kind {
		return store.Account{}, command.User{}, command.ErrUserUnknown
	}
	account, err := a.Directory.Account(c.ctx(), id)
	if errors.Is(err, store.ErrNotFound) {
		err = command.ErrUserUnknown
	}
	return account, user, err
}

func (a *API) accountOf(c *call, account store.Account, user command.User) api.Account {
	shown := api.Account{
		ID: string(account.ID), Email: account.Email, Name: account.Name, State: string(user.State), BreakGlass: user.BreakGlass,
		Password: account.Password, Grants: a.grantsOf(user, c.now), Groups: append([]string{}, a.Rights.Powers(user.ID).Groups()...),
		Factors: []string{}, CreatedAt: account.Created,
	}
	for _, f := range user.Factors {
		shown.Factors = append(shown.Factors, string(f.Kind))
	}
	if !account.SignedIn.IsZero() {
		shown.SignedInAt = &account.SignedIn
	}
	return shown
}

// grantsOf are somebody's own grants that count, with the ids to take them, and then those of
// their groups. Disabled, they have none that count; they are shown all the same.
func (a *API) grantsOf(user command.User, now time.Time) []api.PersonGrant {
	all := []api.PersonGrant{}
	for _, g := range user.Grants {
		if !g.Until.IsZero() && !now.Before(g.Until) {
			continue
		}
		shown := api.PersonGrant{ID: string(g.Grant), Role: g.Role, Scope: scopeOf(g.Scope), Reason: g.Reason}
		if !g.Until.IsZero() {
			shown.Until = &g.Until
		}
		all = append(all, shown)
	}
	for _, g := range a.Rights.Powers(user.ID).Grants(now) {
		if g.Group != "" {
			all = append(all, api.PersonGrant{Role: g.Role, Scope: scopeOf(g.Scope), Group: g.Group})
		}
	}
	return all
}

// invitePerson lets somebody in. Whether an e-mail is taken is told to those only who may see
// everybody anyway.
func (a *API) invitePerson(c *call) (reply, error) {
	var m api.InvitePerson
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if !c.may(policy.PersonList, policy.Spot{}) {
		return reply{}, errForbidden.because("whoever invites people must be able to list them, too (person.list)")
	}
	if err := a.limit(c, window.Invitations, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	got, err := a.Accounts.Invite(c.ctx(), c.meta(), accounts.Invitation{Email: m.Email, Name: m.Name, BreakGlass: m.BreakGlass})
	return linkReply(got, err)
}

func (a *API) resetPerson(c *call) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if _, _, err := a.subject(c, events.UserPerson); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.Invitations, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	got, err := a.Accounts.Reset(c.ctx(), c.meta(), c.person.ID, events.UserID(c.param("id")))
	return linkReply(got, err)
}

func linkReply(got accounts.Linked, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	defer got.Link.Zero()
	return reply{status: http.StatusCreated, seq: got.Seq, body: api.Link{
		Person: string(got.User), Link: string(got.Link.Expose()), Expires: got.Until, Seq: uint64(got.Seq),
	}}, nil
}

// The verbs on people and on machines are the same; the routes ask for other permissions.
func (a *API) disablePerson(c *call) (reply, error)  { return a.disable(c, events.UserPerson) }
func (a *API) disableMachine(c *call) (reply, error) { return a.disable(c, events.UserMachine) }
func (a *API) enablePerson(c *call) (reply, error)   { return a.enable(c, events.UserPerson) }
func (a *API) enableMachine(c *call) (reply, error)  { return a.enable(c, events.UserMachine) }
func (a *API) erasePerson(c *call) (reply, error)    { return a.erase(c, events.UserPerson) }
func (a *API) eraseMachine(c *call) (reply, error)   { return a.erase(c, events.UserMachine) }

func (a *API) disable(c *call, kind events.UserKind) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if _, _, err := a.subject(c, kind); err != nil {
		return reply{}, err
	}
	return doneReply(a.Accounts.Disable(c.ctx(), c.meta(), c.person.ID, events.UserID(c.param("id")), m.Reason))
}

func (a *API) enable(c *call, kind events.UserKind) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if _, _, err := a.subject(c, kind); err != nil {
		return reply{}, err
	}
	return doneReply(a.Accounts.Enable(c.ctx(), c.meta(), c.person.ID, events.UserID(c.param("id"))))
}

// erase may be asked again for somebody who was erased: what a crash left goes then.
func (a *API) erase(c *call, kind events.UserKind) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id := events.UserID(c.param("id"))
	if !events.ValidID(string(id), "u_") || a.Rights.User(id).Kind != kind {
		return reply{}, command.ErrUserUnknown
	}
	return doneReply(a.Accounts.Erase(c.ctx(), c.meta(), c.person.ID, id))
}

func doneReply(seq events.Seq, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: seq, body: api.Done{Seq: uint64(seq)}}, nil
}

func madeReply[T ~string](id T, seq events.Seq, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, seq: seq, body: api.Made{ID: string(id), Seq: uint64(seq)}}, nil
}

func scopeOf(s events.Scope) api.Scope {
	return api.Scope{
		Team: s.Team, Project: s.Project, Environment: s.Environment, Kind: string(s.Kind), Connection: string(s.Connection), Prefix: s.Prefix,
	}
}

func scopeFrom(s api.Scope) events.Scope {
	return events.Scope{
		Team: s.Team, Project: s.Project, Environment: s.Environment, Kind: events.EnvironmentKind(s.Kind),
		Connection: events.ConnectionID(s.Connection), Prefix: s.Prefix,
	}
}
