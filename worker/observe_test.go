package worker_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/events"
	"secretsbridge/worker"
)

// idle makes a worker at the world that is not started.
func (w *world) idle() *worker.Worker {
	return worker.New(worker.Config{
		Log: &w.Memory, Feed: &w.Memory, Views: w, Jobs: w, Custody: w, Inventory: inventoryOf(w), Sessions: w, Presence: w, Links: w,
		Signer: w.signer, Logger: slog.New(slog.DiscardHandler), Now: time.Now, LookEach: time.Minute, Leases: &w.leases, Positions: &w.positions,
	})
}

func watched(limit time.Time) events.Observe {
	return events.Observe{
		Watch: events.Watch{
			Number: 2, Integration: "k8s", Kind: events.IntegrationKubernetes, Cluster: "apps", Mapping: "p_1",
			Target: events.RolloutTarget{Kind: "Namespace", Name: "shop", Secret: "db"},
		},
		Version: "7", Written: time.Now().UTC(), Limit: limit.UTC(),
	}
}

func TestALookAtARolloutIsOfferedToItsOwnClusterOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submitPatch(t)
		offers, look, job := w.idle(), watched(time.Now().Add(time.Hour)), events.ObservationOf(req, 2)
		for range 2 {
			if err := offers.OfferObservation(t.Context(), req, look); err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Second)
		}
		ticket, queued := w.ticket(t, job)
		if !queued || len(w.queue) != 1 {
			t.Fatalf("%d looks are queued", len(w.queue))
		}
		if ticket.Operation != events.OperationObserve || ticket.Cluster != "apps" || ticket.Request != req || ticket.Job != job ||
			ticket.Provider != events.ProviderFile || ticket.Ref != "prod/db" || ticket.Observe == nil || ticket.Observe.Watch != look.Watch ||
			!ticket.Until.Equal(ticket.Issued.Add(worker.ObservationLife)) {
			t.Errorf("ticket %+v", ticket)
		}
		if len(ticket.Keys) != 0 || len(ticket.Changes) != 0 {
			t.Error("it says which keys the patch is about")
		}
		if err := offers.WithdrawObservation(t.Context(), req, look.Watch); err != nil || len(w.queue) != 0 {
			t.Errorf("%d looks stay after the end, %v", len(w.queue), err)
		}
	})
}

func TestALookEndsWithItsWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submitPatch(t)
		offers, job := w.idle(), events.ObservationOf(req, 2)
		soon := watched(time.Now().Add(10 * time.Second))
		if err := offers.OfferObservation(t.Context(), req, soon); err != nil {
			t.Fatal(err)
		}
		if ticket, _ := w.ticket(t, job); !ticket.Until.Equal(soon.Limit) {
			t.Errorf("it lasts until %v", ticket.Until)
		}
		w.done(job)
		byWorker := watched(time.Now().Add(time.Hour))
		byWorker.Watch.Kind = events.IntegrationArgoCD
		for name, look := range map[string]events.Observe{"over": watched(time.Now()), "looked at by the worker": byWorker} {
			if err := offers.OfferObservation(t.Context(), req, look); err != nil || len(w.queue) != 0 {
				t.Errorf("a watch that is %s is offered: %v", name, err)
			}
		}
	})
}

// A look that no agent brought to an end ends nothing else.
func TestADeadLookChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submit(t)
		w.approve(t)
		before, _ := w.Last(t.Context())
		for _, refused := range []bool{false, true} {
			w.letters <- worker.DeadLetter{Cluster: "demo", Job: events.ObservationOf(req, 2), Refused: refused}
			synctest.Wait()
		}
		if after, _ := w.Last(t.Context()); after != before || w.state(t).State != events.StateApproved {
			t.Errorf("%d facts more, and the request is %s", after-before, w.state(t).State)
		}
	})
}
