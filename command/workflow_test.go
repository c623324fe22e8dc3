package command_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

const (
	cat events.UserID = "u_cat"
	eve events.UserID = "u_eve"
)

// people are approvers by name.
func people(ids ...events.UserID) events.Approvers { return events.Approvers{People: ids} }

// named is a voice of somebody who is approver by name, given by way of others.
func named(id events.UserID, via ...events.UserID) command.Voice {
	return command.Voice{Via: via, Fits: func(a events.Approvers) bool { return slices.Contains(a.People, id) }}
}

func by(id events.UserID, voices ...command.Voice) command.Vote {
	return command.Vote{By: id, Voices: append([]command.Voice{named(id)}, voices...), Comment: "looks right to me"}
}

// at is a history in which each fact comes with its time after noon.
func at(facts ...any) command.Request {
	var r command.Request
	now := noon
	for i, f := range facts {
		switch f := f.(type) {
		case time.Duration:
			now = noon.Add(f)
		case events.Fact:
			id := events.CommandID(fmt.Sprint("h", i))
			r = r.Evolve(events.Event{ID: events.EventIDOf(id, 0), Command: id, Time: now, Fact: f})
		}
	}
	return r
}

func later(d time.Duration) command.Meta {
	m := meta
	m.Time = noon.Add(d)
	return m
}

var (
	// byName is a workflow of two steps with all that a workflow has.
	byName = events.Workflow{Rule: "prod", Name: "by name", Version: 7, Delegation: true, Veto: &events.Approvers{People: []events.UserID{eve}}, Steps: []events.Step{
		{ID: "team", Approvals: 2, From: people(ann, bob), RemindSeconds: 600, EscalateSeconds: 1500, Fallback: people(cat)},
		{ID: "security", Approvals: 1, From: people(cat, dev)},
	}}
	teamOfAnn = events.ApprovalGiven{Step: "team", Approver: ann}
	teamOfBob = events.ApprovalGiven{Step: "team", Approver: bob}

	// cross is a patch whose value another team fills in.
	cross = func() events.RequestSubmitted {
		s := workflow(byName)
		s.Operation, s.Workflow.Reapprove = events.OperationPatch, events.ReapproveNever
		s.Changes = []events.Change{{Key: "password", Action: events.ChangeSet}}
		s.Fill = &events.Fill{Team: "payments", Until: noon.Add(30 * time.Minute)}
		return s
	}()
	filledIn = []events.Change{{Key: "password", Action: events.ChangeSet, Envelope: env, Fingerprint: newPrint, KMSKey: "k"}}
	provided = events.ValuesProvided{By: eve, Changes: filledIn}
)

