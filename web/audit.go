package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// auditFilters are the parameters that narrow what is read of the audit.
var auditFilters = []string{"actor", "type", "stream", "correlation", "command", "outcome", "action", "secret", "connection", "cluster", "text", "since", "until"}

// maxAuditWord bounds a command and an action, in bytes: none has as many.
const maxAuditWord = 128

// listAudit shows facts as they are stored, newest first.
func (a *API) listAudit(c *call) (reply, error) {
	q, err := c.query(slices.Concat(auditFilters, []string{"cursor", "limit"})...)
	if err != nil {
		return reply{}, err
	}
	filter, err := auditFilter(q)
	if err != nil {
		return reply{}, err
	}
	filter.Cursor = q.Get("cursor")
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	found, err := a.Views.Audit(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	shown, err := a.eventsOf(c, found.Items)
	if err == nil {
		err = a.reads(c, events.ReadingEvents, q)
	}
	return reply{status: http.StatusOK, body: api.Page[api.Event]{Items: shown, Next: found.Next}}, err
}

func auditFilter(q url.Values) (filter projections.AuditFilter, err error) {
	filter = projections.AuditFilter{
		Actor: events.Actor(q.Get("actor")), TypePrefix: q.Get("type"), Correlation: events.CorrelationID(q.Get("correlation")),
		Command: events.CommandID(q.Get("command")), Action: q.Get("action"), Outcome: events.Outcome(q.Get("outcome")), Text: q.Get("text"),
	}
	for _, name := range []string{"command", "action"} {
		if text := q.Get(name); q.Has(name) && (text == "" || len(text) > maxAuditWord) {
			return filter, errParameter.because(fmt.Sprintf("%s has 1 to %d bytes", name, maxAuditWord))
		}
	}
	if text := q.Get("stream"); text != "" {
		if filter.Stream, err = events.ParseStream(text); err != nil {
			return filter, errParameter.because("stream is an aggregate and an id, such as request/r_…")
		}
	}
	if q.Has("outcome") && !slices.Contains(events.Outcomes, filter.Outcome) {
		return filter, errParameter.because("outcome is one of " + joined(events.Outcomes))
	}
	if q.Has("text") && utf8.RuneCountInString(filter.Text) < projections.MinText {
		return filter, errParameter.because(fmt.Sprintf("text has at least %d characters", projections.MinText))
	}
	if q.Has("secret") {
		connection, ref, _ := strings.Cut(q.Get("secret"), "/")
		if !events.ValidName(connection) || ref == "" || len(ref) > command.MaxRef {
			return filter, errParameter.because("secret is CONNECTION/REF, such as file/prod/db")
		}
		filter.Connection, filter.Ref = events.ConnectionID(connection), ref
	}
	if err := placeOf(q, &filter.Store, &filter.Cluster, new(events.ProviderKind)); err != nil {
		return filter, err
	}
	if filter.Since, err = timeOf(q, "since"); err != nil {
		return filter, err
	}
	filter.Until, err = timeOf(q, "until")
	return filter, err
}

// eventsOf shows facts, with the names of who caused them where those are still there.
func (a *API) eventsOf(c *call, found []projections.AuditEvent) ([]api.Event, error) {
	actors := make([]events.Actor, len(found))
	for i, e := range found {
		actors[i] = e.Actor
	}
	names, err := a.actorNames(c, actors)
	if err != nil {
		return nil, err
	}
	shown := make([]api.Event, len(found))
	for i, e := range found {
		shown[i] = eventOf(e)
		shown[i].ActorName = names[e.Actor]
	}
	return shown, nil
}

// actorNames finds the names of the people and machines among actors, all at once. Who was
// erased has none.
func (a *API) actorNames(c *call, actors []events.Actor) (map[events.Actor]string, error) {
	var ids []events.UserID
	for _, actor := range actors {
		if id, ok := actor.User(); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	found, err := a.People.Names(c.ctx(), slices.Compact(ids))
	names := make(map[events.Actor]string, len(found))
	for id, name := range found {
		names[events.UserActor(id)] = name
	}
	return names, err
}
