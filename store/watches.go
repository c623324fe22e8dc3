package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/gitops"
)

// Watches keeps what looks at rollouts are compared with: [gitops.States] on Postgres.
type Watches struct {
	Pool *pgxpool.Pool
	Now  func() time.Time
}

var _ gitops.States = Watches{}

// Load implements [gitops.States].
func (s Watches) Load(ctx context.Context, requests []events.RequestID) (map[gitops.WatchID]gitops.Kept, error) {
	type row struct {
		Request events.RequestID `db:"request"`
		Number  int              `db:"number"`
		Rev     uint64           `db:"rev"`
		State   gitops.State     `db:"state"`
	}
	rows, err := s.Pool.Query(ctx, `
		SELECT request,
		       number,
		       rev,
		       state
		FROM   private.watches
		WHERE  request = ANY ($1)`, pgx.QueryExecModeCacheDescribe, requests)
	if err != nil {
		return nil, fmt.Errorf("load what is kept of watches: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, fmt.Errorf("load what is kept of watches: %w", err)
	}
	kept := make(map[gitops.WatchID]gitops.Kept, len(found))
	for _, r := range found {
		kept[gitops.WatchID{Request: r.Request, Number: r.Number}] = gitops.Kept{State: r.State, Rev: r.Rev}
	}
	return kept, nil
}

// Save implements [gitops.States].
func (s Watches) Save(ctx context.Context, id gitops.WatchID, next gitops.State, loaded uint64) error {
	done, err := s.Pool.Exec(ctx, `
		INSERT INTO private.watches (request, number, rev, state, changed_at)
		VALUES ($1, $2, $4 + 1, $3, $5)
		ON CONFLICT (request, number) DO UPDATE
		SET    rev = EXCLUDED.rev,
		       state = EXCLUDED.state,
		       changed_at = EXCLUDED.changed_at
		WHERE  watches.rev = $4`, id.Request, id.Number, next, int64(loaded), s.Now())
	if err == nil && done.RowsAffected() == 0 {
		err = gitops.ErrMoved
	}
	if err != nil {
		return fmt.Errorf("keep watch %d of %s: %w", id.Number, id.Request, err)
	}
	return nil
}

// SaveBaseline implements [gitops.States].
func (s Watches) SaveBaseline(ctx context.Context, request events.RequestID, mapping events.MappingID, b gitops.Baseline) error {
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO private.baselines (request, mapping, baseline, changed_at)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT (request, mapping) DO UPDATE
		SET    baseline = EXCLUDED.baseline,
		       changed_at = EXCLUDED.changed_at`, request, mapping, b, s.Now())
	if err != nil {
		return fmt.Errorf("keep how %s stood before the write of %s: %w", mapping, request, err)
	}
	return nil
}

// Baseline implements [gitops.States].
func (s Watches) Baseline(ctx context.Context, request events.RequestID, mapping events.MappingID) (b gitops.Baseline, err error) {
	err = s.Pool.QueryRow(ctx, `
		SELECT baseline
		FROM   private.baselines
		WHERE  request = $1
		AND    mapping = $2`, request, mapping).Scan(&b)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return gitops.Baseline{}, fmt.Errorf("load how %s stood before the write of %s: %w", mapping, request, err)
	}
	return b, nil
}

// Forget implements [gitops.States].
func (s Watches) Forget(ctx context.Context, request events.RequestID) error {
	_, err := s.Pool.Exec(ctx, `
		WITH gone AS (
			DELETE FROM private.watches
			WHERE  request = $1
		)
		DELETE FROM private.baselines
		WHERE  request = $1`, request)
	if err != nil {
		return fmt.Errorf("forget the watches of %s: %w", request, err)
	}
	return nil
}

// Sweep implements [gitops.States].
func (s Watches) Sweep(ctx context.Context, before time.Time) error {
	_, err := s.Pool.Exec(ctx, `
		WITH gone AS (
			DELETE FROM private.watches
			WHERE  changed_at < $1
		)
		DELETE FROM private.baselines
		WHERE  changed_at < $1`, before)
	if err != nil {
		return fmt.Errorf("sweep what is kept of watches: %w", err)
	}
	return nil
}
