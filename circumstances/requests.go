package circumstances

import (
	"time"

	"secretsbridge/events"
)

// takeRequest folds a commit of a request's history. A request is kept as long as it can change
// what is told of it here. r.mu is held.
func (r *Register) takeRequest(c events.Recorded) {
	id := events.RequestID(c.Stream.ID)
	request, kept := r.open[id]
	for _, e := range c.Events {
		if _, begins := e.Fact.(events.RequestSubmitted); begins || kept {
			request, kept = request.Evolve(e), true
		}
	}
	waits := request.Glass != nil && request.Glass.Review == nil
	switch {
	case !kept:
	case request.State.Final() && !waits:
		delete(r.open, id)
		if delete(r.of[request.Requester], id); len(r.of[request.Requester]) == 0 {
			delete(r.of, request.Requester)
		}
	default:
		r.open[id] = request
		if r.of[request.Requester] == nil {
			r.of[request.Requester] = map[events.RequestID]bool{}
		}
		r.of[request.Requester][id] = true
	}
}

// Open counts the requests of one person that have not ended.
func (r *Register) Open(requester events.UserID) (n int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for id := range r.of[requester] {
		if !r.open[id].State.Final() {
			n++
		}
	}
	return n
}

// OverdueReviews counts what one person did without approval and nobody reviewed by a time.
func (r *Register) OverdueReviews(requester events.UserID, now time.Time) (n int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for id := range r.of[requester] {
		if glass := r.open[id].Glass; glass != nil && glass.Review == nil && !now.Before(glass.Until) {
			n++
		}
	}
	return n
}
