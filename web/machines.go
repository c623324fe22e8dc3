package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/window"
	"secretsbridge/policy"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// MachineTokens are those that machines come in by. Package store has it.
type MachineTokens interface {
	Lookup(ctx context.Context, token secret.Value) (store.MachineToken, error)
	Touch(ctx context.Context, token store.MachineToken) error // it is used
	Used(ctx context.Context, machine events.UserID) (map[events.TokenID]time.Time, error)
}

// authenticateMachine finds the machine of a token. What the token may do is a fact, and looked
// at when the rights are known: see [API.limitOf].
func (a *API) authenticateMachine(c *call, token string) error {
	found, err := a.MachineTokens.Lookup(c.ctx(), secret.New([]byte(token)))
	if errors.Is(err, store.ErrNotFound) {
		return errToken
	}
	if err != nil {
		return err
	}
	c.token, c.person, c.actor = found, found.Machine, events.UserActor(found.Machine.ID)
	return nil
}

// tokenLimit is what the token of the caller may do at most. None that facts do not tell of as
// open opens anything, whatever the database says.
func (a *API) tokenLimit(c *call) (policy.Limit, error) {
	user := a.Rights.User(c.person.ID)
	i := slices.IndexFunc(user.Tokens, func(t events.TokenIssued) bool { return t.Token == c.token.ID })
	if user.State != command.UserActive || user.Kind != events.UserMachine || i < 0 || !c.now.Before(user.Tokens[i].Until) {
		return policy.Limit{}, errToken
	}
	limit := policy.Limit{Scope: user.Tokens[i].Scope}
	for _, p := range user.Tokens[i].Permissions {
		limit.Permissions = append(limit.Permissions, policy.Permission(p))
	}
	return limit, nil
}

func (a *API) createMachine(c *call) (reply, error) {
	var m api.CreateMachine
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	return madeReply(a.Accounts.MakeMachine(c.ctx(), c.meta(), m.Name, m.Description))
}

func (a *API) listMachines(c *call) (reply, error) {
	found, next, err := a.pageOf(c, events.UserMachine)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Machine]{Items: []api.Machine{}, Next: next}
	for _, account := range found {
		user := a.Rights.User(account.ID)
		if !known(user) {
			continue
		}
		used, err := a.MachineTokens.Used(c.ctx(), account.ID)
		if err != nil {
			return reply{}, err
		}
		page.Items = append(page.Items, a.machineOf(c, account, user, used))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func (a *API) machineOf(c *call, account store.Account, user command.User, used map[events.TokenID]time.Time) api.Machine {
	shown := api.Machine{
		ID: string(account.ID), Name: account.Name, Description: account.Description, State: string(user.State),
		Grants: a.grantsOf(user, c.now), Tokens: []api.MachineToken{}, CreatedAt: account.Created,
	}
	for _, t := range user.Tokens {
		if !c.now.Before(t.Until) {
			continue
		}
		token := api.MachineToken{ID: string(t.Token), Name: t.Name, Permissions: t.Permissions, Scope: scopeOf(t.Scope), Until: t.Until}
		if at, ok := used[t.Token]; ok {
			token.UsedAt = &at
		}
		shown.Tokens = append(shown.Tokens, token)
	}
	return shown
}

func (a *API) issueToken(c *call) (reply, error) {
	var m api.IssueToken
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if _, _, err := a.subject(c, events.UserMachine); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.Invitations, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	got, id, err := a.Accounts.IssueToken(c.ctx(), c.meta(), c.person.ID, events.UserID(c.param("id")), events.TokenIssued{
		Name: m.Name, Permissions: m.Permissions, Scope: scopeFrom(m.Scope), Until: m.Until.UTC(),
	})
	if err != nil {
		return reply{}, err
	}
	defer got.Link.Zero()
	return reply{status: http.StatusCreated, seq: got.Seq, body: api.IssuedToken{
		ID: string(id), Token: string(got.Link.Expose()), Until: got.Until, Seq: uint64(got.Seq),
	}}, nil
}

func (a *API) revokeToken(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if _, _, err := a.subject(c, events.UserMachine); err != nil {
		return reply{}, err
	}
	return doneReply(a.Accounts.RevokeToken(c.ctx(), c.meta(), events.UserID(c.param("id")), events.TokenID(c.param("token")), m.Reason))
}
