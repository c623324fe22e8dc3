package web

import (
	"net/http"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// listAudit shows facts as they are stored, newest first.
func (a *API) listAudit(c *call) (reply, error) {
	q, err := c.query("actor", "type", "stream", "correlation", "since", "until", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	filter := projections.AuditFilter{
		Actor: events.Actor(q.Get("actor")), TypePrefix: q.Get("type"),
		Correlation: events.CorrelationID(q.Get("correlation")), Cursor: q.Get("cursor"),
	}
	if text := q.Get("stream"); text != "" {
		if filter.Stream, err = events.ParseStream(text); err != nil {
			return reply{}, errParameter.because("stream is an aggregate and an id, such as request/r_…")
		}
	}
	if filter.Since, err = timeOf(q, "since"); err != nil {
		return reply{}, err
	}
	if filter.Until, err = timeOf(q, "until"); err != nil {
		return reply{}, err
	}
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	found, err := a.Views.Audit(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: api.Page[api.Event]{Items: eventsOf(found.Items), Next: found.Next}}, nil
}
