package projections

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
)

// turn is the advisory lock that the follower of a database holds, so that of several
// servers one folds and the others stand by. The position is the fence.
const turn = 0x5b_f0110e4

// Follower keeps the views and the audit up to date. Pool is of the application's
// login; Progress, if set, hears of every batch at once; Log may be nil.
type Follower struct {
	Pool     *pgxpool.Pool
	Progress *Progress
	Log      *slog.Logger
}

// Run waits for its turn and then folds the log, from where the views stand, until ctx
// ends or something fails. It uses one connection of its own. A crash at any moment
// leaves the views at the last batch that was committed.
//
// It returns an error that wraps [command.ErrLogUnsafe] when the log is not the one
// that was folded before, and [ErrFenced] when another follower folded meanwhile.
// After any other error it may be run again.
func (f *Follower) Run(ctx context.Context, feed command.Feed) error {
	w, err := openFolder(ctx, f.Pool.Config().ConnConfig, live, false)
	if err != nil {
		return err
	}
	defer w.close()
	w.notify = true
	if f.Progress != nil {
		w.folded = f.Progress.moved
	}
	if _, err := w.conn.Exec(ctx, "SELECT pg_advisory_lock($1)", turn); err != nil {
		return fmt.Errorf("wait for the turn to fold: %w", err)
	}
	if err := w.start(ctx, feed); err != nil {
		return err
	}
	if f.Progress != nil {
		f.Progress.anything(w.position.Seq) // what another one folded, this process may not have heard of yet
	}
	if f.Log != nil {
		f.Log.Info("folding the log into the views", "seq", w.position.Seq)
	}
	return w.follow(ctx, feed, forever)
}
