package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// tailBatch is how many commits are compared together.
const tailBatch = 1000

// errTailRead ends the reading of the log at the end of what was folded.
var errTailRead = errors.New("read")

// CompareTail compares the newest rows of the audit, those of the last commits that were folded
// and all that follow, with the log, and hands each that differs to named. It folds nothing, so
// it can be done often: the log is read once, and the rows. The pool may be of the application's
// login. UpTo is the position, and Took is left out.
func CompareTail(ctx context.Context, pool *pgxpool.Pool, feed command.Feed, commits int, named func(Difference) error) (Comparison, error) {
	t := &tailing{named: named, tables: map[string]bool{}}
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		t.tx = tx
		position, err := readPosition(ctx, tx, "views.positions") // fixes what this transaction sees
		if err != nil {
			return err
		}
		last, err := feed.Last(ctx) // after it: what was folded meanwhile is not seen
		if err != nil {
			return fmt.Errorf("read the end of the log: %w", err)
		}
		t.upto = min(position.Seq, last)
		t.at = t.upto - min(t.upto, events.Seq(commits))
		if t.upto > 0 {
			err = feed.Follow(ctx, t.at, tailBatch, t.take)
		}
		if err != nil && !errors.Is(err, errTailRead) {
			return err
		}
		return t.compare(ctx, nil, math.MaxInt64) // what follows is of no commit
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
	if len(fresh) > 0 {
		if err := t.compare(ctx, fresh, fresh[len(fresh)-1].Seq); err != nil {
			return err
		}
	}
	if t.at >= t.upto {
		return errTailRead
	}
	return nil
}

// tailRow is a row of the audit as its columns are, and its key.
type tailRow struct {
	key     []NamedValue
	columns []any
}

var (
	commitColumns = []string{"seq", "hash", "raw"}
	eventColumns  = []string{"seq", "place", "id", "type", "stream", "time", "actor", "correlation", "command"}
)

// compare compares the rows from where it is to a commit with those that these commits make.
func (t *tailing) compare(ctx context.Context, commits []events.Recorded, to events.Seq) error {
	var rows, eventRows []tailRow
	for _, c := range commits {
		hash := transparency.LeafHash(c.Raw)
		seq := NamedValue{"seq", fmt.Sprint(c.Seq)}
		rows = append(rows, tailRow{[]NamedValue{seq}, []any{int64(c.Seq), hash[:], c.Raw}})
		for place, e := range c.Events {
			row, err := eventRowOf(c.Seq, place, e)
			if err != nil {
				return fmt.Errorf("fold commit %d: %w", c.Seq, err)
			}
			eventRows = append(eventRows, tailRow{[]NamedValue{seq, {"place", fmt.Sprint(place)}}, []any{
				int64(row.Seq), int64(row.Place), string(row.ID), row.Type, row.Stream, time.UnixMicro(row.Time.UnixMicro()).UTC(),
				string(row.Actor), string(row.Correlation), string(row.Command),
			}})
		}
	}
	from := t.at
	t.at = to
	if err := t.compareRows(ctx, "audit.commits", commitColumns, 1, from, to, rows); err != nil {
		return err
	}
	return t.compareRows(ctx, "audit.events", eventColumns, 2, from, to, eventRows)
}

// compareRows walks along the rows that stand, in the order of their key, which has so many
// columns, and those that should.
func (t *tailing) compareRows(ctx context.Context, table string, columns []string, key int, from, to events.Seq, should []tailRow) error {
	order := strings.Join(columns[:key], ", ")
	rows, err := t.tx.Query(ctx, "SELECT "+strings.Join(columns, ", ")+"\nFROM "+table+"\nWHERE seq > $1 AND seq <= $2\nORDER BY "+order, planned, int64(from), int64(to))
	if err != nil {
		return fmt.Errorf("read %s: %w", table, err)
	}
	stand, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (tailRow, error) {
		values, err := row.Values()
		r := tailRow{columns: values}
		for i := range values {
			switch v := values[i].(type) {
			case int32:
				values[i] = int64(v)
			case time.Time:
				values[i] = v.UTC()
			}
			if i < key {
				r.key = append(r.key, NamedValue{columns[i], fmt.Sprint(values[i])})
			}
		}
		return r, err
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", table, err)
	}
	for len(stand) > 0 || len(should) > 0 {
		order := 0
		switch {
		case len(stand) == 0:
			order = 1
		case len(should) == 0:
			order = -1
		default:
			for i := 0; i < key && order == 0; i++ {
				order = cmp.Compare(stand[0].columns[i].(int64), should[0].columns[i].(int64))
			}
		}
		var is, want tailRow
		if order <= 0 {
			is, stand = stand[0], stand[1:]
		}
		if order >= 0 {
			want, should = should[0], should[1:]
		}
		if err := t.same(table, columns, is, want); err != nil {
			return err
		}
	}
	return nil
}

// same hands over a row that differs. A side without a row has no columns.
func (t *tailing) same(table string, columns []string, is, want tailRow) error {
	d := Difference{Table: table, Kind: RowChanged, Key: want.key}
	switch {
	case is.columns == nil:
		d.Kind = RowMissing
	case want.columns == nil:
		d.Kind, d.Key = RowAdded, is.key
	}
	for i, name := range columns {
		var a, b any
		if is.columns != nil {
			a = is.columns[i]
		}
		if want.columns != nil {
			b = want.columns[i]
		}
		if !reflect.DeepEqual(a, b) {
			d.Columns = append(d.Columns, ColumnDifference{name, written(a), written(b)})
		}
	}
	if len(d.Columns) == 0 {
		return nil
	}
	t.tables[table] = true
	if t.found++; t.found > MaxNamed {
		return nil
	}
	return t.named(d)
}

// written is a value as Postgres would write it.
func written(value any) *string {
	switch v := value.(type) {
	case nil:
		return nil
	case []byte:
		return cut(fmt.Sprintf("\\x%x", v[:min(len(v), maxShown)]))
	case time.Time:
		return cut(v.Format(time.RFC3339Nano))
	default:
		return cut(fmt.Sprint(v))
	}
}
