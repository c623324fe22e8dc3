package command

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// Bounds of what somebody has.
const (
	MaxGrants           = 10_000 // of one person or machine
	MaxTokens           = 50     // that are open
	MaxTokenRights      = 64     // permissions that a token names
	MaxDelegations      = 20     // that have not ended
	MaxMachineTokenLife = 366 * 24 * time.Hour
	MaxDelegation       = 92 * 24 * time.Hour
)

// What can be wrong with a command about somebody's rights.
var (
	ErrUserUnknown   = &Rejection{"person_unknown", "there is no such person or machine; `sb person list` shows them"}
	ErrUserGone      = &Rejection{"person_erased", "this person was erased"}
	ErrOwnRights     = &Rejection{"own_rights", "nobody changes their own rights; ask somebody else"}
	ErrGrantUnknown  = &Rejection{"grant_unknown", "there is no such grant; `sb grant list` shows them"}
	ErrTooManyGrants = &Rejection{"too_many_grants", fmt.Sprintf("one person has at most %d grants; put them into a group", MaxGrants)}
	ErrEndInvalid    = &Rejection{"end_invalid", "the end lies in the past, or too far ahead"}
	ErrNotAMachine   = &Rejection{"not_a_machine", "only machines have tokens"}
	ErrTokenUnknown  = &Rejection{"token_unknown", "there is no such token"}
	ErrTooManyTokens = &Rejection{"too_many_tokens", fmt.Sprintf("a machine has at most %d tokens; revoke some", MaxTokens)}
	ErrTokenName     = &Rejection{"token_name_invalid", "name the token with 1 to 40 of a-z, 0-9 and -, beginning with a letter"}
	ErrTokenRights   = &Rejection{"token_rights_invalid", "say which permissions the token has, 1 to 64 of those that there are"}
	ErrDelegate      = &Rejection{"delegate_invalid", "delegate to another person who may sign in, by their id; they see it with `sb whoami`"}
	ErrDelegation    = &Rejection{"delegation_unknown", "there is no such delegation"}
	ErrTooMany       = &Rejection{"too_many_delegations", fmt.Sprintf("at most %d delegations may be open; end some", MaxDelegations)}
)

// CauseCloned is why a factor is removed of which there may be a copy. The recovery codes stay then: they
// are the way back.
const CauseCloned = "cloned"

// UserState is where somebody stands. The empty one was never added.
type UserState string

const (
	UserActive   UserState = "active"
	UserDisabled UserState = "disabled"
	UserErased   UserState = "erased"
)

// User is what facts tell of one person's or machine's rights.
type User struct {
	ID         events.UserID
	Kind       events.UserKind
	BreakGlass bool
	State      UserState
	Grants     []events.GrantGiven // in the order they were given
	Groups     []string            // that the identity provider told, in order
	Tokens     []events.TokenIssued
	Issuers    []events.UserID // who ever issued a token of this machine, and may have kept it
	Linked     bool            // comes in by the identity provider
	Delegated  []events.DelegationGiven
	Factors    []events.FactorEnrolled
	Notices    *events.NoticesChosen // how they want to be told; nil: as everybody who said nothing
	Begun      []events.FactorBegun  // factors that wait to be confirmed
	Links      []events.LinkIssued   // that nobody used; of each purpose one

	Password events.CommandID // that told of the newest password; empty: none did
	Codes    time.Time        // when the recovery codes that count were made; zero: none count
	Weakened time.Time        // when a factor was last removed: no proof from before counts

	taken taken
}