func TestVotesCountInTheNameOfOnePerson(t *testing.T) {
	given := func(step events.StepID, by events.UserID, via ...events.UserID) events.ApprovalGiven {
		return events.ApprovalGiven{Step: step, Approver: by, Comment: "looks right to me", Via: via}
	}
	no := func(step events.StepID, by events.UserID, via ...events.UserID) events.RequestRejected {
		return events.RequestRejected{Step: step, Approver: by, Comment: "looks right to me", Via: via}
	}
	alone := byName
	alone.Delegation = false
	escalated := events.StepEscalated{Step: "team"}
	approve, reject := command.Request.Approve, command.Request.Reject
	one := workflow(byName)
	for _, tt := range []struct {
		name  string
		given command.Request
		when  func(command.Request, command.Meta, command.Vote) ([]events.Fact, error)
		vote  command.Vote
		then  []events.Fact
		err   error
	}{
		{"whoever the step names votes", at(one), approve, by(ann), []events.Fact{given("team", ann)}, nil},
		{"somebody else does not", at(one), approve, by(cat), nil, command.ErrNotAnApprover},
		{"a delegate votes for them", at(one), approve, by(cat, named(ann, ann)), []events.Fact{given("team", cat, ann)}, nil},
		{"over three hops", at(one), approve, by(cat, named(ann, eve, "u_4", ann)), []events.Fact{given("team", cat, eve, "u_4", ann)}, nil},
		{"but not over four", at(one), approve, by(cat, named(ann, eve, "u_4", "u_5", ann)), nil, command.ErrVoiceCounted},
		{"nor where the workflow takes no such votes", at(workflow(alone)), approve, by(cat, named(ann, ann)), nil, command.ErrNotAnApprover},
		{"one's own voice comes first", at(one), approve, by(bob, named(ann, ann)), []events.Fact{given("team", bob)}, nil},
		{"the requester is behind no vote", at(one), approve, by(cat, named(bob, dev, bob)), nil, command.ErrVoiceCounted},
		{"nor is a vote in the requester's name", at(one, teamOfAnn, teamOfBob), approve, by("u_4", named(dev, dev)), nil, command.ErrVoiceCounted},
		{"who voted does not count again by a delegate", at(one, teamOfAnn), approve, by(cat, named(ann, ann)), nil, command.ErrVoiceCounted},
		{"nor at a later step", at(one, events.ApprovalGiven{Step: "team", Approver: cat}, teamOfBob), approve, by("u_4", named(cat, cat)), nil, command.ErrVoiceCounted},
		{"whose name was used does not vote", at(one, events.ApprovalGiven{Step: "team", Approver: cat, Via: []events.UserID{ann}}), approve, by(ann), nil, command.ErrAlreadyVoted},
		{"nor whoever it went by", at(one, events.ApprovalGiven{Step: "team", Approver: cat, Via: []events.UserID{bob, ann}}), approve, by(bob), nil, command.ErrAlreadyVoted},
		{"a circle leads nowhere", at(one), approve, by(cat, named(ann, cat, ann)), nil, command.ErrVoiceCounted},
		{"and neither does a smaller one", at(one), approve, by(cat, named(ann, eve, eve, ann)), nil, command.ErrVoiceCounted},
		{"another of one's voices counts instead", at(one, teamOfAnn), approve, by(cat, named(ann, ann), named(bob, bob)), []events.Fact{given("team", cat, bob)}, nil},
		{"the fallback waits for the escalation", at(one, events.StepReminded{Step: "team", Number: 1}), approve, by(cat), nil, command.ErrNotAnApprover},
		{"and votes then", at(one, escalated), approve, by(cat), []events.Fact{given("team", cat)}, nil},
		{"beside those before", at(one, escalated), approve, by(ann), []events.Fact{given("team", ann)}, nil},
		{"an escalation is of one step", at(one, escalated, teamOfAnn, events.ApprovalGiven{Step: "team", Approver: cat}), approve, by(bob), nil, command.ErrNotAnApprover},
		{"votes that are void free their people", at(one, teamOfAnn, events.ApprovalsVoided{}), approve, by(ann), []events.Fact{given("team", ann)}, nil},
		{"and end the escalation", at(one, escalated, events.ApprovalsVoided{}), approve, by(cat), nil, command.ErrNotAnApprover},

		{"an approver of the open step rejects", at(one), reject, by(ann), []events.Fact{no("team", ann)}, nil},
		{"an approver of a later step does not yet", at(one), reject, by(cat), nil, command.ErrNotAnApprover},
		{"whoever has a veto does at any step", at(one), reject, by(eve), []events.Fact{no("team", eve)}, nil},
		{"also at the last", at(one, teamOfAnn, teamOfBob), reject, by(eve), []events.Fact{no("security", eve)}, nil},
		{"by a delegate too", at(one), reject, by(cat, named(eve, eve)), []events.Fact{no("team", cat, eve)}, nil},
		{"but a veto approves nothing", at(one), approve, by(eve), nil, command.ErrNotAnApprover},
		{"who approved does not reject", at(one, teamOfAnn), reject, by(ann), nil, command.ErrAlreadyVoted},
		{"nor does the requester in the name of a veto", at(one), reject, by(dev, named(eve, eve)), nil, command.ErrSelfApproval},

		{"nobody decides before the values are there", at(cross), approve, by(ann), nil, command.ErrNotPending},
		{"then the step's people do", at(cross, provided), approve, by(ann), []events.Fact{given("team", ann)}, nil},
		{"whoever filled them in does not", at(cross, events.ValuesProvided{By: ann, Changes: filledIn}), approve, by(ann), nil, command.ErrFilledIn},
		{"nor does anybody in their name", at(cross, events.ValuesProvided{By: ann, Changes: filledIn}), approve, by(cat, named(ann, ann)), nil, command.ErrVoiceCounted},
		{"nor by way of them", at(cross, provided), approve, by(cat, named(bob, eve, bob)), nil, command.ErrVoiceCounted},
		{"nor reject, with a veto", at(cross, provided), reject, by(eve), nil, command.ErrFilledIn},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(tt.given, meta, tt.vote)
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}

func TestOpenStepsRemindAndEscalate(t *testing.T) {
	remind := func(n int) events.Fact { return events.StepReminded{Step: "team", Number: n} }
	escalate := events.StepEscalated{Step: "team"}
	one := workflow(byName)
	for _, tt := range []struct {
		name  string
		given command.Request
		at    time.Duration
		then  []events.Fact
	}{
		{"not before its time", at(one), 10*time.Minute - 1, nil},
		{"a reminder", at(one), 10 * time.Minute, []events.Fact{remind(1)}},
		{"not at once again", at(one, 10*time.Minute, remind(1)), 20*time.Minute - 1, nil},
		{"a second one", at(one, 10*time.Minute, remind(1)), 20 * time.Minute, []events.Fact{remind(2)}},
		{"after a time without a worker there is one, and not all that were missed", at(one, 24*time.Minute, remind(1)), 25*time.Minute - 1, nil},
		{"an escalation beside it", at(one), 25 * time.Minute, []events.Fact{remind(1), escalate}},
		{"once", at(one, 25*time.Minute, remind(1), escalate), 30 * time.Minute, nil},
		{"a vote that closes no step restarts nothing", at(one, 8*time.Minute, teamOfAnn), 10 * time.Minute, []events.Fact{remind(1)}},
		{"one that does starts the next, which has no times", at(one, teamOfAnn, teamOfBob), 50 * time.Minute, nil},
		{"approvals that are void start anew", at(one, 20*time.Minute, remind(1), escalate, events.ApprovalsVoided{}), 30*time.Minute - 1, nil},
		{"and remind", at(one, 20*time.Minute, remind(1), escalate, events.ApprovalsVoided{}), 30 * time.Minute, []events.Fact{remind(1)}},
		{"nobody is reminded of values", at(cross), 25 * time.Minute, nil},
		{"the time begins with them", at(cross, 20*time.Minute, provided), 30*time.Minute - 1, nil},
		{"and then reminds", at(cross, 20*time.Minute, provided), 30 * time.Minute, []events.Fact{remind(1)}},
		{"the bound is the last", at(one, 10*time.Minute, remind(command.MaxReminders), escalate), 30 * time.Minute, nil},
		{"nothing after the end", at(one), time.Hour, nil},
		{"nor of one that is over", at(one, events.RequestCancelled{}), 30 * time.Minute, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.given.Prompt(later(tt.at))
			commandtest.Then(t, got, err, tt.then, nil)
		})
	}
}

