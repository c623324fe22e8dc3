package gitops

import (
	"sync"
	"time"

	"secretsbridge/events"
)

const (
	// perEndpoint is how many looks at applications of one integration are under way at a time.
	// Those that hang count until they end.
	perEndpoint = 8

	// What does not answer is asked again after 15 s, and after twice as long each time it does
	// not answer still.
	shortestBackOff = 15 * time.Second
	longestBackOff  = 5 * time.Minute

	// troubles in a row, and the rest of a round is left out.
	troubles = 3
)

// endpoints is how the integrations answer that the worker looks at. It is lost with the process:
// then each is asked once more.
type endpoints struct {
	mu    sync.Mutex
	known map[events.IntegrationID]*endpoint
}

type endpoint struct {
	busy   int // looks under way
	bad    int // troubles since it last answered
	pause  time.Duration
	resume time.Time // asked again then
}

func (e *endpoints) of(id events.IntegrationID) *endpoint {
	if e.known[id] == nil {
		e.known[id] = &endpoint{}
	}
	return e.known[id]
}

// enter takes a place for a look, if there is one.
func (e *endpoints) enter(id events.IntegrationID) (release func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.of(id)
	if at.busy >= perEndpoint {
		return nil, false
	}
	at.busy++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		at.busy--
	}, true
}

// rests reports whether an integration is left alone at a time.
func (e *endpoints) rests(id events.IntegrationID, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Before(e.of(id).resume)
}

// told notes how a look ended.
func (e *endpoints) told(id events.IntegrationID, p events.RolloutProblem, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.of(id)
	switch p {
	case events.RolloutUnreachable, events.RolloutUnauthorized, events.RolloutUntrusted:
		if at.bad++; at.bad < troubles || now.Before(at.resume) {
			return
		}
		at.pause = min(max(2*at.pause, shortestBackOff), longestBackOff)
		at.resume, at.bad = now.Add(at.pause), troubles-1 // one more is enough
	default:
		at.bad, at.pause, at.resume = 0, 0, time.Time{}
	}
}
