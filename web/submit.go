package web

import (
	"net/http"
	"strings"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/window"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// intakeKeys are what values of a patch, and sign-ins, are sealed to.
func (a *API) intakeKeys(c *call) (reply, error) {
	if err := a.limit(c, window.Intakes, a.network(c.r), 1); err != nil {
		return reply{}, err
	}
	keys, err := a.Custody.Intake(c.ctx())
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: api.Intake(keys)}, nil
}

// submit asks to read or to change a secret.
func (a *API) submit(c *call) (reply, error) {
	var m api.Submit
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	operation, err := operationOf(m)
	if err != nil {
		return reply{}, err
	}
	if m.BreakGlass != nil && c.session == "" {
		return reply{}, errPeopleOnly.because("a person does without approval, and answers for it; no machine does")
	}
	meta := c.meta()
	id := events.RequestOf(meta.Command)
	before, _, err := command.Load[command.Request](c.ctx(), a.Log, events.RequestStream(id))
	if err != nil {
		return reply{}, err
	}
	cmd := command.Submit{
		Requester: c.person.ID, Keys: m.Keys, Reason: m.Reason, Ticket: m.Ticket, Create: m.Create,
		PendingTTL: a.PendingTTL, ApprovalTTL: a.ApprovalTTL, RevealTTL: a.RevealTTL,
	}
	if !before.Took(meta.Command) { // else it is the same submit again, and decides nothing new
		if err := a.limit(c, window.Submits, string(c.actor), 1); err != nil {
			return reply{}, err
		}
		if cmd.Connection, cmd.Ref, err = a.asked(c, m.Secret); err != nil {
			return reply{}, err
		}
		if !c.touches(policy.RequestCreate, cmd.Connection.ID) && cmd.Connection.State != "" {
			return reply{}, errConnectionHidden
		}
		if err := a.allow(c, operation, m, &cmd); err != nil {
			return reply{}, err
		}
		if a.Circumstances.Open(c.person.ID) >= a.OpenRequests { // as fresh as what was just decided
			return reply{}, errTooManyOpen
		}
		if operation == events.OperationPatch {
			if cmd.Changes, err = a.propose(c, m, cmd, before, id); err != nil {
				return reply{}, err
			}
		}
	}
	done, err := command.Execute(c.ctx(), a.Log, events.RequestStream(id), meta, func(r command.Request) ([]events.Fact, error) {
		return r.Submit(meta, cmd)
	})
	if err != nil {
		return reply{}, err
	}
	for _, e := range done.Events {
		if _, broken := e.Fact.(events.GlassBroken); broken { // whoever watches the log hears of it at once
			a.Logger.Warn("somebody did without approval", "request", id, "actor", c.actor, "seq", done.Seq)
		}
	}
	return reply{status: http.StatusCreated, seq: done.Seq, body: api.Submitted{ID: string(id), Seq: uint64(done.Seq)}}, nil
}

// allow finds out whether all this may be asked for, and how.
func (a *API) allow(c *call, operation events.Operation, m api.Submit, cmd *command.Submit) error {
	if err := command.CheckRef(cmd.Ref); err != nil {
		return err
	}
	if cmd.Connection.State == "" {
		return command.ErrConnectionUnknown
	}
	keys := m.Keys
	for _, change := range m.Changes {
		keys = append(keys, change.Key)
	}
	if m.BreakGlass != nil {
		cmd.BreakGlass = &command.BreakGlass{Reason: m.BreakGlass.Reason}
	}
	if err := a.decideAsk(c, operation, keys, cmd); err != nil {
		return err
	}
	if m.Fill == nil {
		return nil
	}
	return c.fillOfTeam(m.Fill.Team, m.Fill.WithinSeconds, cmd)
}

// asked finds the secret that somebody names: CONNECTION/REF, or an id of the inventory,
// which stands for those from here on.
func (a *API) asked(c *call, secret string) (command.Connection, string, error) {
	name, ref, slash := strings.Cut(secret, "/")
	if !slash && strings.HasPrefix(secret, "i_") {
		found, err := a.presentSecret(c, secret, policy.RequestCreate)
		if err != nil {
			return command.Connection{}, "", err
		}
		name, ref = string(found.Connection), found.Ref
	}
	if !events.ValidName(name) || ref == "" {
		return command.Connection{}, "", command.ErrRefInvalid
	}
	connection, _, err := command.Load[command.Connection](c.ctx(), a.Log, events.ConnectionStream(events.ConnectionID(name)))
	return connection, ref, err
}

func operationOf(m api.Submit) (events.Operation, error) {
	switch {
	case (m.Operation == "" || m.Operation == string(events.OperationRead)) && len(m.Changes) == 0 && !m.Create:
		return events.OperationRead, nil
	case m.Operation == string(events.OperationPatch) && len(m.Keys) == 0:
		return events.OperationPatch, nil
	}
	return "", errOperation
}

// propose takes the values of a patch in, once all else about it is right.
func (a *API) propose(c *call, m api.Submit, cmd command.Submit, before command.Request, id events.RequestID) ([]events.Change, error) {
	sealed := make(map[string][]byte, len(m.Changes))
	for _, change := range m.Changes {
		action := events.ChangeAction(change.Action)
		brought := action == events.ChangeSet && cmd.Fill == nil
		if brought != (len(change.Sealed) > 0) {
			return nil, command.ErrChangesInvalid
		}
		cmd.Changes = append(cmd.Changes, events.Change{Key: change.Key, Action: action})
		sealed[change.Key] = change.Sealed
	}
	if _, err := before.Submit(c.meta(), cmd); err != nil {
		return nil, err
	}
	if cmd.Fill != nil {
		return cmd.Changes, nil // the values come later
	}
	return a.Custody.Propose(c.ctx(), custody.Proposal{
		By: c.person.ID, IdempotencyKey: c.r.Header.Get(api.HeaderIdempotencyKey), Request: id,
		Connection: cmd.Connection.ID, Ref: cmd.Ref, Changes: cmd.Changes, Sealed: sealed, Until: cmd.ValuesUntil(c.now),
	})
}
