package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// lookEvery is how often a wait looks at the database by itself, in case a notice was
// lost with its connection.
const lookEvery = 200 * time.Millisecond

// reconnectPause is how long to wait before listening again.
const reconnectPause = time.Second

// Progress tells how far the views are, and who wants to know what changed. Followers
// of this process tell it directly; Run hears those of others.
type Progress struct {
	pool *pgxpool.Pool

	mu       sync.Mutex
	seq      events.Seq
	advanced chan struct{} // closed and replaced when seq grows
	watchers map[*watcher]struct{}

	kinds   map[events.Aggregate]events.Seq // the newest commit about each that is known of
	told    events.Seq                      // the newest of those: up to it, kinds misses nothing
	changed chan struct{}                   // closed and replaced when told grows
}

type watcher struct {
	stream events.Stream
	seqs   chan events.Seq // holds the newest only
}

// NewProgress makes one for the database of a pool.
func NewProgress(pool *pgxpool.Pool) *Progress {
	return &Progress{
		pool: pool, advanced: make(chan struct{}), watchers: map[*watcher]struct{}{},
		kinds: map[events.Aggregate]events.Seq{}, changed: make(chan struct{}),
	}
}

// Position reads how far the views are.
func (p *Progress) Position(ctx context.Context) (Position, error) {
	return readPosition(ctx, p.pool, "views.positions")
}

// WaitFor returns once the views hold a commit, so that a query sees what a command
// did. When ctx ends first the error wraps [ErrBehind] and the reason of ctx.
func (p *Progress) WaitFor(ctx context.Context, seq events.Seq) error {
	for looked := false; ; looked = true {
		p.mu.Lock()
		at, advanced := p.seq, p.advanced
		p.mu.Unlock()
		if at >= seq {
			return nil
		}
		wait := lookEvery
		if at == 0 && !looked {
			wait = 0 // nobody has told us anything yet
		}
		look := time.NewTimer(wait)
		select {
		case <-advanced:
		case <-ctx.Done():
			look.Stop()
			return fmt.Errorf("%w: at %d, waiting for %d: %w", ErrBehind, at, seq, context.Cause(ctx))
		case <-look.C:
			position, err := p.Position(ctx)
			if err == nil {
				p.tell(position.Seq, func(*watcher) bool { return false }) // and not what changed
			} else if ctx.Err() == nil {
				return err
			}
		}
		look.Stop()
	}
}

// Watch tells of each batch that changed a history; the zero Stream is every history.
// The channel holds the newest position only, so a slow reader loses nothing but the
// steps in between. After a lost connection everybody is told once. It ends with ctx,
// but is never closed.
func (p *Progress) Watch(ctx context.Context, stream events.Stream) <-chan events.Seq {
	w := &watcher{stream, make(chan events.Seq, 1)}
	p.mu.Lock()
	p.watchers[w] = struct{}{}
	p.mu.Unlock()
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		delete(p.watchers, w)
		p.mu.Unlock()
	})
	return w.seqs
}

// Changed tells which kinds of histories changed after a commit, and up to which other one that
// is all. When more is known the channel is closed, and there is nothing to end: however many
// ask, and however seldom, it costs nothing between two calls.
func (p *Progress) Changed(after events.Seq) (kinds []events.Aggregate, upto events.Seq, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for kind, seq := range p.kinds {
		if seq > after {
			kinds = append(kinds, kind)
		}
	}
	return kinds, max(after, p.told), p.changed
}

// learnt records of which kinds a batch has commits; the caller has the lock. What nobody knows
// any more may be about all. It comes in the order of the commits: a follower that takes its
// turn, and a listener that begins, first learn that there may be anything below, and what
// others are told of later lies below it.
func (p *Progress) learnt(seq events.Seq, kinds []events.Aggregate) {
	if seq <= p.told {
		return
	}
	for _, kind := range kinds {
		p.kinds[kind] = seq
	}
	p.told = seq
	close(p.changed)
	p.changed = make(chan struct{})
}

// anything records that whatever there is up to a commit may have changed.
func (p *Progress) anything(seq events.Seq) {
	p.mu.Lock()
	p.learnt(seq, events.Aggregates)
	p.mu.Unlock()
	p.tell(seq, func(*watcher) bool { return true })
}

// moved records that the views hold a batch, and tells the watchers of its streams.
func (p *Progress) moved(seq events.Seq, streams []events.Stream) {
	kinds := make([]events.Aggregate, 0, len(events.Aggregates))
	for _, s := range streams {
		if !slices.Contains(kinds, s.Aggregate) {
			kinds = append(kinds, s.Aggregate)
		}
	}
	p.mu.Lock()
	p.learnt(seq, kinds)
	p.mu.Unlock()
	p.tell(seq, func(w *watcher) bool {
		for _, s := range streams {
			if s == w.stream || w.stream == (events.Stream{}) {
				return true
			}
		}
		return false
	})
}

func (p *Progress) tell(seq events.Seq, concerns func(*watcher) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq > p.seq {
		p.seq = seq
		close(p.advanced)
		p.advanced = make(chan struct{})
	}
	for w := range p.watchers {
		if concerns(w) {
			w.offer(seq)
		}
	}
}

// offer replaces what the reader has not taken. Only tell calls it, under the lock.
func (w *watcher) offer(seq events.Seq) {
	select {
	case old := <-w.seqs:
		seq = max(seq, old)
	default:
	}
	w.seqs <- seq
}

// Run hears the followers of other processes until ctx ends. It makes one connection
// of its own, and another when that is lost. Without it, waits look by themselves
// and watchers hear only the followers of this process.
func (p *Progress) Run(ctx context.Context) error {
	for {
		err := p.listen(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(reconnectPause):
		}
	}
}

func (p *Progress) listen(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, p.pool.Config().ConnConfig.Copy())
	if err != nil {
		return fmt.Errorf("listen for changes of the views: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return fmt.Errorf("listen for changes of the views: %w", err)
	}
	position, err := readPosition(ctx, conn, "views.positions")
	if err != nil {
		return err
	}
	p.anything(position.Seq) // whatever was missed
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("listen for changes of the views: %w", err)
		}
		p.heard(n.Payload)
	}
}

// heard reads what [notice] wrote.
func (p *Progress) heard(payload string) {
	words := strings.Fields(payload)
	if len(words) == 0 {
		return
	}
	seq, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil {
		return
	}
	if len(words) == 2 && words[1] == "*" {
		p.anything(events.Seq(seq))
		return
	}
	streams := make([]events.Stream, 0, len(words)-1)
	for _, word := range words[1:] {
		if s, err := events.ParseStream(word); err == nil {
			streams = append(streams, s)
		}
	}
	p.moved(events.Seq(seq), streams)
}
