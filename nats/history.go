package nats

import (
	"container/list"
	"slices"
	"sync"

	"secretsbridge/events"
)

// historyBytes bounds what [Store.Load] keeps in memory, by stored bytes.
const historyBytes = 32 << 20

// histories keeps the streams that were loaded last. What is in the log never changes,
// so a load asks only for what came after. It is never an answer by itself: the leader
// is asked each time whether that is all. A new connection may lead to another log, so
// it forgets everything.
type histories struct {
	mu       sync.Mutex
	links    uint64 // reconnects when the first was kept
	bytes    int
	recent   *list.List // of *kept, the last used first
	byStream map[events.Stream]*list.Element
}

type kept struct {
	stream  events.Stream
	commits []events.Recorded // shared with callers; never written to
	bytes   int
}

func newHistories() *histories {
	return &histories{recent: list.New(), byStream: map[events.Stream]*list.Element{}}
}

// get returns what is known of a stream. Appending to it copies it.
func (h *histories) get(stream events.Stream, links uint64) []events.Recorded {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links != links {
		h.links, h.bytes = links, 0
		h.recent.Init()
		clear(h.byStream)
	}
	found, ok := h.byStream[stream]
	if !ok {
		return nil
	}
	h.recent.MoveToFront(found)
	return slices.Clip(found.Value.(*kept).commits)
}

// put keeps a stream as loaded while there were that many reconnects, and forgets
// those unused for longest.
func (h *histories) put(stream events.Stream, links uint64, commits []events.Recorded) {
	size := 0
	for _, c := range commits {
		size += len(c.Raw)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links != links || len(commits) == 0 || size > historyBytes/4 {
		return
	}
	if found, ok := h.byStream[stream]; ok {
		if len(found.Value.(*kept).commits) >= len(commits) {
			return // another load saw more
		}
		h.drop(found)
	}
	h.byStream[stream] = h.recent.PushFront(&kept{stream: stream, commits: commits, bytes: size})
	h.bytes += size
	for h.bytes > historyBytes {
		h.drop(h.recent.Back())
	}
}

func (h *histories) drop(e *list.Element) {
	k := h.recent.Remove(e).(*kept)
	delete(h.byStream, k.stream)
	h.bytes -= k.bytes
}
