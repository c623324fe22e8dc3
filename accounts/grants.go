package accounts

import (
	"context"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
)

const (
	maxPrefix      = 512 // bytes, as the longest ref
	maxPermissions = 64  // that a token names
)

// Give gives somebody a role in a scope. by manages grants there: with a scope of their own
// only inside of it, and only roles all of whose permissions a scope narrows. powers are by's,
// which a token may limit; nil is the operator of the host.
func (a *Accounts) Give(ctx context.Context, meta command.Meta, powers *policy.Powers, id events.UserID, g events.GrantGiven) (events.GrantID, events.Seq, error) {
	governance := a.Rights.Governance()
	if !governance.HasRole(g.Role) {
		return "", 0, ErrRole
	}
	if !validScope(g.Scope) {
		return "", 0, ErrScope
	}
	if !manages(powers, g.Scope, meta.Time) || !governance.Narrow(g.Role) && !manages(powers, events.Scope{}, meta.Time) {
		return "", 0, ErrBeyond
	}
	if err := a.exists(ctx, g.Scope); err != nil {
		return "", 0, err
	}
	by := whose(powers)
	if a.behind(by, id, meta.Time) {
		return "", 0, command.ErrOwnRights
	}
	done, err := a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) { return u.Give(meta, by, g) })
	if err != nil {
		return "", 0, err
	}
	for _, given := range done.State.Grants { // the one that was there before, if there was
		if given.Role == g.Role && given.Scope == g.Scope && given.Until.Equal(g.Until) {
			return given.Grant, done.Seq, nil
		}
	}
	return events.GrantOf(meta.Command), done.Seq, nil
}

// exists refuses a scope that names what is not there: it would give nothing now, and something
// to whoever a name is meant for later.
func (a *Accounts) exists(ctx context.Context, s events.Scope) error {
	missing := a.Rights.Governance().Missing(s)
	if missing == "" && s.Connection != "" {
		connection, _, err := command.Load[command.Connection](ctx, a.Log, events.ConnectionStream(s.Connection))
		if err != nil {
			return err
		}
		if connection.State == "" {
			missing = "connection " + string(s.Connection)
		}
	}
	if missing != "" {
		return &command.Rejection{Code: ErrScopeUnknown.Code, Detail: "there is no " + missing + "; make it first, or mend the name"}
	}
	return nil
}

// behind reports whether by is a machine that somebody can be: by a token that they issued, or
// could. What it does for them they would do for themselves.
func (a *Accounts) behind(by, id events.UserID, now time.Time) bool {
	machine := a.Rights.User(by)
	return machine.Kind == events.UserMachine &&
		(slices.Contains(machine.Issuers, id) || a.Rights.Powers(id).Hold(policy.MachineManage, policy.Spot{}, now))
}

// Take takes a grant away. One that is outside of what by manages looks like none.
func (a *Accounts) Take(ctx context.Context, meta command.Meta, powers *policy.Powers, id events.UserID, grant events.GrantID, reason string) (events.Seq, error) {
	user := a.Rights.User(id)
	i := slices.IndexFunc(user.Grants, func(g events.GrantGiven) bool { return g.Grant == grant })
	if i >= 0 && !manages(powers, user.Grants[i].Scope, meta.Time) {
		return 0, ErrGrantHidden
	}
	by := whose(powers)
	return a.unlessLast(ctx, id, grant, meta.Time, func() (command.Decision[command.User], error) {
		return a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) { return u.Take(meta, by, grant, reason) })
	})
}

// ErrGrantHidden is inside what [command.ErrGrantUnknown] is outside: it is there, and not the
// caller's to see.
var ErrGrantHidden = &command.Rejection{Code: "grant_hidden", Detail: command.ErrGrantUnknown.Detail}

func manages(powers *policy.Powers, in events.Scope, now time.Time) bool {
	return powers == nil || powers.Spans(policy.GrantManage, in, now)
}

func whose(powers *policy.Powers) events.UserID {
	if powers == nil {
		return ""
	}
	return powers.User()
}

// validScope reports whether a scope can be meant. What its names stand for need not exist yet.
func validScope(s events.Scope) bool {
	for _, name := range []string{s.Team, s.Project, s.Environment, string(s.Connection)} {
		if name != "" && !events.ValidName(name) {
			return false
		}
	}
	switch s.Kind {
	case "", events.Production, events.NonProduction:
	default:
		return false
	}
	return s.Prefix == "" || s.Connection != "" && printable(s.Prefix, maxPrefix) && len(s.Prefix) <= maxPrefix && s.Prefix[0] != '/'
}

// IssueToken makes a token for a machine, with at most those permissions in that scope. It is
// shown once.
func (a *Accounts) IssueToken(ctx context.Context, meta command.Meta, by, id events.UserID, t events.TokenIssued) (Linked, events.TokenID, error) {
	if !validScope(t.Scope) {
		return Linked{}, "", ErrScope
	}
	if len(t.Permissions) > command.MaxTokenRights { // before those that are there twice are one
		return Linked{}, "", command.ErrTokenRights
	}
	if err := a.above(by, id, meta.Time); err != nil {
		return Linked{}, "", err
	}
	if len(t.Permissions) > maxPermissions {
		return Linked{}, "", command.ErrTokenRights
	}
	slices.Sort(t.Permissions)
	t.Permissions = slices.Compact(t.Permissions)
	for _, p := range t.Permissions {
		if policy.Permission(p).Sentence() == "" {
			return Linked{}, "", command.ErrTokenRights
		}
	}
	done, err := a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) {
		if u.State == command.UserDisabled {
			return nil, ErrTokenInactive
		}
		return u.IssueToken(meta, t)
	})
	if err != nil {
		return Linked{}, "", err
	}
	token := events.TokenOf(meta.Command)
	value, err := a.Tokens.Issue(ctx, id, token, t.Until)
	if err != nil {
		return Linked{}, "", err
	}
	return Linked{User: id, Link: value, Until: t.Until, Seq: done.Seq}, token, nil
}

// RevokeToken ends a token at once.
func (a *Accounts) RevokeToken(ctx context.Context, meta command.Meta, id events.UserID, token events.TokenID, reason string) (events.Seq, error) {
	done, err := a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) { return u.RevokeToken(meta, token, reason) })
	if err != nil {
		return 0, err
	}
	return done.Seq, a.Tokens.Revoke(context.WithoutCancel(ctx), token)
}
