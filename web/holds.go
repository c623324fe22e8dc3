package web

import (
	"net/http"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

// Legal holds are read from the log and nowhere else: there are few, and no row may say otherwise.

// listHolds shows those that count, in the order they were placed.
func (a *API) listHolds(c *call) (reply, error) {
	q, err := c.query()
	if err != nil {
		return reply{}, err
	}
	held, _, err := command.Load[command.Holds](c.ctx(), a.Log, events.HoldStream())
	if err != nil {
		return reply{}, err
	}
	actors := make([]events.Actor, 0, 2*len(held.Open))
	for _, h := range held.Open {
		actors = append(actors, h.By, events.UserActor(h.User))
	}
	names, err := a.actorNames(c, actors)
	if err != nil {
		return reply{}, err
	}
	if err := a.reads(c, events.ReadingEvents, q); err != nil {
		return reply{}, err
	}
	shown := api.LegalHolds{Items: make([]api.LegalHold, len(held.Open))}
	for i, h := range held.Open {
		shown.Items[i] = api.LegalHold{
			ID: string(h.ID), User: string(h.User), Reason: h.Reason, By: string(h.By), ByName: names[h.By], At: h.Since.UTC(),
		}
		if h.User != "" {
			shown.Items[i].UserName = names[events.UserActor(h.User)]
		}
	}
	return reply{status: http.StatusOK, body: shown}, nil
}

// placeHold has nothing removed of somebody, or of everybody.
func (a *API) placeHold(c *call) (reply, error) {
	var m api.PlaceHold
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	user := events.UserID(m.User)
	if user != "" {
		switch known := a.Rights.User(user); {
		case !events.ValidID(m.User, "u_") || known.State == "":
			return reply{}, command.ErrUserUnknown
		case known.State == command.UserErased:
			return reply{}, command.ErrUserGone
		}
	}
	meta := c.meta()
	id := events.HoldOf(meta.Command)
	done, err := command.Execute(c.ctx(), a.Log, events.HoldStream(), meta, func(h command.Holds) ([]events.Fact, error) {
		return h.Place(meta, events.LegalHoldPlaced{Hold: id, User: user, Reason: m.Reason})
	})
	return madeReply(id, done.Seq, err)
}

// liftHold ends one.
func (a *API) liftHold(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id := c.param("id")
	if !events.ValidID(id, "h_") {
		return reply{}, command.ErrHoldUnknown
	}
	meta := c.meta()
	done, err := command.Execute(c.ctx(), a.Log, events.HoldStream(), meta, func(h command.Holds) ([]events.Fact, error) {
		return h.Lift(meta, events.HoldID(id), m.Reason)
	})
	return doneReply(done.Seq, err)
}