func TestValuesOfAnotherTeam(t *testing.T) {
	provide := func(cmd command.Provide) func(command.Request, command.Meta) ([]events.Fact, error) {
		return func(r command.Request, m command.Meta) ([]events.Fact, error) { return r.Provide(m, cmd) }
	}
	refuse := func(cmd command.Refuse) func(command.Request, command.Meta) ([]events.Fact, error) {
		return func(r command.Request, m command.Meta) ([]events.Fact, error) { return r.Refuse(m, cmd) }
	}
	expire := command.Request.Expire
	refused := events.ValuesRefused{By: eve, Comment: "we rotate it ourselves"}
	values := func(changes ...events.Change) command.Provide {
		return command.Provide{By: eve, Fits: true, Changes: changes}
	}
	other := filledIn[0]
	other.Key = "user"
	bare := events.Change{Key: "password", Action: events.ChangeSet}
	unset := events.Change{Key: "password", Action: events.ChangeUnset, Envelope: env, Fingerprint: newPrint}
	for _, tt := range []struct {
		name  string
		given command.Request
		when  func(command.Request, command.Meta) ([]events.Fact, error)
		at    time.Duration
		then  []events.Fact
		err   error
	}{
		{"the team fills them in", at(cross), provide(values(filledIn...)), 0, []events.Fact{provided}, nil},
		{"once", at(cross, provided), provide(values(filledIn...)), 0, nil, command.ErrNotAwaiting},
		{"nobody else does", at(cross), provide(command.Provide{By: ann, Changes: filledIn}), 0, nil, command.ErrNotTheTeam},
		{"nor the requester, of whatever team", at(cross), provide(command.Provide{By: dev, Fits: true, Changes: filledIn}), 0, nil, command.ErrOwnFill},
		{"no other key", at(cross), provide(values(other)), 0, nil, command.ErrValuesMismatch},
		{"no key more", at(cross), provide(values(filledIn[0], other)), 0, nil, command.ErrValuesMismatch},
		{"no key less", at(cross), provide(values()), 0, nil, command.ErrValuesMismatch},
		{"no key without a value", at(cross), provide(values(bare)), 0, nil, command.ErrValuesMismatch},
		{"and none is removed", at(cross), provide(values(unset)), 0, nil, command.ErrValuesMismatch},
		{"not after the team's time", at(cross), provide(values(filledIn...)), 30 * time.Minute, nil, command.ErrRequestExpired},
		{"not after a cancel", at(cross, events.RequestCancelled{}), provide(values(filledIn...)), 0, nil, command.ErrCancelled},
		{"not where nobody was asked", at(patch), provide(values(filledIn...)), 0, nil, command.ErrNotAwaiting},
		{"not where there is nothing", at(), provide(values(filledIn...)), 0, nil, command.ErrRequestUnknown},
		{"the team refuses", at(cross), refuse(command.Refuse{By: eve, Fits: true, Comment: refused.Comment}), 0, []events.Fact{refused}, nil},
		{"saying why", at(cross), refuse(command.Refuse{By: eve, Fits: true, Comment: "no, never"}), 0, nil, command.ErrCommentTooShort},
		{"nobody else refuses", at(cross), refuse(command.Refuse{By: ann, Comment: refused.Comment}), 0, nil, command.ErrNotTheTeam},
		{"and then it is over", at(cross, refused), provide(values(filledIn...)), 0, nil, command.ErrNotAwaiting},
		{"nobody filled them in", at(cross), expire, 30 * time.Minute, []events.Fact{events.RequestExpired{From: events.StateAwaiting}}, nil},
		{"but the time is not over", at(cross), expire, 30*time.Minute - 1, nil, nil},
		{"filled in it has the time of any other", at(cross, provided), expire, time.Hour - 1, nil, nil},
		{"which ends", at(cross, provided), expire, time.Hour, []events.Fact{events.RequestExpired{From: events.StatePending}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(tt.given, later(tt.at))
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
	r := at(cross)
	if err := r.MayCompare(noon, "demo", look); !errors.Is(err, command.ErrJobOver) {
		t.Errorf("it is looked at before there are values: %v", err)
	}
	if r = r.Evolve(events.Event{Fact: provided}); r.MayCompare(noon, "demo", look) != nil {
		t.Error("it is not looked at once there are values")
	}
	if c, _ := r.Change("password"); c.Envelope != env || cross.Changes[0].Envelope != "" {
		t.Error("the values are not those that were filled in, or the fact of the submit changed")
	}
}

func TestWhatWentWithoutApprovalIsReviewed(t *testing.T) {
	broken := events.GlassBroken{Reason: "the shop is down", ReviewUntil: noon.Add(24 * time.Hour)}
	glass := []any{submitted, broken, approved}
	review := func(cmd command.Review) command.Review {
		if cmd.Outcome == "" {
			cmd.Outcome = events.ReviewUnjustified
		}
		if cmd.Comment == "" {
			cmd.Comment = "nothing was down"
		}
		return cmd
	}
	reviewed := events.GlassReviewed{By: ann, Outcome: events.ReviewUnjustified, Comment: "nothing was down"}
	for _, tt := range []struct {
		name  string
		given command.Request
		when  command.Review
		then  []events.Fact
		err   error
	}{
		{"by a reviewer", at(glass...), review(command.Review{By: ann, Fits: true}), []events.Fact{reviewed}, nil},
		{"also late", at(append(glass, events.ReviewOverdue{})...), review(command.Review{By: ann, Fits: true}), []events.Fact{reviewed}, nil},
		{"also when it is over", at(append(glass, events.RequestExpired{From: events.StateApproved})...), review(command.Review{By: ann, Fits: true}), []events.Fact{reviewed}, nil},
		{"never by the requester", at(glass...), review(command.Review{By: dev, Fits: true}), nil, command.ErrOwnReview},
		{"by nobody else", at(glass...), review(command.Review{By: bob}), nil, command.ErrNotAReviewer},
		{"once", at(append(glass, reviewed)...), review(command.Review{By: bob, Fits: true}), nil, command.ErrReviewed},
		{"with a word", at(glass...), review(command.Review{By: ann, Fits: true, Comment: "too short"}), nil, command.ErrCommentTooShort},
		{"and a verdict", at(glass...), review(command.Review{By: ann, Fits: true, Outcome: "fine"}), nil, command.ErrReviewInvalid},
		{"only what went without approval", at(submitted), review(command.Review{By: ann, Fits: true}), nil, command.ErrNothingToReview},
		{"and is there", at(), review(command.Review{By: ann, Fits: true}), nil, command.ErrRequestUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.given.Review(meta, tt.when)
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
	for _, tt := range []struct {
		name  string
		given command.Request
		at    time.Duration
		then  []events.Fact
	}{
		{"in time nothing is overdue", at(glass...), 24*time.Hour - 1, nil},
		{"then it is", at(glass...), 24 * time.Hour, []events.Fact{events.ReviewOverdue{}}},
		{"once", at(append(glass, events.ReviewOverdue{})...), 25 * time.Hour, nil},
		{"not once it was reviewed", at(append(glass, reviewed)...), 25 * time.Hour, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.given.Prompt(later(tt.at))
			commandtest.Then(t, got, err, tt.then, nil)
		})
	}
}

// A patch that went without approval is written on top of whatever is there; approvals that it
// needed later are ended by changes like any others.
func TestABrokenGlassLetsAPatchBegin(t *testing.T) {
	broken := events.GlassBroken{Reason: "the shop is down", ReviewUntil: noon.Add(24 * time.Hour)}
	r := at(reapprove(events.ReapproveAnyChange), broken, approved, started)
	got, err := r.Compare(meta, looked(1, "3", asFound))
	found := compared
	found.Job = job
	commandtest.Then(t, got, err, []events.Fact{found, begun}, nil)

	r = at(reapprove(events.ReapproveAnyChange), broken, approved, started, found, begun, events.ApprovalsVoided{Version: "3"}, given, approved, events.JobStarted{Job: job, Agent: first, Attempt: 2})
	got, err = r.Compare(meta, looked(2, "4", asFound))
	again := found
	again.Number, again.Version = 2, "4"
	commandtest.Then(t, got, err, []events.Fact{again, events.ApprovalsVoided{Version: "4"}}, nil)
}

// Whatever workflows, delegations and orders of commands there are: a request is approved by as
// many different people as its steps ask for, in their order, with nobody behind two votes and
// never the requester or whoever filled the values in.
func TestNoHistoryApprovesWithFewerPeopleThanItNeeds(t *testing.T) {
	everybody := []events.UserID{dev, ann, bob, cat, eve, "u_6", "u_7"}
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string) events.Approvers {
			return people(rapid.SliceOfNDistinct(rapid.SampledFrom(everybody), 0, 5, rapid.ID).Draw(t, label)...)
		}
		w := events.Workflow{Name: "any", Delegation: rapid.IntRange(0, 3).Draw(t, "delegation") > 0, Reapprove: events.ReapproveNever}
		for i := range rapid.IntRange(1, 3).Draw(t, "steps") {
			w.Steps = append(w.Steps, events.Step{
				ID: events.StepID(fmt.Sprint("s", i)), Approvals: rapid.IntRange(1, 3).Draw(t, "approvals"),
				From: some("from"), Fallback: some("fallback"), EscalateSeconds: 60,
			})
		}
		if rapid.Bool().Draw(t, "veto") {
			veto := some("veto")
			w.Veto = &veto
		}
		delegators := map[events.UserID][]events.UserID{}
		for _, p := range everybody {
			delegators[p] = rapid.SliceOfN(rapid.SampledFrom(everybody), 0, 3).Draw(t, "delegators")
		}
		s := cross
		s.Workflow = w
		if rapid.Bool().Draw(t, "own values") {
			s.Fill, s.Changes = nil, filledIn
		}
		facts := []events.Fact{s}
		r := at(s)
		now := noon
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			who := rapid.SampledFrom(everybody).Draw(t, "who")
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			m := command.Meta{Command: events.NewCommandID(), Time: now}
			var decided []events.Fact
			commands := []string{"approve", "approve", "approve", "approve", "reject", "prompt", "void"}
			if r.State == events.StateAwaiting {
				commands = []string{"provide", "provide", "approve"}
			}
			switch rapid.SampledFrom(commands).Draw(t, "command") {
			case "approve":
				decided, _ = r.Approve(m, command.Vote{By: who, Voices: voices(who, delegators)})
			case "reject":
				if rapid.IntRange(0, 9).Draw(t, "seldom") == 0 {
					decided, _ = r.Reject(m, command.Vote{By: who, Voices: voices(who, delegators)})
				}
			case "provide":
				decided, _ = r.Provide(m, command.Provide{By: who, Fits: true, Changes: filledIn})
			case "prompt":
				decided, _ = r.Prompt(m)
			case "void":
				if r.State == events.StatePending || r.State == events.StateApproved {
					decided = []events.Fact{events.ApprovalsVoided{Version: "4"}}
				}
			}
			for _, f := range decided {
				facts = append(facts, f)
				r = r.Evolve(events.Event{Command: m.Command, Time: now, Fact: f})
			}
		}
		checkPeople(t, s, facts)
	})
}

