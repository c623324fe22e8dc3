package projections_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

var (
	prompted = events.Workflow{Rule: "prod", Name: "prompted", Delegation: true, Steps: []events.Step{
		{ID: "team", Approvals: 1, From: events.Approvers{Roles: []string{"approver"}}, RemindSeconds: 600, EscalateSeconds: 1500, Fallback: events.Approvers{Groups: []string{"leads"}}},
		{ID: "security", Approvals: 1, From: events.Approvers{Groups: []string{"security"}}, RemindSeconds: 900},
	}}
	filled = []events.Change{{Key: "password", Action: events.ChangeSet, Envelope: "e_1", Fingerprint: "f1"}}
	passed = events.ApprovalGiven{Step: "team", Approver: "u_2", Via: []events.UserID{"u_3"}}
	broken = events.GlassBroken{Reason: "the shop is down", ReviewUntil: day.Add(24 * time.Hour)}
	review = events.GlassReviewed{By: "u_2", Outcome: events.ReviewJustified, Comment: "it was down"}
)

// crossTeam is a patch whose value another team fills in.
func crossTeam(id events.RequestID) events.RequestSubmitted {
	s := submitted(id, "u_1", day)
	s.Operation, s.Workflow, s.Ticket, s.Keys = events.OperationPatch, prompted, "OPS-42", []string{"password"}
	s.Place = events.Place{Project: "shop", Environment: "live", Kind: events.Production, Team: "shop-team", Owner: "payments"}
	s.Changes = []events.Change{{Key: "password", Action: events.ChangeSet}}
	s.Fill = &events.Fill{Team: "payments", Until: at(30 * time.Minute)}
	return s
}

func TestARequestTellsItsPlaceItsStepsAndTheOtherTeam(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	id := events.RequestID("r_1")
	type seen struct {
		State        events.RequestState
		Fill         *projections.Fill
		Clock        projections.StepClock
		Votes        []projections.Vote
		Due, Prompt  *time.Time
		Step, Action string
	}
	waits := &projections.Fill{Team: "payments", Until: at(30 * time.Minute)}
	done := &projections.Fill{Team: "payments", Until: at(30 * time.Minute), By: "u_4", At: pointer(at(2 * time.Second)), Comment: "rotated"}
	none := []events.StepID{}
	vote := projections.Vote{Step: "team", Approver: "u_2", Decision: projections.Approved, At: at(5 * time.Second), Via: []events.UserID{"u_3"}}
	for i, tt := range []struct {
		fact events.Fact
		want seen
	}{
		{crossTeam(id), seen{State: events.StateAwaiting, Fill: waits, Clock: projections.StepClock{Escalated: none}, Votes: []projections.Vote{}, Due: pointer(at(30 * time.Minute))}},
		{events.ValuesProvided{By: "u_4", Changes: filled, Comment: "rotated"}, seen{State: events.StatePending, Fill: done, Votes: []projections.Vote{}, Due: pointer(at(time.Hour)),
			Clock: projections.StepClock{Step: "team", OpenedAt: pointer(at(2 * time.Second)), Escalated: none}, Prompt: pointer(at(10*time.Minute + 2*time.Second))}},
		{events.StepReminded{Step: "team", Number: 1}, seen{State: events.StatePending, Fill: done, Votes: []projections.Vote{}, Due: pointer(at(time.Hour)),
			Clock:  projections.StepClock{Step: "team", OpenedAt: pointer(at(2 * time.Second)), Reminders: 1, RemindedAt: pointer(at(3 * time.Second)), Escalated: none},
			Prompt: pointer(at(10*time.Minute + 3*time.Second))}},
		{events.StepEscalated{Step: "team"}, seen{State: events.StatePending, Fill: done, Votes: []projections.Vote{}, Due: pointer(at(time.Hour)),
			Clock:  projections.StepClock{Step: "team", OpenedAt: pointer(at(2 * time.Second)), Reminders: 1, RemindedAt: pointer(at(3 * time.Second)), Escalated: []events.StepID{"team"}},
			Prompt: pointer(at(10*time.Minute + 3*time.Second))}},
		{passed, seen{State: events.StatePending, Fill: done, Votes: []projections.Vote{vote}, Due: pointer(at(time.Hour)),
			Clock: projections.StepClock{Step: "security", OpenedAt: pointer(at(5 * time.Second)), Escalated: []events.StepID{"team"}}, Prompt: pointer(at(15*time.Minute + 5*time.Second))}},
		{events.ApprovalsVoided{Version: "2"}, seen{State: events.StatePending, Fill: done, Votes: []projections.Vote{}, Due: pointer(at(time.Hour)),
			Clock: projections.StepClock{Step: "team", OpenedAt: pointer(at(6 * time.Second)), Escalated: none}, Prompt: pointer(at(10*time.Minute + 6*time.Second))}},
		{events.RequestCancelled{}, seen{State: events.StateCancelled, Fill: done, Votes: []projections.Vote{}, Clock: projections.StepClock{Escalated: none}}},
	} {
		w.append(events.RequestStream(id), "user:u_1", tt.fact)
		catchUp(t, db.App, log)
		r, err := projections.Requests{Pool: db.App}.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got := seen{State: r.State, Fill: r.Fill, Clock: r.StepClock, Votes: r.Votes, Due: r.DueAt, Prompt: r.NextPromptAt}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Fatalf("after fact %d (-want +got):\n%s", i+1, diff)
		}
		if r.Project != "shop" || r.Environment != "live" || r.Kind != events.Production || r.Team != "shop-team" || r.Owner != "payments" || r.Ticket != "OPS-42" {
			t.Errorf("it lies at %s/%s (%s) of %s, owned by %s, for %s", r.Project, r.Environment, r.Kind, r.Team, r.Owner, r.Ticket)
		}
		if len(r.Patch.Changes) != 1 || r.Patch.Changes[0].Key != "password" {
			t.Errorf("it changes %v", r.Patch.Changes)
		}
	}
}

