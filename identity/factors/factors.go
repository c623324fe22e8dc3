// Package factors keeps the second factors of people: passkeys, authenticator apps (TOTP)
// and recovery codes. It says whether somebody proved one; what that is good for is decided
// elsewhere.
//
// What a factor is recognised by is stored sealed and bound to its owner and its id, so that
// whoever can write to the database can neither read it nor hand it to somebody else. Who acts
// is the actor of the command's circumstance, never a part of a body.
package factors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/kms"
)

// Bounds.
const (
	// MaxFactors is how many factors one person may have, recovery codes aside.
	MaxFactors = 5

	// MaxName is how long the name of a factor may be, in characters.
	MaxName = 64

	// PendingLife is how long an authenticator app may wait for its first code.
	PendingLife = 10 * time.Minute
)

// Why a factor ends.
const (
	CauseOwner    = "owner"
	CauseOperator = "operator"
	CauseCloned   = command.CauseCloned
)

// What is refused by the rules.
var (
	ErrUnknown = &command.Rejection{Code: "factor_unknown", Detail: "you have no such factor, or it waited too long to be confirmed; `sb factor list` shows those you have"}
	ErrTooMany = &command.Rejection{Code: "too_many_factors", Detail: "you have as many factors as one person may have; remove one first"}
	ErrExists  = &command.Rejection{Code: "factor_exists", Detail: "this passkey is enrolled already"}
	ErrName    = &command.Rejection{Code: "factor_name_invalid", Detail: "name a factor with at most 64 characters of plain text"}
	ErrProof   = &command.Rejection{Code: "factor_proof_invalid", Detail: "this does not prove the new factor: the code is wrong or was used, or the passkey's answer is not to the newest challenge, for this site, with user verification; try again"}
)

// ErrNotFirst says that a factor was to be the first one, and there is another by now.
var ErrNotFirst = errors.New("there is another factor")

// Why a factor was not proved. What a caller is told should not tell them apart, but for a lock
// and a clone; what is recorded should.
var (
	ErrWrongCode = errors.New("the code is wrong")
	ErrUsedCode  = errors.New("the code was used")
	ErrNoCode    = errors.New("there is no such recovery code")
	ErrChallenge = errors.New("there is no open challenge")
	ErrAssertion = errors.New("the passkey's answer does not count")
	ErrNone      = errors.New("there is no such kind of factor")
)

// LockedError refuses a code, right or wrong, because too many were wrong.
type LockedError struct{ Until time.Time }

func (e *LockedError) Error() string { return "too many wrong codes" }

// ClonedError refuses a passkey whose counter went back: there may be a copy of it.
type ClonedError struct{ Factor events.FactorID }

func (e *ClonedError) Error() string { return "the counter of the passkey went back" }

// Factor is one factor as it is stored.
type Factor struct {
	ID         events.FactorID
	User       events.UserID
	Kind       events.FactorKind // passkey or totp
	Name       string
	Credential []byte // id of the passkey's credential; of an app nil
	Box        []byte // package seal, value box: the app's secret, or the passkey in JSON
	Wrapped    []byte // its data key, wrapped
	KMSKey     string // by this key
	SignCount  uint32 // of a passkey: its counter, when it was used last
	LastStep   int64  // of an app: the newest time step that was used
	Locked     time.Time
	Created    time.Time
	Enrolled   time.Time // zero: pending, it does not count
	Used       time.Time // zero: never
}

// Standing is what somebody has.
type Standing struct {
	Factors []Factor // that count, the oldest first
	Codes   int      // recovery codes that open something

	// Lost are the factors that the log knows of and nobody has the rows of, or not as they were
	// written. They prove nothing; until they are removed they are not made up for, either.
	Lost []Removed
}

// Any reports whether there is anything that somebody can step up with, or must be able to: who
// has a factor by the log has one, whatever became of its row.
func (s Standing) Any() bool { return len(s.Factors) > 0 || s.Codes > 0 || len(s.Lost) > 0 }

// Stored is what rows say that somebody has.
type Stored struct {
	Factors []Factor    // that count, the oldest first
	Codes   []time.Time // when each of the recovery codes was made that were not used
}

// Any reports whether there is any row.
func (s Stored) Any() bool { return len(s.Factors) > 0 || len(s.Codes) > 0 }

// Removed is a factor that counts no more, and whose end is not recorded yet.
type Removed struct {
	ID    events.FactorID
	Kind  events.FactorKind
	Cause string
}

