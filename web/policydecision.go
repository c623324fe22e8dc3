package web

import (
	"context"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
)

// refusals say in words why policy refuses an ask.
var refusals = map[string]string{
	policy.RefusedNoPermission:    "nothing lets you ask for this secret",
	policy.RefusedOperation:       "this can be asked for nowhere",
	policy.RefusedUnbound:         "the project that this secret belongs to does not offer this operation on it",
	policy.RefusedKeys:            "the project that this secret belongs to does not offer one of these keys",
	policy.RefusedAllKeys:         "the project that this secret belongs to offers some of its keys only, so name those that you want",
	policy.RefusedDenied:          "a rule denies this",
	policy.RefusedNoRule:          "no rule lets anybody ask for this",
	policy.RefusedWorkflowMissing: "the rule for this leads to a workflow that does not exist; ask whoever manages rules",
}

// knows waits until what rules look at is what the log holds now.
func (a *API) knows(c *call) error {
	ctx, cancel := context.WithTimeout(c.ctx(), viewPatience)
	defer cancel()
	if err := a.Circumstances.Fresh(ctx); err != nil {
		a.Logger.ErrorContext(c.ctx(), "what rules look at is not known", "call", c.id, "err", err)
		return errUnavailable
	}
	return nil
}

// describe adds what rules look at of a secret, as the log tells it: rows of the inventory decide
// nothing.
func (a *API) describe(c *call, ask *policy.Ask) error {
	found, err := a.Circumstances.Secret(c.ctx(), ask.Connection, ask.Ref)
	ask.Labels, ask.Owner = found.Labels, found.Owner
	return err
}

// askAbout is what somebody asks for, with what rules look at of the secret.
func (a *API) askAbout(c *call, connection command.Connection, ref string) (policy.Ask, error) {
	ask := policy.Ask{
		Powers: c.powers, Connection: connection.ID, Provider: string(connection.Provider), Cluster: string(connection.Cluster), Ref: ref, Now: c.now,
	}
	if err := a.knows(c); err != nil {
		return ask, err
	}
	return ask, a.describe(c, &ask)
}

// decideAsk asks policy about a submit and takes what it says into the command. What it refuses
// has a sentence and the next step.
func (a *API) decideAsk(c *call, operation events.Operation, keys []string, cmd *command.Submit) error {
	ask, err := a.askAbout(c, cmd.Connection, cmd.Ref)
	if err != nil {
		return err
	}
	ask.Operation, ask.Create, ask.Keys = operation, cmd.Create, keys
	d := c.powers.Governance().Decide(ask)
	for _, rule := range d.Withheld {
		withheld := events.DirectRevealWithheld{Rule: rule, Connection: cmd.Connection.ID, Ref: cmd.Ref}
		if _, err := a.record(c, c.actor, withheld); err != nil {
			return err
		}
	}
	if !d.Allowed {
		return (*problem)(command.ErrPolicyDenied).because(refusals[d.Refusal] + "; `sb policy explain " + string(cmd.Connection.ID) + "/" + cmd.Ref + "` says more")
	}
	if operation == events.OperationRead && d.Workflow.StepUp.Reveal && c.session == "" {
		return errPeopleOnly.because("what this asks for is opened with a fresh second factor, and machines have none; a person must do it")
	}
	cmd.Workflow, cmd.Justification, cmd.Place = d.Workflow, d.Justification, d.Spot.Place
	if operation == events.OperationPatch && cmd.Workflow.Reapprove == "" {
		cmd.Workflow.Reapprove = a.Reapprove
	}
	for _, ttl := range []struct {
		seconds int
		of      *time.Duration
	}{{d.PendingSeconds, &cmd.PendingTTL}, {d.ApprovalSeconds, &cmd.ApprovalTTL}, {d.RevealSeconds, &cmd.RevealTTL}} {
		if ttl.seconds > 0 {
			*ttl.of = time.Duration(ttl.seconds) * time.Second
		}
	}
	if cmd.BreakGlass != nil {
		glass := cmd.Workflow.BreakGlass
		cmd.BreakGlass.Fits = glass != nil && c.may(policy.RequestBreakGlass, d.Spot) && c.powers.Fit(glass.From, d.Spot, c.now)
		cmd.OverdueReviews = a.Circumstances.OverdueReviews(c.person.ID, c.now)
		if cmd.BreakGlass.Fits && c.powers.Governance().StepUp(policy.RequestBreakGlass) {
			return a.stepUp(c)
		}
	}
	return nil
}

// fillOfTeam takes the wish that another team brings the values. The team must exist.
func (c *call) fillOfTeam(team string, within int, cmd *command.Submit) error {
	if _, exists := c.powers.Governance().Objects[events.ObjectRef{Kind: events.KindTeam, Name: team}]; !exists {
		return (*problem)(command.ErrFillInvalid).because("there is no such team")
	}
	if within < 0 || within > int(cmd.PendingTTL/time.Second) {
		return (*problem)(command.ErrFillInvalid).because("the team's time ends with that of the request, at the latest")
	}
	until := c.now.Add(cmd.PendingTTL)
	if within > 0 {
		until = c.now.Add(time.Duration(within) * time.Second)
	}
	cmd.Fill = &events.Fill{Team: team, Until: until.UTC()}
	return nil
}
