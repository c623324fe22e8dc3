package factors

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// stepRemembered is how long the step of a code is remembered: longer than one counts, with clocks of
// servers that differ by a minute.
const stepRemembered = (2*skew+1)*period*time.Second + time.Minute

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
			if err := k.Store.UseStep(ctx, f, step, meta.Time); err != nil {
				return f.ID, err
			}
			return f.ID, k.moved(ctx, f, "step", step, stepRemembered, ErrUsedCode)
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
	return k.Store.UseCode(ctx, user, hash, told.Codes, meta.Time, func() error {
		return k.taken(ctx, "recovery_codes", string(user), "recovery code "+hex.EncodeToString(hash), 0, ErrNoCode)
	})
}

// taken has something count once. used is what whoever comes with it again is told: its row was put
// back.
func (k *Keeper) taken(ctx context.Context, table, row, what string, remember time.Duration, used error) error {
	first, err := k.Spent.Take(ctx, what, remember)
	if err == nil && !first {
		k.Store.Denounce(ctx, table, row, "row_put_back")
		err = used
	}
	return err
}

// moved has a number of a factor grow. used is what is said where it was as far before: the row was
// put back.
func (k *Keeper) moved(ctx context.Context, f Factor, number string, to int64, remember time.Duration, used error) error {
	grew, err := k.Spent.Advance(ctx, number+" of "+string(f.ID), to-1, to, remember)
	if err == nil && !grew {
		k.Store.Denounce(ctx, "factors", string(f.ID), "row_put_back")
		err = used
	}
	return err
}

// challenge destroys a challenge of a session and returns it, once.
func (k *Keeper) challenge(ctx context.Context, session events.SessionID, purpose string, now time.Time) ([]byte, error) {
	ceremony, err := k.Store.TakeChallenge(ctx, session, purpose, now)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(ceremony)
	what := "challenge " + string(session) + " " + purpose + " " + hex.EncodeToString(sum[:])
	return ceremony, k.taken(ctx, "challenges", string(session), what, ChallengeLife+time.Minute, ErrChallenge)
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
	ceremony, err := k.challenge(ctx, session, forStepUp, meta.Time)
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
	if err == nil && said.count > 0 {
		err = k.moved(ctx, used, "counter", int64(said.count), 0, ErrAssertion)
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
