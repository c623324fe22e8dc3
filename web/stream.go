package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
)

const (
	// heartbeat keeps proxies from closing a silent stream, and bounds how long one
	// outlives its session.
	heartbeat = 15 * time.Second

	// writePatience is how long a reader may take for one event.
	writePatience = 10 * time.Second

	// maxStreams is how many one person may have open: some tabs and terminals.
	maxStreams = 20
)

// streams counts the open streams of each person.
type streams struct {
	mu   sync.Mutex
	open map[events.UserID]int
}

// enter takes a place, or reports that there is none left.
func (s *streams) enter(who events.UserID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= maxStreams {
		return false
	}
	s.open[who]++
	return true
}

func (s *streams) leave(who events.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who]--; s.open[who] == 0 {
		delete(s.open, who)
	}
}

// streamRequest tells what becomes of one request, as Server-Sent Events: as it stands,
// and again after each change. The id of an event is the sequence; a client that comes
// back with it gets nothing it has seen.
func (a *API) streamRequest(c *call) (reply, error) {
	var seen uint64     // of the facts that were told
	var waiting *string // the sentence that was told, nil for none yet
	if text := c.r.Header.Get("Last-Event-ID"); text != "" {
		var err error
		if seen, err = strconv.ParseUint(text, 10, 64); err != nil {
			return reply{}, errParameter.because("Last-Event-ID is no sequence")
		}
	}
	r, err := a.visible(c)
	if err != nil {
		return reply{}, err
	}
	who := c.person.ID
	if !a.streams.enter(who) {
		return reply{}, errTooMany.because("you follow 20 requests already; close one of them")
	}
	defer a.streams.leave(who)
	changes := a.Views.Watch(c.ctx(), events.RequestStream(r.ID))
	out := http.NewResponseController(c.w)
	send := func(text string) error {
		if err := out.SetWriteDeadline(time.Now().Add(a.writePatience)); err != nil {
			return err
		}
		if _, err := fmt.Fprint(c.w, text); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
		return out.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream whose deadline passes, also a silent one
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	written := reply{written: true}
	if send("") != nil { // the headers, now: a client that has seen everything waits for them
		return written, nil
	}
	beat := time.NewTicker(a.heartbeat)
	defer beat.Stop()
	for {
		// Everything is read again each time: also whether the caller may still see it.
		r, err := a.visible(c)
		if err != nil {
			return written, nil // the headers are gone; the client comes back and is told
		}
		shown, err := a.present(c, r)
		if err != nil {
			return written, nil
		}
		if uint64(r.LastSeq) > seen || waiting != nil && *waiting != shown.Waiting {
			data, err := json.Marshal(shown)
			if err != nil {
				return written, nil
			}
			if send(fmt.Sprintf("id: %d\nevent: request\ndata: %s\n\n", r.LastSeq, data)) != nil {
				return written, nil
			}
			seen = uint64(r.LastSeq)
		}
		waiting = &shown.Waiting
		select {
		case <-c.ctx().Done():
			return written, nil
		case <-a.drained:
			return written, nil
		case <-changes:
		case <-beat.C:
			if c.authenticate(a.Sessions) != nil || !c.may(policy.RequestList) || send(": still here\n\n") != nil {
				return written, nil
			}
		}
	}
}
