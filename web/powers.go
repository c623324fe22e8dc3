package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/rights"
)

// What a caller may do is looked up for each call, as the log tells it: a command waits for
// all that the log holds, a query for what it must show. Where that cannot be known nobody
// may do anything.

// weigh finds what the caller may do, and refuses who may not call the route at all.
func (a *API) weigh(c *call) error {
	if c.route.Method != http.MethodGet {
		return a.fresh(c)
	}
	at, err := a.asOf(c)
	if err != nil {
		return err
	}
	err = a.await(c, at)
	if errors.Is(err, rights.ErrBehind) && c.ctx().Err() == nil {
		return errViewBehind
	}
	if err != nil {
		return err
	}
	return a.permit(c)
}

// fresh looks at what the caller may do as of all that the log holds.
func (a *API) fresh(c *call) error {
	ctx, cancel := context.WithTimeout(c.ctx(), viewPatience)
	defer cancel()
	if err := a.Rights.Fresh(ctx); err != nil {
		a.Logger.ErrorContext(c.ctx(), "rights are not known", "call", c.id, "err", err)
		return errUnavailable
	}
	return a.permit(c)
}

// permit looks at what the caller may do now, also when a call takes long.
func (a *API) permit(c *call) error {
	c.now = a.Now()
	c.powers = a.Rights.Powers(c.person.ID)
	if c.session == "" {
		limit, err := a.tokenLimit(c)
		if err != nil {
			return err
		}
		c.powers = c.powers.Within(limit)
	} else if err := a.stands(c); err != nil {
		return err
	}
	return c.enters(c.route)
}

// stands holds a session against the log: a row that was put back after its end opens nothing, and
// a proof from before a factor was removed counts no more.
func (a *API) stands(c *call) error {
	user := a.Rights.User(c.person.ID)
	if user.State != command.UserActive || user.Kind != events.UserPerson {
		return errSessionExpired
	}
	if a.Rights.Ended(c.session) {
		if err := a.Sessions.Bury(context.WithoutCancel(c.ctx()), c.session); err != nil {
			return err
		}
		return errSessionExpired
	}
	if c.found.SteppedUp.Before(user.Weakened) {
		c.found.SteppedUp = time.Time{}
	}
	return nil
}

// enters refuses who may not call a route at all.
func (c *call) enters(route Route) error {
	switch {
	case c.session == "" && route.personal():
		return errPeopleOnly
	case route.Reach == placeless && !c.may(route.Permission, policy.Spot{}),
		route.Reach == placed && !c.anywhere(route.Permission):
		return errForbidden
	}
	return nil
}

// abreast looks again at what the caller may do, as of a fact at least that is about to be
// shown: nobody sees what came after they lost the right to.
func (a *API) abreast(c *call, seq events.Seq) error {
	if err := a.await(c, seq); err != nil {
		return err
	}
	return a.permit(c)
}

// await waits until rights hold a fact.
func (a *API) await(c *call, seq events.Seq) error {
	ctx, cancel := context.WithTimeout(c.ctx(), viewPatience)
	defer cancel()
	return a.Rights.WaitFor(ctx, seq)
}

// mayStill is whether a caller who came in may go on.
func (a *API) mayStill(c *call) error {
	if err := a.authenticateAgain(c); err != nil {
		return err
	}
	return a.permit(c)
}

// may reports whether the caller has a permission at a spot. The zero spot is what has no
// place, and needs a grant without a scope.
func (c *call) may(p policy.Permission, at policy.Spot) bool { return c.powers.Hold(p, at, c.now) }

// anywhere reports whether the caller has a permission in any scope.
func (c *call) anywhere(p policy.Permission) bool { return c.powers.Anywhere(p, c.now) }

// spot is where a secret lies; without a ref, a connection.
func (c *call) spot(connection events.ConnectionID, ref string) policy.Spot {
	return c.powers.Governance().Spot(connection, ref)
}

// within is where the caller has a permission, for lists.
func (c *call) within(p policy.Permission) projections.Within {
	areas := c.powers.Areas(p, c.now)
	if areas.Everywhere {
		return nil
	}
	within := projections.Within{}
	for _, a := range areas.Areas {
		within = append(within, projections.Area(a))
	}
	return within
}

// touches reports whether the caller has a permission for any part of a connection.
func (c *call) touches(p policy.Permission, connection events.ConnectionID) bool {
	return c.powers.Areas(p, c.now).Touch(connection)
}

// outside refuses what lies outside of where the caller has the permission: to who sees the
// thing it is forbidden, and to all others the thing is not there.
func outside(sees bool, hidden *problem) error {
	if sees {
		return errForbidden
	}
	return hidden
}
