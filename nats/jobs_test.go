package nats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/nats/leaf"
)

func TestAgentsOfAClusterShareItsJobs(t *testing.T) {
	n := newNetwork(t, 0)
	first, second := n.enrol(t, "shared"), n.enrol(t, "shared")
	links := []*leaf.Link{n.link(t, first), n.link(t, second)}
	other := n.link(t, n.enrol(t, "other"))
	n.publish(t, "shared", "j_1")
	n.publish(t, "shared", "j_2")
	one := next(t, links[0], "j_1")
	two := next(t, links[1], "j_2")
	for _, d := range []agent.Delivery{one, two} {
		if err := d.Done(t.Context()); err != nil {
			t.Error(err)
		}
	}
	nothingMore(t, other)
	// One may die: the other goes on alone.
	links[0].Close()
	for i := range 5 {
		job := events.JobID(fmt.Sprintf("j_%d", 10+i))
		n.publish(t, "shared", job)
		if err := next(t, links[1], job).Done(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestJobOfASilentAgentComesAgain(t *testing.T) {
	const lease = time.Second
	n := newNetwork(t, lease)
	a := n.enrol(t, "lease")
	l := n.link(t, a)
	n.publish(t, a.Cluster, "j_1")
	d := next(t, l, "j_1")
	began := time.Now()
	for time.Since(began) < 2*lease { // extended, it stays in hand for longer than a lease
		if err := d.Extend(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lease / 4)
	}
	nothingMore(t, l)
	began = time.Now()
	again := next(t, n.link(t, n.enrol(t, "lease")), "j_1")
	if waited := time.Since(began); waited > 2*lease {
		t.Errorf("it came again after %s, the lease is %s", waited, lease)
	}
	if err := again.Later(t.Context(), 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := next(t, l, "j_1").Done(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestTheLeaseIsOneForAllDeliveriesOfAJob: an agent that gets a job again which it has in
// hand may leave that delivery alone, and go on to renew and end the first.
func TestTheLeaseIsOneForAllDeliveriesOfAJob(t *testing.T) {
	const lease = time.Second
	n := newNetwork(t, lease)
	l := n.link(t, n.enrol(t, "lease"))
	n.publish(t, "lease", "j_1")
	first := next(t, l, "j_1")
	next(t, l, "j_1") // after a lease that nobody renewed; left alone
	for began := time.Now(); time.Since(began) < 3*lease; time.Sleep(lease / 4) {
		if err := first.Extend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	nothingMore(t, l)
	if err := first.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * lease)
	nothingMore(t, l)
}

// TestQueuedJobsAreTold: those that wait and those in an agent's hands, and none that are done
// or were removed.
func TestQueuedJobsAreTold(t *testing.T) {
	n := newNetwork(t, 0)
	told := func(want ...events.JobID) {
		t.Helper()
		jobs, all, err := n.jobs.Queued(t.Context())
		if err != nil || !all || !maps.Equal(jobs, setOf(want)) {
			t.Errorf("queued are %v (all: %t), %v; want %v", jobs, all, err, want)
		}
	}
	told()
	l := n.link(t, n.enrol(t, "told"))
	a, b, c := events.JobOf("r_a"), events.JobOf("r_b"), events.JobOf("r_c")
	n.publish(t, "told", a)
	held := next(t, l, a)
	n.publish(t, "told", b)
	n.publish(t, "elsewhere", c)
	told(a, b, c)
	if err := held.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, job := range []events.JobID{b, "j_never"} {
		if err := n.jobs.Remove(t.Context(), "told", events.OperationRead, job); err != nil {
			t.Fatal(err)
		}
	}
	told(c)
	for i := range maxTold {
		n.publish(t, "elsewhere", events.JobOf(events.RequestID("r_"+strconv.Itoa(i))))
	}
	if jobs, all, err := n.jobs.Queued(t.Context()); err != nil || all || len(jobs) > 0 {
		t.Errorf("%d of too many are told (all: %t), %v", len(jobs), all, err)
	}
}

func setOf(jobs []events.JobID) map[events.JobID]bool {
	set := map[events.JobID]bool{}
	for _, job := range jobs {
		set[job] = true
	}
	return set
}

func TestDeadLetters(t *testing.T) {
	n := newNetwork(t, 200*time.Millisecond)
	a := n.enrol(t, "dead")
	l := n.link(t, a)
	dead := make(chan Dead, 10)
	failures := 1
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.jobs.DeadLetters(ctx, func(_ context.Context, d Dead) error {
			if failures > 0 && !d.Refused {
				failures--
				return errors.New("not now")
			}
			dead <- d
			return nil
		})
	}()
	defer func() { cancel(); <-done }()

	refused, crash := events.JobOf("r_refused"), events.JobOf("r_crash")
	n.publish(t, a.Cluster, refused)
	if err := next(t, l, refused).Refuse(t.Context(), "the signature\nis wrong"); err != nil {
		t.Fatal(err)
	}
	want := Dead{Cluster: "dead", Job: refused, Deliveries: 1, Refused: true, Reason: "the signature is wrong"}
	if diff := cmp.Diff(want, receive(t, dead)); diff != "" {
		t.Errorf("refused job (-want +got)\n%s", diff)
	}

	n.publish(t, a.Cluster, crash)
	for range MaxDeliver {
		next(t, l, crash) // taken, and never heard of again
	}
	nothingMore(t, l) // somebody must ask, or the server does not look
	want = Dead{Cluster: "dead", Job: crash, Ticket: []byte("ticket " + crash), Deliveries: MaxDeliver}
	if diff := cmp.Diff(want, receive(t, dead)); diff != "" {
		t.Errorf("crashed job (-want +got)\n%s", diff)
	}
	eventually(t, "the ticket is removed", func(ctx context.Context) error {
		jobs, err := n.jobs.js.Stream(ctx, "JOBS")
		if err != nil {
			return err
		}
		if left := jobs.CachedInfo().State.Msgs; left != 0 {
			return fmt.Errorf("%d tickets are left", left)
		}
		return nil
	})
	n.publish(t, a.Cluster, crash) // queued again on purpose, it is delivered again
	if err := next(t, l, crash).Done(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRemovedJobIsNotDelivered(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "gone")
	n.publish(t, a.Cluster, "j_1")
	n.publish(t, a.Cluster, "j_2")
	for range 2 { // the second time it is not there
		if err := n.jobs.Remove(t.Context(), a.Cluster, events.OperationRead, "j_1"); err != nil {
			t.Fatal(err)
		}
	}
	l := n.link(t, a)
	if err := next(t, l, "j_2").Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothingMore(t, l)
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
