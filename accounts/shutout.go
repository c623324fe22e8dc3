package accounts

import (
	"context"
	"errors"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/rights"
	"secretsbridge/store"
)

// Disable keeps somebody out from now on: their sessions, links and tokens end at once.
func (a *Accounts) Disable(ctx context.Context, meta command.Meta, by, id events.UserID, reason string) (events.Seq, error) {
	if err := a.above(by, id, meta.Time); err != nil {
		return 0, err
	}
	return a.unlessLast(ctx, id, "", meta.Time, func() (command.Decision[command.User], error) {
		return a.shutOut(ctx, meta, id, "disabled", func(u command.User) ([]events.Fact, error) { return u.Disable(meta, by, reason) })
	})
}

// shutOut ends what somebody has, with the facts that say so. They come first, and count
// already: what a crash leaves here opens nothing, and goes when the same is asked again.
func (a *Accounts) shutOut(
	ctx context.Context, meta command.Meta, id events.UserID, cause string, decide func(command.User) ([]events.Fact, error),
) (done command.Decision[command.User], err error) {
	err = a.People.ShutOut(ctx, id, func(ended []events.SessionID) (err error) {
		done, err = a.executeEnding(ctx, meta, id, ended, cause, decide)
		return err
	})
	return done, err
}

// Enable lets somebody in again. What ended stays ended.
func (a *Accounts) Enable(ctx context.Context, meta command.Meta, by, id events.UserID) (events.Seq, error) {
	if by == id {
		return 0, command.ErrOwnRights
	}
	if err := a.above(by, id, meta.Time); err != nil {
		return 0, err
	}
	done, err := a.execute(ctx, meta, id, func(u command.User) ([]events.Fact, error) { return u.Enable(meta) })
	if err != nil {
		return 0, err
	}
	return done.Seq, a.People.SetDisabled(ctx, id, false)
}

// Erase destroys who somebody is, and all ways in. The opaque id stays in facts. A legal hold of
// them, or of everybody, refuses it with [command.ErrLegalHold], also where an erasure that was
// cut short is asked for again. It is read from the log.
func (a *Accounts) Erase(ctx context.Context, meta command.Meta, by, id events.UserID) (events.Seq, error) {
	held, _, err := command.Load[command.Holds](ctx, a.Log, events.HoldStream())
	if err != nil {
		return 0, err
	}
	if held.Keep(id) {
		return 0, command.ErrLegalHold
	}
	if err := a.above(by, id, meta.Time); err != nil {
		return 0, err
	}
	seq, err := a.unlessLast(ctx, id, "", meta.Time, func() (command.Decision[command.User], error) {
		return a.shutOut(ctx, meta, id, "erased", func(u command.User) ([]events.Fact, error) { return u.Erase(meta, by) })
	})
	if err != nil {
		return 0, err
	}
	return seq, a.gone(context.WithoutCancel(ctx), id)
}

// gone removes the row, and with it every row that belongs to it. One that is gone already is what was asked for.
func (a *Accounts) gone(ctx context.Context, id events.UserID) error {
	if _, err := a.account(ctx, id); err != nil {
		if errors.Is(err, command.ErrUserGone) {
			return nil
		}
		return err
	}
	return a.People.Erase(ctx, id)
}

// EndSessions ends all sessions of somebody, by an operator's wish.
func (a *Accounts) EndSessions(ctx context.Context, meta command.Meta, id events.UserID) (int, events.Seq, error) {
	return a.endOthers(ctx, meta, id, "", "operator")
}

// EndOthers ends all sessions of a person but the one that asks.
func (a *Accounts) EndOthers(ctx context.Context, meta command.Meta, id events.UserID, keep events.SessionID) (int, events.Seq, error) {
	return a.endOthers(ctx, meta, id, keep, "owner")
}

func (a *Accounts) endOthers(ctx context.Context, meta command.Meta, id events.UserID, keep events.SessionID, cause string) (n int, seq events.Seq, err error) {
	err = a.Sessions.RevokeOthers(ctx, id, keep, func(ended []events.SessionID) (err error) {
		n = len(ended)
		seq, err = a.record(ctx, meta, id, ended, cause)
		return err
	})
	return n, seq, err
}

// above refuses to touch somebody who manages what by does not: a link, say, would make by
// that somebody. The empty by is the operator of the host, whom nobody is above.
func (a *Accounts) above(by, id events.UserID, now time.Time) error {
	if by == "" || by == id {
		return nil // what one does to oneself is refused elsewhere
	}
	mine, theirs := a.Rights.Powers(by), a.Rights.Powers(id)
	for _, p := range []policy.Permission{policy.GrantManage, policy.PersonManage, policy.MachineManage, policy.GovernanceManage, policy.AmendmentApprove, policy.AgentManage} {
		if theirs.Anywhere(p, now) && !mine.Hold(p, policy.Spot{}, now) {
			return ErrAbove
		}
	}
	return nil
}

// unlessLast does what takes rights from somebody, unless nobody were left who can give any. A
// grant says which one goes; none: all do.
func (a *Accounts) unlessLast(ctx context.Context, id events.UserID, grant events.GrantID, now time.Time, do func() (command.Decision[command.User], error)) (events.Seq, error) {
	a.lasting.Lock()
	defer a.lasting.Unlock()
	var done command.Decision[command.User]
	look := func() (err error) {
		if err := a.Rights.Fresh(ctx); err != nil {
			return err
		}
		if a.isLast(id, grant, now) {
			return ErrLastAdmin
		}
		done, err = do()
		return err
	}
	if a.Turns == nil {
		return done.Seq, look()
	}
	err := a.Turns.Take(ctx, "last admin", look)
	return done.Seq, err
}

func (a *Accounts) isLast(id events.UserID, grant events.GrantID, now time.Time) bool {
	user := a.Rights.User(id)
	if user.Kind != events.UserPerson || user.State != command.UserActive || !administers(a.Rights.Powers(id), now) {
		return false
	}
	if grant != "" {
		user.Grants = slices.DeleteFunc(slices.Clone(user.Grants), func(g events.GrantGiven) bool { return g.Grant == grant })
		if administers(a.Rights.Governance().Powers(rights.SubjectOf(user)), now) {
			return false
		}
	}
	for _, other := range a.Rights.Users() {
		// Whoever loses it by itself soon is nobody to rely on.
		if other.ID != id && other.Kind == events.UserPerson && other.State == command.UserActive && administers(a.Rights.Powers(other.ID), farAhead) {
			return false
		}
	}
	return true
}

// farAhead is when only grants without an end count.
var farAhead = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

func administers(p *policy.Powers, now time.Time) bool {
	return p.Hold(policy.GrantManage, policy.Spot{}, now) && p.Hold(policy.PersonManage, policy.Spot{}, now)
}

// EndSession ends one session of a person, by their own wish.
func (a *Accounts) EndSession(ctx context.Context, meta command.Meta, id events.UserID, session events.SessionID) (events.Seq, error) {
	var seq events.Seq
	err := a.Sessions.RevokeOne(ctx, id, session, func() (err error) {
		seq, err = a.record(ctx, meta, id, []events.SessionID{session}, "owner")
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrSession
	}
	return seq, err
}
