package web

import (
	"fmt"
	"net/http"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

func (a *API) listConnections(c *call) (reply, error) {
	q, err := c.query("cluster", "state", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	filter := projections.ConnectionFilter{
		Cluster: events.ClusterID(q.Get("cluster")), Cursor: q.Get("cursor"), Within: c.within(policy.ConnectionList),
	}
	if len(q["state"]) > 1 {
		return reply{}, errParameter.because("state is there twice")
	}
	switch state := projections.ConnectionState(q.Get("state")); state {
	case "", projections.ConnectionActive, projections.ConnectionDisabled:
		filter.State = state
	default:
		return reply{}, errParameter.because("state is active or disabled")
	}
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	found, err := a.Views.Connections(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Connection]{Items: make([]api.Connection, 0, len(found.Items)), Next: found.Next}
	for _, item := range found.Items {
		page.Items = append(page.Items, connectionOf(item))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

// showConnection answers "not modified" to who has the newest version.
func (a *API) showConnection(c *call) (reply, error) {
	found, err := a.Views.Connection(c.ctx(), events.ConnectionID(c.param("name")))
	if isNotFound(err) {
		err = command.ErrConnectionUnknown
	}
	if err == nil && !c.touches(policy.ConnectionList, found.Name) {
		err = errConnectionHidden
	}
	if err != nil {
		return reply{}, err
	}
	return c.unlessSeen(fmt.Sprintf(`"%d"`, found.LastSeq), connectionOf(found)), nil
}

func (a *API) createConnection(c *call) (reply, error) {
	var m api.CreateConnection
	if err := c.decodeConfiguration(&m); err != nil {
		return reply{}, err
	}
	if !events.ValidName(m.Name) {
		return reply{}, command.ErrConnectionName
	}
	// Also where there is one of that name: that it is taken is for those who may see it.
	if !c.may(policy.ConnectionManage, c.spot(events.ConnectionID(m.Name), "")) {
		return reply{}, errForbidden
	}
	meta, stream := c.meta(), events.ConnectionStream(events.ConnectionID(m.Name))
	done, err := command.Execute(c.ctx(), a.Log, stream, meta, func(s command.Connection) ([]events.Fact, error) {
		return s.Create(meta, events.ConnectionCreated{
			Connection: events.ConnectionID(m.Name), Provider: events.ProviderKind(m.Provider),
			Cluster: events.ClusterID(m.Cluster), Description: m.Description,
		})
	})
	if err != nil {
		return reply{}, err
	}
	seq, at := done.Seq, meta.Time
	if done.Repeated {
		// A try of the same call that was not answered did it.
		history, err := a.Log.Load(c.ctx(), stream)
		if err != nil {
			return reply{}, err
		}
		seq, at = history[0].Seq, history[0].Events[0].Time
	}
	return reply{status: http.StatusCreated, seq: seq, body: api.Connection{
		Name: m.Name, Provider: m.Provider, Cluster: m.Cluster, Description: m.Description,
		State: string(command.ConnectionActive), CreatedAt: at.UTC(), ChangedAt: at.UTC(), Seq: uint64(seq),
	}}, nil
}

func (a *API) disableConnection(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	return a.changeConnection(c, func(s command.Connection, meta command.Meta) ([]events.Fact, error) {
		return s.Disable(meta, m.Reason)
	})
}

func (a *API) enableConnection(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if m.Reason != "" {
		return reply{}, errBodyMalformed.because("enabling takes no reason")
	}
	return a.changeConnection(c, func(s command.Connection, meta command.Meta) ([]events.Fact, error) {
		return s.Enable(meta)
	})
}

// scheduleConnection says how often a connection is scanned.
func (a *API) scheduleConnection(c *call) (reply, error) {
	var m struct {
		EverySeconds *int `json:"every_seconds"`
	}
	if err := c.decodeConfiguration(&m); err != nil {
		return reply{}, err
	}
	if m.EverySeconds == nil {
		return reply{}, errBodyMalformed.because("say every_seconds; 0 is never")
	}
	// Beyond the bounds one number is as wrong as another, and none may overflow.
	bound := int(command.MaxDiscoverEvery/time.Second) + 1
	every := time.Duration(min(max(*m.EverySeconds, -1), bound)) * time.Second
	return a.changeConnection(c, func(s command.Connection, meta command.Meta) ([]events.Fact, error) {
		return s.Schedule(meta, every)
	})
}

func (a *API) changeConnection(c *call, decide func(command.Connection, command.Meta) ([]events.Fact, error)) (reply, error) {
	name := c.param("name")
	if !events.ValidName(name) {
		return reply{}, command.ErrConnectionUnknown
	}
	meta := c.meta()
	done, err := command.Execute(c.ctx(), a.Log, events.ConnectionStream(events.ConnectionID(name)), meta, func(s command.Connection) ([]events.Fact, error) {
		if err := c.reachesConnection(s, policy.ConnectionManage); err != nil {
			return nil, err
		}
		return decide(s, meta)
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: done.Seq, body: api.Done{Seq: uint64(done.Seq)}}, nil
}

// reachesConnection refuses a command on a connection that is not there, or that does not lie as
// a whole where the caller has the permission.
func (c *call) reachesConnection(s command.Connection, p policy.Permission) error {
	switch {
	case s.State == "":
		return command.ErrConnectionUnknown
	case !c.may(p, c.spot(s.ID, "")):
		return outside(c.touches(policy.ConnectionList, s.ID), errConnectionHidden)
	}
	return nil
}
