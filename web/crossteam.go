package web

import (
	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

// provide takes the values in that another team brings.
func (a *API) provide(c *call) (reply, error) {
	m, id, err := aboutRequest[api.Values](c)
	if err != nil {
		return reply{}, err
	}
	meta := c.meta()
	before, _, err := command.Load[command.Request](c.ctx(), a.Log, events.RequestStream(id))
	if err != nil {
		return reply{}, err
	}
	cmd := command.Provide{By: c.person.ID, Behind: a.behind(before.Requester), Comment: m.Comment}
	if !before.Took(meta.Command) { // else it is the same call again, and decides nothing new
		sealed, err := valuesOf(m.Changes, &cmd)
		if err != nil {
			return reply{}, err
		}
		if err := a.judge(c).mayProvide(before, meta, &cmd); err != nil { // nothing is opened that nobody may bring
			return reply{}, err
		}
		cmd.Changes, err = a.Custody.Propose(c.ctx(), custody.Proposal{
			By: c.person.ID, IdempotencyKey: c.r.Header.Get(api.HeaderIdempotencyKey), Request: id, Provided: meta.Command,
			Connection: before.Submitted.Connection, Ref: before.Submitted.Ref, Changes: cmd.Changes, Sealed: sealed, Until: before.Submitted.ValuesUntil,
		})
		if err != nil {
			return reply{}, err
		}
	}
	return a.decided(c, id, func(r command.Request) ([]events.Fact, error) { return r.Provide(meta, cmd) })
}

// valuesOf takes the changes of a call into a command, and returns the sealed values by key.
func valuesOf(changes []api.ProposedChange, cmd *command.Provide) (map[string][]byte, error) {
	sealed := make(map[string][]byte, len(changes))
	for _, change := range changes {
		if len(change.Sealed) == 0 {
			return nil, command.ErrValuesMismatch
		}
		cmd.Changes = append(cmd.Changes, events.Change{Key: change.Key, Action: events.ChangeAction(change.Action)})
		sealed[change.Key] = change.Sealed
	}
	return sealed, nil
}

// refuse says that there will be no values.
func (a *API) refuse(c *call) (reply, error) {
	m, id, err := aboutRequest[api.Refusal](c)
	if err != nil {
		return reply{}, err
	}
	meta := c.meta()
	return a.decided(c, id, func(r command.Request) ([]events.Fact, error) { return a.judge(c).refuse(r, meta, m) })
}

// refuse decides that the caller brings no values.
func (j *judge) refuse(r command.Request, meta command.Meta, m api.Refusal) ([]events.Fact, error) {
	fits, err := j.providesFor(r)
	if err != nil {
		return nil, err
	}
	return r.Refuse(meta, command.Refuse{By: j.c.person.ID, Behind: j.a.behind(r.Requester), Fits: fits, Comment: m.Comment})
}

// mayProvide decides all about values of the caller's but the values.
func (j *judge) mayProvide(r command.Request, meta command.Meta, cmd *command.Provide) (err error) {
	if cmd.Fits, err = j.providesFor(r); err != nil {
		return err
	}
	return r.MayProvide(meta, *cmd)
}

// providesFor reports whether the caller may bring the values of a request. To who may not see
// it, it is not there.
func (j *judge) providesFor(r command.Request) (bool, error) {
	if r.State == "" {
		return false, nil // its decider refuses it
	}
	m := j.c.matterOf(r)
	if !j.sees(m) {
		return false, errHidden
	}
	return j.word.Provides(m), nil
}

// review says what somebody thinks of what went without approval.
func (a *API) review(c *call) (reply, error) {
	m, id, err := aboutRequest[api.Review](c)
	if err != nil {
		return reply{}, err
	}
	meta := c.meta()
	return a.decided(c, id, func(r command.Request) ([]events.Fact, error) { return a.judge(c).review(r, meta, m) })
}

// review decides the caller's review.
func (j *judge) review(r command.Request, meta command.Meta, m api.Review) ([]events.Fact, error) {
	cmd := command.Review{By: j.c.person.ID, Behind: j.a.behind(r.Requester), Outcome: events.ReviewOutcome(m.Outcome), Comment: m.Comment}
	if r.State != "" {
		about := j.c.matterOf(r)
		if !j.sees(about) {
			return nil, errHidden
		}
		cmd.Fits = j.word.Reviews(about)
	}
	return r.Review(meta, cmd)
}
