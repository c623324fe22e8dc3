package command_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

// pending stores requests that end at noon.
func pending(t *testing.T, log command.Log, n int) []events.RequestID {
	t.Helper()
	ids := make([]events.RequestID, n)
	for i := range ids {
		ids[i] = events.RequestID(fmt.Sprintf("r_%d", i))
		s := submitted
		s.Request, s.PendingUntil = ids[i], noon
		m := command.Meta{Command: events.NewCommandID(), Actor: events.UserActor(dev), Time: noon.Add(-time.Hour)}
		if _, err := command.Record(t.Context(), log, events.RequestStream(ids[i]), m, s); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// expire are commands that end requests; who tells their ids apart.
func expire(ids []events.RequestID, who string) []command.Task[command.Request] {
	tasks := make([]command.Task[command.Request], len(ids))
	for i, id := range ids {
		tasks[i] = command.Task[command.Request]{
			Stream: events.RequestStream(id),
			Meta: func(at events.Seq) command.Meta {
				return command.Meta{Command: events.DeriveCommandID(who, string(id), fmt.Sprint(at)), Actor: events.SystemActor("test"), Time: noon}
			},
			Decide: command.Request.Expire,
		}
	}
	return tasks
}

// stateOf folds a request and counts its ends.
func stateOf(t *testing.T, log command.Log, id events.RequestID) (r command.Request, ends int) {
	t.Helper()
	r, _, err := command.Load[command.Request](t.Context(), log, events.RequestStream(id))
	if err != nil {
		t.Fatal(err)
	}
	history, _ := log.Load(t.Context(), events.RequestStream(id))
	for _, c := range history {
		for _, e := range c.Events {
			switch e.Fact.(type) {
			case events.RequestExpired, events.RequestCancelled:
				ends++
			}
		}
	}
	return r, ends
}

func TestCommandsTogetherAndTheFaultsOfTheLog(t *testing.T) {
	for name, test := range map[string]struct {
		faults []commandtest.Fault // of the batch, then of single appends
		fail   int                 // commands that fail
	}{
		"it works":                          {nil, 0},
		"it failed":                         {[]commandtest.Fault{commandtest.Fails}, 0},
		"it was stored without a word":      {[]commandtest.Fault{commandtest.StoresThenSilent}, 0},
		"it was lost without a word":        {[]commandtest.Fault{commandtest.LosesThenSilent}, 0},
		"and so was the first single one":   {[]commandtest.Fault{commandtest.LosesThenSilent, commandtest.LosesThenSilent}, 0},
		"or stored without a word":          {[]commandtest.Fault{commandtest.LosesThenSilent, commandtest.StoresThenSilent}, 0},
		"and then the first one is refused": {[]commandtest.Fault{commandtest.Fails, commandtest.Fails}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			log := &commandtest.Memory{}
			ids := pending(t, log, 7)
			faults := test.faults
			log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault {
				if len(faults) == 0 {
					return commandtest.Works
				}
				fault := faults[0]
				faults = faults[1:]
				return fault
			}
			failed := 0
			for i, o := range command.ExecuteAll(t.Context(), log, expire(ids, "one")) {
				r, ends := stateOf(t, log, ids[i])
				if o.Err != nil {
					failed++
					if ends != 0 {
						t.Errorf("%s failed (%v) and ended", ids[i], o.Err)
					}
					continue
				}
				if ends != 1 || r.State != events.StateExpired || o.State.State != events.StateExpired {
					t.Errorf("%s is %s (told %s) and ended %d times", ids[i], r.State, o.State.State, ends)
				}
				if len(o.Events) == 0 && !o.Repeated {
					t.Errorf("%s: nothing was appended, and it is not called a repetition", ids[i])
				}
			}
			if failed != test.fail {
				t.Errorf("%d failed, want %d", failed, test.fail)
			}
			for i, o := range command.ExecuteAll(t.Context(), log, expire(ids, "two")) {
				if failed == 0 && (o.Err != nil || len(o.Events) > 0) {
					t.Errorf("%s ended again: %+v", ids[i], o)
				}
			}
		})
	}
}

// TestOfManyWhoCommandTheSameRequestsOneWinsEach lets sweepers that overlap, people who cancel and
// a log that loses answers run at once: of each request exactly one end is stored, and exactly one
// of all says that it was its own.
func TestOfManyWhoCommandTheSameRequestsOneWinsEach(t *testing.T) {
	log := &commandtest.Memory{}
	ids := pending(t, log, 60)
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		switch random.IntN(40) {
		case 0:
			return commandtest.StoresThenSilent
		case 1:
			return commandtest.LosesThenSilent
		}
		return commandtest.Works
	}
	won := map[events.RequestID]int{}
	win := func(id events.RequestID, mine bool) {
		mu.Lock()
		defer mu.Unlock()
		if mine {
			won[id]++
		}
	}
	var wg sync.WaitGroup
	for who := range 4 {
		wg.Go(func() {
			some := ids[who*10 : who*10+30]
			for i, o := range command.ExecuteAll(t.Context(), log, expire(some, fmt.Sprint(who))) {
				if o.Err != nil {
					t.Errorf("%s: %v", some[i], o.Err)
				}
				win(some[i], len(o.Events) > 0 || o.Repeated)
			}
		})
	}
	for n := range 20 {
		wg.Go(func() {
			id := ids[n*3]
			m := command.Meta{Command: events.NewCommandID(), Actor: events.UserActor(dev), Time: noon.Add(-time.Second)}
			done, err := command.Execute(t.Context(), log, events.RequestStream(id), m, func(r command.Request) ([]events.Fact, error) {
				if r.State != events.StatePending {
					return nil, errTooLate
				}
				return []events.Fact{events.RequestCancelled{}}, nil
			})
			if err != nil && !errors.Is(err, errTooLate) {
				t.Errorf("cancel %s: %v", id, err)
			}
			win(id, err == nil && (len(done.Events) > 0 || done.Repeated))
		})
	}
	wg.Wait()
	for _, id := range ids {
		if _, ends := stateOf(t, log, id); ends != 1 || won[id] != 1 {
			t.Errorf("%s ended %d times, and %d said that it was theirs", id, ends, won[id])
		}
	}
}

var errTooLate = errors.New("too late")

func TestNoCommandsTogetherAreNothing(t *testing.T) {
	log := &commandtest.Memory{}
	if outcomes := command.ExecuteAll[command.Request](t.Context(), log, nil); len(outcomes) != 0 {
		t.Errorf("%d outcomes", len(outcomes))
	}
	ids := pending(t, log, command.MaxTogether+3)
	for i, o := range command.ExecuteAll(t.Context(), log, expire(ids, "many")) {
		if o.Err != nil || len(o.Events) != 1 || o.Seq == 0 {
			t.Errorf("the %dth of more than a batch: %+v, %v", i, o.Decision, o.Err)
		}
	}
}
