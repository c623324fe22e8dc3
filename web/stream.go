package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"secretsbridge/events"
)

const (
	// heartbeat keeps proxies from closing a silent stream, and bounds how long one
	// outlives its session.
	heartbeat = 15 * time.Second

	// writePatience is how long a reader may take for one event.
	writePatience = 10 * time.Second

	// lookEach is how often a job that runs is looked at: its progress leaves no facts.
	lookEach = time.Second

	// maxStreams is how many one person may have open: some tabs and terminals.
	maxStreams = 20
)

var errManyStreams = errTooMany.because("you follow 20 things live already; close one of them")

// places counts what each person has open of one kind.
type places struct {
	most int // of one person

	mu   sync.Mutex
	open map[events.UserID]int
}

// enter takes a place, or reports that there is none left.
func (p *places) enter(who events.UserID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[who] >= p.most {
		return false
	}
	if p.open == nil {
		p.open = map[events.UserID]int{}
	}
	p.open[who]++
	return true
}

func (p *places) leave(who events.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[who]--; p.open[who] == 0 {
		delete(p.open, who)
	}
}

// told is how something stands that a stream is about.
type told struct {
	seq   events.Seq // of its newest fact
	mark  string     // what else is worth an event when it differs
	shown any
	over  bool // nothing can follow
	moves bool // it moves without facts: look again soon
}

// streamRequest tells what becomes of one request, as Server-Sent Events.
func (a *API) streamRequest(c *call) (reply, error) {
	r, err := a.visible(c)
	if err != nil {
		return reply{}, err
	}
	return a.follow(c, "request", events.RequestStream(r.ID), func() (told, error) {
		r, err := a.visible(c)
		if err != nil {
			return told{}, err
		}
		shown, err := a.present(c, r)
		return told{seq: r.LastSeq, mark: shown.Waiting, shown: shown}, err
	})
}

// follow writes events: how something stands, and again after each change. The id of an
// event is the sequence; a client that comes back with it gets nothing it has seen, and
// one that has seen the end gets 204, which ends an EventSource (WHATWG HTML, section
// 9.2.3).
func (a *API) follow(c *call, event string, stream events.Stream, look func() (told, error)) (reply, error) {
	var seen uint64    // of the facts that were told
	var marked *string // what was told beside them, nil for nothing yet
	if last, err := c.lastEvent(); err != nil {
		return reply{}, err
	} else if last != nil {
		seen = *last
	}
	who := c.person.ID
	if !a.streams.enter(who) {
		return reply{}, errManyStreams
	}
	defer a.streams.leave(who)
	changes := a.Views.Watch(c.ctx(), stream)
	// Everything is read again each time: also whether the caller may still see it.
	at, err := look()
	if err != nil {
		return reply{}, err
	}
	if at.over && uint64(at.seq) <= seen {
		return reply{status: http.StatusNoContent}, nil
	}
	written := reply{written: true}
	if a.begin(c) != nil {
		return written, nil
	}
	beat, soon := time.NewTicker(a.heartbeat), time.NewTicker(a.look)
	defer beat.Stop()
	defer soon.Stop()
	for {
		if uint64(at.seq) > seen || marked != nil && *marked != at.mark {
			data, err := json.Marshal(at.shown)
			if err != nil || a.send(c, fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", at.seq, event, data)) != nil {
				return written, nil
			}
			seen = uint64(at.seq)
		}
		if at.over {
			return written, nil
		}
		mark := at.mark
		marked = &mark
		var again <-chan time.Time
		if at.moves {
			again = soon.C
		}
		select {
		case <-c.ctx().Done():
			return written, nil
		case <-a.drained:
			return written, nil
		case <-changes:
		case <-again:
		case <-beat.C:
			if a.mayStill(c) != nil || a.send(c, ": still here\n\n") != nil {
				return written, nil
			}
		}
		if at, err = look(); err != nil {
			return written, nil // the headers are gone; the client comes back and is told
		}
	}
}

// lastEvent is the id of the last event that a client saw; nil: it saw none.
func (c *call) lastEvent() (*uint64, error) {
	text := c.r.Header.Get("Last-Event-ID")
	if text == "" {
		return nil, nil
	}
	seen, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, errParameter.because("Last-Event-ID is no sequence")
	}
	return &seen, nil
}

// begin sends the headers of a stream, now: a client that has seen everything waits for them.
func (a *API) begin(c *call) error {
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	return a.send(c, "")
}

// send writes a part of a long answer to whoever reads it, for as long as one may take.
func (a *API) send(c *call, text string) error {
	out := http.NewResponseController(c.w)
	if err := out.SetWriteDeadline(time.Now().Add(a.writePatience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.w, text); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return out.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream whose deadline passes, also a silent one
}
