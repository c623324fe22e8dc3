package web

import (
	"net/http"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// holder is whose grants the path names: a person or a machine.
func (a *API) holder(c *call) (command.User, error) {
	id := events.UserID(c.param("id"))
	if !events.ValidID(string(id), "u_") {
		return command.User{}, command.ErrUserUnknown
	}
	user := a.Rights.User(id)
	switch user.State {
	case "":
		return user, command.ErrUserUnknown
	case command.UserErased:
		return user, command.ErrUserGone
	}
	return user, nil
}

// listGrants shows the grants of somebody that lie where the caller manages grants.
func (a *API) listGrants(c *call) (reply, error) {
	user, err := a.holder(c)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.PersonGrant]{Items: []api.PersonGrant{}}
	for _, g := range a.grantsOf(user, c.now) {
		if c.powers.Spans(policy.GrantManage, scopeFrom(g.Scope), c.now) {
			page.Items = append(page.Items, g)
		}
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func (a *API) giveGrant(c *call) (reply, error) {
	var m api.GiveGrant
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	user, err := a.holder(c)
	if err != nil {
		return reply{}, err
	}
	given := events.GrantGiven{Role: m.Role, Scope: scopeFrom(m.Scope), Reason: m.Reason}
	if m.Until != nil {
		given.Until = m.Until.UTC()
	}
	return madeReply(a.Accounts.Give(c.ctx(), c.meta(), c.powers, user.ID, given))
}

func (a *API) takeGrant(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	user, err := a.holder(c)
	if err != nil {
		return reply{}, err
	}
	return doneReply(a.Accounts.Take(c.ctx(), c.meta(), c.powers, user.ID, events.GrantID(c.param("grant")), m.Reason))
}

// myDelegations are those of the caller that have not ended.
func (a *API) myDelegations(c *call) (reply, error) {
	page := api.Page[api.Delegation]{Items: []api.Delegation{}}
	given := a.Rights.User(c.person.ID).Delegated
	ids := make([]events.UserID, len(given))
	for i, d := range given {
		ids[i] = d.To
	}
	names, err := a.Directory.Names(c.ctx(), ids)
	if err != nil {
		return reply{}, err
	}
	for _, d := range given {
		if c.now.Before(d.Until) {
			page.Items = append(page.Items, api.Delegation{
				ID: string(d.Delegation), To: personOf(d.To, names), Since: d.Since, Until: d.Until, Absent: d.Absent, Reason: d.Reason,
			})
		}
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func (a *API) delegate(c *call) (reply, error) {
	var m api.Delegate
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	since := c.now.UTC().Truncate(time.Second)
	if m.Since != nil {
		since = m.Since.UTC()
	}
	return madeReply(a.Accounts.Delegate(c.ctx(), c.meta(), c.person.ID, events.DelegationGiven{
		To: events.UserID(m.To), Since: since, Until: m.Until.UTC(), Absent: m.Absent, Reason: m.Reason,
	}))
}

func (a *API) endDelegation(c *call) (reply, error) {
	var m struct{}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	return doneReply(a.Accounts.EndDelegation(c.ctx(), c.meta(), c.person.ID, events.DelegationID(c.param("id"))))
}
