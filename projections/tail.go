package projections

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// errTailRead ends the reading of the log at the end of what was folded.
var errTailRead = errors.New("read")

// CompareTail compares the newest rows of the audit, those of the last commits that were folded
// and all that follow, with the log, and hands each that differs to named. It folds nothing, so
// it can be done often: the log is read once, and the rows. The pool may be of the application's
// login. UpTo is the position, and Took is left out.
func CompareTail(ctx context.Context, pool *pgxpool.Pool, feed command.Feed, commits int, named func(Difference) error) (Comparison, error) {
	last, err := feed.Last(ctx)
	if err != nil {
		return Comparison{}, fmt.Errorf("read the end of the log: %w", err)
	}
	t := &tailing{named: named}
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		t.tx = tx
		position, err := readPosition(ctx, tx, "views.positions") // fixes what this transaction sees
		if err != nil {
			return err
		}
		t.upto = min(position.Seq, last)
		t.at = t.upto - min(t.upto, events.Seq(commits))
		if t.upto > 0 {
			err = feed.Follow(ctx, t.at, proofBatch, t.take)
		}
		if err != nil && !errors.Is(err, errTailRead) {
			return err
		}
		return t.compare(ctx, nil, nil, forever) // what follows is of no commit
	})
	if err != nil {
		return Comparison{}, fmt.Errorf("compare the end of the audit with the log: %w", err)
	}
	done := Comparison{UpTo: t.upto, Differences: t.found}
	for _, table := range []string{"audit.commits", "audit.events"} {
		if t.tables[table] {
			done.Tables = append(done.Tables, table)
		}
	}
	return done, nil
}

// tailing is one look at the end of the audit.
type tailing struct {
	tx       pgx.Tx
	named    func(Difference) error
	at, upto events.Seq

	found  int
	tables map[string]bool
}

// take compares the rows of some commits, which follow those before.
func (t *tailing) take(ctx context.Context, commits []events.Recorded) error {
	fresh, err := inOrder(commits, t.at, t.upto)
	if err != nil {
		return err
	}
	rows, events := map[string]*commitRow{}, map[string]*eventRow{}
	for _, c := range fresh {
		hash := transparency.LeafHash(c.Raw)
		rows[commitKey(c.Seq)] = &commitRow{c.Seq, hash[:], c.Raw}
		for place, e := range c.Events {
			row, err := eventRowOf(c.Seq, place, e)
			if err != nil {
				return fmt.Errorf("fold commit %d: %w", c.Seq, err)
			}
			events[eventKey(&row)] = &row
		}
		t.at = c.Seq
	}
	if len(fresh) > 0 {
		if err := t.compare(ctx, rows, events, t.at); err != nil {
			return err
		}
	}
	if t.at >= t.upto {
		return errTailRead
	}
	return nil
}
