package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// tellEach is how often one client is told of changes at most: what changed meanwhile comes in
// one message.
const tellEach = time.Second

// liveBeat is how long a client hears nothing at most: one that hears nothing for twice that time
// knows that the line is broken, and says so. A comment would not do, as EventSource shows none.
const liveBeat = 5 * time.Second

// topic is something that a client shows and would read again when it changed. Whoever may
// read it somewhere is told.
type topic struct {
	name  string
	route Route // that lists it
	of    []events.Aggregate
}

// topicsOf are all topics, with the routes of their lists. What people may do with requests
// follows from their rights and from the rules, so those are about requests, too.
func topicsOf(routes []Route) []topic {
	list := func(path string) Route {
		return routes[slices.IndexFunc(routes, func(r Route) bool { return r.Method == http.MethodGet && r.Path == path })]
	}
	return []topic{
		{"requests", list("/requests"), []events.Aggregate{events.AggregateRequest, events.AggregateUser, events.AggregateGovernance}},
		{"jobs", list("/jobs"), []events.Aggregate{events.AggregateJob}},
		{"secrets", list("/secrets"), []events.Aggregate{events.AggregateInventory, events.AggregateSecret, events.AggregateSetting}},
		{"integrations", list("/integrations"), []events.Aggregate{events.AggregateIntegration}},
		{"connections", list("/connections"), []events.Aggregate{events.AggregateConnection}},
		{"agents", list("/agents"), []events.Aggregate{events.AggregateAgent}},
		{"governance", list("/governance"), []events.Aggregate{events.AggregateGovernance}},
		{"people", list("/people"), []events.Aggregate{events.AggregateUser}},
		{"machines", list("/machines"), []events.Aggregate{events.AggregateUser}},
		{"audit", list("/audit/events"), events.Aggregates},
		{"me", list("/me"), []events.Aggregate{events.AggregateUser, events.AggregateGovernance}},
	}
}

// about are the topics of what changed that the caller may read, in a fixed order.
func (a *API) about(c *call, kinds []events.Aggregate) []string {
	topics := []string{}
	for _, t := range a.topics {
		changed := slices.ContainsFunc(kinds, func(k events.Aggregate) bool { return slices.Contains(t.of, k) })
		if changed && c.enters(t.route) == nil {
			topics = append(topics, t.name)
		}
	}
	return topics
}

// live tells a client what to read again, never what it would read (decision 0103). The id of a
// message is the commit up to which the client has been told of everything.
func (a *API) live(c *call) (reply, error) {
	last, err := c.lastEvent()
	if err != nil {
		return reply{}, err
	}
	who := c.person.ID
	if !a.streams.enter(who) {
		return reply{}, errManyStreams
	}
	defer a.streams.leave(who)
	position, err := a.Views.Position(c.ctx())
	if err != nil {
		return reply{}, err
	}
	told, written := position.Seq, reply{written: true}
	if a.begin(c) != nil {
		return written, nil
	}
	switch {
	case last == nil:
		err = a.tell(c, "ready", told, events.Aggregates)
	case *last != uint64(told): // what changed between is not known any more
		err = a.tell(c, "reset", told, events.Aggregates)
	}
	if err != nil {
		return written, nil
	}
	beat := time.NewTicker(min(a.heartbeat, liveBeat))
	defer beat.Stop()
	var pause <-chan time.Time // nil: the next change is told at once
	for {
		kinds, upto, more := a.Views.Changed(told)
		switch {
		case pause != nil:
			more = nil
		case len(kinds) > 0:
			if a.abreast(c, upto) != nil || a.tell(c, "change", upto, kinds) != nil {
				return written, nil // the headers are gone; the client comes back and is told
			}
			told, pause = upto, time.After(a.pace)
			continue
		}
		select {
		case <-c.ctx().Done():
			return written, nil
		case <-a.drained:
			return written, nil
		case <-more:
		case <-pause:
			pause = nil
		case <-beat.C:
			if a.mayStill(c) != nil || a.tell(c, "beat", told, nil) != nil {
				return written, nil
			}
		}
	}
}

// tell writes a message with the topics of some kinds of histories, if there are any for the
// caller.
func (a *API) tell(c *call, event string, upto events.Seq, kinds []events.Aggregate) error {
	topics := a.about(c, kinds)
	if len(topics) == 0 && event == "change" { // of nothing that is the caller's
		return nil
	}
	data, err := json.Marshal(api.Changed{Topics: topics})
	if err != nil {
		return err
	}
	return a.send(c, fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", upto, event, data))
}
