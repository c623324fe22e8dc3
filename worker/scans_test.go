package worker_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/inventory"
	"secretsbridge/inventory/inventorytest"
	"secretsbridge/worker"
)

func inventoryOf(w *world) *inventory.Inventory {
	return inventory.New(inventory.Config{
		Log: &w.Memory, Feed: &w.Memory, Views: inventorytest.Views{Log: &w.Memory}, Told: &inventorytest.Told{Log: &w.Memory}, Scans: inventorytest.NewScans(),
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
}

func (w *world) OpenScans(ctx context.Context) ([]events.JobID, error) {
	return inventorytest.Views{Log: &w.Memory}.OpenJobs(ctx)
}

// connect makes connections of one cluster.
func (w *world) connect(t *testing.T, cluster events.ClusterID, names ...events.ConnectionID) {
	for _, name := range names {
		w.record(t, events.ConnectionStream(name), events.ConnectionCreated{Connection: name, Provider: events.ProviderVault, Cluster: cluster})
	}
}

// queueScan asks for a scan as an operator does.
func (w *world) queueScan(t *testing.T, name events.ConnectionID) events.JobID {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: "user:u_op", Time: time.Now()}
	done, err := inventoryOf(w).Queue(t.Context(), meta, name, events.OperationDiscover)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return done.State.ID
}

func (w *world) queued() []events.JobID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []events.JobID
	for id := range w.queue {
		ids = append(ids, id)
	}
	return ids
}

func (w *world) job(t *testing.T, id events.JobID) command.Job {
	t.Helper()
	j, _, err := command.Load[command.Job](t.Context(), &w.Memory, events.JobStream(id))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestAClusterHasOneScanAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.connect(t, "demo", "one", "two")
		w.connect(t, "far", "three")
		first, second, far := w.queueScan(t, "one"), w.queueScan(t, "two"), w.queueScan(t, "three")
		if got := w.queued(); len(got) != 2 || !slices.Contains(got, first) || !slices.Contains(got, far) {
			t.Fatalf("queued %v", got)
		}
		ticket, _ := w.ticket(t, first)
		if ticket.Request != "" || ticket.Operation != events.OperationDiscover || ticket.Cluster != "demo" || ticket.Connection != "one" ||
			ticket.Provider != events.ProviderVault || !ticket.Until.Equal(w.job(t, first).Queued.Until) {
			t.Errorf("ticket %+v", ticket)
		}
		// Names of keys wait for no scan.
		meta := command.Meta{Command: events.NewCommandID(), Actor: "user:u_op", Time: time.Now()}
		keys, err := inventoryOf(w).QueueKeys(t.Context(), meta, "one", "prod/db")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ticket, queued := w.ticket(t, keys.State.ID); !queued || ticket.Ref != "prod/db" {
			t.Errorf("ticket %+v", ticket)
		}
		w.record(t, events.JobStream(first), events.JobFinished{Job: first})
		if got := w.queued(); slices.Contains(got, first) || !slices.Contains(got, second) {
			t.Errorf("after the first: queued %v", got)
		}
	})
}

// Other rules of ownership may hold up the views for minutes, and a scan needs them.
func TestWhatPeopleApprovedDoesNotWaitForScans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit(t)
		w.start(t)
		w.connect(t, "demo", "one")
		behind := make(chan struct{})
		w.mu.Lock()
		w.behind = behind
		w.mu.Unlock()
		scan := w.queueScan(t, "one")
		w.approve(t)
		if got := w.queued(); !slices.Equal(got, []events.JobID{job}) {
			t.Errorf("queued %v, want %v alone", got, job)
		}
		close(behind)
		synctest.Wait()
		if got := w.queued(); !slices.Contains(got, scan) {
			t.Errorf("queued %v, want %v, too", got, scan)
		}
	})
}

// A thousand of them may be open. No other job must wait while all are looked at for each
// new one.
func TestAJobForKeyNamesIsOfferedWithoutALookAtAllOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.connect(t, "demo", "one")
		queue := func() events.JobID {
			t.Helper()
			keys, err := inventoryOf(w).QueueKeys(t.Context(), command.Meta{Command: events.NewCommandID(), Actor: "user:u_op", Time: time.Now()}, "one", "prod/db")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return keys.State.ID
		}
		lost := queue()
		w.done(lost)
		next := queue()
		if got := w.queued(); !slices.Equal(got, []events.JobID{next}) {
			t.Errorf("queued %v, want %v alone", got, next)
		}
		w.record(t, events.JobStream(next), events.JobFinished{Job: next})
		if got := w.queued(); len(got) != 0 {
			t.Errorf("after its end: queued %v", got)
		}
		wait(time.Minute + time.Second)
		if got := w.queued(); !slices.Equal(got, []events.JobID{lost}) {
			t.Errorf("a minute later: queued %v, want %v", got, lost)
		}
	})
}

func TestAStartOffersTheScansThatAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect(t, "demo", "one")
		id := w.queueScan(t, "one")
		w.start(t)
		if got := w.queued(); !slices.Contains(got, id) {
			t.Errorf("queued %v", got)
		}
		w.done(id) // lost
		wait(time.Minute + time.Second)
		if got := w.queued(); !slices.Contains(got, id) {
			t.Errorf("nobody offered it again: %v", got)
		}
	})
}

func TestAScanEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*world, events.JobID)
		code events.FailureCode
	}{
		"when nobody gets its ticket again": {func(w *world, id events.JobID) { w.letters <- worker.DeadLetter{Cluster: "demo", Job: id} }, "agent_lost"},
		"when an agent refuses its ticket": {func(w *world, id events.JobID) {
			w.letters <- worker.DeadLetter{Cluster: "demo", Job: id, Refused: true}
		}, "ticket_refused"},
		"when its time is over": {func(*world, events.JobID) { time.Sleep(command.MaxScan + 6*time.Second) }, "job_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start(t)
				w.start(t) // another server
				w.connect(t, "demo", "one")
				id := w.queueScan(t, "one")
				w.letters <- worker.DeadLetter{Cluster: "other", Job: id} // which may not
				synctest.Wait()
				if w.job(t, id).State.Over() {
					t.Fatal("another cluster ended it")
				}
				c.end(w, id)
				synctest.Wait()
				if got := w.job(t, id); got.State != events.JobStateFailed {
					t.Errorf("it is %s", got.State)
				}
				history, _ := w.Load(t.Context(), events.JobStream(id))
				if f, ok := history[len(history)-1].Events[0].Fact.(events.JobFailed); !ok || f.Code != c.code || len(history) != 2 {
					t.Errorf("%d commits, the last %+v", len(history), history[len(history)-1].Events[0].Fact)
				}
				if got := w.queued(); len(got) != 0 {
					t.Errorf("queued %v", got)
				}
			})
		})
	}
}

func TestAScheduledScanBeginsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.start(t)
		w.connect(t, "demo", "one")
		w.record(t, events.ConnectionStream("one"), events.DiscoveryScheduled{Every: 3600})
		wait(6 * time.Second)
		first := events.ScanOf("one", events.OperationDiscover, 1)
		if got := w.queued(); !slices.Equal(got, []events.JobID{first}) {
			t.Fatalf("queued %v", got)
		}
		w.record(t, events.JobStream(first), events.JobFinished{Job: first})
		wait(59 * time.Minute)
		if got := w.queued(); len(got) != 0 {
			t.Errorf("queued %v too early", got)
		}
		wait(2 * time.Minute)
		if got := w.queued(); !slices.Equal(got, []events.JobID{events.ScanOf("one", events.OperationDiscover, 2)}) {
			t.Errorf("queued %v", got)
		}
	})
}