// voices are all names in which somebody could vote, by all ways of up to four hops.
func voices(who events.UserID, delegators map[events.UserID][]events.UserID) []command.Voice {
	all := []command.Voice{named(who)}
	var walk func(at events.UserID, via []events.UserID)
	walk = func(at events.UserID, via []events.UserID) {
		if len(via) > command.MaxHops {
			return
		}
		for _, d := range delegators[at] {
			hops := append(slices.Clone(via), d)
			all = append(all, named(d, hops...))
			walk(d, hops)
		}
	}
	walk(who, nil)
	return all
}

// checkPeople counts by itself who is behind each approval.
func checkPeople(t *rapid.T, s events.RequestSubmitted, facts []events.Fact) {
	var filler events.UserID
	var votes []events.ApprovalGiven
	var step int
	escalated := map[events.StepID]bool{}
	behind := map[events.UserID]bool{}
	took := func(by events.UserID, via []events.UserID, from ...events.Approvers) {
		last := by
		if len(via) > 0 {
			last = via[len(via)-1]
		}
		if !slices.ContainsFunc(from, func(a events.Approvers) bool { return slices.Contains(a.People, last) }) {
			t.Fatalf("%s may not decide", last)
		}
		if len(via) > command.MaxHops || len(via) > 0 && !s.Workflow.Delegation {
			t.Fatalf("a vote over %v", via)
		}
		for _, p := range append(slices.Clone(via), by) {
			if p == s.Requester || p == filler || behind[p] {
				t.Fatalf("%s is behind a vote and must not be", p)
			}
			behind[p] = true
		}
	}
	may := func() []events.Approvers {
		now := s.Workflow.Steps[step]
		if escalated[now.ID] {
			return []events.Approvers{now.From, now.Fallback}
		}
		return []events.Approvers{now.From}
	}
	for _, f := range facts {
		switch f := f.(type) {
		case events.ValuesProvided:
			filler = f.By
		case events.StepEscalated:
			escalated[f.Step] = true
		case events.ApprovalsVoided:
			votes, step = nil, 0
			clear(escalated)
			clear(behind)
		case events.ApprovalGiven:
			if f.Step != s.Workflow.Steps[step].ID {
				t.Fatalf("a vote on %s before its turn", f.Step)
			}
			took(f.Approver, f.Via, may()...)
			if votes = append(votes, f); len(votes) == s.Workflow.Steps[step].Approvals {
				votes, step = nil, step+1
			}
		case events.RequestRejected:
			from := may()
			if s.Workflow.Veto != nil {
				from = append(from, *s.Workflow.Veto)
			}
			took(f.Approver, f.Via, from...)
		case events.RequestApproved:
			if step != len(s.Workflow.Steps) {
				t.Fatalf("approved at step %d", step)
			}
		}
	}
	if s.Fill != nil && filler == "" && len(behind) > 0 {
		t.Fatal("decided before there were values")
	}
}