func TestWhatWentWithoutApprovalIsFoundUntilItIsReviewed(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	glass := func(id events.RequestID, more ...events.Fact) {
		s := submitted(id, "u_1", day)
		s.Workflow = prompted
		w.append(events.RequestStream(id), "user:u_1", append([]events.Fact{s, broken, events.RequestApproved{Job: events.JobOf(id), Until: at(time.Hour)}}, more...)...)
	}
	glass("r_waits")
	glass("r_late", events.ReviewOverdue{})
	glass("r_reviewed", review)
	glass("r_reviewed_late", events.ReviewOverdue{}, review)
	w.append(events.RequestStream("r_usual"), "user:u_1", submitted("r_usual", "u_1", day))
	catchUp(t, db.App, log)
	requests := projections.Requests{Pool: db.App}
	list := func(states ...projections.ReviewState) []events.RequestID {
		t.Helper()
		page, err := requests.List(t.Context(), projections.RequestFilter{Reviews: states})
		if err != nil {
			t.Fatal(err)
		}
		var ids []events.RequestID
		for _, r := range page.Items {
			ids = append(ids, r.ID)
		}
		slices.Sort(ids)
		return ids
	}
	for name, tt := range map[string]struct{ want, got []events.RequestID }{
		"to be reviewed": {[]events.RequestID{"r_late", "r_waits"}, list(projections.ReviewPending, projections.ReviewOverdue)},
		"overdue":        {[]events.RequestID{"r_late"}, list(projections.ReviewOverdue)},
		"done":           {[]events.RequestID{"r_reviewed", "r_reviewed_late"}, list(projections.ReviewDone)},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	r, err := requests.Get(t.Context(), "r_reviewed_late")
	want := &projections.Glass{
		Reason: "the shop is down", ReviewUntil: at(24 * time.Hour), Overdue: true, Outcome: events.ReviewJustified, By: "u_2", At: pointer(at(4 * time.Second)), Comment: "it was down",
	}
	if diff := cmp.Diff(want, r.Glass); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestRequestsAreFoundByPlaceAndByTheTeamThatFillsThemIn(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	w.append(events.RequestStream("r_other"), "user:u_1", submitted("r_other", "u_1", day))
	w.append(events.RequestStream("r_waits"), "user:u_1", crossTeam("r_waits"))
	w.append(events.RequestStream("r_filled"), "user:u_1", crossTeam("r_filled"), events.ValuesProvided{By: "u_4", Changes: filled})
	catchUp(t, db.App, log)
	for name, tt := range map[string]struct {
		filter projections.RequestFilter
		want   []events.RequestID
	}{
		"a project":               {projections.RequestFilter{Project: "shop"}, []events.RequestID{"r_filled", "r_waits"}},
		"no such project":         {projections.RequestFilter{Project: "sho"}, nil},
		"an environment":          {projections.RequestFilter{Environment: "live"}, []events.RequestID{"r_filled", "r_waits"}},
		"of another project":      {projections.RequestFilter{Project: "bank", Environment: "live"}, nil},
		"a team":                  {projections.RequestFilter{FillTeams: []string{"payments", "other"}}, []events.RequestID{"r_filled", "r_waits"}},
		"a team that has to act":  {projections.RequestFilter{FillTeams: []string{"payments"}, States: []events.RequestState{events.StateAwaiting}}, []events.RequestID{"r_waits"}},
		"a team that nobody asks": {projections.RequestFilter{FillTeams: []string{"other"}}, nil},
	} {
		page, err := projections.Requests{Pool: db.App}.List(t.Context(), tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []events.RequestID
		for _, r := range page.Items {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The view tells the worker where to look, and the history whether there is something to say:
// both must name the same moment.
func TestTheWorkerIsSentWhenThereIsSomethingToSay(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	pending := submitted("", "u_1", day)
	pending.Workflow = prompted
	voided := crossTeam("")
	voided.Fill, voided.Changes = nil, filled
	last := events.StepReminded{Step: "team", Number: command.MaxReminders}
	for id, facts := range map[events.RequestID][]events.Fact{
		"r_old":       {submitted("", "u_1", day)},
		"r_open":      {pending},
		"r_reminded":  {pending, events.StepReminded{Step: "team", Number: 1}},
		"r_escalated": {pending, events.StepEscalated{Step: "team"}},
		"r_enough":    {pending, last},
		"r_silent":    {pending, last, events.StepEscalated{Step: "team"}},
		"r_second":    {pending, events.StepReminded{Step: "team", Number: 4}, passed},
		"r_void":      {voided, events.StepReminded{Step: "team", Number: 4}, events.StepEscalated{Step: "team"}, passed, events.ApprovalsVoided{}},
		"r_waits":     {crossTeam("")},
		"r_filled":    {crossTeam(""), events.ValuesProvided{By: "u_4", Changes: filled}},
		"r_cancelled": {pending, events.RequestCancelled{}},
		"r_glass":     {pending, broken, events.RequestApproved{}},
		"r_overdue":   {pending, broken, events.RequestApproved{}, events.ReviewOverdue{}},
		"r_reviewed":  {pending, broken, events.RequestApproved{}, review},
	} {
		for _, f := range facts {
			if s, ok := f.(events.RequestSubmitted); ok {
				s.Request = id
				f = s
			}
			w.append(events.RequestStream(id), "user:u_1", f)
		}
	}
	catchUp(t, db.App, log)
	requests := projections.Requests{Pool: db.App}
	page, err := requests.List(t.Context(), projections.RequestFilter{})
	if err != nil {
		t.Fatal(err)
	}
	prompts := 0
	for _, seen := range page.Items {
		r, _, err := command.Load[command.Request](t.Context(), log, events.RequestStream(seen.ID))
		if err != nil {
			t.Fatal(err)
		}
		says := func(at time.Time) bool {
			facts, err := r.Prompt(command.Meta{Time: at})
			if err != nil {
				t.Fatal(err)
			}
			return len(facts) > 0
		}
		if seen.NextPromptAt == nil {
			for minute := range 48 * 60 {
				if says(at(time.Duration(minute) * time.Minute)) {
					t.Errorf("%s: nobody is sent at minute %d", seen.ID, minute)
					break
				}
			}
			continue
		}
		prompts++
		if due := *seen.NextPromptAt; says(due.Add(-time.Microsecond)) || !says(due) {
			t.Errorf("%s: somebody is sent at %s", seen.ID, due)
		}
		found, err := requests.Prompts(t.Context(), *seen.NextPromptAt, projections.Due{}, 100)
		if err != nil || !slices.ContainsFunc(found, func(d projections.Due) bool { return d.ID == seen.ID }) {
			t.Errorf("%s is not among what is to be prompted: %v", seen.ID, err)
		}
	}
	if prompts != 8 {
		t.Errorf("%d requests are to be prompted", prompts)
	}
}
