package worker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker"
)

// prompts are the facts that a worker added to the request, with the minute of each.
func (w *world) prompts(t *testing.T, since time.Time) []string {
	t.Helper()
	var said []string
	for _, c := range w.all(t.Context()) {
		for _, e := range c.Events {
			name, err := events.TypeOf(e.Fact)
			if err != nil {
				t.Fatal(err)
			}
			if e.Actor == events.SystemActor("worker") {
				said = append(said, e.Time.Sub(since).Truncate(time.Minute).String()+" "+name)
			}
		}
	}
	return said
}

func (w *world) submitWith(t *testing.T, change func(*events.RequestSubmitted), more ...events.Fact) {
	t.Helper()
	w.record(t, events.ConnectionStream("file"), events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"})
	s := events.RequestSubmitted{
		Request: req, Requester: "u_dev", Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
		Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Approvals: 1, RemindSeconds: 600, EscalateSeconds: 1500, Fallback: events.Approvers{Roles: []string{"admin"}}}}},
		PendingUntil: time.Now().Add(pendingFor), ApprovalSeconds: 600, RevealSeconds: 300,
	}
	change(&s)
	w.record(t, events.RequestStream(req), append([]events.Fact{s}, more...)...)
}

func TestAnOpenStepIsPromptedByOneOfTwoWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		since := time.Now()
		w.start(t)
		w.start(t)
		w.submitWith(t, func(*events.RequestSubmitted) {})
		wait(2 * time.Hour)
		want := []string{
			"10m0s sb.request.step_reminded.v1", "20m0s sb.request.step_reminded.v1", "25m0s sb.request.step_escalated.v1", "30m0s sb.request.step_reminded.v1",
			"40m0s sb.request.step_reminded.v1", "50m0s sb.request.step_reminded.v1", "1h0m0s sb.request.expired.v1",
		}
		if diff := cmp.Diff(want, w.prompts(t, since)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAReviewThatDoesNotComeIsOverdueOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		since := time.Now()
		w.start(t)
		w.submitWith(t, func(s *events.RequestSubmitted) { s.Workflow.Steps[0].RemindSeconds = 0 },
			events.GlassBroken{Reason: "the shop is down", ReviewUntil: since.Add(24 * time.Hour)}, events.RequestApproved{Job: job, Until: since.Add(10 * time.Minute)})
		wait(72 * time.Hour)
		want := []string{"10m0s sb.request.expired.v1", "24h0m0s sb.request.review_overdue.v1"}
		if diff := cmp.Diff(want, w.prompts(t, since)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestValuesOfAnotherTeamAreLookedAtOnceTheyAreThere(t *testing.T) {
	cross := func(s *events.RequestSubmitted) {
		s.Operation, s.Workflow.Reapprove = events.OperationPatch, events.ReapproveTouched
		s.Changes = []events.Change{{Key: "password", Action: events.ChangeSet}}
		s.Fill = &events.Fill{Team: "payments", Until: time.Now().Add(30 * time.Minute)}
	}
	filled := events.ValuesProvided{By: "u_eve", Changes: []events.Change{{Key: "password", Action: events.ChangeSet, Envelope: "e_1", Fingerprint: "hmac-sha256:new"}}}
	t.Run("and the agent is told of them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.start(t)
			w.submitWith(t, cross)
			wait(5 * time.Minute)
			if len(w.queue) != 0 {
				t.Fatal("a look is offered before there is anything to compare")
			}
			w.record(t, events.RequestStream(req), filled)
			ticket, queued := w.ticket(t, look)
			if !queued {
				t.Fatal("no look is offered")
			}
			if diff := cmp.Diff(filled.Changes, ticket.Changes); diff != "" {
				t.Errorf("ticket (-want +got):\n%s", diff)
			}
			w.approve(t)
			if ticket, _ := w.ticket(t, job); cmp.Diff(filled.Changes, ticket.Changes) != "" {
				t.Errorf("the patch's own ticket has %v", ticket.Changes)
			}
		})
	})
	t.Run("or never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.start(t)
			w.submitWith(t, cross)
			w.record(t, events.RequestStream(req), events.ValuesRefused{By: "u_eve", Comment: "we do it ourselves"})
			wait(2 * time.Hour)
			if got := w.state(t).State; len(w.queue) != 0 || got != events.StateRefused || len(w.destroyed) == 0 {
				t.Errorf("it is %s, %d tickets are queued, destroyed is %v", got, len(w.queue), w.destroyed)
			}
		})
	})
	t.Run("or not in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.start(t)
			w.submitWith(t, cross)
			wait(30*time.Minute + 2*time.Second)
			if got := w.state(t); got.State != events.StateExpired {
				t.Errorf("it is %s", got.State)
			}
		})
	})
}

// Prompts reads the log, like the other views of a world.
func (w *world) Prompts(ctx context.Context, now time.Time, after worker.Mark, limit int) ([]worker.Due, error) {
	return w.due(ctx, after, limit, func(r command.Request) bool {
		facts, _ := r.Prompt(command.Meta{Time: now})
		return len(facts) > 0
	}), nil
}
