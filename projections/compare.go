package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
)

// MaxNamed is how many rows that differ a comparison names; more are counted. Whoever changed
// that many is not found by reading them.
const MaxNamed = 10_000

// maxShown is how many characters of a value that differs are shown: a commit has up to 960 kB.
const maxShown = 200

// ErrNoOwner says that a server was not given the login that may fold the log beside the views.
var ErrNoOwner = errors.New("SB_DATABASE_OWNER_URL is not set: give the login that owns the schemas, which sb-server migrate uses")

// ErrComparing says that a comparison or a rebuild is under way, here or on another server: the
// shadow schemas are there once.
var ErrComparing = errors.New("the log is being folded beside the views already")

// DifferenceKind is what is wrong with a row.
type DifferenceKind string

// The kinds.
const (
	RowChanged        DifferenceKind = "changed"    // it does not say what the log says
	RowMissing        DifferenceKind = "missing"    // the log says that it is there
	RowAdded          DifferenceKind = "added"      // the log says nothing of it
	DefinitionDiffers DifferenceKind = "definition" // not a row: a column, trigger, index, rule, policy or function
)

// Difference is one row that is not what the log says.
type Difference struct {
	Table   string             `json:"table"` // with its schema
	Kind    DifferenceKind     `json:"kind"`
	Key     []NamedValue       `json:"key"` // the columns of its key, or what is defined
	Columns []ColumnDifference `json:"columns"`
}

// NamedValue is a column of one row, as text.
type NamedValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ColumnDifference is what a column holds and what it should. Nil is NULL, or that there is no
// row. Values are cut after 200 characters, so those of long ones may look the same.
type ColumnDifference struct {
	Name     string  `json:"name"`
	Live     *string `json:"live"`
	Refolded *string `json:"refolded"`
}

// Comparison is the outcome.
type Comparison struct {
	UpTo        events.Seq    // the last commit that was folded
	Differences int           // all, also those that were not named
	Tables      []string      // that have any, with their schemas, sorted
	Took        time.Duration // from the begin to the end
}

// Compare folds the whole log into shadow schemas, compares every table with what stands at one
// moment, byte for byte, and hands each row that differs to named, up to [MaxNamed]. An error of
// named ends it and is returned. None means that views and audit are what the log says, and that
// their tables are what the migrations made.
//
// Followers and queries go on meanwhile; for the moment that fixes what is compared, followers
// wait until the shadows have what they have, some milliseconds. The pool must be of the
// owner's login. It returns [ErrComparing] where another comparison or a rebuild is under way.
// The shadows are not in the WAL, and need the space of views and audit once more.
func Compare(ctx context.Context, owner *pgxpool.Pool, feed command.Feed, named func(Difference) error) (Comparison, error) {
	begun := time.Now()
	c := &comparing{owner: owner, feed: feed, named: named, tables: map[string]bool{}}
	if err := c.run(ctx); err != nil {
		return Comparison{}, fmt.Errorf("compare the views with the log: %w", err)
	}
	done := Comparison{UpTo: c.upto, Differences: c.found, Took: time.Since(begun)}
	for table := range c.tables {
		done.Tables = append(done.Tables, table)
	}
	slices.Sort(done.Tables)
	return done, nil
}

// comparing is one comparison under way.
type comparing struct {
	owner *pgxpool.Pool
	feed  command.Feed
	named func(Difference) error

	upto   events.Seq
	found  int
	tables map[string]bool
}

func (c *comparing) differs(d Difference) error {
	c.tables[d.Table] = true
	if c.found++; c.found > MaxNamed {
		return nil
	}
	return c.named(d)
}

func (c *comparing) run(ctx context.Context) error {
	conn, err := beginShadow(ctx, c.owner, false)
	if err != nil {
		return err
	}
	defer endShadow(context.WithoutCancel(ctx), conn)
	should, err := definitions(ctx, conn, shadow)
	if err != nil {
		return err
	}
	if err := unlogged(ctx, conn); err != nil {
		return err
	}
	if c.upto, err = c.end(ctx, conn); err != nil {
		return err
	}
	w, err := foldShadow(ctx, c.owner, c.feed, c.upto, leaveOff)
	if err != nil {
		return err
	}
	defer w.close()
	tx, err := c.fix(ctx, conn, w)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := c.compareDefinitions(ctx, tx, should); err != nil {
		return err
	}
	tables, err := foldedTables(ctx, tx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := c.compareTable(ctx, tx, t); err != nil {
			return fmt.Errorf("compare %s: %w", t.live(), err)
		}
	}
	return nil
}

// end is how far the views are, or the log where it is shorter: then the position differs.
func (c *comparing) end(ctx context.Context, db querier) (events.Seq, error) {
	last, err := c.feed.Last(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the end of the log: %w", err)
	}
	now, err := readPosition(ctx, db, "views.positions")
	if errors.Is(err, pgx.ErrNoRows) { // somebody removed it, which is named like any other row
		return last, nil
	}
	return min(now.Seq, last), err
}

// nearEnough is how many commits the shadows may lack when followers are stopped for the rest:
// they are folded in a few milliseconds.
const nearEnough = 200

// fix begins a transaction that sees views and shadows at the same commit. Followers cannot
// commit until it has begun.
func (c *comparing) fix(ctx context.Context, conn *pgx.Conn, w *folder) (pgx.Tx, error) {
	for range 100 { // the tail becomes shorter, or as short as a busy log lets it
		upto, err := c.end(ctx, conn)
		if err != nil {
			return nil, err
		}
		if upto <= w.position.Seq+nearEnough {
			break
		}
		if err := w.follow(ctx, c.feed, upto); err != nil {
			return nil, err
		}
	}
	holding, err := pgx.ConnectConfig(ctx, c.owner.Config().ConnConfig.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect as the owner: %w", err)
	}
	defer holding.Close(context.WithoutCancel(ctx)) // and followers go on
	if _, err := holding.Exec(ctx, "BEGIN; LOCK TABLE views.positions IN SHARE MODE"); err != nil {
		return nil, fmt.Errorf("stop the views for a moment: %w", err)
	}
	if c.upto, err = c.end(ctx, holding); err != nil {
		return nil, err
	}
	if err := w.follow(ctx, c.feed, c.upto); err != nil {
		return nil, err
	}
	c.upto = w.position.Seq // where the position was set back, the shadows are ahead of it
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("begin to compare: %w", err)
	}
	// Rows come in the order of keys on both sides, so that no table is held or spilt as a whole.
	// The first query of the transaction fixes what all of it sees.
	if _, err := tx.Exec(ctx, "SET LOCAL enable_hashjoin = off; SET LOCAL row_security = off; SELECT 1"); err != nil {
		return nil, errors.Join(fmt.Errorf("begin to compare: %w", err), tx.Rollback(context.WithoutCancel(ctx)))
	}
	return tx, nil
}

// unlogged takes the shadows out of the WAL: nobody needs them after a crash.
func unlogged(ctx context.Context, conn *pgx.Conn) error {
	tables, err := foldedTables(ctx, conn)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := conn.Exec(ctx, "ALTER TABLE "+t.refolded()+" SET UNLOGGED"); err != nil {
			return fmt.Errorf("prepare %s: %w", t.refolded(), err)
		}
	}
	return nil
}
