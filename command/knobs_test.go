package command_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

// asked is a submit that a workflow allows.
func asked() command.Submit {
	w := byName
	w.BreakGlass = &events.BreakGlass{From: people(dev), Review: people(ann), ReviewSeconds: 3600, MinLength: 12}
	return command.Submit{
		Requester: dev, Connection: command.Connection{ID: "file", Provider: events.ProviderFile, Cluster: "demo", State: command.ConnectionActive},
		Ref: "prod/db", Reason: "the shop is down, OPS-42", Ticket: "OPS-42", Workflow: w,
		Justification: events.Justification{MinLength: 20, Pattern: `[A-Z]+-\d+`, Ticket: `OPS-\d+`},
		PendingTTL:    time.Hour, ApprovalTTL: 10 * time.Minute, RevealTTL: 5 * time.Minute,
	}
}

func submitWith(change func(*command.Submit)) ([]events.Fact, error) {
	cmd := asked()
	change(&cmd)
	return command.Request{}.Submit(meta, cmd)
}

func TestAReasonAndATicketAreWhatTheWorkflowAsksFor(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*command.Submit)
		want   error
	}{
		"as asked":                        {func(*command.Submit) {}, nil},
		"a short reason":                  {func(s *command.Submit) { s.Reason = "OPS-42" }, command.ErrReasonTooShort},
		"blanks do not count":             {func(s *command.Submit) { s.Reason = "OPS-42" + strings.Repeat(" ", 20) }, command.ErrReasonTooShort},
		"characters count, and not bytes": {func(s *command.Submit) { s.Reason = "OPS-42 " + strings.Repeat("ä", 12) }, command.ErrReasonTooShort},
		"as many are enough":              {func(s *command.Submit) { s.Reason = "OPS-42 " + strings.Repeat("ä", 13) }, nil},
		"a reason without its ticket":     {func(s *command.Submit) { s.Reason = "the shop is down, honestly" }, command.ErrReasonPattern},
		"a pattern that does not compile": {func(s *command.Submit) { s.Justification.Pattern = "(" }, command.ErrReasonPattern},
		"no ticket":                       {func(s *command.Submit) { s.Ticket = "" }, command.ErrTicketInvalid},
		"a ticket with more around it":    {func(s *command.Submit) { s.Ticket = "see OPS-42" }, command.ErrTicketInvalid},
		"alternatives are of the whole":   {func(s *command.Submit) { s.Justification.Ticket, s.Ticket = `A-\d|B-\d`, "A-1x" }, command.ErrTicketInvalid},
		"blanks around a ticket":          {func(s *command.Submit) { s.Ticket = " OPS-42\n" }, nil},
		"a ticket that nobody asked for":  {func(s *command.Submit) { s.Justification.Ticket, s.Ticket = "", "anything" }, nil},
		"none where nobody asks":          {func(s *command.Submit) { s.Justification.Ticket, s.Ticket = "", "" }, nil},
		"a ticket of many lines":          {func(s *command.Submit) { s.Justification.Ticket, s.Ticket = "", "a\nb" }, command.ErrTicketInvalid},
		"an overlong ticket": {func(s *command.Submit) {
			s.Justification.Ticket, s.Ticket = "", strings.Repeat("a", command.MaxTicket+1)
		}, command.ErrTicketInvalid},
		"a step that nobody has to decide": {func(s *command.Submit) { s.Workflow.Steps = []events.Step{{ID: "none"}} }, command.ErrPolicyDenied},
		"no steps at all":                  {func(s *command.Submit) { s.Workflow.Steps = nil }, command.ErrPolicyDenied},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := submitWith(tt.change); tt.want == nil && err != nil || tt.want != nil && !isRejection(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func isRejection(err, want error) bool {
	got, ok := err.(*command.Rejection)
	return ok && got.Is(want) && got.Detail != ""
}

func TestWhatNeedsNobodysApprovalIsApprovedWithItsSubmit(t *testing.T) {
	id := events.RequestOf(meta.Command)
	approvedUntil := func(d time.Duration) events.Fact {
		return events.RequestApproved{Job: events.JobOf(id), Until: noon.Add(d)}
	}
	glass := func(reason string) func(*command.Submit) {
		return func(s *command.Submit) { s.BreakGlass = &command.BreakGlass{Reason: reason, Fits: true} }
	}
	and := func(changes ...func(*command.Submit)) func(*command.Submit) {
		return func(s *command.Submit) {
			for _, change := range changes {
				change(s)
			}
		}
	}
	direct := func(s *command.Submit) { s.Workflow = events.Workflow{Rule: "dev", Direct: true} }
	aPatch := func(s *command.Submit) { s.Changes = []events.Change{{Key: "a", Action: events.ChangeSet}} }
	long := "no approver answers"
	broken := events.GlassBroken{Reason: long, ReviewUntil: noon.Add(time.Hour)}
	for _, tt := range []struct {
		name   string
		change func(*command.Submit)
		then   []events.Fact // after the submit
		err    error
	}{
		{"a direct read, for as long as its value can be opened", direct, []events.Fact{approvedUntil(5 * time.Minute)}, nil},
		{"but no longer than any approval", and(direct, func(s *command.Submit) { s.RevealTTL = time.Hour }), []events.Fact{approvedUntil(10 * time.Minute)}, nil},
		{"nothing is changed directly", and(direct, aPatch), nil, command.ErrPolicyDenied},
		{"a broken glass", glass(long), []events.Fact{broken, approvedUntil(10 * time.Minute)}, nil},
		{"also of a patch", and(glass(long), aPatch), []events.Fact{broken, approvedUntil(10 * time.Minute)}, nil},
		{"not by whom the workflow does not name", and(glass(long), func(s *command.Submit) { s.BreakGlass.Fits = false }), nil, command.ErrGlass},
		{"not where there is no glass", and(glass(long), func(s *command.Submit) { s.Workflow.BreakGlass = nil }), nil, command.ErrGlass},
		{"not where nobody need approve", and(glass(long), direct), nil, command.ErrGlass},
		{"not while a review is overdue", and(glass(long), func(s *command.Submit) { s.OverdueReviews = 1 }), nil, command.ErrReviewDue},
		{"which hinders nothing else", func(s *command.Submit) { s.OverdueReviews = 1 }, nil, nil},
		{"not without a second reason", glass(""), nil, command.ErrGlassReason},
		{"of the workflow's length", glass("no answers."), nil, command.ErrGlassReason},
		{"and never under ten", and(glass("no answer"), func(s *command.Submit) { s.Workflow.BreakGlass.MinLength = 0 }), nil, command.ErrGlassReason},
		{"in other words", glass(" the shop is down, OPS-42 "), nil, command.ErrGlassReason},
		{"and plain ones", glass("no approver \x1b[31m answers"), nil, command.ErrGlassReason},
		{"not for values that others fill in", and(glass(long), aPatch, func(s *command.Submit) { s.Fill = &events.Fill{Team: "payments", Until: noon.Add(time.Hour)} }), nil, command.ErrGlass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := submitWith(tt.change)
			if err == nil {
				got = got[1:]
			}
			if len(got) == 0 {
				got = nil
			}
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}

func TestAnotherTeamFillsInOnlyWhatCanBeFilledIn(t *testing.T) {
	fill := func(until time.Duration, changes ...events.Change) func(*command.Submit) {
		return func(s *command.Submit) {
			s.Changes, s.Fill = changes, &events.Fill{Team: "payments", Until: noon.Add(until)}
		}
	}
	set := events.Change{Key: "a", Action: events.ChangeSet}
	for name, tt := range map[string]struct {
		change func(*command.Submit)
		want   error
	}{
		"a key":                      {fill(time.Hour, set), nil},
		"a key that is removed":      {fill(time.Hour, set, events.Change{Key: "b", Action: events.ChangeUnset}), command.ErrFillInvalid},
		"a value that is there":      {fill(time.Hour, events.Change{Key: "a", Action: events.ChangeSet, Envelope: env}), command.ErrFillInvalid},
		"a read":                     {fill(time.Hour), command.ErrFillInvalid},
		"beyond the request's end":   {fill(time.Hour+1, set), command.ErrFillInvalid},
		"no time":                    {fill(0, set), command.ErrFillInvalid},
		"a team that cannot be":      {func(s *command.Submit) { fill(time.Hour, set)(s); s.Fill.Team = "" }, command.ErrFillInvalid},
		"a key twice, as everywhere": {fill(time.Hour, set, set), command.ErrKeysInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			facts, err := submitWith(tt.change)
			if tt.want != nil {
				if !isRejection(err, tt.want) {
					t.Errorf("error = %v, want %v", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := folded(facts...); r.State != events.StateAwaiting || r.Submitted.ValuesUntil.IsZero() {
				t.Errorf("it is %s, its values end %s", r.State, r.Submitted.ValuesUntil)
			}
		})
	}
}

// elsewhere are fields whose effect does not lie in these deciders, and where it is proven.
var elsewhere = map[string]string{
	"Workflow.Rule":     "told to people",
	"Workflow.Name":     "told to people",
	"Workflow.Version":  "told to people",
	"Workflow.StepUp":   "package web asks for the factor before it decides",
	"StepUp.Approve":    "package web",
	"StepUp.Reveal":     "package web",
	"BreakGlass.From":   "package web finds who fits",
	"BreakGlass.Review": "package web finds who fits",
	"Step.ID":           "told to people",
}

// Every field of a workflow changes a decision: it is decided once as it is, and once with the
// field changed.
func TestEveryFieldOfAWorkflowHasAnEffect(t *testing.T) {
	type decision = func(command.Submit) any
	facts := func(facts []events.Fact, err error) any { return []any{facts, fmt.Sprint(err)} }
	submit := func(s command.Submit) any { return facts(command.Request{}.Submit(meta, s)) }
	// then submits and decides on the request.
	then := func(decide func(command.Request) ([]events.Fact, error)) decision {
		return func(s command.Submit) any {
			submitted, err := command.Request{}.Submit(meta, s)
			if err != nil {
				return err.Error()
			}
			var r command.Request
			for _, f := range submitted {
				r = r.Evolve(events.Event{Command: meta.Command, Time: meta.Time, Fact: f})
			}
			return facts(decide(r))
		}
	}
	approve := func(v command.Vote) decision {
		return then(func(r command.Request) ([]events.Fact, error) { return r.Approve(meta, v) })
	}
	prompt := then(func(r command.Request) ([]events.Fact, error) { return r.Prompt(later(30 * time.Minute)) })
	glass := func(decide decision) decision {
		return func(s command.Submit) any {
			s.BreakGlass = &command.BreakGlass{Reason: "nobody answers", Fits: true}
			return decide(s)
		}
	}
	table := map[string]struct {
		change func(*command.Submit)
		decide decision
	}{
		"Workflow.Steps": {func(s *command.Submit) { s.Workflow.Steps = nil }, submit},
		"Workflow.Reapprove": {func(s *command.Submit) { s.Workflow.Reapprove = events.ReapproveAnyChange }, func(s command.Submit) any {
			s.Changes = []events.Change{{Key: "a", Action: events.ChangeSet}}
			if s.Workflow.Reapprove == "" {
				s.Workflow.Reapprove = events.ReapproveNever
			}
			return approve(by(ann))(s)
		}},
		"Workflow.Veto":       {func(s *command.Submit) { s.Workflow.Veto = nil }, then(func(r command.Request) ([]events.Fact, error) { return r.Reject(meta, by(eve)) })},
		"Workflow.Delegation": {func(s *command.Submit) { s.Workflow.Delegation = false }, approve(by(eve, named(ann, ann)))},
		"Workflow.BreakGlass": {func(s *command.Submit) { s.Workflow.BreakGlass = nil }, glass(submit)},
		"Workflow.Direct": {func(s *command.Submit) { s.Workflow.Direct = true }, func(s command.Submit) any {
			got, _ := command.Request{}.Submit(meta, s)
			return len(got)
		}},
		"Step.Approvals": {func(s *command.Submit) {
			s.Workflow.Steps = []events.Step{{ID: "team", Approvals: 1, From: people(ann)}}
		}, approve(by(ann))},
		"Step.Role":            {func(s *command.Submit) { s.Workflow.Steps[0].Role = "approver" }, approve(vote(cat, "approver"))},
		"Step.From":            {func(s *command.Submit) { s.Workflow.Steps[0].From = people(cat) }, approve(by(ann))},
		"Step.RemindSeconds":   {func(s *command.Submit) { s.Workflow.Steps[0].RemindSeconds = 0 }, prompt},
		"Step.EscalateSeconds": {func(s *command.Submit) { s.Workflow.Steps[0].EscalateSeconds = 0 }, prompt},
		"Step.Fallback": {func(s *command.Submit) { s.Workflow.Steps[0].Fallback = people(eve) }, then(func(r command.Request) ([]events.Fact, error) {
			return r.Evolve(events.Event{Fact: events.StepEscalated{Step: "team"}}).Approve(meta, by(cat))
		})},
		"BreakGlass.ReviewSeconds": {func(s *command.Submit) { s.Workflow.BreakGlass.ReviewSeconds = 60 }, glass(then(func(r command.Request) ([]events.Fact, error) {
			return r.Prompt(later(30 * time.Minute))
		}))},
		"BreakGlass.MinLength":    {func(s *command.Submit) { s.Workflow.BreakGlass.MinLength = 200 }, glass(submit)},
		"Justification.MinLength": {func(s *command.Submit) { s.Justification.MinLength = 200 }, submit},
		"Justification.Pattern":   {func(s *command.Submit) { s.Justification.Pattern = "INC-" }, submit},
		"Justification.Ticket":    {func(s *command.Submit) { s.Justification.Ticket = "INC-.*" }, submit},
		"Submit.PendingTTL": {func(s *command.Submit) { s.PendingTTL = time.Minute }, then(func(r command.Request) ([]events.Fact, error) {
			return r.Expire(later(time.Minute))
		})},
		"Submit.ApprovalTTL": {func(s *command.Submit) { s.ApprovalTTL = time.Minute }, glass(then(func(r command.Request) ([]events.Fact, error) {
			return r.Expire(later(time.Minute))
		}))},
		"Submit.RevealTTL": {func(s *command.Submit) { s.RevealTTL = time.Minute }, func(s command.Submit) any {
			got, _ := command.Request{}.Submit(meta, s)
			return got[0].(events.RequestSubmitted).RevealSeconds
		}},
	}
	for field, tt := range table {
		t.Run(field, func(t *testing.T) {
			// byName is shared: steps are copied before they are changed.
			was, is := fresh(), fresh()
			tt.change(&is)
			if cmp.Diff(tt.decide(was), tt.decide(is)) == "" {
				t.Error("changing it decides nothing else")
			}
		})
	}
	for _, of := range []any{events.Workflow{}, events.Step{}, events.StepUp{}, events.Justification{}, events.BreakGlass{}} {
		for i := range reflect.TypeOf(of).NumField() {
			field := reflect.TypeOf(of).Name() + "." + reflect.TypeOf(of).Field(i).Name
			if _, here := table[field]; !here && elsewhere[field] == "" {
				t.Errorf("nothing proves that %s has an effect", field)
			}
		}
	}
}

// fresh is asked with steps of its own.
func fresh() command.Submit {
	s := asked()
	s.Workflow.Steps = append([]events.Step(nil), s.Workflow.Steps...)
	return s
}
