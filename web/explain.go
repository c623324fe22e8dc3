package web

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/rights"
	"secretsbridge/web/api"
)

// Bounds of what is told of a policy.
const (
	maxVoters     = 50    // of a step
	maxClauses    = 2_100 // one for each rule, and a few
	maxTold       = 500   // requests that would go another way, and stranded places
	maxLookedUp   = 2_000 // secrets of past requests
	simulateWorth = 4 * time.Second
)

// listPermissions tells what there is to grant. It is the same for everybody.
func (a *API) listPermissions(*call) (reply, error) {
	shown := api.Permissions{}
	for _, p := range policy.Catalogue() {
		shown.Permissions = append(shown.Permissions, api.PermissionSentence{Permission: string(p), Sentence: p.Sentence()})
	}
	for _, name := range slices.Sorted(maps.Keys(policy.System)) {
		role := policy.System[name]
		shown.Roles = append(shown.Roles, api.SystemRole{Name: name, Description: role.Description, Permissions: role.Permissions})
	}
	return reply{status: http.StatusOK, body: shown}, nil
}

// fewWaits is of how many requests a usual wait is told at least.
const fewWaits = 3

// explainPolicy tells what would become of a request. Of others it tells who may list people and
// read the governance; of oneself, where one may ask, or anywhere if one may read the governance.
func (a *API) explainPolicy(c *call) (reply, error) {
	var m api.ExplainPolicy
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	ask, err := a.askOf(c, m)
	if err != nil {
		return reply{}, err
	}
	g := a.Rights.Governance()
	spot := g.Spot(ask.Connection, ask.Ref)
	switch {
	case c.may(policy.GovernanceRead, policy.Spot{}), c.may(policy.RequestCreate, spot):
	case c.powers.Areas(policy.RequestCreate, c.now).Touch(ask.Connection):
		return reply{}, command.ErrPolicyDenied
	default:
		return reply{}, errConnectionHidden
	}
	if err := a.knows(c); err != nil {
		return reply{}, err
	}
	if err := a.describe(c, &ask); err != nil {
		return reply{}, err
	}
	var people []*policy.Powers
	for _, u := range a.Rights.Users() {
		if u.State == command.UserActive {
			people = append(people, a.Rights.Powers(u.ID))
		}
	}
	x := g.Explain(ask, people)
	shown := explanationOf(x, ask, g.Version)
	shown.Wants = wantsOf(x, ask)
	if err := a.nameDeciders(c, x, &shown); err != nil {
		return reply{}, err
	}
	if x.Allowed && x.Effect == events.EffectRequire {
		median, of, err := a.Views.UsualWait(c.ctx(), x.Workflow.Name)
		if err != nil {
			return reply{}, err
		}
		if of >= fewWaits { // fewer would tell how long somebody's own request took
			shown.UsualWait = &api.UsualWait{Seconds: int(median.Round(time.Second).Seconds()), Of: of}
		}
	}
	return reply{status: http.StatusOK, body: &shown}, a.nameVoters(c, x, &shown)
}

// askOf reads what is asked for, and by whom.
func (a *API) askOf(c *call, m api.ExplainPolicy) (policy.Ask, error) {
	who := c.person.ID
	if m.Person != "" && m.Person != string(who) {
		who = events.UserID(m.Person)
		if !c.may(policy.PersonList, policy.Spot{}) || !c.may(policy.GovernanceRead, policy.Spot{}) {
			return policy.Ask{}, errPersonHidden
		}
		if a.Rights.User(who).State == "" {
			return policy.Ask{}, command.ErrUserUnknown
		}
	}
	operation := events.Operation(m.Operation)
	switch {
	case operation == "":
		operation = events.OperationRead
	case operation != events.OperationRead && operation != events.OperationPatch:
		return policy.Ask{}, errOperation
	}
	if len(m.Keys) > command.MaxKeys || slices.ContainsFunc(m.Keys, func(k string) bool { return k == "" || len(k) > command.MaxKeyLength }) {
		return policy.Ask{}, command.ErrKeysInvalid
	}
	if !strings.Contains(m.Secret, "/") && strings.HasPrefix(m.Secret, "i_") { // also of who may not ask for it
		found, err := a.presentSecret(c, m.Secret, policy.SecretList)
		if err != nil {
			return policy.Ask{}, err
		}
		m.Secret = string(found.Connection) + "/" + found.Ref
	}
	connection, ref, err := a.asked(c, m.Secret)
	switch {
	case err != nil:
		return policy.Ask{}, err
	case connection.State == "":
		return policy.Ask{}, command.ErrConnectionUnknown
	}
	if err := command.CheckRef(ref); err != nil {
		return policy.Ask{}, err
	}
	ask := policy.Ask{
		Powers: a.Rights.Powers(who), Operation: operation, Create: m.Create, Connection: connection.ID,
		Provider: string(connection.Provider), Cluster: string(connection.Cluster), Ref: ref, Keys: m.Keys, Now: c.now,
	}
	if who == c.person.ID {
		ask.Powers = c.powers // a token may allow less than its owner has
	}
	if m.At != nil {
		ask.Now = *m.At
	}
	return ask, nil
}