// Evolve implements [State]. Nothing counts before somebody was added.
func (u User) Evolve(e events.Event) User {
	u.taken = u.taken.with(e.Command)
	if _, added := e.Fact.(events.UserAdded); u.ID == "" && !added {
		return u
	}
	switch f := e.Fact.(type) {
	case events.UserAdded:
		u.ID, u.Kind, u.BreakGlass, u.State = f.User, f.Kind, f.BreakGlass, UserActive
	case events.UserDisabled:
		u.State, u.Begun, u.Links = UserDisabled, nil, nil
	case events.UserEnabled:
		u.State = UserActive
	case events.UserErased:
		u.State = UserErased
		u.Grants, u.Groups, u.Tokens, u.Delegated, u.Factors, u.Notices, u.Begun, u.Links = nil, nil, nil, nil, nil, nil, nil, nil
		u.Password, u.Codes = "", time.Time{}
	case events.GrantGiven:
		u.Grants = append(slices.Clip(u.Grants), f)
	case events.GrantTaken:
		u.Grants = without(u.Grants, func(g events.GrantGiven) bool { return g.Grant == f.Grant })
	case events.GroupsTold:
		u.Groups = f.Groups
	case events.TokenIssued:
		u.Tokens = append(slices.Clip(u.Tokens), f)
		if by, ok := e.Actor.User(); ok && !slices.Contains(u.Issuers, by) {
			u.Issuers = append(slices.Clip(u.Issuers), by)
		}
	case events.IdentityLinked:
		u.Linked = true
	case events.TokenRevoked:
		u.Tokens = without(u.Tokens, func(t events.TokenIssued) bool { return t.Token == f.Token })
	case events.DelegationGiven:
		u.Delegated = append(slices.Clip(u.Delegated), f)
	case events.DelegationEnded:
		u.Delegated = without(u.Delegated, func(d events.DelegationGiven) bool { return d.Delegation == f.Delegation })
	case events.FactorEnrolled:
		u.Factors = append(slices.Clip(u.Factors), f)
		u.Begun = without(u.Begun, func(b events.FactorBegun) bool { return b.Factor == f.Factor })
	case events.NoticesChosen:
		u.Notices = &f
	case events.FactorRemoved:
		u.Factors, u.Weakened = without(u.Factors, func(g events.FactorEnrolled) bool { return g.Factor == f.Factor }), e.Time
		if len(u.Factors) == 0 && f.Cause != CauseCloned {
			u.Codes = time.Time{} // they went with the last one
		}
	case events.RecoveryCodesMade:
		u.Codes = e.Time
	case events.PasswordSet: // by a link or not, every link goes with it
		u.Password, u.Links = e.Command, nil
	default:
		u = u.ends(e.Fact)
	}
	return u
}

// Took implements [State].
func (u User) Took(id events.CommandID) bool { return u.taken.has(id) }

// without copies a list, so that an older state keeps what it has.
func without[T any](all []T, is func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), is)
}

// Add decides that somebody may sign in.
func (u User) Add(_ Meta, cmd events.UserAdded) ([]events.Fact, error) {
	if u.State != "" {
		return nil, nil
	}
	return []events.Fact{cmd}, nil
}

// exists is what every other command needs.
func (u User) exists() error {
	switch u.State {
	case "":
		return ErrUserUnknown
	case UserErased:
		return ErrUserGone
	}
	return nil
}

// Disable decides that somebody is kept out. by is who wants it: nobody disables themselves.
func (u User) Disable(_ Meta, by events.UserID, reason string) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case by == u.ID:
		return nil, ErrOwnRights
	case utf8.RuneCountInString(reason) > MaxReason:
		return nil, ErrReasonTooLong
	case u.State == UserDisabled:
		return nil, nil
	}
	return []events.Fact{events.UserDisabled{Reason: reason}}, nil
}

// Enable decides that somebody is let in again.
func (u User) Enable(Meta) ([]events.Fact, error) {
	if err := u.exists(); err != nil || u.State == UserActive {
		return nil, err
	}
	return []events.Fact{events.UserEnabled{}}, nil
}

// Erase decides that nothing but the id stays.
func (u User) Erase(_ Meta, by events.UserID) ([]events.Fact, error) {
	switch {
	case u.State == "":
		return nil, ErrUserUnknown
	case u.State == UserErased:
		return nil, nil
	case by == u.ID:
		return nil, ErrOwnRights
	}
	return []events.Fact{events.UserErased{}}, nil
}

