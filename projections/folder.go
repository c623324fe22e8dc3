package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/postgres"
	"secretsbridge/transparency"
)

// batchLimit is how many commits one transaction folds at most. Twice as many are
// 5 to 20 % faster and hold twice the memory; half are a tenth slower.
const batchLimit = 2000

// batchBytes is after how many stored bytes a batch ends all the same. A commit of a scan
// has hundreds of secrets, and of each a batch holds a row: these are some 20,000.
const batchBytes = 8 << 20

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
	tree     *transparency.Builder // of the commits up to the newest batch that was made; while folding, of who makes batches
	notify   bool
	folded   func(seq events.Seq, streams []events.Stream) // after each commit; may be nil

	requests    view[Request]
	connections view[Connection]
	agents      view[Agent]
	jobs        view[Job]
	users       view[User]
	inventory   inventory

	integrations view[Integration]
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
	return &folder{
		conn: conn, requests: newRequestView(), connections: newConnectionView(), agents: newAgentView(), jobs: newJobView(), users: newUserView(),
		integrations: newIntegrationView(),
	}, nil
}

func (f *folder) close() { _ = f.conn.Close(context.Background()) }

// start reads the position and proves that the log is the one that led there.
func (f *folder) start(ctx context.Context, feed command.Feed) error {
	position, err := readPosition(ctx, f.conn, "positions")
	if err != nil {
		return err
	}
	f.position = position
	if err := position.Prove(ctx, feed); err != nil {
		return err
	}
	f.tree, err = readTree(ctx, f.conn, position.Seq)
	return err
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
		for len(fresh) > 0 {
			size := batchSize(fresh)
			b, err := newBatch(f.tree, fresh[:size:size])
			if err != nil {
				return err
			}
			select {
			case batches <- b:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			received, fresh = b.last.Seq, fresh[size:]
		}
		if received == upto {
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
	if err := f.send(ctx, b, streams); err != nil {
		return fmt.Errorf("fold commits %d to %d: %w", b.commits[0].Seq, b.last.Seq, twice(err))
	}
	f.position = b.last
	f.requests.trim()
	f.connections.trim()
	f.agents.trim()
	f.jobs.trim()
	f.users.trim()
	f.integrations.trim()
	if f.folded != nil {
		f.folded(b.last.Seq, streams)
	}
	return nil
}

// send sends everything to the database. Rows of the views that are not at hand are
// loaded before: only a follower writes them, and if another one did meanwhile, the
// position refuses what follows from them.
func (f *folder) send(ctx context.Context, b *batch, streams []events.Stream) error {
	queue, err := f.statements(ctx, b, streams)
	if err != nil {
		return err
	}
	if b.isFew() {
		// A pipeline with one Sync is one transaction by itself (PostgreSQL, "Pipelining
		// in the extended query protocol"), so this is one round trip.
		return execute(f.conn.SendBatch(ctx, queue))
	}
	return pgx.BeginFunc(ctx, f.conn, func(tx pgx.Tx) error {
		if err := execute(tx.SendBatch(ctx, queue)); err != nil {
			return err
		}
		if err := b.many.commits.send(ctx, f.conn, copyCommits); err != nil {
			return fmt.Errorf("copy commits: %w", err)
		}
		if err := b.many.events.send(ctx, f.conn, copyEvents); err != nil {
			return fmt.Errorf("copy events: %w", err)
		}
		return nil
	})
}

// movePosition fails, and the whole transaction with it, if the position is not the one
// that was folded up to: NULL is no sequence.
const movePosition = `
	UPDATE positions
	SET    seq = CASE WHEN seq = $4 AND hash = $5 THEN $2::bigint END,
	       hash = $3
	WHERE  projection = $1`

// statements folds a batch and makes the statements that move the position, write the
// rows that changed and those of the audit if they are few, and tell other processes.
func (f *folder) statements(ctx context.Context, b *batch, streams []events.Stream) (*pgx.Batch, error) {
	kinds := split(b.commits)
	requests, err := f.requests.take(ctx, f.conn, kinds[events.AggregateRequest])
	if err != nil {
		return nil, err
	}
	connections, err := f.connections.take(ctx, f.conn, kinds[events.AggregateConnection])
	if err != nil {
		return nil, err
	}
	agents, err := f.agents.take(ctx, f.conn, kinds[events.AggregateAgent])
	if err != nil {
		return nil, err
	}
	jobs, err := f.jobs.take(ctx, f.conn, kinds[events.AggregateJob])
	if err != nil {
		return nil, err
	}
	users, err := f.users.take(ctx, f.conn, kinds[events.AggregateUser])
	if err != nil {
		return nil, err
	}
	integrations, err := f.integrations.take(ctx, f.conn, kinds[events.AggregateIntegration])
	if err != nil {
		return nil, err
	}
	found, err := f.inventory.take(ctx, f.conn, b.commits, f.jobs.rows)
	if err != nil {
		return nil, err
	}
	rules, err := f.inventory.inForce(ctx, f.conn, found)
	if err != nil {
		return nil, err
	}
	var envelopes []*Envelope
	for _, r := range requests {
		for i := range r.Envelopes {
			envelopes = append(envelopes, &r.Envelopes[i])
		}
	}
	queue := &pgx.Batch{}
	queue.Queue(movePosition, projectionName, b.last.Seq, b.last.Hash, f.position.Seq, f.position.Hash)
	err = errors.Join(
		requestTable.queue(queue, requests),
		envelopeTable.queue(queue, envelopes),
		connectionTable.queue(queue, connections),
		agentTable.queue(queue, agents),
		jobTable.queue(queue, jobs),
		userTable.queue(queue, users),
		integrationTable.queue(queue, integrations),
		mappingTable.queue(queue, mappingsOf(integrations)),
		found.queue(queue, rules, patchedSecrets(requests)),
		nodeTable.queue(queue, b.nodes),
		commitTable.queue(queue, b.few.commits),
		eventTable.queue(queue, b.few.events))
	if f.notify {
		queue.Queue("SELECT pg_notify($1, $2)", channel, notice(b.last.Seq, streams))
	}
	return queue, err
}

// execute reads all results; the first is the position's.
func execute(results pgx.BatchResults) error {
	moved, err := results.Exec()
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == notNullViolation && refused.TableName == "positions":
		err = ErrFenced
	case err == nil && moved.RowsAffected() != 1:
		err = ErrFenced // its row is gone
	}
	if closing := results.Close(); err == nil {
		err = closing
	}
	return err
}

// Their names, too (PostgreSQL, "Error codes").
const (
	notNullViolation = "23502"
	uniqueViolation  = "23505"
)

// twice says what it means that a row of the audit is there already.
func twice(err error) error {
	var refused *pgconn.PgError
	switch {
	case !errors.As(err, &refused) || refused.Code != uniqueViolation:
		return err
	case refused.ConstraintName == "an_event_is_recorded_once":
		return fmt.Errorf("%w: %s: %w", command.LogReplayed, refused.Detail, err)
	case slices.Contains([]string{"commits", "events", "nodes"}, refused.TableName):
		return fmt.Errorf("the audit has a row of what was not folded yet, so somebody wrote it; fold again with `sb-server rebuild`: %w", err)
	}
	return err
}
