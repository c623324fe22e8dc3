package factors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"secretsbridge/command"
	"secretsbridge/events"
)

// The purposes of challenges.
const (
	forEnrolment = "enrol"
	forStepUp    = "step-up"
)

// NewTOTP is an authenticator app that waits for its first code. The secret is here and
// nowhere else in clear.
type NewTOTP struct {
	Factor events.FactorID
	Secret string // base32
	URI    string // otpauth, for a QR code
	Until  time.Time
}

// StartTOTP makes the secret of an app, in place of one that waits. account is what the app
// shows. Before there is any, it is recorded.
func (k *Keeper) StartTOTP(ctx context.Context, meta command.Meta, name, account string) (NewTOTP, error) {
	user, err := person(meta)
	if err != nil {
		return NewTOTP{}, err
	}
	if err := checkName(name); err != nil {
		return NewTOTP{}, err
	}
	secret := newSecret()
	defer clear(secret)
	f := Factor{ID: events.NewFactorID(), User: user, Kind: events.FactorTOTP, Name: name, Created: meta.Time}
	if err := k.close(ctx, &f, secret); err != nil {
		return NewTOTP{}, err
	}
	until := meta.Time.Add(PendingLife)
	if _, err := k.begun(ctx, meta, user, events.FactorBegun{Factor: f.ID, Kind: f.Kind, Until: until}); err != nil {
		return NewTOTP{}, err
	}
	if err := k.Store.AddPending(ctx, f); err != nil {
		return NewTOTP{}, err
	}
	return NewTOTP{Factor: f.ID, Secret: string(secret), URI: keyURI(secret, account), Until: until}, nil
}

// begun records that somebody is given what a factor is made of.
func (k *Keeper) begun(ctx context.Context, meta command.Meta, user events.UserID, fact events.FactorBegun) (events.Seq, error) {
	fact.Until = fact.Until.UTC()
	return command.Record(ctx, k.Log, events.UserStream(user), another(meta), fact)
}

// another is a circumstance of its own. What is asked for twice is made twice, and shown once
// each, so it is another command: the log takes no event twice.
func another(meta command.Meta) command.Meta {
	return command.Meta{Command: events.NewCommandID(), Actor: meta.Actor, Correlation: events.CorrelationID(meta.Command), Time: meta.Time}
}

// ConfirmTOTP makes an app count by its first code, which is used up. first says that the
// caller may enrol the first factor only. Errors: [ErrUnknown], [ErrProof], [ErrTooMany],
// [ErrNotFirst].
func (k *Keeper) ConfirmTOTP(ctx context.Context, meta command.Meta, id events.FactorID, code string, first bool) (events.Seq, error) {
	user, err := person(meta)
	if err != nil {
		return 0, err
	}
	f, err := k.Store.Pending(ctx, user, id, meta.Time.Add(-PendingLife))
	if err != nil {
		return 0, err
	}
	secret, err := k.open(ctx, f)
	if err != nil {
		return 0, err
	}
	defer clear(secret)
	step, ok := stepOf(secret, code, meta.Time)
	if !ok {
		return 0, ErrProof // whoever may try knows the secret: there is nothing to guess
	}
	f.LastStep = step
	return k.enrol(ctx, meta, f, first)
}

// StartPasskey returns what a browser needs to make a passkey, and until when. It is recorded
// first. The challenge is kept behind the id of the factor that it will be.
func (k *Keeper) StartPasskey(ctx context.Context, meta command.Meta, session events.SessionID, holder Holder) (options []byte, until time.Time, err error) {
	had, err := k.Standing(ctx, holder.User)
	if err != nil {
		return nil, time.Time{}, err
	}
	holder.passkeys = named(had.Factors)
	options, ceremony, err := k.Party.invite(holder)
	if err != nil {
		return nil, time.Time{}, err
	}
	until = meta.Time.Add(ChallengeLife)
	id := events.NewFactorID()
	if _, err := k.begun(ctx, meta, holder.User, events.FactorBegun{Factor: id, Kind: events.FactorPasskey, Until: until}); err != nil {
		return nil, time.Time{}, err
	}
	return options, until, k.Store.PutChallenge(ctx, session, forEnrolment, append([]byte(id+"\n"), ceremony...), until)
}

