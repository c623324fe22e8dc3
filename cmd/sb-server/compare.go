package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/worker"
)

const (
	// viewsDiffer is the alarm of a row that is not what the log says (docs/operations/alerts.md).
	viewsDiffer = "views_differ"

	// compareRest is for how many times as long as a comparison took no other begins by itself: it
	// takes 5 % of the time at most, however long the log is.
	compareRest = 20

	// tailEach and tailCommits are how often the newest rows of the audit are compared, and of how
	// many commits. It costs some 50 ms.
	tailEach    = 30 * time.Second
	tailCommits = 4096

	// loggedRows is how many rows that differ one look names in the server's log. All are in the
	// answer of `sb audit compare`.
	loggedRows = 10
)

// look is how much a comparison looks at.
type look string

const (
	lookAll  look = "all"  // every table
	lookTail look = "tail" // the newest rows of the audit
)

// looked is what a look found, and when.
type looked struct {
	differences int
	at          time.Time
}

// comparer compares views and audit with the log, by itself and when somebody asks.
type comparer struct {
	db     *database
	pool   *pgxpool.Pool
	log    command.Log
	feed   command.Feed
	logger *slog.Logger

	mu   sync.Mutex
	last map[look]looked

	told projections.Comparison // of the loop: what its last fact said
}

func (st *stack) openComparer() *comparer {
	return &comparer{db: st.database, pool: st.pool, log: st.store, feed: st.store, logger: st.log, last: map[look]looked{}}
}

// looked is what the last looks of this server found.
func (c *comparer) looked() map[look]looked {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.last)
}

// compare is [projections.Compare] with a login that lasts as long as it does.
func (c *comparer) compare(ctx context.Context, named func(projections.Difference) error) (projections.Comparison, error) {
	owner, err := c.db.openOwner(ctx)
	if err != nil {
		return projections.Comparison{}, err
	}
	defer owner.Close()
	return c.note(lookAll, named, func(named func(projections.Difference) error) (projections.Comparison, error) {
		return projections.Compare(ctx, owner, c.feed, named)
	})
}

// note raises the alarm where a look finds something, and keeps what is told of it. What a row
// holds is not logged: whoever wrote it there could have written anything.
func (c *comparer) note(what look, named func(projections.Difference) error, compare func(func(projections.Difference) error) (projections.Comparison, error)) (projections.Comparison, error) {
	var rows []string
	done, err := compare(func(d projections.Difference) error {
		if len(rows) < loggedRows {
			rows = append(rows, fmt.Sprintf("%s %s %q", d.Table, d.Kind, d.Key))
		}
		return named(d)
	})
	if err != nil {
		return done, err
	}
	c.mu.Lock()
	c.last[what] = looked{done.Differences, time.Now()}
	c.mu.Unlock()
	if done.Differences > 0 {
		c.logger.Error("views or audit are not what the log says", "alarm", viewsDiffer, "look", what, "differences", done.Differences, "tables", done.Tables, "rows", rows)
	}
	return done, nil
}

// loops compare by themselves: the tail always, and everything as often as each says, unless it
// is 0.
func (c *comparer) loops(each time.Duration) []worker.Loop {
	all := []worker.Loop{{Name: "audit-tail", Run: worker.Every(tailEach, c.compareTail)}}
	if each > 0 {
		all = append(all, worker.Loop{Name: "compare", Run: worker.Sparsely(each, compareRest, c.compareAll)})
	}
	return all
}

func (c *comparer) compareTail(ctx context.Context, t *worker.Term) error {
	done, err := c.note(lookTail, unnamed, func(named func(projections.Difference) error) (projections.Comparison, error) {
		return projections.CompareTail(ctx, c.pool, c.feed, tailCommits, named)
	})
	t.Handled(done.Differences)
	return err
}

func unnamed(projections.Difference) error { return nil }

// compareAll leaves a fact when it finds something that its last fact does not say.
func (c *comparer) compareAll(ctx context.Context, t *worker.Term) error {
	done, err := c.compare(ctx, unnamed)
	if errors.Is(err, projections.ErrComparing) {
		return nil // somebody asked for it
	}
	if err != nil {
		return err
	}
	t.Handled(done.Differences)
	if done.Differences == c.told.Differences && slices.Equal(done.Tables, c.told.Tables) {
		return nil
	}
	actor := events.SystemActor("compare")
	meta := command.Meta{Command: events.NewCommandID(), Actor: actor, Time: time.Now()}
	_, err = command.Record(ctx, c.log, events.AccessStream(actor), meta, events.AuditCompared{UpTo: done.UpTo, Differences: done.Differences, Tables: done.Tables})
	if err == nil {
		c.told = done
	}
	return err
}
