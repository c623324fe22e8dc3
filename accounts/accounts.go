// Package accounts lets people and machines in, and keeps them out again. Who somebody is lies
// in package store, where it can be erased; that they may come in, and what they may do, are
// facts. A fact always comes first: whoever it names is out from then on, whatever becomes of
// the rows, and doing the same again finishes what a crash left.
package accounts

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/policy"
	"secretsbridge/store"
)

// What can be wrong with what somebody asks for, beside what package command says.
var (
	ErrEmail         = &command.Rejection{Code: "email_invalid", Detail: "give the e-mail address alone, such as ada@example.org, of at most 254 bytes"}
	ErrEmailTaken    = &command.Rejection{Code: "email_taken", Detail: "somebody has this e-mail already; `sb person list` shows them"}
	ErrName          = &command.Rejection{Code: "person_name_invalid", Detail: "a name has 1 to 128 characters, and none that cannot be printed"}
	ErrMachineName   = &command.Rejection{Code: "machine_name_invalid", Detail: "name the machine with 1 to 40 of a-z, 0-9 and -, beginning with a letter"}
	ErrMachineTaken  = &command.Rejection{Code: "machine_exists", Detail: "there is a machine of that name already; `sb machine list` shows them"}
	ErrNotAPerson    = &command.Rejection{Code: "not_a_person", Detail: "this is a machine; it comes in by tokens, and has no password and no sessions"}
	ErrPersonOut     = &command.Rejection{Code: "person_disabled", Detail: "this person is disabled; enable them first"}
	ErrLink          = &command.Rejection{Code: "link_refused", Detail: "this link opens nothing: it was used, has ended, or a newer one took its place; ask whoever sent it for another"}
	ErrOldPassword   = &command.Rejection{Code: "password_wrong", Detail: "the old password is wrong, or too many attempts failed; wait a little and try again"}
	ErrSession       = &command.Rejection{Code: "session_unknown", Detail: "you have no such session; `sb session list` shows them"}
	ErrLastAdmin     = &command.Rejection{Code: "last_admin", Detail: "nobody else could manage people and grants then; give somebody else the role admin, without a scope and an end, first"}
	ErrRole          = &command.Rejection{Code: "role_unknown", Detail: "there is no such role; system roles are developer, approver, admin, auditor and value-provider, and `sb export` shows your own"}
	ErrScopeUnknown  = &command.Rejection{Code: "scope_unknown", Detail: "the scope names what does not exist; make it first, or mend the name"}
	ErrScope         = &command.Rejection{Code: "scope_invalid", Detail: "a prefix needs its connection, a kind is prod or non-prod, and names are 1 to 40 of a-z, 0-9 and -, beginning with a letter"}
	ErrBeyond        = &command.Rejection{Code: "grant_beyond_scope", Detail: "you manage grants in other scopes only, or this role holds what no scope narrows; ask somebody who manages all of them"}
	ErrAbove         = &command.Rejection{Code: "person_above_you", Detail: "this one manages what you do not; ask somebody who does"}
	ErrTokenInactive = &command.Rejection{Code: "machine_disabled", Detail: "this machine is disabled; enable it first"}
)

// How long links are good.
const (
	InvitationLife = 72 * time.Hour
	ResetLife      = 24 * time.Hour
)

