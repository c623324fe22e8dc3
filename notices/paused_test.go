package notices

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/events"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

// sleeper is a server's process that can be stopped and woken, as by SIGSTOP, at whatever it calls.
// It does not hear meanwhile that its lease has ended.
type sleeper struct {
	mu    sync.Mutex
	awake chan struct{} // closed while it is
}

func newSleeper() *sleeper {
	s := &sleeper{awake: make(chan struct{})}
	close(s.awake)
	return s
}

func (s *sleeper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awake = make(chan struct{})
}

func (s *sleeper) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.awake:
	default:
		close(s.awake)
	}
}

// pass waits while the process sleeps, and reports whether it did.
func (s *sleeper) pass() bool {
	s.mu.Lock()
	awake := s.awake
	s.mu.Unlock()
	select {
	case <-awake:
		return false
	default:
	}
	<-awake
	return true
}

// sleepingOutbox stops before and after what it does.
type sleepingOutbox struct {
	*memory
	*sleeper
	settled func(ids []events.DeliveryID, slept bool)
}

func (o sleepingOutbox) Add(ctx context.Context, loop worker.LoopName, fence uint64, to events.Seq, fresh []Delivery) (int, error) {
	o.pass()
	defer o.pass()
	return o.memory.Add(ctx, loop, fence, to, fresh)
}

func (o sleepingOutbox) Take(ctx context.Context, loop worker.LoopName, fence uint64, now, until time.Time, busy []Recipient, limit int) ([]Delivery, error) {
	o.pass()
	defer o.pass()
	return o.memory.Take(ctx, loop, fence, now, until, busy, limit)
}

func (o sleepingOutbox) Bind(ctx context.Context, loop worker.LoopName, fence uint64, message events.DeliveryID, ids []events.DeliveryID) error {
	o.pass()
	defer o.pass()
	return o.memory.Bind(ctx, loop, fence, message, ids)
}

func (o sleepingOutbox) Settle(ctx context.Context, loop worker.LoopName, fence uint64, ids []events.DeliveryID, s Settlement) error {
	slept := o.pass() // sent, and not noted
	o.settled(ids, slept)
	defer o.pass()
	return o.memory.Settle(ctx, loop, fence, ids, s)
}

// letters are what a server sends: it may stop before the message leaves, and after.
type letters struct {
	*sleeper
	sent func(id events.DeliveryID, slept bool)
}

func (l letters) Send(_ context.Context, _ Address, m Message) error {
	slept := l.pass()
	time.Sleep(3 * time.Second)
	slept = l.pass() || slept
	l.sent(m.ID, slept)
	return nil
}

// TestServersThatAreStoppedAndWokenTellEachOnce has two servers tell what one log and one outbox
// say, each stopped at random wherever it calls something, for longer than its leases last.
func TestServersThatAreStoppedAndWokenTellEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.leases.For = 15 * time.Second
		w.told = nil
		for _, id := range []events.IntegrationID{"one", "two", "three"} { // webhooks: each notice is a message
			w.told = append(w.told, Integration{ID: id, Kind: events.IntegrationWebhook})
		}
		var mu sync.Mutex
		went, slept := map[events.DeliveryID]int{}, map[events.DeliveryID]int{}
		sent := func(id events.DeliveryID, stopped bool) {
			mu.Lock()
			defer mu.Unlock()
			went[id]++
			if stopped {
				slept[id]++
			}
		}
		settled := func(ids []events.DeliveryID, stopped bool) {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				if stopped {
					slept[id]++
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var servers []*sleeper
		var running sync.WaitGroup
		positions := &workertest.Positions{}
		terms := 0
		for range 2 {
			s := newSleeper()
			servers = append(servers, s)
			cfg := w.Config
			cfg.Positions, cfg.Outbox, cfg.Hook, cfg.Mail = positions, sleepingOutbox{w.outbox, s, settled}, letters{s, sent}, letters{s, sent}
			for _, loop := range New(cfg).Loops() {
				if loop.Name == ExpiringLoop {
					continue
				}
				running.Go(func() {
					for ctx.Err() == nil {
						lease, err := w.leases.Take(ctx, loop.Name)
						if err != nil {
							return
						}
						mu.Lock()
						terms++
						mu.Unlock()
						hold(ctx, s, lease, loop)
					}
				})
			}
		}
		time.Sleep(time.Second)
		napping := make(chan struct{})
		random := rand.New(rand.NewPCG(3, 4))
		go func() {
			defer close(napping)
			for range 60 {
				s := servers[random.IntN(2)]
				time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond)
				s.stop()
				time.Sleep(time.Duration(random.IntN(40)) * time.Second)
				s.wake()
			}
		}()
		w.submit()
		facts, pace := 1, rand.New(rand.NewPCG(5, 6))
		for asked := true; asked; facts++ {
			w.record(events.RequestStream(req), events.StepReminded{})
			time.Sleep(time.Duration(pace.IntN(20)) * time.Second)
			select {
			case <-napping:
				asked = false
			default:
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		cancel()
		running.Wait()

		for _, d := range w.told {
			all := w.outbox.to(ToIntegration(d.ID))
			if len(all) != facts {
				t.Errorf("%d deliveries to %s of %d facts", len(all), d.ID, facts)
			}
			for _, d := range all {
				if d.State != Sent || went[d.ID] == 0 {
					t.Errorf("%s is %s, and went %d times", d.ID, d.State, went[d.ID])
				}
				if went[d.ID] > 1+slept[d.ID] {
					t.Errorf("%s went %d times, and its sender was stopped %d times", d.ID, went[d.ID], slept[d.ID])
				}
			}
		}
		again := 0
		for _, n := range went {
			if n > 1 {
				again++
			}
		}
		t.Logf("%d facts, %d messages, %d of them again, %d terms", facts, len(went), again, terms)
		if terms < 10 || again == 0 {
			t.Errorf("%d terms and %d repeated: hardly anything was tried", terms, again)
		}
	})
}

// hold runs a loop while its lease lasts, as a worker does.
func hold(ctx context.Context, s *sleeper, lease worker.Lease, loop worker.Loop) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx, worker.NewTerm(lease)) }()
	renew := time.NewTicker(5 * time.Second)
	defer renew.Stop()
	for {
		select {
		case <-renew.C:
			s.pass()
			if lease.Renew(ctx) != nil {
				cancel()
				<-ended
				return
			}
		case <-ended:
			_ = lease.Release(context.WithoutCancel(ctx))
			time.Sleep(100 * time.Millisecond)
			return
		}
	}
}
