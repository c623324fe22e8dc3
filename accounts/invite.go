package accounts

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/store"
)

// Bounds of what is kept of somebody. No e-mail address is longer (RFC 5321, section 4.5.3.1).
const (
	maxEmail       = 254 // bytes
	maxName        = 128 // characters
	maxDescription = 2000
)

// Invitation says who is invited.
type Invitation struct {
	Email, Name string
	BreakGlass  bool
}

// Linked is a link that somebody is given. It is shown once.
type Linked struct {
	User  events.UserID
	Link  secret.Value
	Until time.Time
	Seq   events.Seq
}

// Invite lets a person in who has no rights yet, and makes the link that they set their
// password by. An invitation that a crash cut short may be made again.
func (a *Accounts) Invite(ctx context.Context, meta command.Meta, in Invitation) (Linked, error) {
	if err := checkEmail(in.Email); err != nil {
		return Linked{}, err
	}
	if !printable(in.Name, maxName) {
		return Linked{}, ErrName
	}
	account, err := a.People.Add(ctx, store.Account{
		ID: events.NewUserID(), Kind: events.UserPerson, Email: in.Email, Name: in.Name, BreakGlass: in.BreakGlass,
	})
	if errors.Is(err, store.ErrConflict) && a.Rights.User(account.ID).State == "" && account.BreakGlass == in.BreakGlass {
		err = nil // there is a row, and no fact
	}
	if errors.Is(err, store.ErrConflict) {
		return Linked{}, ErrEmailTaken
	}
	if err != nil {
		return Linked{}, err
	}
	issued := events.LinkIssued{Purpose: events.LinkInvitation, Until: meta.Time.Add(InvitationLife)}
	done, err := a.execute(ctx, meta, account.ID, func(u command.User) ([]events.Fact, error) {
		added, err := u.Add(meta, events.UserAdded{User: account.ID, Kind: events.UserPerson, BreakGlass: in.BreakGlass})
		if err == nil && len(added) == 0 {
			err = ErrEmailTaken // by the same invitation, on another way
		}
		if err != nil {
			return nil, err
		}
		return append(added, issued), nil
	})
	if err != nil {
		return Linked{}, err
	}
	return a.issue(ctx, account.ID, issued, done.Seq)
}

// Reset makes a link by which somebody sets their password anew; for one who never had a
// password it is another invitation. by is who wants it: nobody does that for themselves,
// because that would spare them the old password.
func (a *Accounts) Reset(ctx context.Context, meta command.Meta, by, id events.UserID) (Linked, error) {
	if err := a.above(by, id, meta.Time); err != nil {
		return Linked{}, err
	}
	account, err := a.account(ctx, id)
	if err != nil {
		return Linked{}, err
	}
	issued := events.LinkIssued{Purpose: events.LinkReset, Until: meta.Time.Add(ResetLife)}
	if !account.Password {
		issued = events.LinkIssued{Purpose: events.LinkInvitation, Until: meta.Time.Add(InvitationLife)}
	}
	done, err := a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) {
		switch {
		case u.State == "":
			return nil, command.ErrUserUnknown
		case u.State == command.UserErased:
			return nil, command.ErrUserGone
		case u.Kind != events.UserPerson:
			return nil, ErrNotAPerson
		case u.State == command.UserDisabled:
			return nil, ErrPersonOut
		case u.ID == by:
			return nil, command.ErrOwnRights
		}
		return []events.Fact{issued}, nil
	})
	if err != nil {
		return Linked{}, err
	}
	return a.issue(ctx, id, issued, done.Seq)
}

// issue makes the link after its fact: a crash between leaves none.
func (a *Accounts) issue(ctx context.Context, id events.UserID, issued events.LinkIssued, seq events.Seq) (Linked, error) {
	token, err := a.Links.Issue(ctx, id, issued.Purpose, issued.Until)
	if err != nil {
		return Linked{}, err
	}
	return Linked{User: id, Link: a.link(token), Until: issued.Until, Seq: seq}, nil
}

// account is the row of somebody. Without one there is nobody.
func (a *Accounts) account(ctx context.Context, id events.UserID) (store.Account, error) {
	account, err := a.People.Account(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		if a.Rights.User(id).State == command.UserErased {
			return account, command.ErrUserGone
		}
		return account, command.ErrUserUnknown
	}
	return account, err
}

func checkEmail(email string) error {
	email = strings.TrimSpace(email)
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > maxEmail || !printable(email, maxEmail) {
		return ErrEmail
	}
	return nil
}

// printable reports whether a text is there, no longer than it may be, and shows what it holds.
func printable(s string, most int) bool {
	return strings.TrimSpace(s) != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
