package web

import (
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"secretsbridge/events"
)

// readingOn is how long somebody reads on in the same way and leaves no other fact. A page that is
// open follows the log by itself, and the fact of its reading is news to it: so it must not be
// told of itself again and again.
const readingOn = 10 * time.Minute

// reading is whoever reads the record in one way: from one session, or with one token.
type reading struct {
	actor   events.Actor
	session events.SessionID
	token   events.TokenID
	how     string
}

// readings are the ways of reading that are on record. They are of this process: on another
// server, and after a restart, the same reading leaves its fact once more.
type readings struct {
	mu    sync.Mutex
	begun map[reading]*begun
}

// begun is when a reading was put on record.
type begun struct {
	turn  chan struct{} // held by the one call that looks and records
	until time.Time     // exclusive; of whoever has the turn
}

// of finds one, and forgets those that ended, unless somebody has their turn.
func (r *readings) of(who reading, now time.Time) *begun {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, b := range r.begun {
		select {
		case b.turn <- struct{}{}:
			if !now.Before(b.until) && other != who {
				delete(r.begun, other)
			}
			<-b.turn
		default:
		}
	}
	b, known := r.begun[who]
	if !known {
		b = &begun{turn: make(chan struct{}, 1)}
		r.begun[who] = b
	}
	return b
}

// reads puts on record that the caller reads the record. A handler calls it with the caller's
// parameters when it has all that it will answer, and releases nothing where it fails: what was
// asked for badly leaves no fact, and what could not be recorded is not told ([errUnavailable]).
// Whoever reads on in the same way, from the same session, leaves no other fact for ten minutes,
// whatever the parameters are then.
func (a *API) reads(c *call, how events.AuditReading, q url.Values) error {
	return a.begins(c, string(how), events.AuditRead{Reading: how, Filters: slices.Sorted(maps.Keys(q))})
}

// begins is likewise with the fact of whatever is read in that way.
func (a *API) begins(c *call, how string, fact events.Fact) error {
	b := a.readings.of(reading{c.actor, c.session, c.token.ID, how}, c.now)
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-c.ctx().Done():
		return errUnavailable
	}
	if c.now.Before(b.until) {
		return nil
	}
	if _, err := a.record(c, c.actor, fact); err != nil {
		return err
	}
	b.until = c.now.Add(readingOn)
	return nil
}
