package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/window"
	"secretsbridge/projections"
	"secretsbridge/transparency"
	"secretsbridge/web/api"
)

// defaultTokenLife is how long an enrolment token lives unless told.
const defaultTokenLife = 10 * time.Minute

var agentStates = []events.AgentState{events.AgentInvited, events.AgentExpired, events.AgentOffline, events.AgentOnline, events.AgentGone}

func (a *API) listAgents(c *call) (reply, error) {
	q, err := c.query("cluster", "state", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	filter := projections.AgentFilter{Cluster: events.ClusterID(q.Get("cluster")), Cursor: q.Get("cursor")}
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	for _, s := range q["state"] {
		if !slices.Contains(agentStates, events.AgentState(s)) {
			return reply{}, errParameter.because("state is one of " + joined(agentStates))
		}
		filter.States = append(filter.States, events.AgentState(s))
	}
	found, err := a.Views.Agents(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	cosigned, err := a.cosigned(c.ctx(), found.Items...)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Agent]{Items: make([]api.Agent, 0, len(found.Items)), Next: found.Next}
	for _, item := range found.Items {
		page.Items = append(page.Items, agentOf(item, cosigned[item.ID]))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func (a *API) showAgent(c *call) (reply, error) {
	found, err := a.Views.Agent(c.ctx(), events.AgentID(c.param("id")))
	if isNotFound(err) {
		return reply{}, command.ErrAgentUnknown
	}
	if err != nil {
		return reply{}, err
	}
	cosigned, err := a.cosigned(c.ctx(), found)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: agentOf(found, cosigned[found.ID])}, nil
}

// cosigned says how far each of the agents has vouched for the log.
func (a *API) cosigned(ctx context.Context, agents ...projections.Agent) (map[events.AgentID]*api.Cosigned, error) {
	names := make([]string, len(agents))
	for i, agent := range agents {
		names[i] = transparency.AgentWitness(agent.ID)
	}
	found, err := a.Cosignatures.Vouched(ctx, names)
	if err != nil {
		return nil, err
	}
	cosigned := map[events.AgentID]*api.Cosigned{}
	for name, newest := range found {
		id, _ := transparency.WitnessAgent(name)
		at, err := transparency.CosignedAt(newest.Line)
		if err != nil {
			return nil, fmt.Errorf("cosignature of %s: %w", name, err)
		}
		cosigned[id] = &api.Cosigned{Size: newest.Size, At: at}
	}
	return cosigned, nil
}

// inviteAgent issues a one-time token. It is in this answer and nowhere else.
func (a *API) inviteAgent(c *call) (reply, error) {
	var m api.Invite
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.Invitations, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	life := defaultTokenLife
	if m.TTLSeconds != 0 {
		life = time.Duration(min(max(m.TTLSeconds, -1), 24*60*60)) * time.Second
	}
	got, err := a.Fleet.Invite(c.ctx(), c.meta(), m.Name, events.ClusterID(m.Cluster), life)
	if err != nil {
		return reply{}, err
	}
	defer got.Token.Zero()
	return reply{status: http.StatusCreated, seq: got.Seq, body: api.Invitation{
		Agent: string(got.Agent), Token: string(got.Token.Expose()), Expires: got.Expires, Seq: uint64(got.Seq),
	}}, nil
}

// enrolAgent trades a one-time token for credentials. The token is who asks.
func (a *API) enrolAgent(c *call) (reply, error) {
	if err := a.limit(c, window.Enrolments, a.network(c.r), 1); err != nil {
		return reply{}, err
	}
	var m events.Enrol
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	got, err := a.Fleet.Enrol(c.ctx(), m)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: got}, nil
}

func (a *API) revokeAgent(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id := c.param("id")
	if !events.ValidID(id, "a_") {
		return reply{}, command.ErrAgentUnknown
	}
	seq, err := a.Fleet.Revoke(c.ctx(), c.meta(), events.AgentID(id), m.Reason)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: seq, body: api.Done{Seq: uint64(seq)}}, nil
}
