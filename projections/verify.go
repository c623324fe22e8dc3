package projections

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
)

// Difference is the first row of a table, by its key, that is not what the log says.
// Rows are in the text format of COPY; an empty one is missing.
type Difference struct {
	Table    string // with its schema
	Live     string // as it stands
	Refolded string // as it should
}

// comparedTables are all tables that are folded, with the order of their rows.
var comparedTables = []struct{ schema, table, order string }{
	{ViewsSchema, "positions", "projection"},
	{ViewsSchema, "requests", "id"},
	{ViewsSchema, "envelopes", "request, id"},
	{ViewsSchema, "connections", "name"},
	{ViewsSchema, "agents", "id"},
	{ViewsSchema, "jobs", "id"},
	{ViewsSchema, "users", "id"},
	{ViewsSchema, "integrations", "name"},
	{ViewsSchema, "mappings", "integration, id"},
	{ViewsSchema, "scanned_connections", "connection"},
	{ViewsSchema, "secrets", "place"},
	{ViewsSchema, "secret_labels", "label, place"},
	{ViewsSchema, "secret_owners", "place"},
	{ViewsSchema, "secret_assignments", "secret"},
	{ViewsSchema, "ownership_rules", "setting"},
	{ViewsSchema, "secret_counts", "connection, status"},
	{ViewsSchema, "label_counts", "label, connection"},
	{ViewsSchema, "version_changes", "place"},
	{AuditSchema, "commits", "seq"},
	{AuditSchema, "events", "seq, place"},
}

// Verify folds the whole log into shadow schemas and compares every table with what
// stands, byte for byte, at one moment: followers and queries go on meanwhile. It
// returns the first difference of each table; none means that views and audit are
// what the log says. The pool must be of the owner's login.
func Verify(ctx context.Context, owner *pgxpool.Pool, feed command.Feed) ([]Difference, error) {
	differences, err := verify(ctx, owner, feed)
	if err != nil {
		return nil, fmt.Errorf("verify the views: %w", err)
	}
	return differences, nil
}

func verify(ctx context.Context, owner *pgxpool.Pool, feed command.Feed) ([]Difference, error) {
	conn, err := beginShadow(ctx, owner)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	defer func() { _ = dropShadow(context.WithoutCancel(ctx), conn) }()
	now, err := readPosition(ctx, conn, "views.positions")
	if err != nil {
		return nil, err
	}
	last, err := feed.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the end of the log: %w", err)
	}
	if now.Seq > last {
		return nil, fmt.Errorf("%w: it ends at %d, but commit %d was folded before", command.ErrLogUnsafe, last, now.Seq)
	}
	w, err := foldShadow(ctx, owner, feed, now.Seq)
	if err != nil {
		return nil, err
	}
	defer w.close()

	var differences []Difference
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		now, err := readPosition(ctx, tx, "views.positions") // fixes what this transaction sees
		if err != nil {
			return err
		}
		if err := w.follow(ctx, feed, now.Seq); err != nil {
			return err
		}
		for _, c := range comparedTables {
			live, refolded, err := firstDifference(ctx, conn, w.conn, c.schema+"."+c.table, c.table, c.order)
			if err != nil {
				return fmt.Errorf("compare %s.%s: %w", c.schema, c.table, err)
			}
			if live != refolded {
				differences = append(differences, Difference{c.schema + "." + c.table, live, refolded})
			}
		}
		return nil
	})
	return differences, err
}

// firstDifference reads a table on two connections side by side and returns the first
// rows that are not the same; two empty ones mean that there are none.
func firstDifference(ctx context.Context, a, b *pgx.Conn, tableA, tableB, order string) (string, string, error) {
	ctx, cancel := context.WithCancel(ctx)
	rowsA, endA := copyOut(ctx, a, tableA, order)
	rowsB, endB := copyOut(ctx, b, tableB, order)
	rowA, rowB, err := compare(rowsA, rowsB)
	if rowA != rowB || err != nil {
		// Both copies must end before their connections are used again. Reading on is
		// slower than stopping, but leaves the connections usable.
		_, _ = io.Copy(io.Discard, rowsA)
		_, _ = io.Copy(io.Discard, rowsB)
	}
	err = errors.Join(err, endA(), endB())
	cancel()
	return rowA, rowB, err
}

// copyOut streams a table in the order of its key, one line a row. The second result
// waits for the end.
func copyOut(ctx context.Context, conn *pgx.Conn, table, order string) (*bufio.Reader, func() error) {
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.PgConn().CopyTo(ctx, writer, "COPY (SELECT * FROM "+table+" ORDER BY "+order+") TO STDOUT")
		writer.CloseWithError(err)
		ended <- err
	}()
	return bufio.NewReaderSize(reader, 1<<16), func() error { return <-ended }
}

func compare(a, b *bufio.Reader) (string, string, error) {
	for {
		rowA, errA := a.ReadBytes('\n')
		rowB, errB := b.ReadBytes('\n')
		if !bytes.Equal(rowA, rowB) {
			return string(bytes.TrimSuffix(rowA, []byte("\n"))), string(bytes.TrimSuffix(rowB, []byte("\n"))), nil
		}
		switch {
		case errA == io.EOF && errB == io.EOF:
			return "", "", nil
		case errA != nil && errA != io.EOF:
			return "", "", errA
		case errB != nil && errB != io.EOF:
			return "", "", errB
		}
	}
}
