package command_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

const oldPrint, newPrint, otherPrint = "hmac-sha256:old", "hmac-sha256:new", "hmac-sha256:other"

var (
	look = events.ComparisonOf(req)

	// patch sets one key and removes another of a secret that exists.
	patch = func() events.RequestSubmitted {
		s := submitted
		s.Operation, s.Keys = events.OperationPatch, []string{"password", "legacy"}
		s.Workflow.Reapprove = events.ReapproveTouched
		s.Changes = []events.Change{
			{Key: "password", Action: events.ChangeSet, Envelope: env, Fingerprint: newPrint, KMSKey: "k"},
			{Key: "legacy", Action: events.ChangeUnset},
		}
		s.ValuesUntil = noon.Add(time.Hour + 10*time.Minute)
		return s
	}()
	asFound = []events.Compared{
		{Key: "password", Effect: events.EffectChanged, Before: oldPrint}, {Key: "legacy", Effect: events.EffectRemoved, Before: oldPrint},
	}
	asOthersLeft = []events.Compared{
		{Key: "password", Effect: events.EffectChanged, Before: otherPrint}, {Key: "legacy", Effect: events.EffectRemoved, Before: oldPrint},
	}
	asAsked = []events.Compared{
		{Key: "password", Effect: events.EffectUnchanged, Before: newPrint}, {Key: "legacy", Effect: events.EffectUnchanged},
	}
	compared = events.PatchCompared{Number: 1, Job: look, Agent: first, Exists: true, Version: "3", Keys: asFound}
	begun    = events.WriteBegun{Job: job, Agent: first, Attempt: 1, Version: "3"}
	unknown  = events.OutcomeUnknown{Job: job, Until: noon.Add(command.LookTTL)}
)

var folded = commandtest.Fold[command.Request]

func with(change func(*events.RequestSubmitted)) events.RequestSubmitted {
	s := patch
	change(&s)
	return s
}

func reapprove(when events.Reapprove) events.RequestSubmitted {
	return with(func(s *events.RequestSubmitted) { s.Workflow.Reapprove = when })
}

// looked is an agent's word in a job that only looks, or in the given attempt.
func looked(attempt int, version string, keys []events.Compared) command.Compare {
	c := command.Compare{Attempt: command.Attempt{Job: look, Agent: first}, Cluster: "demo", Exists: version != "", Version: version, Keys: keys}
	if attempt > 0 {
		c.Job, c.Number = job, attempt
	}
	return c
}

func fails(code events.FailureCode) events.RequestFailed {
	return events.RequestFailed{Job: job, Agent: first, Code: code, Detail: code.Sentence()}
}

