package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/inventory"
)

// Scans keeps how far jobs over connections came: [inventory.Scans] on Postgres.
type Scans struct{ Pool *pgxpool.Pool }

var _ inventory.Scans = Scans{}

const scanColumns = "job, attempt, pages, cursor, digest, seq, tally, changed_at"

// checkpoint is a row of scans.
type checkpoint struct {
	Job       events.JobID     `db:"job"`
	Attempt   int              `db:"attempt"`
	Pages     int              `db:"pages"`
	Cursor    string           `db:"cursor"`
	Digest    []byte           `db:"digest"`
	Seq       events.Seq       `db:"seq"`
	Tally     events.ScanTally `db:"tally"`
	ChangedAt time.Time        `db:"changed_at"`
}

func (c checkpoint) as() inventory.Checkpoint {
	return inventory.Checkpoint{
		Job: c.Job, Attempt: c.Attempt, Pages: c.Pages, Cursor: c.Cursor, Digest: c.Digest, Seq: c.Seq, Tally: c.Tally,
		Changed: c.ChangedAt.UTC(),
	}
}

// Begin implements [inventory.Scans].
func (s Scans) Begin(ctx context.Context, job events.JobID, attempt int, seq events.Seq, now time.Time) (inventory.Checkpoint, error) {
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO private.scans (`+scanColumns+`)
		VALUES ($1, $2, 0, '', '', $3, $4, $5)
		ON CONFLICT (job) DO UPDATE
		SET    attempt = EXCLUDED.attempt,
		       seq = EXCLUDED.seq
		WHERE  scans.attempt < EXCLUDED.attempt`, job, attempt, seq, events.ScanTally{}, stored(now))
	if err != nil {
		return inventory.Checkpoint{}, fmt.Errorf("begin scan %s: %w", job, err)
	}
	return s.Get(ctx, job)
}

// Get implements [inventory.Scans].
func (s Scans) Get(ctx context.Context, job events.JobID) (inventory.Checkpoint, error) {
	rows, err := s.Pool.Query(ctx, "SELECT "+scanColumns+" FROM private.scans WHERE job = $1", job)
	if err != nil {
		return inventory.Checkpoint{}, fmt.Errorf("load scan %s: %w", job, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[checkpoint])
	if errors.Is(err, pgx.ErrNoRows) {
		err = inventory.ErrNoScan
	}
	if err != nil {
		return inventory.Checkpoint{}, fmt.Errorf("load scan %s: %w", job, err)
	}
	return found.as(), nil
}

// Jobs implements [inventory.Scans].
func (s Scans) Jobs(ctx context.Context) ([]events.JobID, error) {
	rows, err := s.Pool.Query(ctx, "SELECT job FROM private.scans ORDER BY job")
	if err != nil {
		return nil, fmt.Errorf("list scans: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowTo[events.JobID])
	if err != nil {
		return nil, fmt.Errorf("list scans: %w", err)
	}
	return jobs, nil
}

// Advance implements [inventory.Scans].
func (s Scans) Advance(ctx context.Context, from, to inventory.Checkpoint, met []events.SecretID, connection events.ConnectionID, prints []inventory.Print) (moved bool, err error) {
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		// The row is locked first, so that two who are at the same page take turns.
		at, err := tx.Exec(ctx, `
			UPDATE private.scans
			SET    pages = $4,
			       cursor = $5,
			       digest = $6,
			       seq = $7,
			       changed_at = $8
			WHERE  job = $1
			AND    attempt = $2
			AND    pages = $3`, from.Job, from.Attempt, from.Pages, to.Pages, to.Cursor, to.Digest, to.Seq, stored(to.Changed))
		if moved = err == nil && at.RowsAffected() == 1; !moved {
			return err
		}
		fresh, err := tx.Exec(ctx, `
			INSERT INTO private.scanned (job, secret)
			SELECT $1, unnest($2::text[])
			ON CONFLICT DO NOTHING`, from.Job, met)
		if err != nil {
			return err
		}
		to.Tally.Secrets += int(fresh.RowsAffected())
		if fresh.RowsAffected() < int64(len(met)) { // some were read before, perhaps with other values
			if _, err := tx.Exec(ctx, "DELETE FROM private.fingerprints WHERE job = $1 AND secret = ANY ($2)", from.Job, met); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "UPDATE private.scans SET tally = $2 WHERE job = $1", from.Job, to.Tally); err != nil {
			return err
		}
		return putPrints(ctx, tx, from.Job, connection, to.Changed, prints)
	})
	if err != nil {
		return false, fmt.Errorf("advance scan %s: %w", from.Job, err)
	}
	return moved, nil
}

// putPrints stores fingerprints that do not count yet.
func putPrints(ctx context.Context, tx pgx.Tx, job events.JobID, connection events.ConnectionID, made time.Time, prints []inventory.Print) error {
	if len(prints) == 0 {
		return nil
	}
	columns := make([][]string, 5)
	for _, p := range prints {
		for i, text := range []string{string(p.Secret), p.Ref, p.Version, p.KeyID, p.Print} {
			columns[i] = append(columns[i], text)
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO private.fingerprints (job, connection, secret, ref, version, key_id, print, made_at, counts)
		SELECT $1, $2, secret, ref, version, key_id, print, $3, false
		FROM   unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) AS rows (secret, ref, version, key_id, print)
		ON CONFLICT DO NOTHING`, job, connection, stored(made), columns[0], columns[1], columns[2], columns[3], columns[4])
	return err
}

