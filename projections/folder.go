package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/postgres"
)

// batchLimit is how many commits one transaction folds at most. Twice as many are
// 5 to 20 % faster and hold twice the memory; half are a tenth slower.
const batchLimit = 2000

// channel carries notices between processes.
const channel = "sb_views"

// forever is a commit that is never reached.
const forever = ^events.Seq(0)

// errReached ends a fold that was to go to a certain commit and no further.
var errReached = errors.New("reached")

// folder folds facts into one pair of schemas. One goroutine owns it.
type folder struct {
	conn     *pgx.Conn // its own; unqualified names mean these schemas
	position Position
	notify   bool
	folded   func(seq events.Seq, streams []events.Stream) // after each commit; may be nil

	requests    view[Request]
	connections view[Connection]
	agents      view[Agent]
}

// openFolder connects. With owner it acts as the owner of the schemas; otherwise as
// the login of the configuration.
func openFolder(ctx context.Context, config *pgx.ConnConfig, where schemas, owner bool) (*folder, error) {
	config = config.Copy()
	config.RuntimeParams["search_path"] = where.searchPath()
	if owner {
		config.RuntimeParams["role"] = postgres.OwnerRole
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to fold facts: %w", err)
	}
	return &folder{conn: conn, requests: newRequestView(), connections: newConnectionView(), agents: newAgentView()}, nil
}

func (f *folder) close() { _ = f.conn.Close(context.Background()) }

// start reads the position and proves that the log is the one that led there.
func (f *folder) start(ctx context.Context, feed command.Feed) error {
	position, err := readPosition(ctx, f.conn, "positions")
	if err != nil {
		return err
	}
	f.position = position
	return position.Prove(ctx, feed)
}

// follow folds what comes after the position, until ctx ends, something fails, or the
// commit upto is folded. While one batch is at the database, the next is read and
// prepared.
func (f *folder) follow(ctx context.Context, feed command.Feed, upto events.Seq) error {
	if f.position.Seq >= upto {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan *batch, 1)
	written := make(chan struct{})
	var writing error
	go func() {
		defer close(written)
		for b := range batches {
			if writing = f.write(ctx, b); writing != nil {
				cancel(writing)
				return
			}
		}
	}()
	received := f.position.Seq
	err := feed.Follow(ctx, received, batchLimit, func(ctx context.Context, commits []events.Recorded) error {
		fresh, err := inOrder(commits, received, upto)
		if err != nil || len(fresh) == 0 {
			return err
		}
		b, err := newBatch(fresh)
		if err != nil {
			return err
		}
		select {
		case batches <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if received = b.last.Seq; received == upto {
			return errReached
		}
		return nil
	})
	close(batches)
	<-written
	switch {
	case writing != nil:
		return writing
	case errors.Is(err, errReached):
		return nil
	}
	return err
}

// inOrder drops what was folded before or is not wanted, and refuses a gap: nothing is
// ever removed from the log.
func inOrder(commits []events.Recorded, after, upto events.Seq) ([]events.Recorded, error) {
	for len(commits) > 0 && commits[0].Seq <= after {
		commits = commits[1:]
	}
	for i, c := range commits {
		if c.Seq > upto {
			return commits[:i], nil
		}
		if want := after + 1 + events.Seq(i); c.Seq != want {
			return nil, fmt.Errorf("%w: commit %d follows %d", command.ErrLogUnsafe, c.Seq, want-1)
		}
	}
	return commits, nil
}

// write folds one batch, with its position, in one transaction.
func (f *folder) write(ctx context.Context, b *batch) error {
	streams := b.streams()
	err := pgx.BeginFunc(ctx, f.conn, func(tx pgx.Tx) error {
		if err := f.writeViews(ctx, tx, b, streams); err != nil {
			return err
		}
		if err := b.audit.commits.send(ctx, f.conn, "commits (seq, hash, raw)"); err != nil {
			return fmt.Errorf("copy commits: %w", err)
		}
		if err := b.audit.events.send(ctx, f.conn, "events (seq, place, id, type, stream, time, actor, correlation, command)"); err != nil {
			return fmt.Errorf("copy events: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fold commits %d to %d: %w", b.commits[0].Seq, b.last.Seq, err)
	}
	f.position = b.last
	f.requests.trim()
	f.connections.trim()
	f.agents.trim()
	if f.folded != nil {
		f.folded(b.last.Seq, streams)
	}
	return nil
}

// writeViews moves the position, which fails if somebody else did, and writes the rows
// that changed.
func (f *folder) writeViews(ctx context.Context, tx pgx.Tx, b *batch, streams []events.Stream) error {
	kinds := split(b.commits)
	requests, err := f.requests.take(ctx, f.conn, kinds[events.AggregateRequest])
	if err != nil {
		return err
	}
	connections, err := f.connections.take(ctx, f.conn, kinds[events.AggregateConnection])
	if err != nil {
		return err
	}
	agents, err := f.agents.take(ctx, f.conn, kinds[events.AggregateAgent])
	if err != nil {
		return err
	}
	var envelopes []*Envelope
	for _, r := range requests {
		for i := range r.Envelopes {
			envelopes = append(envelopes, &r.Envelopes[i])
		}
	}
	var queue pgx.Batch
	queue.Queue(`
		UPDATE positions
		SET    seq = $2,
		       hash = $3
		WHERE  projection = $1
		AND    seq = $4
		AND    hash = $5`,
		projectionName, b.last.Seq, b.last.Hash, f.position.Seq, f.position.Hash)
	err = errors.Join(
		requestTable.queue(&queue, requests),
		envelopeTable.queue(&queue, envelopes),
		connectionTable.queue(&queue, connections),
		agentTable.queue(&queue, agents))
	if err != nil {
		return err
	}
	if f.notify {
		queue.Queue("SELECT pg_notify($1, $2)", channel, notice(b.last.Seq, streams))
	}
	results := tx.SendBatch(ctx, &queue)
	moved, err := results.Exec()
	if err == nil && moved.RowsAffected() != 1 {
		err = ErrFenced
	}
	return errors.Join(err, results.Close())
}
