package worker_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/events"
)

// approvePatch makes an approved patch of a secret, the n-th.
func (w *world) approvePatch(t *testing.T, n int, connection events.ConnectionID, ref string) (events.RequestID, events.JobID) {
	id := events.RequestID(fmt.Sprintf("r_%d", n))
	w.record(t, events.RequestStream(id), events.RequestSubmitted{
		Request: id, Requester: "u_dev", Operation: events.OperationPatch, Connection: connection, Cluster: "demo", Ref: ref, Keys: []string{"k"},
		Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}, Reapprove: events.ReapproveNever},
		PendingUntil: time.Now().Add(pendingFor), Changes: []events.Change{{Key: "k", Action: events.ChangeUnset}},
	})
	job := events.JobOf(id)
	w.record(t, events.RequestStream(id), events.RequestApproved{Job: job, Until: time.Now().Add(10 * time.Minute)})
	time.Sleep(time.Second)
	synctest.Wait()
	return id, job
}

// patchJobs are the patches that are queued now.
func (w *world) patchJobs(all ...events.JobID) (queued []events.JobID) {
	for _, id := range all {
		if slices.Contains(w.queued(), id) {
			queued = append(queued, id)
		}
	}
	return queued
}

func TestPatchesOfASecretTakeTurnsWhereTheStoreDoesNotCompare(t *testing.T) {
	for end, fact := range map[string]events.Fact{
		"executed":        events.RequestExecuted{Outcome: events.PatchWritten},
		"failed":          events.RequestFailed{Code: events.FailureForbidden},
		"expired":         events.RequestExpired{From: events.StateRunning},
		"voided":          events.ApprovalsVoided{},
		"unknown for now": events.OutcomeUnknown{Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start(t)
				w.start(t) // another server
				w.record(t, events.ConnectionStream("kv"), events.ConnectionCreated{Connection: "kv", Provider: events.ProviderAzure, Cluster: "demo"})
				id, first := w.approvePatch(t, 1, "kv", "app")
				_, second := w.approvePatch(t, 2, "kv", "app")
				_, third := w.approvePatch(t, 3, "kv", "app")
				_, other := w.approvePatch(t, 4, "kv", "other")
				if got := w.patchJobs(first, second, third, other); !slices.Equal(got, []events.JobID{first, other}) {
					t.Fatalf("queued %v", got)
				}
				w.record(t, events.RequestStream(id), events.JobStarted{Job: first, Agent: agent, Attempt: 1})
				w.done(first)
				wait(2 * time.Minute) // all that is open is offered again
				if got := w.patchJobs(second, third); len(got) != 0 {
					t.Fatalf("queued %v while the first is written", got)
				}
				w.record(t, events.RequestStream(id), fact)
				if got := w.patchJobs(second, third); !slices.Equal(got, []events.JobID{second}) {
					t.Errorf("queued %v after the first", got)
				}
			})
		})
	}
	t.Run("and not elsewhere", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.start(t)
			w.record(t, events.ConnectionStream("vault"), events.ConnectionCreated{Connection: "vault", Provider: events.ProviderVault, Cluster: "demo"})
			_, first := w.approvePatch(t, 1, "vault", "app")
			_, second := w.approvePatch(t, 2, "vault", "app")
			if got := w.patchJobs(first, second); len(got) != 2 {
				t.Errorf("queued %v", got)
			}
		})
	})
}