// People, Links, Tokens and Sessions are what package store keeps.
type (
	People interface {
		Add(ctx context.Context, a store.Account) (store.Account, error)
		Account(ctx context.Context, id events.UserID) (store.Account, error)
		Verify(ctx context.Context, email string, password secret.Value, network string) (store.Person, error)
		Current(ctx context.Context, verified store.Person, newest events.CommandID) error
		ChangePassword(ctx context.Context, id events.UserID, password secret.Value, by events.CommandID, keep events.SessionID, record func([]events.SessionID) error) error
		ShutOut(ctx context.Context, id events.UserID, record func([]events.SessionID) error) error
		SetDisabled(ctx context.Context, id events.UserID, disabled bool) error
		Erase(ctx context.Context, id events.UserID) error
	}
	Links interface {
		Issue(ctx context.Context, person events.UserID, purpose events.LinkPurpose, until time.Time) (secret.Value, error)
		Look(ctx context.Context, token secret.Value) (store.Link, error)
		Redeem(ctx context.Context, token, password secret.Value, by events.CommandID, record func(store.Link, []events.SessionID) error) error
	}
	Tokens interface {
		Issue(ctx context.Context, machine events.UserID, id events.TokenID, until time.Time) (secret.Value, error)
		Revoke(ctx context.Context, id events.TokenID) error
	}
	Sessions interface {
		RevokeOne(ctx context.Context, person events.UserID, id events.SessionID, record func() error) error
		RevokeOthers(ctx context.Context, person events.UserID, keep events.SessionID, record func([]events.SessionID) error) error
	}

	// Rights know who may do what. Package rights has it.
	Rights interface {
		Fresh(ctx context.Context) error
		WaitFor(ctx context.Context, seq events.Seq) error
		User(id events.UserID) command.User
		Users() []command.User
		Powers(id events.UserID) *policy.Powers
		Governance() *policy.Governance
	}
)

// Config is what accounts work with. Every field is needed but Turns.
type Config struct {
	Log      command.Log
	People   People
	Links    Links
	Tokens   Tokens
	Sessions Sessions
	Rights   Rights

	// Turns has servers do something one after the other, by its name; nil: there is no other.
	// Package store has it.
	Turns interface {
		Take(ctx context.Context, what string, do func() error) error
	}

	// URL is where people find the server: the beginning of every link, without a slash.
	URL string

	// Denounce is told of rows that were put back.
	Denounce func(context.Context, store.Denounced)

	Logger *slog.Logger
	Now    func() time.Time
}

// Accounts is the use of all that. Use it from any goroutine.
type Accounts struct {
	Config

	// lasting is held from looking who manages people to the fact that changes it, so that two
	// who are the last do not take each other away. Other servers wait for Turns.
	lasting sync.Mutex
}

// New makes it.
func New(cfg Config) *Accounts { return &Accounts{Config: cfg} }

// execute runs a command on somebody's rights and waits until it counts here.
func (a *Accounts) execute(ctx context.Context, meta command.Meta, id events.UserID, decide func(command.User) ([]events.Fact, error)) (command.Decision[command.User], error) {
	return a.executeEnding(ctx, meta, id, nil, "", decide)
}

// executeEnding is execute for a command with which sessions end: that is recorded together with
// it, in the stream of whoever acts.
func (a *Accounts) executeEnding(
	ctx context.Context, meta command.Meta, id events.UserID, ended []events.SessionID, cause string, decide func(command.User) ([]events.Fact, error),
) (command.Decision[command.User], error) {
	done, err := command.ExecuteBeside(ctx, a.Log, events.UserStream(id), meta, decide, command.Beside{
		Stream: events.AccessStream(meta.Actor), Facts: revoked(id, ended, cause),
	})
	if err != nil {
		return done, err
	}
	return done, a.Rights.WaitFor(ctx, done.Seq)
}

func revoked(person events.UserID, ended []events.SessionID, cause string) []events.Fact {
	facts := make([]events.Fact, len(ended))
	for i, session := range ended {
		facts[i] = events.SessionRevoked{User: person, Session: session, Cause: cause}
	}
	return facts
}

// record says which sessions ended, in the stream of whoever acts, also when the caller has
// gone. What cannot be recorded is an error.
func (a *Accounts) record(ctx context.Context, meta command.Meta, person events.UserID, ended []events.SessionID, cause string) (events.Seq, error) {
	if len(ended) == 0 {
		return 0, nil
	}
	own := command.Meta{Command: events.NewCommandID(), Actor: meta.Actor, Correlation: events.CorrelationID(meta.Command), Time: meta.Time}
	seq, err := command.Record(context.WithoutCancel(ctx), a.Log, events.AccessStream(meta.Actor), own, revoked(person, ended, cause)...)
	if err != nil {
		return 0, fmt.Errorf("record that sessions ended: %w", err)
	}
	return seq, nil
}

// link is what a person opens. What follows the # is not sent to servers, so no log has it.
func (a *Accounts) link(token secret.Value) secret.Value {
	defer token.Zero()
	return secret.New(append([]byte(a.URL+"/#link="), token.Expose()...))
}