// listed adds what the inventory lists of a secret. Nothing is decided by it: to read two thousand
// of them from the log takes longer than anybody waits for a simulation.
func (a *API) listed(c *call, ask *policy.Ask) error {
	found, err := a.Views.Secret(c.ctx(), events.SecretOf(ask.Connection, ask.Ref))
	switch {
	case errors.Is(err, projections.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	ask.Labels, ask.Owner = found.Labels, found.Owner
	return nil
}

func explanationOf(x policy.Explanation, ask policy.Ask, version int) api.Explanation {
	shown := api.Explanation{
		Secret: string(ask.Connection) + "/" + ask.Ref, Allowed: x.Allowed, Refusal: x.Refusal, Rule: x.Rule, Effect: string(x.Effect), Workflow: x.Workflow.Name,
		Version: version, Clauses: []api.PolicyClause{}, Steps: []api.PolicyStep{}, Withheld: x.Withheld,
	}
	if p := x.Spot.Place; p != (events.Place{}) {
		shown.Place = &api.Place{Project: p.Project, Environment: p.Environment, Kind: string(p.Kind), Team: p.Team, Owner: p.Owner}
	}
	for _, clause := range x.Clauses[:min(len(x.Clauses), maxClauses)] {
		shown.Clauses = append(shown.Clauses, api.PolicyClause{
			About: string(clause.About), Name: clause.Name, Effect: string(clause.Effect), Outcome: string(clause.Outcome), Why: clause.Why, When: clause.When,
		})
	}
	for _, s := range x.Steps {
		shown.Steps = append(shown.Steps, api.PolicyStep{
			Step: string(s.Step), Approvals: s.Approvals, Voters: len(s.People), Fallback: len(s.Fallback), Stranded: s.Stranded,
		})
	}
	return shown
}

// wantsOf is what the workflow asks of the person, who may not know how else before a submit is refused.
func wantsOf(x policy.Explanation, ask policy.Ask) *api.Wants {
	if !x.Allowed {
		return nil
	}
	w := &api.Wants{MinLength: x.Justification.MinLength, Pattern: x.Justification.Pattern, Ticket: x.Justification.Ticket}
	w.StepUp = ask.Operation == events.OperationRead && x.Workflow.StepUp.Reveal
	glass := x.Workflow.BreakGlass
	if glass != nil && ask.Powers.Hold(policy.RequestBreakGlass, x.Spot, ask.Now) && ask.Powers.Fit(glass.From, x.Spot, ask.Now) {
		w.BreakGlass = &api.WantsGlass{MinLength: max(command.MinGlassReason, glass.MinLength), ReviewSeconds: glass.ReviewSeconds}
	}
	return w
}

// nameDeciders adds whom each step asks. A request shows them to its requester as well.
func (a *API) nameDeciders(c *call, x policy.Explanation, shown *api.Explanation) error {
	var who []events.UserID
	for _, s := range x.Workflow.Steps {
		who = append(who, s.From.People...)
	}
	names, err := a.People.Names(c.ctx(), who)
	if err != nil {
		return err
	}
	for i, s := range x.Workflow.Steps {
		shown.Steps[i].From = *approversOf(s.From, names)
	}
	return nil
}

// nameVoters adds who may vote, for those who may list people.
func (a *API) nameVoters(c *call, x policy.Explanation, shown *api.Explanation) error {
	if !c.sees(policy.PersonList) {
		return nil
	}
	var who []events.UserID
	for _, s := range x.Steps {
		who = append(who, s.People[:min(len(s.People), maxVoters)]...)
	}
	names, err := a.People.Names(c.ctx(), who)
	if err != nil {
		return err
	}
	for i, s := range x.Steps {
		for _, id := range s.People[:min(len(s.People), maxVoters)] {
			shown.Steps[i].People = append(shown.Steps[i].People, personOf(id, names))
		}
	}
	return nil
}

// simulatePolicy tries a draft on past requests. Whoever may not see everybody's requests may
// not do it.
func (a *API) simulatePolicy(c *call) (reply, error) {
	if !c.may(policy.RequestListAll, policy.Spot{}) {
		return reply{}, errForbidden
	}
	d, err := a.draft(c)
	if err != nil {
		return reply{}, err
	}
	if err := a.freshEnough(c); err != nil {
		return reply{}, err
	}
	history, _, err := a.history(c.ctx())
	if err != nil {
		return reply{}, err
	}
	shown := api.Simulation{Version: history.Version, Faults: faultsOf(d.faults), Changes: []api.RequestShift{}, Stranded: []api.StrandedPlace{}}
	if len(shown.Faults) > 0 {
		return reply{status: http.StatusOK, body: shown}, nil
	}
	change, _ := a.change(c, d)
	change.On, change.Removed = history.Version, d.removals(standing(history))
	p, err := history.Plan(change)
	if err != nil {
		return reply{}, err
	}
	known, failed := a.known(c)
	shown.Faults = faultsOf(a.faults(p.Objects, known, c.now))
	if *failed != nil {
		return reply{}, *failed
	}
	before, after := policy.Compile(history.Version, p.Base), policy.Compile(history.Version+1, p.Objects)
	past, left, err := a.past(c, p.Base, p.Objects)
	if err != nil {
		return reply{}, err
	}
	var people []events.UserID
	for _, u := range a.Rights.Users() {
		people = append(people, u.ID)
	}
	report := policy.Simulate(policy.Simulation{
		Before: before, After: after, Past: past, People: people, Now: c.now,
		Powers: func(g *policy.Governance, id events.UserID) *policy.Powers {
			return g.Powers(rights.SubjectOf(a.Rights.User(id)))
		},
	})
	report.LeftOut += left
	simulationOf(report, &shown)
	return reply{status: http.StatusOK, body: shown}, nil
}

func simulationOf(r policy.Report, shown *api.Simulation) {
	shown.Replayed, shown.LeftOut, shown.Idle, shown.Unlooked = r.Replayed, r.LeftOut, r.Idle, r.PlacesLeftOut
	shown.More, shown.MoreStuck = max(len(r.Changes)-maxTold, 0), max(len(r.Stranded)-maxTold, 0)
	for _, change := range r.Changes[:min(len(r.Changes), maxTold)] {
		s := api.RequestShift{Request: string(change.Request), Before: api.RequestWay(change.Before), After: api.RequestWay(change.After)}
		for _, k := range change.Kinds {
			s.Kinds = append(s.Kinds, string(k))
		}
		shown.Changes = append(shown.Changes, s)
	}
	for _, s := range r.Stranded[:min(len(r.Stranded), maxTold)] {
		shown.Stranded = append(shown.Stranded, api.StrandedPlace{Binding: s.Binding, Rule: s.Rule, Workflow: s.Workflow, Step: string(s.Step), Why: s.Why})
	}
}

// past are the newest requests, and how many were left out: older ones, or all behind the moment
// when time was up. What the inventory knows of their secrets is looked up if a rule asks for it.
func (a *API) past(c *call, before, after map[events.ObjectRef]events.Object) (all []policy.Past, left int, err error) {
	until := a.Now().Add(simulateWorth)
	describe := asksInventory(before) || asksInventory(after)
	known := map[events.SecretID]policy.Ask{}
	providers := map[events.ConnectionID]string{}
	for cursor := ""; ; {
		page, err := a.Views.Requests(c.ctx(), projections.RequestFilter{Cursor: cursor, Limit: projections.MaxLimit})
		if err != nil {
			return nil, 0, err
		}
		for _, r := range page.Items {
			ask := policy.Ask{
				Operation: r.Operation, Connection: r.Connection, Cluster: string(r.Cluster), Ref: r.Ref, Keys: r.Keys, Now: r.SubmittedAt,
			}
			if r.Patch != nil {
				ask.Create, ask.Keys = r.Patch.Create, nil
				for _, change := range r.Patch.Changes {
					ask.Keys = append(ask.Keys, change.Key)
				}
			}
			provider, ok := providers[r.Connection]
			if !ok {
				connection, err := a.Views.Connection(c.ctx(), r.Connection)
				if err != nil && !isNotFound(err) {
					return nil, 0, err
				}
				provider = string(connection.Provider)
				providers[r.Connection] = provider
			}
			ask.Provider = provider
			if describe {
				id := events.SecretOf(r.Connection, r.Ref)
				found, ok := known[id]
				if !ok {
					if len(known) == maxLookedUp || a.Now().After(until) {
						left++
						continue
					}
					if err := a.listed(c, &ask); err != nil {
						return nil, 0, err
					}
					found = ask
					known[id] = ask
				}
				ask.Labels, ask.Owner = found.Labels, found.Owner
			}
			all = append(all, policy.Past{Request: r.ID, Requester: r.Requester, Ask: ask})
		}
		switch {
		case page.Next == "":
			return all, left, nil
		case len(all) >= policy.MaxPast || a.Now().After(until):
			more, err := a.older(c, page.Next, until)
			return all, left + more, err
		}
		cursor = page.Next
	}
}

// older counts what is behind a cursor, as long as there is time: at least one page.
func (a *API) older(c *call, cursor string, until time.Time) (n int, err error) {
	for cursor != "" {
		page, err := a.Views.Requests(c.ctx(), projections.RequestFilter{Cursor: cursor, Limit: projections.MaxLimit})
		if err != nil {
			return 0, err
		}
		n += len(page.Items)
		cursor = page.Next
		if a.Now().After(until) {
			break
		}
	}
	return n, nil
}

// asksInventory reports whether a rule looks at labels or owners.
func asksInventory(objects map[events.ObjectRef]events.Object) bool {
	for _, o := range objects {
		if r, ok := o.Spec.(events.Rule); ok && (strings.Contains(r.When, "labels") || strings.Contains(r.When, "owner")) {
			return true
		}
	}
	return false
}