// FinishPasskey makes a passkey count. Errors as [Keeper.ConfirmTOTP], and [ErrExists]. Whatever
// becomes of it, the challenge is used.
func (k *Keeper) FinishPasskey(ctx context.Context, meta command.Meta, session events.SessionID, name string, answer []byte, first bool) (events.FactorID, events.Seq, error) {
	user, err := person(meta)
	if err != nil {
		return "", 0, err
	}
	if err := checkName(name); err != nil {
		return "", 0, err
	}
	ceremony, err := k.challenge(ctx, session, forEnrolment, meta.Time)
	if errors.Is(err, ErrChallenge) {
		return "", 0, ErrProof
	}
	if err != nil {
		return "", 0, err
	}
	id, ceremony, found := bytes.Cut(ceremony, []byte("\n"))
	if !found {
		return "", 0, ErrProof // of a version that gave no ids
	}
	made, err := k.Party.admit(Holder{User: user}, ceremony, answer)
	if err != nil {
		return "", 0, err
	}
	f := Factor{
		ID: events.FactorID(id), User: user, Kind: events.FactorPasskey, Name: name, Created: meta.Time,
		Credential: made.ID, SignCount: made.Authenticator.SignCount,
	}
	plain, err := encodePasskey(made)
	if err != nil {
		return "", 0, fmt.Errorf("encode passkey %s: %w", f.ID, err)
	}
	if err := k.close(ctx, &f, plain); err != nil {
		return "", 0, err
	}
	seq, err := k.enrol(ctx, meta, f, first)
	return f.ID, seq, err
}

// enrol records a factor and then makes it count. A crash in between leaves a record of a
// factor that is none, and its owner tries again; the other way round it would leave a factor
// that nobody has heard of.
func (k *Keeper) enrol(ctx context.Context, meta command.Meta, f Factor, first bool) (seq events.Seq, err error) {
	f.Enrolled = meta.Time
	err = k.Store.Enrol(ctx, f, first, func() error {
		done, err := command.Execute(ctx, k.Log, events.UserStream(f.User), meta, func(s command.Factors) ([]events.Fact, error) {
			if first && s.Any() { // whose row is gone, maybe
				return nil, ErrNotFirst
			}
			return s.Enrol(f.ID, f.Kind), nil
		})
		seq = done.Seq
		return err
	})
	return seq, err
}

// Remove ends a factor of somebody. It counts no more from the first moment on; a crash before
// that is recorded is made up for by [Keeper.Standing]. cause is one of [CauseOwner], [CauseOperator], [CauseCloned].
func (k *Keeper) Remove(ctx context.Context, meta command.Meta, user events.UserID, id events.FactorID, cause string) (events.Seq, error) {
	had, err := k.Standing(ctx, user)
	if err != nil {
		return 0, err
	}
	for _, f := range had.Factors {
		if f.ID != id {
			continue
		}
		if err := k.Store.Retire(ctx, user, id, cause); err != nil {
			return 0, err
		}
		return k.bury(ctx, meta, user, Removed{id, f.Kind, cause})
	}
	for _, lost := range had.Lost { // nothing counts that could be retired
		if lost.ID == id {
			lost.Cause = cause
			return k.bury(ctx, meta, user, lost)
		}
	}
	return 0, ErrUnknown
}

// bury records that a retired factor is no more, and destroys it.
func (k *Keeper) bury(ctx context.Context, meta command.Meta, user events.UserID, r Removed) (events.Seq, error) {
	// The caller may have gone; what counts no more must still be recorded.
	ctx = context.WithoutCancel(ctx)
	done, err := command.Execute(ctx, k.Log, events.UserStream(user), meta, func(s command.Factors) ([]events.Fact, error) {
		return s.Remove(r.ID, r.Kind, r.Cause), nil
	})
	if err != nil {
		return 0, err
	}
	return done.Seq, k.Store.Drop(ctx, user, r.ID)
}

// MakeCodes gives somebody fresh recovery codes. They are here and nowhere else in clear.
//
// They take the place of the old ones when it is recorded that there are some. Where nobody can
// tell whether it is, neither open anything: the log may say that they do not.
func (k *Keeper) MakeCodes(ctx context.Context, meta command.Meta) ([]string, events.Seq, error) {
	user, err := person(meta)
	if err != nil {
		return nil, 0, err
	}
	codes, hashes := make([]string, RecoveryCodes), make([][]byte, RecoveryCodes)
	for i := range codes {
		codes[i] = newCode()
		hashes[i], _ = hashCode(user, codes[i])
	}
	var seq events.Seq
	err = k.Store.PutCodes(ctx, user, hashes, meta.Time, func() (err error) {
		seq, err = command.Record(ctx, k.Log, events.UserStream(user), another(meta), events.RecoveryCodesMade{Count: len(codes)})
		return err
	})
	if errors.Is(err, command.ErrOutcomeUnknown) {
		err = errors.Join(err, k.Store.ForgetCodes(context.WithoutCancel(ctx), user))
	}
	if err != nil {
		return nil, 0, err
	}
	return codes, seq, nil
}

// named are the passkeys among factors, by their ids alone.
func named(all []Factor) []webauthn.Credential {
	var found []webauthn.Credential
	for _, f := range all {
		if f.Kind == events.FactorPasskey {
			found = append(found, webauthn.Credential{ID: bytes.Clone(f.Credential)})
		}
	}
	return found
}