func TestComparisons(t *testing.T) {
	running := func(s events.RequestSubmitted, more ...events.Fact) []events.Fact {
		return append([]events.Fact{s, compared, given, approved, started}, more...)
	}
	second := events.JobStarted{Job: job, Agent: first, Attempt: 2}
	again := func(number int, by events.JobID, version string, keys []events.Compared) events.PatchCompared {
		return events.PatchCompared{Number: number, Job: by, Agent: first, Exists: version != "", Version: version, Keys: keys}
	}
	begunAgain := begun
	begunAgain.Attempt = 2
	notWritten := looked(1, "4", asOthersLeft)
	notWritten.NotWritten = true
	create := with(func(s *events.RequestSubmitted) {
		s.Create, s.Changes, s.Keys = true, s.Changes[:1], s.Keys[:1]
	})
	toAdd := []events.Compared{{Key: "password", Effect: events.EffectAdded}}
	there := []events.Compared{{Key: "password", Effect: events.EffectChanged, Before: oldPrint}}
	absent := events.PatchCompared{Number: 1, Job: look, Agent: first, Keys: toAdd}
	away := command.Compare{Attempt: command.Attempt{Job: look, Agent: first}, Cluster: "demo", Problem: events.FailureForbidden}
	problem := events.PatchCompared{Number: 1, Job: look, Agent: first, Problem: events.FailureForbidden}
	missing := events.PatchCompared{Number: 1, Job: look, Agent: first, Problem: events.FailureSecretNotFound}
	twoSteps := with(func(s *events.RequestSubmitted) { s.Workflow = twoOf; s.Workflow.Reapprove = events.ReapproveTouched })
	teamOnce := events.ApprovalGiven{Step: "team", Approver: ann}
	voided := events.ApprovalsVoided{Version: "4"}
	for _, tt := range []struct {
		name  string
		given []events.Fact
		when  command.Compare
		then  []events.Fact
		err   error
	}{
		{"the first look is a fact", []events.Fact{patch}, looked(0, "3", asFound), []events.Fact{compared}, nil},
		{"a look that says nothing new is silent", []events.Fact{patch, compared}, looked(0, "3", asFound), nil, nil},
		{"a new version is a fact", []events.Fact{patch, compared}, looked(0, "4", asFound), []events.Fact{again(2, look, "4", asFound)}, nil},
		{"a look that cannot see says why", []events.Fact{patch}, away, []events.Fact{problem}, nil},
		{"and says it once", []events.Fact{patch, problem}, away, nil, nil},
		{"a missing secret is a problem of a patch", []events.Fact{patch}, command.Compare{Attempt: away.Attempt, Cluster: "demo", Keys: []events.Compared{{Key: "password", Effect: events.EffectAdded}, {Key: "legacy", Effect: events.EffectUnchanged}}}, []events.Fact{missing}, nil},
		{"a vote for another value ends when that is seen", []events.Fact{twoSteps, compared, teamOnce}, looked(0, "4", asOthersLeft), []events.Fact{again(2, look, "4", asOthersLeft), voided}, nil},
		{"a vote stays when other keys changed", []events.Fact{twoSteps, compared, teamOnce}, looked(0, "4", asFound), []events.Fact{again(2, look, "4", asFound)}, nil},

		{"an attempt that finds what was approved may write", running(patch), looked(1, "3", asFound), []events.Fact{begun}, nil},
		{"other keys may have changed", running(patch), looked(1, "4", asFound), []events.Fact{again(2, job, "4", asFound), events.WriteBegun{Job: job, Agent: first, Attempt: 1, Version: "4"}}, nil},
		{"unless the workflow says otherwise", running(reapprove(events.ReapproveAnyChange)), looked(1, "4", asFound), []events.Fact{again(2, job, "4", asFound), voided}, nil},
		{"approvals of another value end", running(patch), looked(1, "4", asOthersLeft), []events.Fact{again(2, job, "4", asOthersLeft), voided}, nil},
		{"unless the workflow merges", running(reapprove(events.ReapproveNever)), looked(1, "4", asOthersLeft), []events.Fact{again(2, job, "4", asOthersLeft), events.WriteBegun{Job: job, Agent: first, Attempt: 1, Version: "4"}}, nil},
		{"nothing to write is no write", running(reapprove(events.ReapproveNever)), looked(1, "4", asAsked), []events.Fact{again(2, job, "4", asAsked)}, nil},

		{"after a refused write the rules are those of the first", running(patch, begun), notWritten, []events.Fact{again(2, job, "4", asOthersLeft), voided}, nil},
		{"a second attempt writes again where nothing happened", running(patch, begun, second), looked(2, "3", asFound), []events.Fact{begunAgain}, nil},
		{"but not without new approvals, where any change ends them", running(reapprove(events.ReapproveAnyChange), begun, second), looked(2, "4", asFound), []events.Fact{again(2, job, "4", asFound), voided}, nil},
		{"nor after a write of its own that nobody answered", running(reapprove(events.ReapproveAnyChange), begun), looked(1, "4", asFound), []events.Fact{again(2, job, "4", asFound), voided}, nil},
		{"nor over keys that somebody may have set back", running(reapprove(events.ReapproveNever), begun, second), looked(2, "5", asFound), []events.Fact{again(2, job, "5", asFound), events.ApprovalsVoided{Version: "5"}}, nil},
		{"and finds what the first one wrote", running(patch, begun, second), looked(2, "4", asAsked), []events.Fact{again(2, job, "4", asAsked)}, nil},
		{"but never writes over what came after", running(reapprove(events.ReapproveNever), begun, second), looked(2, "5", asOthersLeft), []events.Fact{again(2, job, "5", asOthersLeft), fails(events.FailureOutcomeUnknown)}, nil},
		{"not even if it says that nothing was written: it was not its write", running(reapprove(events.ReapproveNever), begun, second), func() command.Compare { c := looked(2, "5", asOthersLeft); c.NotWritten = true; return c }(), []events.Fact{again(2, job, "5", asOthersLeft), fails(events.FailureOutcomeUnknown)}, nil},
		{"nor if its own write was refused: the one before may be there", running(reapprove(events.ReapproveNever), begun, second, begunAgain), func() command.Compare { c := looked(2, "5", asOthersLeft); c.NotWritten = true; return c }(), []events.Fact{again(2, job, "5", asOthersLeft), fails(events.FailureOutcomeUnknown)}, nil},

		{"a new secret must not be there", []events.Fact{create}, looked(0, "1", there), []events.Fact{events.PatchCompared{Number: 1, Job: look, Agent: first, Problem: events.FailureSecretExists}}, nil},
		{"nor when it is to be written", []events.Fact{create, absent, given, approved, started}, looked(1, "1", there), []events.Fact{
			events.PatchCompared{Number: 2, Job: job, Agent: first, Problem: events.FailureSecretExists}, fails(events.FailureSecretExists)}, nil},
		{"it is made where there is none", []events.Fact{create, absent, given, approved, started}, looked(1, "", toAdd), []events.Fact{events.WriteBegun{Job: job, Agent: first, Attempt: 1}}, nil},
		{"a second attempt finds the new secret", []events.Fact{create, absent, given, approved, started, events.WriteBegun{Job: job, Agent: first, Attempt: 1}, second}, looked(2, "1", asAsked[:1]), []events.Fact{again(2, job, "1", asAsked[:1])}, nil},

		{"a look finds the change of a write that nobody saw end", []events.Fact{patch, compared, given, approved, started, begun, unknown}, looked(0, "4", asAsked), []events.Fact{again(2, look, "4", asAsked),
			events.RequestExecuted{Job: job, Agent: first, Attempt: 1, ProviderVersion: "4", PreviousVersion: "3", Outcome: events.PatchFound}}, nil},
		{"or that it is not there", []events.Fact{patch, compared, given, approved, started, begun, unknown}, looked(0, "3", asFound), []events.Fact{fails(events.FailureNotWritten)}, nil},
		{"or that it may have been there", []events.Fact{patch, compared, given, approved, started, begun, unknown}, looked(0, "5", asFound), []events.Fact{again(2, look, "5", asFound), fails(events.FailureOutcomeUnknown)}, nil},
		{"or that nobody can tell", []events.Fact{patch, compared, given, approved, started, begun, unknown}, looked(0, "5", asOthersLeft), []events.Fact{again(2, look, "5", asOthersLeft), fails(events.FailureOutcomeUnknown)}, nil},
		{"a look that sees nothing waits for the next", []events.Fact{patch, compared, given, approved, started, begun, unknown}, away, []events.Fact{events.PatchCompared{Number: 2, Job: look, Agent: first, Problem: events.FailureForbidden}}, nil},

		{"a job of another cluster looks at nothing", []events.Fact{patch}, command.Compare{Attempt: away.Attempt, Cluster: "other", Problem: events.FailureForbidden}, nil, command.ErrJobNotYours},
		{"nobody looks for a read", []events.Fact{submitted}, away, nil, command.ErrJobUnknown},
		{"nobody looks once it is over", []events.Fact{patch, events.RequestCancelled{}}, away, nil, command.ErrJobOver},
		{"an overtaken attempt writes nothing", running(patch, second), looked(1, "3", asFound), nil, command.ErrAttemptStale},
		{"a look that leaves out a key is refused", []events.Fact{patch}, looked(0, "3", asFound[:1]), nil, command.ErrComparisonInvalid},
		{"an effect that does not follow is refused", []events.Fact{patch}, looked(0, "3", []events.Compared{{Key: "password", Effect: events.EffectUnchanged, Before: oldPrint}, asFound[1]}), nil, command.ErrComparisonInvalid},
		{"a fingerprint that is none is refused", []events.Fact{patch}, looked(0, "3", []events.Compared{{Key: "password", Effect: events.EffectChanged, Before: "\x1b[2J\x00"}, asFound[1]}), nil, command.ErrComparisonInvalid},
		{"an attempt that cannot look fails its job instead", running(patch), func() command.Compare { c := away; c.Job, c.Number = job, 1; return c }(), nil, command.ErrComparisonInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := folded(tt.given...).Compare(meta, tt.when)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.then, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLooksDoNotGrowAHistoryForEver has an agent see something new each time.
func TestLooksDoNotGrowAHistoryForEver(t *testing.T) {
	for _, tt := range []struct {
		name    string
		given   []events.Fact
		attempt int
		most    int
	}{
		{"pending", []events.Fact{patch}, 0, 500},
		{"in an attempt", []events.Fact{patch, compared, given, approved, started}, 1, 66},
	} {
		r, facts := folded(tt.given...), 0
		for i := range 2000 {
			look := looked(tt.attempt, fmt.Sprint(100+i), asFound)
			look.NotWritten = tt.attempt > 0
			said, err := r.Compare(meta, look)
			if err != nil && !errors.Is(err, command.ErrComparisonInvalid) {
				t.Fatal(err)
			}
			facts += len(said)
			for _, f := range said {
				r = r.Evolve(events.Event{Command: events.NewCommandID(), Fact: f})
			}
		}
		if facts > tt.most {
			t.Errorf("%s: 2000 looks made %d facts", tt.name, facts)
		}
	}
	vote := events.ApprovalGiven{Step: "team", Approver: ann}
	many := compared
	many.Number = 500
	r := folded(with(func(s *events.RequestSubmitted) { s.Workflow = twoOf; s.Workflow.Reapprove = events.ReapproveTouched }), many, vote)
	if said, err := r.Compare(meta, looked(0, "4", asOthersLeft)); err != nil || len(said) != 2 {
		t.Errorf("a look that ends approvals: %v, %v", said, err)
	}
}

func TestOnlyTheAttemptUnderWayMayGoOn(t *testing.T) {
	second := events.JobStarted{Job: job, Agent: "a_2", Attempt: 2}
	again := events.WriteBegun{Job: job, Agent: "a_2", Attempt: 2, Version: "3"}
	r := folded(patch, compared, given, approved, started, begun, second, again)
	for _, tt := range []struct {
		attempt command.Attempt
		want    events.NextStep
	}{
		{command.Attempt{Job: job, Agent: "a_2", Number: 2}, events.NextWrite},
		{command.Attempt{Job: job, Agent: first, Number: 1}, events.NextNothing}, // a frame that somebody kept
		{command.Attempt{Job: job, Agent: first, Number: 2}, events.NextNothing},
		{command.Attempt{Job: look, Agent: "a_2"}, events.NextNothing},
	} {
		if next, _ := r.Next(tt.attempt, asFound); next != tt.want {
			t.Errorf("%+v may %s, want %s", tt.attempt, next, tt.want)
		}
	}
}

func TestPatchesAreCheckedAtSubmit(t *testing.T) {
	base := command.Submit{
		Requester: dev, Connection: command.Connection{ID: "file", Provider: events.ProviderFile, Cluster: "demo", State: command.ConnectionActive},
		Ref: "prod/db", Reason: "rotate", Workflow: oneStep, PendingTTL: time.Hour, ApprovalTTL: time.Minute, RevealTTL: time.Minute,
	}
	set, unset := events.Change{Key: "a", Action: events.ChangeSet}, events.Change{Key: "b", Action: events.ChangeUnset}
	for _, tt := range []struct {
		name   string
		change []events.Change
		create bool
		err    error
	}{
		{"a set and an unset", []events.Change{set, unset}, false, nil},
		{"a new secret", []events.Change{set}, true, nil},
		{"a new secret without a key", nil, true, command.ErrChangesInvalid},
		{"a new secret that unsets", []events.Change{set, unset}, true, command.ErrChangesInvalid},
		{"an unknown action", []events.Change{{Key: "a", Action: "rename"}}, false, command.ErrChangesInvalid},
		{"a key twice", []events.Change{set, {Key: "a", Action: events.ChangeUnset}}, false, command.ErrKeysInvalid},
		{"too many keys", slices.Repeat([]events.Change{set}, command.MaxKeys+1), false, command.ErrChangesInvalid},
	} {
		cmd := base
		cmd.Changes, cmd.Create = tt.change, tt.create
		facts, err := command.Request{}.Submit(meta, cmd)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: error = %v, want %v", tt.name, err, tt.err)
		}
		if err == nil {
			f := facts[0].(events.RequestSubmitted)
			if f.Operation != events.OperationPatch || len(f.Keys) != len(tt.change) || !f.ValuesUntil.After(f.PendingUntil.Add(time.Minute-time.Second)) {
				t.Errorf("%s: %+v", tt.name, f)
			}
		}
	}
}

func TestApproversHaveSeenWhatTheyApprove(t *testing.T) {
	votes := func(comparison int, given ...events.Fact) error {
		_, err := folded(given...).Approve(meta, command.Vote{By: ann, Voices: own(approver...), Comparison: comparison})
		return err
	}
	for name, tt := range map[string]struct {
		err, want error
	}{
		"nobody has looked":              {votes(0, patch), command.ErrNotCompared},
		"nobody needs to":                {votes(0, reapprove(events.ReapproveNever)), nil},
		"compared":                       {votes(0, patch, compared), nil},
		"compared, and this is the look": {votes(1, patch, compared), nil},
		"it looked different":            {votes(2, patch, compared), command.ErrComparisonMoved},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: error = %v, want %v", name, tt.err, tt.want)
		}
	}
	r := folded(patch, compared, given, approved, started, events.ApprovalsVoided{Version: "4"})
	if r.State != events.StatePending {
		t.Fatalf("after the approvals are void it is %s", r.State)
	}
	facts, err := r.Approve(meta, vote(ann, "approver"))
	if err != nil || len(facts) != 2 {
		t.Errorf("the same person approves again: %v, %v", facts, err)
	}
}

func TestValuesAreHandedToOneKey(t *testing.T) {
	history := []events.Fact{patch, compared, given, approved, started}
	ask := func(key, agentKey string, attempt int, more ...events.Fact) ([]events.Fact, error) {
		return folded(append(slices.Clone(history), more...)...).
			Deliver(meta, command.Deliver{
				Attempt: command.Attempt{Job: job, Agent: first, Number: attempt}, Cluster: "demo", Key: key, AgentKey: agentKey,
				AtRest: strings.HasSuffix(agentKey, "at rest"),
			})
	}
	delivered := events.EnvelopeDelivered{Envelope: env, Key: "password", Job: job, Attempt: 1, Agent: first, AgentKey: "k1"}
	second := events.JobStarted{Job: job, Agent: first, Attempt: 2}
	for _, tt := range []struct {
		name        string
		key, sealTo string
		attempt     int
		more        []events.Fact
		facts       int
		err         error
	}{
		{"before the write is begun", "password", "k1", 1, nil, 0, command.ErrNotBegun},
		{"once it is", "password", "k1", 1, []events.Fact{begun}, 1, nil},
		{"to the same key again", "password", "k1", 1, []events.Fact{begun, delivered}, 0, nil},
		{"to another key", "password", "k2", 1, []events.Fact{begun, delivered}, 0, command.ErrValuesHeld},
		{"to another key, when nothing has left", "password", "k2 at rest", 1, []events.Fact{begun, delivered}, 1, nil},
		{"a key that is removed", "legacy", "k1", 1, []events.Fact{begun}, 0, command.ErrKeyNotAsked},
		{"a key that nobody named", "user", "k1", 1, []events.Fact{begun}, 0, command.ErrKeyNotAsked},
		{"to an overtaken attempt", "password", "k1", 1, []events.Fact{begun, second}, 0, command.ErrAttemptStale},
		{"to an attempt that has not compared", "password", "k1", 2, []events.Fact{begun, second}, 0, command.ErrNotBegun},
		{"after the end", "password", "k1", 1, []events.Fact{begun, unknown}, 0, command.ErrJobOver},
	} {
		facts, err := ask(tt.key, tt.sealTo, tt.attempt, tt.more...)
		if !errors.Is(err, tt.err) || len(facts) != tt.facts {
			t.Errorf("%s: %v, %v, want %d facts and %v", tt.name, facts, err, tt.facts, tt.err)
		}
	}
}

func TestEndsOfAPatch(t *testing.T) {
	history := []events.Fact{patch, compared, given, approved, started}
	after := func(more ...events.Fact) command.Request {
		return folded(append(slices.Clone(history), more...)...)
	}
	at := func(d time.Duration) command.Meta { m := meta; m.Time = noon.Add(d); return m }
	attempt := func(n int) command.Attempt { return command.Attempt{Job: job, Agent: first, Number: n} }
	complete := func(r command.Request, n int, o events.PatchOutcome) ([]events.Fact, error) {
		return r.CompleteJob(meta, command.CompleteJob{Attempt: attempt(n), ProviderVersion: "4", Outcome: o})
	}
	fail := func(r command.Request, n int, code events.FailureCode, notWritten bool) ([]events.Fact, error) {
		return r.FailJob(meta, command.FailJob{Attempt: attempt(n), Cluster: "demo", Code: code, NotWritten: notWritten})
	}
	second := events.JobStarted{Job: job, Agent: first, Attempt: 2}
	begunAgain := events.WriteBegun{Job: job, Agent: first, Attempt: 2, Version: "3"}
	thereNow := events.PatchCompared{Number: 2, Job: job, Agent: first, Exists: true, Version: "4", Keys: asAsked}
	until := events.OutcomeUnknown{Job: job, Until: noon.Add(command.LookTTL)}
	expired := events.OutcomeUnknown{Job: job, Until: noon.Add(10*time.Minute + command.LookTTL)}
	executed := func(n int, before string, o events.PatchOutcome) []events.Fact {
		return []events.Fact{events.RequestExecuted{Job: job, Agent: first, Attempt: n, ProviderVersion: "4", PreviousVersion: before, Outcome: o}}
	}
	type result struct {
		facts []events.Fact
		err   error
	}
	of := func(facts []events.Fact, err error) result { return result{facts, err} }
	for _, tt := range []struct {
		name string
		got  result
		then []events.Fact
		err  error
	}{
		{"written", of(complete(after(begun), 1, events.PatchWritten)), executed(1, "3", events.PatchWritten), nil},
		{"found", of(complete(after(begun, second, thereNow), 2, events.PatchFound)), executed(2, "3", events.PatchFound), nil},
		{"unchanged", of(complete(after(thereNow), 1, events.PatchUnchanged)), executed(1, "4", events.PatchUnchanged), nil},
		{"written without a beginning", of(complete(after(), 1, events.PatchWritten)), nil, command.ErrOutcomeInvalid},
		{"written by another attempt", of(complete(after(begun, second), 2, events.PatchWritten)), nil, command.ErrOutcomeInvalid},
		{"found without being there", of(complete(after(begun, second), 2, events.PatchFound)), nil, command.ErrOutcomeInvalid},
		{"unchanged after a beginning", of(complete(after(begun, thereNow), 1, events.PatchUnchanged)), nil, command.ErrOutcomeInvalid},
		{"no outcome", of(complete(after(begun), 1, "")), nil, command.ErrOutcomeInvalid},

		{"failed before a write", of(fail(after(), 1, events.FailureForbidden, false)), []events.Fact{fails(events.FailureForbidden)}, nil},
		{"failed, and nothing is written", of(fail(after(begun), 1, events.FailureWriteConflict, true)), []events.Fact{fails(events.FailureWriteConflict)}, nil},
		{"failed, and it may be written", of(fail(after(begun), 1, events.FailureProviderUnavailable, false)), []events.Fact{until}, nil},
		{"failed, and an earlier attempt may have written", of(fail(after(begun, second), 2, events.FailureProviderUnavailable, true)), []events.Fact{until}, nil},
		{"failed, and the attempt before may have written", of(fail(after(begun, second, begunAgain), 2, events.FailureWriteConflict, true)), []events.Fact{until}, nil},
		{"the agent was lost", of(after(begun).FailJob(meta, command.FailJob{Attempt: command.Attempt{Job: job}, Code: events.FailureAgentLost})), []events.Fact{until}, nil},
		{"it reached its end before a write", of(after().Expire(at(10 * time.Minute))), []events.Fact{events.RequestExpired{From: events.StateRunning}}, nil},
		{"it reached its end after one began", of(after(begun).Expire(at(10 * time.Minute))), []events.Fact{expired}, nil},
		{"nobody could look in time", of(after(begun, unknown).Expire(at(command.LookTTL))), []events.Fact{fails(events.FailureOutcomeUnknown)}, nil},
		{"there is still time to look", of(after(begun, unknown).Expire(at(command.LookTTL - 1))), nil, nil},
		{"an agent that comes late", of(complete(after(begun, unknown), 1, events.PatchWritten)), nil, command.ErrJobOver},
	} {
		if !errors.Is(tt.got.err, tt.err) {
			t.Errorf("%s: error = %v, want %v", tt.name, tt.got.err, tt.err)
		}
		if diff := cmp.Diff(tt.then, tt.got.facts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestAPatchNeverUndoesWhatOthersWrote drives a patch with agents that die anywhere and
// a provider that others write to, and whose writes may get there unseen. Whatever
// happens: the patch's values are written at most once over each state of the secret,
// never over a value that somebody else wrote after them, and an outcome that is told is
// true.
func TestAPatchNeverUndoesWhatOthersWrote(t *testing.T) {
	const worlds = 300 // in one check: what goes wrong needs several rare things in a row
	rapid.Check(t, func(t *rapid.T) {
		for range worlds {
			liveThrough(t)
		}
	})
}

func liveThrough(t *rapid.T) {
	mode := rapid.SampledFrom([]events.Reapprove{events.ReapproveNever, events.ReapproveTouched, events.ReapproveAnyChange}).Draw(t, "reapprove")
	w := &patchWorld{t: t, value: oldPrint, version: 3}
	w.take(reapprove(mode))
	if rapid.Bool().Draw(t, "it is running") {
		w.look()
		w.approve()
		w.start()
	}
	steps := []func(){w.look, w.approve, w.start, w.start, w.attempt, w.attempt, w.attempt, w.attempt, w.someoneElse, w.arrive, w.expire, w.lost}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		rapid.SampledFrom(steps).Draw(t, "step")()
		if w.r.State.Final() {
			break
		}
	}
	for _, f := range w.facts {
		switch f := f.(type) {
		case events.RequestExecuted:
			if f.Outcome != events.PatchUnchanged && w.ours == 0 {
				t.Fatal("it is called written and was never written")
			}
		case events.RequestFailed:
			if f.Code == events.FailureNotWritten && w.ours > w.settled {
				t.Fatal("it is called not written and was written")
			}
		}
	}
}

// patchWorld is a patch of one key, a provider, and agents.
type patchWorld struct {
	t       *rapid.T
	r       command.Request
	facts   []events.Fact
	clock   time.Duration
	value   string // of the key at the provider, as a fingerprint
	version int
	ours    int   // writes of the patch that got there
	settled int   // of these, before approvers were asked again
	overOne bool  // somebody else wrote the key after one of ours
	silent  int   // the last attempt with a write that nobody saw end
	late    []int // versions on top of which a write of ours may still arrive
}

func (w *patchWorld) take(facts ...events.Fact) {
	for _, f := range facts {
		if _, voided := f.(events.ApprovalsVoided); voided {
			w.settled, w.overOne = w.ours, false // people look at what is there now
		}
		w.facts = append(w.facts, f)
		w.r = w.r.Evolve(events.Event{Command: events.NewCommandID(), Fact: f})
	}
}

func (w *patchWorld) meta() command.Meta {
	return command.Meta{Command: events.NewCommandID(), Time: noon.Add(w.clock)}
}

// decide takes what a decider says; a refusal changes nothing.
func (w *patchWorld) decide(facts []events.Fact, err error) bool {
	if err != nil {
		return false
	}
	w.take(facts...)
	return true
}

func (w *patchWorld) seen(attempt int) command.Compare {
	effect := events.EffectChanged
	if w.value == newPrint {
		effect = events.EffectUnchanged
	}
	return looked(attempt, fmt.Sprint(w.version), []events.Compared{
		{Key: "password", Effect: effect, Before: w.value}, {Key: "legacy", Effect: events.EffectUnchanged},
	})
}

func (w *patchWorld) look() { w.decide(w.r.Compare(w.meta(), w.seen(0))) }

func (w *patchWorld) approve() {
	w.decide(w.r.Approve(w.meta(), vote(ann, "approver")))
}

func (w *patchWorld) start() {
	w.decide(w.r.StartJob(w.meta(), command.StartJob{Job: job, Agent: first, Cluster: "demo"}))
}

// attempt is one round of the attempt under way; it may die at each point.
func (w *patchWorld) attempt() {
	saw := w.seen(w.r.Attempt)
	if !w.decide(w.r.Compare(w.meta(), saw)) || w.r.State != events.StateRunning {
		return
	}
	if w.r.Begun == nil || w.r.Begun.Attempt != w.r.Attempt || w.r.Begun.Version != saw.Version || w.value == newPrint {
		outcome := events.PatchUnchanged
		if w.r.Begun != nil {
			outcome = events.PatchFound
		}
		w.decide(w.r.CompleteJob(w.meta(), command.CompleteJob{Attempt: command.Attempt{Job: job, Agent: first, Number: w.r.Attempt}, ProviderVersion: saw.Version, Outcome: outcome}))
		return
	}
	if rapid.Bool().Draw(w.t, "somebody else is faster") {
		if rapid.Bool().Draw(w.t, "and it is a late write of ours") {
			w.arrive()
		}
		w.someoneElse()
		saw := w.seen(w.r.Attempt)
		saw.NotWritten = w.silent != w.r.Attempt // what its agent knows
		w.decide(w.r.Compare(w.meta(), saw))
		return
	}
	if rapid.Bool().Draw(w.t, "the write is late") {
		w.late, w.silent = append(w.late, w.version), w.r.Attempt
		return
	}
	w.write()
	if rapid.Bool().Draw(w.t, "the agent sees its write end") {
		w.decide(w.r.CompleteJob(w.meta(), command.CompleteJob{Attempt: command.Attempt{Job: job, Agent: first, Number: w.r.Attempt}, ProviderVersion: fmt.Sprint(w.version), Outcome: events.PatchWritten}))
	} else {
		w.silent = w.r.Attempt
	}
}

func (w *patchWorld) write() {
	if w.overOne {
		w.t.Fatal("the patch is written over what somebody else wrote after it")
	}
	w.value, w.ours = newPrint, w.ours+1
	w.version++
}

// arrive is the end of a late write: compare-and-set lets it in or not.
func (w *patchWorld) arrive() {
	if len(w.late) == 0 {
		return
	}
	on := w.late[0]
	if w.late = w.late[1:]; on == w.version {
		w.write()
	}
}

func (w *patchWorld) someoneElse() {
	w.version++
	if rapid.Bool().Draw(w.t, "the same key") {
		if rapid.Bool().Draw(w.t, "back to what it was") {
			w.value = oldPrint
		} else {
			w.value = fmt.Sprint("hmac-sha256:other", w.version)
		}
		w.overOne = w.overOne || w.ours > w.settled
	}
}

func (w *patchWorld) expire() {
	w.clock += 5 * time.Minute
	w.decide(w.r.Expire(w.meta()))
}

func (w *patchWorld) lost() {
	w.decide(w.r.FailJob(w.meta(), command.FailJob{Attempt: command.Attempt{Job: job}, Code: events.FailureAgentLost}))
}
