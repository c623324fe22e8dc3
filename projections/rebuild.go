package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
)

// rebuildTurn is the advisory lock of those who use the shadow schemas.
const rebuildTurn = turn + 1

// Rebuild folds the whole log into new views and a new audit beside the present ones
// and puts them in their place in one transaction: queries go on meanwhile, and a
// crash leaves the old ones. A follower that runs gets [ErrFenced] and is to be run
// again. It returns the position that the new views have.
//
// It trusts nothing of the old views, also not their position, so it is what an
// operator runs after the log was restored from elsewhere. The pool must be of the
// owner's login.
func Rebuild(ctx context.Context, owner *pgxpool.Pool, feed command.Feed) (Position, error) {
	position, err := rebuild(ctx, owner, feed)
	if err != nil {
		return Position{}, fmt.Errorf("rebuild the views: %w", err)
	}
	return position, nil
}

func rebuild(ctx context.Context, owner *pgxpool.Pool, feed command.Feed) (Position, error) {
	conn, err := beginShadow(ctx, owner, true)
	if err != nil {
		return Position{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	last, err := feed.Last(ctx)
	if err != nil {
		return Position{}, fmt.Errorf("read the end of the log: %w", err)
	}
	w, err := foldShadow(ctx, owner, feed, last, makeAgain)
	if err != nil {
		return Position{}, err
	}
	w.close()
	// The point of no return is this transaction's commit.
	_, err = conn.Exec(ctx, `
		BEGIN;
		DROP SCHEMA IF EXISTS views CASCADE;
		DROP SCHEMA IF EXISTS audit CASCADE;
		ALTER SCHEMA views_shadow RENAME TO views;
		ALTER SCHEMA audit_shadow RENAME TO audit;
		COMMIT`)
	if err != nil {
		return Position{}, fmt.Errorf("put the new views in place: %w", err)
	}
	return w.position, nil
}

// beginShadow connects as the owner, takes its turn and makes empty shadows. The turn ends with
// the connection. Where it is somebody else's it waits, or returns [ErrComparing].
func beginShadow(ctx context.Context, owner *pgxpool.Pool, wait bool) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, owner.Config().ConnConfig.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect as the owner: %w", err)
	}
	if err = takeShadow(ctx, conn, wait); err == nil {
		if err = dropShadow(ctx, conn); err == nil {
			err = shadow.migrate(ctx, conn)
		}
	}
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("make shadow schemas: %w", err)
	}
	return conn, nil
}

func takeShadow(ctx context.Context, conn *pgx.Conn, wait bool) error {
	if wait {
		_, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", rebuildTurn)
		return err
	}
	taken := false
	err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", rebuildTurn).Scan(&taken)
	if err == nil && !taken {
		return ErrComparing
	}
	return err
}

// endShadow removes the shadows and ends the turn. Whoever was interrupted has no connection any
// more, and asks on another one, when the database has noticed and it is nobody's turn.
func endShadow(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, shadowPatience)
	defer cancel()
	if conn.IsClosed() {
		another, err := pgx.ConnectConfig(ctx, conn.Config())
		if err != nil {
			return
		}
		if conn = another; takeShadow(ctx, conn, true) != nil {
			_ = conn.Close(ctx)
			return
		}
	}
	_ = dropShadow(ctx, conn)
	_ = conn.Close(ctx)
}

// shadowPatience bounds how long removing the shadows may take. What is left is removed by the
// next who folds there.
const shadowPatience = 30 * time.Second

func dropShadow(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS views_shadow CASCADE; DROP SCHEMA IF EXISTS audit_shadow CASCADE")
	return err
}

// What happens to indexes that only queries need, once the shadows are full.
const (
	makeAgain = true
	leaveOff  = false
)

// foldShadow folds the log into the shadows up to a commit. The caller closes the
// folder that it gets.
func foldShadow(ctx context.Context, owner *pgxpool.Pool, feed command.Feed, upto events.Seq, indexes bool) (*folder, error) {
	config := owner.Config().ConnConfig.Copy()
	// What a crash loses of the shadows is dropped with them. The transaction that puts
	// them in place waits for the disk, and with its record for all that came before.
	config.RuntimeParams["synchronous_commit"] = "off"
	w, err := openFolder(ctx, config, shadow, true)
	if err != nil {
		return nil, err
	}
	if err = w.start(ctx, feed); err == nil {
		err = withoutIndexes(ctx, w.conn, shadow, indexes, func() error { return w.follow(ctx, feed, upto) })
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// foldingIndexes are those that the folder itself searches by, beside the keys.
var foldingIndexes = []string{"changes_of_a_secret", "patches_by_what_they_wrote"}

// withoutIndexes fills a pair of schemas without the indexes that only queries need and makes
// them again afterwards if asked to, which takes a fraction of keeping them up to date row by
// row. Those of keys stay: the folder itself uses them.
func withoutIndexes(ctx context.Context, conn *pgx.Conn, where schemas, again bool, fill func() error) error {
	found, err := conn.Query(ctx, `
		SELECT format('%I.%I', schemaname, indexname) AS name,
		       indexdef AS definition
		FROM   pg_indexes
		WHERE  schemaname = ANY ($1)
		AND    indexname <> ALL ($2)
		AND    NOT EXISTS (
			SELECT 1
			FROM   pg_constraint
			WHERE  conindid = format('%I.%I', schemaname, indexname)::regclass
		)
		ORDER  BY 1`, []string{where.views, where.audit}, foldingIndexes)
	if err != nil {
		return fmt.Errorf("list the indexes of %s: %w", where.views, err)
	}
	type index struct{ Name, Definition string }
	indexes, err := pgx.CollectRows(found, pgx.RowToStructByPos[index])
	if err != nil {
		return fmt.Errorf("list the indexes of %s: %w", where.views, err)
	}
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, "DROP INDEX "+i.Name); err != nil {
			return fmt.Errorf("drop index %s: %w", i.Name, err)
		}
	}
	if err := fill(); err != nil || !again {
		return err
	}
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, i.Definition); err != nil {
			return fmt.Errorf("make index %s: %w", i.Name, twice(err))
		}
	}
	return nil
}
