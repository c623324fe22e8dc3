package accounts

import (
	"context"
	"errors"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/store"
)

// MakeMachine lets a machine in that has no rights and no token yet.
func (a *Accounts) MakeMachine(ctx context.Context, meta command.Meta, name, description string) (events.UserID, events.Seq, error) {
	switch {
	case !events.ValidName(name):
		return "", 0, ErrMachineName
	case utf8.RuneCountInString(description) > maxDescription || description != "" && !utf8.ValidString(description):
		return "", 0, command.ErrDescriptionLength
	}
	made, err := a.People.Add(ctx, store.Account{ID: events.NewUserID(), Kind: events.UserMachine, Name: name, Description: description})
	if errors.Is(err, store.ErrConflict) && a.Rights.User(made.ID).State == "" {
		err = nil // there is a row, and no fact
	}
	if errors.Is(err, store.ErrConflict) {
		return "", 0, ErrMachineTaken
	}
	if err != nil {
		return "", 0, err
	}
	done, err := a.execute(ctx, meta, made.ID, func(u command.User) ([]events.Fact, error) {
		return u.Add(meta, events.UserAdded{User: made.ID, Kind: events.UserMachine})
	})
	return made.ID, done.Seq, err
}

// Delegate lets another person vote for one. They must be able to sign in.
func (a *Accounts) Delegate(ctx context.Context, meta command.Meta, id events.UserID, d events.DelegationGiven) (events.DelegationID, events.Seq, error) {
	if utf8.RuneCountInString(d.Reason) > command.MaxReason {
		return "", 0, command.ErrReasonTooLong
	}
	if to := a.Rights.User(d.To); to.State != command.UserActive || to.Kind != events.UserPerson {
		return "", 0, command.ErrDelegate
	}
	done, err := a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) { return u.Delegate(meta, d) })
	return events.DelegationOf(meta.Command), done.Seq, err
}

// EndDelegation ends a delegation before its time.
func (a *Accounts) EndDelegation(ctx context.Context, meta command.Meta, id events.UserID, delegation events.DelegationID) (events.Seq, error) {
	done, err := a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) { return u.EndDelegation(meta, delegation) })
	return done.Seq, err
}