// MetAfter implements [inventory.Scans].
func (s Scans) MetAfter(ctx context.Context, job events.JobID, after events.SecretID, limit int) ([]events.SecretID, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT secret
		FROM   private.scanned
		WHERE  job = $1
		AND    secret > $2
		ORDER  BY secret
		LIMIT  $3`, pgx.QueryExecModeCacheDescribe, job, after, limit) // planned for the size that the table has now
	if err != nil {
		return nil, fmt.Errorf("list what scan %s met: %w", job, err)
	}
	met, err := pgx.CollectRows(rows, pgx.RowTo[events.SecretID])
	if err != nil {
		return nil, fmt.Errorf("list what scan %s met: %w", job, err)
	}
	return met, nil
}

// End implements [inventory.Scans]. The checkpoint goes with everything else, so that a late
// repetition finds none and touches no fingerprints of a newer job.
func (s Scans) End(ctx context.Context, job events.JobID, replaces events.ConnectionID) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		there, err := tx.Exec(ctx, "DELETE FROM private.scans WHERE job = $1", job)
		if err != nil || there.RowsAffected() == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM private.scanned WHERE job = $1", job); err != nil {
			return err
		}
		if replaces == "" {
			_, err := tx.Exec(ctx, "DELETE FROM private.fingerprints WHERE job = $1", job)
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM private.fingerprints WHERE connection = $1 AND job <> $2", replaces, job); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE private.fingerprints SET counts = true WHERE job = $1", job)
		return err
	})
	if err != nil {
		return fmt.Errorf("end scan %s: %w", job, err)
	}
	return nil
}

// KeepNames implements [inventory.Scans].
func (s Scans) KeepNames(ctx context.Context, job events.JobID, names []string, until time.Time) error {
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO private.key_names (job, names, expires_at)
		VALUES ($1, $2, $3)
		ON CONFLICT (job) DO UPDATE
		SET    names = EXCLUDED.names`, job, append([]string{}, names...), stored(until)) // no names are not NULL
	if err != nil {
		return fmt.Errorf("keep the key names of job %s: %w", job, err)
	}
	return nil
}

// Names implements [inventory.Scans].
func (s Scans) Names(ctx context.Context, job events.JobID, now time.Time) ([]string, error) {
	var names []string
	err := s.Pool.QueryRow(ctx, "SELECT names FROM private.key_names WHERE job = $1 AND expires_at > $2", job, now).Scan(&names)
	if errors.Is(err, pgx.ErrNoRows) {
		err = inventory.ErrNoScan
	}
	if err != nil {
		return nil, fmt.Errorf("load the key names of job %s: %w", job, err)
	}
	return names, nil
}

// Sweep implements [inventory.Scans].
func (s Scans) Sweep(ctx context.Context, now time.Time) error {
	if _, err := s.Pool.Exec(ctx, "DELETE FROM private.key_names WHERE expires_at <= $1", now); err != nil {
		return fmt.Errorf("sweep key names: %w", err)
	}
	return nil
}
