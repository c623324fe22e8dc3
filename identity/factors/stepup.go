package factors

import (
	"bytes"
	"context"
	"errors"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// ByTOTP checks a code of an authenticator app and uses it up: no code counts twice, in
// whatever session, at whatever server. Of several apps it may be any, and a wrong code counts
// as a wrong one of each. Errors: [ErrNone], [ErrWrongCode], [ErrUsedCode], a [*LockedError].
func (k *Keeper) ByTOTP(ctx context.Context, meta command.Meta, code string) (events.FactorID, error) {
	apps, err := k.having(ctx, meta, events.FactorTOTP)
	if err != nil {
		return "", err
	}
	var open []Factor
	var until time.Time
	for _, f := range apps {
		if meta.Time.Before(f.Locked) {
			until = f.Locked
		} else {
			open = append(open, f)
		}
	}
	if len(open) == 0 {
		return "", &LockedError{until}
	}
	for _, f := range open {
		step, ok, err := k.matches(ctx, f, code, meta.Time)
		if err != nil {
			return "", err
		}
		if ok {
			return f.ID, k.Store.UseStep(ctx, f, step, meta.Time)
		}
	}
	var locked *LockedError
	for _, f := range open {
		if err := k.Store.Fail(ctx, f, meta.Time); err != nil && !errors.As(err, &locked) {
			return "", err
		}
	}
	if locked != nil {
		return "", locked
	}
	return "", ErrWrongCode
}

// matches opens an app's secret. One that does not open matches nothing, and is logged: a row
// was changed.
func (k *Keeper) matches(ctx context.Context, f Factor, code string, now time.Time) (int64, bool, error) {
	secret, err := k.open(ctx, f)
	if errors.Is(err, errBox) {
		k.Logger.Error("a second factor was changed in the database, or is somebody else's", "factor", f.ID)
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer clear(secret)
	step, ok := stepOf(secret, code, now)
	return step, ok, nil
}

// ByRecoveryCode checks a recovery code and uses it up. Errors: [ErrNoCode].
func (k *Keeper) ByRecoveryCode(ctx context.Context, meta command.Meta, code string) error {
	user, err := person(meta)
	if err != nil {
		return err
	}
	hash, ok := hashCode(user, code)
	if !ok {
		return ErrNoCode
	}
	told, _, err := command.Load[command.User](ctx, k.Log, events.UserStream(user))
	if err != nil {
		return err
	}
	return k.Store.UseCode(ctx, user, hash, told.Codes, meta.Time)
}

// StartAssertion returns what a browser needs to use a passkey, and until when. Errors:
// [ErrNone].
func (k *Keeper) StartAssertion(ctx context.Context, meta command.Meta, session events.SessionID) (options []byte, until time.Time, err error) {
	passkeys, err := k.having(ctx, meta, events.FactorPasskey)
	if err != nil {
		return nil, time.Time{}, err
	}
	options, ceremony, err := k.Party.ask(Holder{User: passkeys[0].User, passkeys: named(passkeys)})
	if err != nil {
		return nil, time.Time{}, err
	}
	// The fact first: nobody has a challenge that the log says nothing of.
	_, err = command.Record(ctx, k.Log, events.AccessStream(meta.Actor), another(meta), events.StepUpBegun{User: passkeys[0].User, Session: session})
	if err != nil {
		return nil, time.Time{}, err
	}
	until = meta.Time.Add(ChallengeLife)
	return options, until, k.Store.PutChallenge(ctx, session, forStepUp, ceremony, until)
}

// ByPasskey checks the answer of a passkey to the newest challenge of the session, which is used
// whatever becomes of it. A counter that went back ends the passkey: there may be a copy, and
// nobody can tell which of both answered. Authenticators that have no counter always say 0.
// Errors: [ErrNone], [ErrChallenge], [ErrAssertion], a [*ClonedError].
func (k *Keeper) ByPasskey(ctx context.Context, meta command.Meta, session events.SessionID, answer []byte) (events.FactorID, error) {
	ceremony, err := k.Store.TakeChallenge(ctx, session, forStepUp, meta.Time)
	if err != nil {
		return "", err
	}
	passkeys, err := k.having(ctx, meta, events.FactorPasskey)
	if err != nil {
		return "", err
	}
	id, ok := rawID(answer)
	if !ok {
		return "", ErrAssertion
	}
	holder := Holder{User: passkeys[0].User, passkeys: named(passkeys)}
	var used Factor
	for i, f := range passkeys {
		if !bytes.Equal(f.Credential, id) {
			continue
		}
		plain, err := k.open(ctx, f)
		if err == nil {
			holder.passkeys[i], err = decodePasskey(plain, f)
		}
		if errors.Is(err, errBox) {
			k.Logger.Error("a second factor was changed in the database, or is somebody else's", "factor", f.ID)
			return "", ErrAssertion
		}
		if err != nil {
			return "", err
		}
		used = f
	}
	said, err := k.Party.believe(holder, ceremony, answer)
	switch {
	case err != nil:
		return "", err
	case !bytes.Equal(said.credential, used.Credential):
		return "", ErrAssertion
	case said.cloned:
		_, err := k.Remove(ctx, meta, used.User, used.ID, CauseCloned)
		return "", errors.Join(&ClonedError{used.ID}, err)
	}
	err = k.Store.UseCounter(ctx, used, said.count, meta.Time)
	if errors.Is(err, ErrUnknown) { // used in another session at this moment, or removed
		err = ErrAssertion
	}
	return used.ID, err
}

// having returns somebody's factors of a kind, or [ErrNone].
func (k *Keeper) having(ctx context.Context, meta command.Meta, kind events.FactorKind) ([]Factor, error) {
	user, err := person(meta)
	if err != nil {
		return nil, err
	}
	standing, err := k.Standing(ctx, user)
	if err != nil {
		return nil, err
	}
	var found []Factor
	for _, f := range standing.Factors {
		if f.Kind == kind {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return nil, ErrNone
	}
	return found, nil
}
