package agent

import (
	"slices"
	"sync"

	"secretsbridge/events"
)

// rememberJobs is how many finished jobs an agent remembers. A ticket comes again at
// most a lease after its job was finished; by then few others were.
const rememberJobs = 1024

// register knows the jobs of this process, because a ticket may be delivered twice: a
// lease that was renewed too late, or an acknowledgement that was lost.
type register struct {
	mu       sync.Mutex // guards what follows
	running  map[events.JobID]bool
	finished []events.JobID // the oldest first
}

// standing is where a job stands in this process.
type standing int

const (
	fresh    standing = iota // begun by this very call
	running                  // in another goroutine's hands
	finished                 // its outcome is stored by the control plane
)

func newRegister() *register { return &register{running: map[events.JobID]bool{}} }

func (r *register) begin(id events.JobID) standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.running[id]:
		return running
	case slices.Contains(r.finished, id):
		return finished
	}
	r.running[id] = true
	return fresh
}

// end takes a job out of the running ones. stored says that its outcome is a fact.
func (r *register) end(id events.JobID, stored bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, id)
	if !stored {
		return
	}
	if len(r.finished) == rememberJobs {
		r.finished = slices.Delete(r.finished, 0, 1)
	}
	r.finished = append(r.finished, id)
}

func (r *register) inHand() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.running)
}

// list returns the running jobs in ascending order.
func (r *register) list() []events.JobID {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]events.JobID, 0, len(r.running))
	for id := range r.running {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