// Give decides a role for somebody. That the role exists, and that whoever gives it has the
// scope, is the caller's to check.
func (u User) Give(meta Meta, by events.UserID, cmd events.GrantGiven) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case by == u.ID:
		return nil, ErrOwnRights
	case len(u.Grants) >= MaxGrants:
		return nil, ErrTooManyGrants
	case !cmd.Until.IsZero() && !cmd.Until.After(meta.Time):
		return nil, ErrEndInvalid
	case utf8.RuneCountInString(cmd.Reason) > MaxReason:
		return nil, ErrReasonTooLong
	}
	cmd.Grant = events.GrantOf(meta.Command)
	same := func(g events.GrantGiven) bool {
		return g.Role == cmd.Role && g.Scope == cmd.Scope && g.Until.Equal(cmd.Until)
	}
	if slices.ContainsFunc(u.Grants, same) {
		return nil, nil
	}
	return []events.Fact{cmd}, nil
}

// Take decides that somebody loses a grant.
func (u User) Take(_ Meta, by events.UserID, grant events.GrantID, reason string) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case by == u.ID:
		return nil, ErrOwnRights
	case utf8.RuneCountInString(reason) > MaxReason:
		return nil, ErrReasonTooLong
	case !slices.ContainsFunc(u.Grants, func(g events.GrantGiven) bool { return g.Grant == grant }):
		return nil, ErrGrantUnknown
	}
	return []events.Fact{events.GrantTaken{Grant: grant, Reason: reason}}, nil
}

// TellGroups decides what the identity provider says.
func (u User) TellGroups(_ Meta, groups []string) ([]events.Fact, error) {
	if err := u.exists(); err != nil || slices.Equal(groups, u.Groups) {
		return nil, err
	}
	return []events.Fact{events.GroupsTold{Groups: groups}}, nil
}

// IssueToken decides a token of a machine.
func (u User) IssueToken(meta Meta, cmd events.TokenIssued) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case u.Kind != events.UserMachine:
		return nil, ErrNotAMachine
	case !events.ValidName(cmd.Name):
		return nil, ErrTokenName
	case len(cmd.Permissions) == 0 || len(cmd.Permissions) > MaxTokenRights:
		return nil, ErrTokenRights
	case !cmd.Until.After(meta.Time) || cmd.Until.After(meta.Time.Add(MaxMachineTokenLife)):
		return nil, ErrEndInvalid
	}
	open := without(u.Tokens, func(t events.TokenIssued) bool { return !t.Until.After(meta.Time) })
	if len(open) >= MaxTokens {
		return nil, ErrTooManyTokens
	}
	cmd.Token = events.TokenOf(meta.Command)
	return []events.Fact{cmd}, nil
}

// RevokeToken decides that a token opens nothing any more.
func (u User) RevokeToken(_ Meta, token events.TokenID, reason string) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case utf8.RuneCountInString(reason) > MaxReason:
		return nil, ErrReasonTooLong
	case !slices.ContainsFunc(u.Tokens, func(t events.TokenIssued) bool { return t.Token == token }):
		return nil, ErrTokenUnknown
	}
	return []events.Fact{events.TokenRevoked{Token: token, Reason: reason}}, nil
}

// Delegate decides that another person may vote for this one. That the other one may sign in is
// the caller's to check.
func (u User) Delegate(meta Meta, cmd events.DelegationGiven) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case cmd.To == u.ID || cmd.To == "":
		return nil, ErrDelegate
	case !cmd.Until.After(meta.Time) || !cmd.Until.After(cmd.Since) || cmd.Until.After(meta.Time.Add(MaxDelegation)):
		return nil, ErrEndInvalid
	case utf8.RuneCountInString(cmd.Reason) > MaxReason:
		return nil, ErrReasonTooLong
	}
	open := without(u.Delegated, func(d events.DelegationGiven) bool { return !d.Until.After(meta.Time) })
	if len(open) >= MaxDelegations {
		return nil, ErrTooMany
	}
	cmd.Delegation = events.DelegationOf(meta.Command)
	return []events.Fact{cmd}, nil
}

// EndDelegation decides that a delegation ends now.
func (u User) EndDelegation(_ Meta, id events.DelegationID) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case !slices.ContainsFunc(u.Delegated, func(d events.DelegationGiven) bool { return d.Delegation == id }):
		return nil, ErrDelegation
	}
	return []events.Fact{events.DelegationEnded{Delegation: id}}, nil
}
