package projections_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

func TestAJobIsSeenAsItsFactsTellIt(t *testing.T) {
	t.Parallel()
	tally := events.ScanTally{Pages: 3, Secrets: 9, Found: 2, Unlisted: 1}
	queued := events.JobQueued{
		Job: "j_1", Operation: events.OperationDiscover, Connection: "c1", Provider: "vault", Cluster: "east", Number: 4, Scheduled: true, Until: at(time.Hour),
	}
	want := projections.Job{
		ID: "j_1", Seq: 1, LastSeq: 1, State: events.JobStateQueued, Operation: events.OperationDiscover, Connection: "c1", Cluster: "east", Provider: "vault",
		Number: 4, Scheduled: true, QueuedAt: at(time.Second), QueuedBy: "system:worker", Until: at(time.Hour),
	}
	taken := want
	taken.State, taken.Agent, taken.Attempt, taken.TakenAt, taken.LastSeq = events.JobStateRunning, "a_2", 2, pointer(at(2*time.Second)), 3
	ended := func(state events.JobState, change func(*projections.Job)) projections.Job {
		job := taken
		job.State, job.LastSeq, job.EndedAt, job.Result = state, 4, pointer(at(4*time.Second)), tally
		change(&job)
		return job
	}
	takes := []events.Fact{events.JobTaken{Agent: "a_1", Attempt: 1}, events.JobTaken{Agent: "a_2", Attempt: 2}}
	for name, c := range map[string]struct {
		facts []events.Fact
		want  projections.Job
	}{
		"queued":    {nil, want},
		"taken":     {takes, taken},
		"finished":  {append(takes[:2:2], events.JobFinished{Agent: "a_2", Attempt: 2, Result: tally, Keys: 3, Version: "7"}), ended(events.JobStateFinished, func(j *projections.Job) { j.Keys, j.Version = 3, "7" })},
		"failed":    {append(takes[:2:2], events.JobFailed{Code: events.FailureAgentLost, Detail: "sorry", Result: tally}), ended(events.JobStateFailed, func(j *projections.Job) { j.FailureCode, j.FailureDetail = events.FailureAgentLost, "sorry" })},
		"cancelled": {append(takes[:2:2], events.JobCancelled{Reason: "enough", Result: tally}), ended(events.JobStateCancelled, func(j *projections.Job) { j.Reason = "enough" })},
		"cancelled, and nothing follows": {append(takes[:2:2], events.JobCancelled{Reason: "enough", Result: tally}, events.JobFinished{Version: "9"}, events.JobTaken{Attempt: 3}),
			ended(events.JobStateCancelled, func(j *projections.Job) { j.Reason = "enough" })},
	} {
		db := cluster.New(t)
		log := &commandtest.Memory{}
		w := &writer{t: t, log: log}
		w.append(events.JobStream("j_1"), "system:worker", queued)
		for _, fact := range c.facts {
			w.append(events.JobStream("j_1"), "agent:a_1", fact)
		}
		catchUp(t, db.App, log)
		got, err := projections.Views{Pool: db.App}.Job(t.Context(), "j_1")
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestJobsAreListedAndTheLastOneIsKnown(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	views := projections.Views{Pool: db.App}
	for n, job := range []events.JobQueued{
		{Job: "j_1", Operation: events.OperationDiscover, Connection: "c1", Cluster: "east", Number: 1},
		{Job: "j_2", Operation: events.OperationKeys, Connection: "c1", Cluster: "east", Ref: "a"},
		{Job: "j_3", Operation: events.OperationDiscover, Connection: "c2", Cluster: "west", Number: 1},
		{Job: "j_4", Operation: events.OperationDiscover, Connection: "c1", Cluster: "east", Number: 2},
		{Job: "j_5", Operation: events.OperationFingerprint, Connection: "c1", Cluster: "east", Number: 9},
		{Job: "j_6", Operation: events.OperationDiscover, Connection: "no connection", Number: 7},
	} {
		w.append(events.JobStream(job.Job), "system:worker", job)
		if n > 0 {
			w.append(events.JobStream(job.Job), "agent:a_1", events.JobTaken{Attempt: 1})
		}
		if n > 2 {
			w.append(events.JobStream(job.Job), "agent:a_1", events.JobFinished{})
		}
	}
	catchUp(t, db.App, log)
	ids := func(jobs []projections.Job) (ids []events.JobID) {
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		return ids
	}
	for name, c := range map[string]struct {
		filter projections.JobFilter
		want   []events.JobID
	}{
		"all":           {projections.JobFilter{}, []events.JobID{"j_5", "j_4", "j_3", "j_2", "j_1"}},
		"by operation":  {projections.JobFilter{Operations: []events.Operation{events.OperationKeys, events.OperationFingerprint}}, []events.JobID{"j_5", "j_2"}},
		"by connection": {projections.JobFilter{Connection: "c1", Operations: []events.Operation{events.OperationDiscover}}, []events.JobID{"j_4", "j_1"}},
		"by cluster":    {projections.JobFilter{Cluster: "west"}, []events.JobID{"j_3"}},
		"by state":      {projections.JobFilter{States: []events.JobState{events.JobStateQueued, events.JobStateFinished}}, []events.JobID{"j_5", "j_4", "j_1"}},
	} {
		got := walk(t, func(cursor string) (projections.Page[projections.Job], error) {
			c.filter.Cursor, c.filter.Limit = cursor, 1
			return views.Jobs(t.Context(), c.filter)
		})
		if diff := cmp.Diff(c.want, ids(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	var open []projections.Job
	for after := events.Seq(0); ; after = open[len(open)-1].Seq {
		page, err := views.OpenJobsOf(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if open = append(open, page...); len(page) == 0 {
			break
		}
	}
	if diff := cmp.Diff([]events.JobID{"j_1", "j_2", "j_3"}, ids(open)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	if last, err := views.LastJob(t.Context(), "c1", events.OperationDiscover); err != nil || last.ID != "j_4" {
		t.Errorf("the last scan: %+v, %v", last, err)
	}
	if _, err := views.LastJob(t.Context(), "c2", events.OperationKeys); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("no last job: %v", err)
	}
	if _, err := views.Job(t.Context(), "j_6"); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("a job of a connection that cannot be: %v", err)
	}
}