// Store keeps factors. Package store has it on Postgres. A factor of somebody else is one that
// is not there: [ErrUnknown].
type Store interface {
	// Standing returns what somebody has by rows that are as they were written.
	Standing(ctx context.Context, user events.UserID) (Stored, error)

	// Alone does something while nobody else enrols or retires a factor of somebody.
	Alone(ctx context.Context, user events.UserID, do func() error) error

	// Denounce says that a row opens nothing: package store has the words.
	Denounce(ctx context.Context, table, row, why string)

	// Pending returns an app that is not confirmed and was made after a time.
	Pending(ctx context.Context, user events.UserID, id events.FactorID, after time.Time) (Factor, error)

	// AddPending stores an app, in place of another one that is pending.
	AddPending(ctx context.Context, f Factor) error

	// Enrol makes a factor count. record is called when nothing else can refuse it, and
	// before it counts. Errors: what record returns, ErrTooMany, ErrExists, ErrUnknown for an
	// app that is not pending any more, and ErrNotFirst if first is set and there is anything
	// that counts.
	Enrol(ctx context.Context, f Factor, first bool, record func() error) error

	// UseStep marks a time step of an app as used, and forgets wrong codes. Errors:
	// ErrUsedCode if it or a later one was used, *LockedError, ErrUnknown.
	UseStep(ctx context.Context, f Factor, step int64, now time.Time) error

	// Fail counts a wrong code. A lock that falls with it, or that was there, is a *LockedError.
	Fail(ctx context.Context, f Factor, now time.Time) error

	// UseCounter moves a passkey's counter from where it was when f was read. ErrUnknown if it
	// is elsewhere by now.
	UseCounter(ctx context.Context, f Factor, count uint32, now time.Time) error

	// Retire makes a factor count no more. So does every step-up of its owner. With the last
	// factor go the recovery codes, unless it was cloned: then they are the way back.
	Retire(ctx context.Context, user events.UserID, id events.FactorID, cause string) error

	// Retired returns factors that were retired and not dropped.
	Retired(ctx context.Context, user events.UserID) ([]Removed, error)

	// Drop destroys a factor that was retired.
	Drop(ctx context.Context, user events.UserID, id events.FactorID) error

	// PutCodes stores recovery codes in place of those that were there. record is called before
	// they count; where it fails, nothing was done.
	PutCodes(ctx context.Context, user events.UserID, hashes [][]byte, now time.Time, record func() error) error

	// ForgetCodes destroys the recovery codes of somebody.
	ForgetCodes(ctx context.Context, user events.UserID) error

	// UseCode marks a recovery code as used that was made at a time, or returns ErrNoCode. first is
	// called when nothing else can refuse it; where it fails, the code was not used.
	UseCode(ctx context.Context, user events.UserID, hash []byte, made, now time.Time, first func() error) error

	// PutChallenge stores what a session was asked, in place of what it was asked before for
	// that purpose. TakeChallenge destroys it and returns it, or ErrChallenge.
	PutChallenge(ctx context.Context, session events.SessionID, purpose string, data []byte, expires time.Time) error
	TakeChallenge(ctx context.Context, session events.SessionID, purpose string, now time.Time) ([]byte, error)
}

// Spent remembers what was used up, on all servers, whatever rows say: whoever writes to the database
// puts back what they were. Package nats has it. What it is told is kept as a digest, for a time, or for
// good where that is 0.
type Spent interface {
	// Take reports false for what was taken before.
	Take(ctx context.Context, what string, remember time.Duration) (bool, error)

	// Advance moves a number on that only grows, and reports false where it is beyond from already.
	Advance(ctx context.Context, what string, from, to int64, remember time.Duration) (bool, error)
}

// Config is what a keeper works with. Every field is needed.
type Config struct {
	Log    command.Log
	Store  Store
	Spent  Spent
	Keys   kms.KeyManager
	Party  *Party
	Logger *slog.Logger
	Now    func() time.Time
}

// Keeper keeps the factors of everybody. It is safe for concurrent use, over several servers.
type Keeper struct{ Config }

// New makes a keeper.
func New(cfg Config) *Keeper { return &Keeper{cfg} }

// Standing returns what somebody has. Removals that a crash left half done are finished.
func (k *Keeper) Standing(ctx context.Context, user events.UserID) (Standing, error) {
	retired, err := k.Store.Retired(ctx, user)
	if err != nil {
		return Standing{}, err
	}
	for _, r := range retired {
		meta := command.Meta{
			Command: events.DeriveCommandID("factor removed", string(r.ID)), Actor: events.SystemActor("factors"), Time: k.Now(),
		}
		if _, err := k.bury(ctx, meta, user, r); err != nil {
			return Standing{}, err
		}
	}
	standing, err := k.standing(ctx, user)
	if err == nil && len(standing.Lost) > 0 { // or another one enrols it in this moment
		err = k.Store.Alone(ctx, user, func() (err error) {
			standing, err = k.standing(ctx, user)
			return err
		})
	}
	if err != nil {
		return Standing{}, err
	}
	for _, lost := range standing.Lost {
		k.Store.Denounce(ctx, "factors", string(lost.ID), "row_missing")
	}
	return standing, nil
}

// standing holds what rows say against the log. A row that the log knows nothing of was put back
// after its end, and counts no more. Rows are read first: whatever counts is in the log by then.
func (k *Keeper) standing(ctx context.Context, user events.UserID) (Standing, error) {
	rows, err := k.Store.Standing(ctx, user)
	if err != nil {
		return Standing{}, err
	}
	told, _, err := command.Load[command.User](ctx, k.Log, events.UserStream(user))
	if err != nil {
		return Standing{}, err
	}
	retired, err := k.Store.Retired(ctx, user)
	if err != nil {
		return Standing{}, err
	}
	var standing Standing
	there := map[events.FactorID]bool{}
	for _, f := range rows.Factors {
		if !slices.ContainsFunc(told.Factors, func(t events.FactorEnrolled) bool { return t.Factor == f.ID }) {
			k.Store.Denounce(ctx, "factors", string(f.ID), "row_put_back")
			continue
		}
		standing.Factors, there[f.ID] = append(standing.Factors, f), true
	}
	for _, r := range retired {
		there[r.ID] = true
	}
	for _, t := range told.Factors {
		if !there[t.Factor] {
			standing.Lost = append(standing.Lost, Removed{ID: t.Factor, Kind: t.Kind})
		}
	}
	for _, made := range rows.Codes {
		if made.Equal(told.Codes.Truncate(time.Microsecond)) {
			standing.Codes++
		}
	}
	return standing, nil
}

// person is who acts.
func person(meta command.Meta) (events.UserID, error) {
	user, ok := meta.Actor.User()
	if !ok {
		return "", fmt.Errorf("%s has no factors", meta.Actor)
	}
	return user, nil
}

func checkName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > MaxName {
		return ErrName
	}
	for _, r := range name {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ErrName
		}
	}
	return nil
}
