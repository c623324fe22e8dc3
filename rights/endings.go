package rights

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"secretsbridge/events"
)

// endings are the sessions whose end is on record, by when that was, for as long as their rows
// could say otherwise. A row that was put back is one of them.
type endings struct {
	at      map[events.SessionID]time.Time
	cleared time.Time // when what is too old was last dropped, by the log's clock
}

// remembered is how long an end is kept: no session lasts longer. The clocks of servers may differ.
const remembered = events.SessionLife + time.Hour

// take notes the ends that a commit tells of.
func (e *endings) take(c events.Recorded) {
	for _, event := range c.Events {
		var id events.SessionID
		switch f := event.Fact.(type) {
		case events.SignedOut:
			id = f.Session
		case events.SessionRevoked:
			id = f.Session
		case events.SessionExpired:
			id = f.Session
		default:
			continue
		}
		if e.at == nil {
			e.at = map[events.SessionID]time.Time{}
		}
		e.at[id] = event.Time
		if event.Time.Sub(e.cleared) < remembered {
			continue
		}
		for id, at := range e.at {
			if event.Time.Sub(at) > remembered {
				delete(e.at, id)
			}
		}
		e.cleared = event.Time
	}
}

// Ended reports whether the end of a session is on record, of one that could be open now.
func (r *Register) Ended(id events.SessionID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ended := r.ended.at[id]
	return ended
}

// errReached ends the reading of what is there.
var errReached = errors.New("reached")

// endingsUpTo reads the ends that a log tells of up to a commit, of the time that they are
// remembered. It is bounded by what happened in that time.
func (r *Register) endingsUpTo(ctx context.Context, last events.Seq) (endings, error) {
	var found endings
	if last == 0 {
		return found, nil
	}
	newest, err := r.feed.At(ctx, last)
	if err != nil {
		return found, fmt.Errorf("read commit %d: %w", last, err)
	}
	since := newest.Events[0].Time.Add(-remembered)
	var failed error
	first := sort.Search(int(last), func(i int) bool { // commits come about in the order of their times
		c, err := r.feed.At(ctx, events.Seq(i)+1)
		failed = errors.Join(failed, err)
		return failed != nil || !c.Events[0].Time.Before(since)
	})
	if failed != nil {
		return found, fmt.Errorf("look for what was %s ago: %w", remembered, failed)
	}
	err = r.feed.Follow(ctx, events.Seq(first), followBatch, func(_ context.Context, commits []events.Recorded) error {
		for _, c := range commits {
			if c.Seq > last {
				return errReached
			}
			found.take(c)
		}
		if commits[len(commits)-1].Seq == last {
			return errReached
		}
		return nil
	})
	if !errors.Is(err, errReached) {
		return found, err
	}
	return found, nil
}
