package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/notices"
	"secretsbridge/worker"
)

// Deliveries keeps what is to be told to whom: [notices.Outbox] on Postgres.
type Deliveries struct{ Pool *pgxpool.Pool }

var _ notices.Outbox = Deliveries{}

const deliveryColumns = "id, number, recipient, kind, event, seq, request, at, state, due_at, held, message, attempts, first_at, code, ended_at"

// delivery is a row of deliveries.
type delivery struct {
	ID        events.DeliveryID     `db:"id"`
	Number    int64                 `db:"number"`
	Recipient notices.Recipient     `db:"recipient"`
	Kind      events.NoticeKind     `db:"kind"`
	Event     events.EventID        `db:"event"`
	Seq       events.Seq            `db:"seq"`
	Request   events.RequestID      `db:"request"`
	At        time.Time             `db:"at"`
	State     notices.DeliveryState `db:"state"`
	DueAt     time.Time             `db:"due_at"`
	Held      bool                  `db:"held"`
	Message   events.DeliveryID     `db:"message"`
	Attempts  int                   `db:"attempts"`
	FirstAt   *time.Time            `db:"first_at"`
	Code      events.DeliveryCode   `db:"code"`
	EndedAt   *time.Time            `db:"ended_at"`
}

func (d delivery) as() notices.Delivery {
	known := notices.Delivery{
		ID: d.ID, To: d.Recipient, Kind: d.Kind, Event: d.Event, Seq: d.Seq, Request: d.Request, At: d.At.UTC(),
		State: d.State, Due: d.DueAt.UTC(), Held: d.Held, Message: d.Message, Attempts: d.Attempts, Code: d.Code,
	}
	if d.FirstAt != nil {
		known.First = d.FirstAt.UTC()
	}
	if d.EndedAt != nil {
		known.Ended = d.EndedAt.UTC()
	}
	return known
}

// Add implements [notices.Outbox].
func (d Deliveries) Add(ctx context.Context, loop worker.LoopName, fence uint64, to events.Seq, fresh []notices.Delivery) (added int, err error) {
	err = pgx.BeginFunc(ctx, d.Pool, func(tx pgx.Tx) error {
		if err := MoveLoop(ctx, tx, loop, fence, to); err != nil {
			return err
		}
		added, err = putDeliveries(ctx, tx, fresh)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add deliveries up to %d: %w", to, err)
	}
	return added, nil
}

// Put implements [notices.Outbox].
func (d Deliveries) Put(ctx context.Context, fresh []notices.Delivery) (int, error) {
	added, err := putDeliveries(ctx, d.Pool, fresh)
	if err != nil {
		return 0, fmt.Errorf("put deliveries: %w", err)
	}
	return added, nil
}

func putDeliveries(ctx context.Context, in execer, fresh []notices.Delivery) (int, error) {
	if len(fresh) == 0 {
		return 0, nil
	}
	texts, seqs, ats, dues, helds := make([][]string, 5), []int64{}, []time.Time{}, []time.Time{}, []bool{}
	for _, f := range fresh {
		for i, text := range []string{string(f.ID), string(f.To), string(f.Kind), string(f.Event), string(f.Request)} {
			texts[i] = append(texts[i], text)
		}
		seqs, ats, dues, helds = append(seqs, int64(f.Seq)), append(ats, stored(f.At)), append(dues, stored(f.Due)), append(helds, f.Held)
	}
	put, err := in.Exec(ctx, `
		INSERT INTO private.deliveries (id, recipient, kind, event, request, seq, at, due_at, held, state, message, attempts, code)
		SELECT id, recipient, kind, event, request, seq, at, due_at, held, 'waiting', '', 0, ''
		FROM   unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[], $9::boolean[])
		       AS fresh (id, recipient, kind, event, request, seq, at, due_at, held)
		ON CONFLICT (id) DO NOTHING`, texts[0], texts[1], texts[2], texts[3], texts[4], seqs, ats, dues, helds)
	return int(put.RowsAffected()), err
}

// held is a transaction of the holder of a loop: whoever is not its newest gets
// [worker.ErrFenced]. The row of the loop is shared, so that a newer holder waits for its end.
func (d Deliveries) held(ctx context.Context, loop worker.LoopName, fence uint64, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, d.Pool, func(tx pgx.Tx) error {
		var newest uint64
		err := tx.QueryRow(ctx, `
			SELECT fence
			FROM   private.loops
			WHERE  name = $1
			FOR    SHARE`, loop).Scan(&newest)
		if err == nil && newest != fence {
			err = worker.ErrFenced
		}
		if err != nil {
			return err
		}
		return do(tx)
	})
}

// Take implements [notices.Outbox].
func (d Deliveries) Take(ctx context.Context, loop worker.LoopName, fence uint64, now, until time.Time, busy []notices.Recipient, limit int) ([]notices.Delivery, error) {
	var taken []delivery
	err := d.held(ctx, loop, fence, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE private.deliveries
			SET    claimed_until = $2
			WHERE  id IN (
				SELECT   id
				FROM     private.deliveries
				WHERE    state = 'waiting'
				AND      due_at <= $1
				AND      (claimed_until IS NULL OR claimed_until <= $1)
				AND      recipient <> ALL ($3)
				ORDER BY due_at, number
				LIMIT    $4
				FOR      UPDATE SKIP LOCKED
			)
			RETURNING `+deliveryColumns, pgx.QueryExecModeCacheDescribe, stored(now), stored(until), append([]notices.Recipient{}, busy...), limit)
		if err != nil {
			return err
		}
		if taken, err = pgx.CollectRows(rows, pgx.RowToStructByName[delivery]); err != nil {
			return err
		}
		others, err := takeOthers(ctx, tx, taken, until)
		taken = append(taken, others...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("take deliveries: %w", err)
	}
	slices.SortFunc(taken, func(a, b delivery) int { return int(a.Number - b.Number) })
	return known(taken), nil
}

// takeOthers claims what goes out in one message with what was claimed: what a message holds was
// claimed and settled together, so nobody else has it.
func takeOthers(ctx context.Context, tx pgx.Tx, taken []delivery, until time.Time) ([]delivery, error) {
	var messages, ids []events.DeliveryID
	for _, d := range taken {
		if ids = append(ids, d.ID); d.Message != "" && !slices.Contains(messages, d.Message) {
			messages = append(messages, d.Message)
		}
	}
	if len(messages) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		UPDATE private.deliveries
		SET    claimed_until = $1
		WHERE  state = 'waiting'
		AND    recipient = ANY ($2)
		AND    message = ANY ($3)
		AND    id <> ALL ($4)
		RETURNING `+deliveryColumns, pgx.QueryExecModeCacheDescribe, stored(until), recipientsOf(taken), messages, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[delivery])
}

func recipientsOf(rows []delivery) []notices.Recipient {
	var all []notices.Recipient
	for _, d := range rows {
		if !slices.Contains(all, d.Recipient) {
			all = append(all, d.Recipient)
		}
	}
	return all
}

func known(rows []delivery) []notices.Delivery {
	all := make([]notices.Delivery, len(rows))
	for i, row := range rows {
		all[i] = row.as()
	}
	return all
}

// SentSince implements [notices.Outbox].
func (d Deliveries) SentSince(ctx context.Context, to notices.Recipient, since time.Time, limit int) ([]time.Time, error) {
	rows, err := d.Pool.Query(ctx, `
		SELECT   max(ended_at) AS went
		FROM     (
			SELECT   CASE WHEN message = '' THEN id ELSE message END AS message,
			         ended_at
			FROM     private.deliveries
			WHERE    recipient = $1
			AND      state = 'sent'
			AND      ended_at > $2
			ORDER BY number DESC
			LIMIT    1000
		) AS sent
		GROUP BY message
		ORDER BY went DESC
		LIMIT    $3`, pgx.QueryExecModeCacheDescribe, to, stored(since), limit)
	if err != nil {
		return nil, fmt.Errorf("list what was sent: %w", err)
	}
	sent, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return nil, fmt.Errorf("list what was sent: %w", err)
	}
	slices.Reverse(sent)
	return sent, nil
}

// Bind implements [notices.Outbox].
func (d Deliveries) Bind(ctx context.Context, loop worker.LoopName, fence uint64, message events.DeliveryID, ids []events.DeliveryID) error {
	err := d.held(ctx, loop, fence, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE private.deliveries
			SET    message = $1
			WHERE  id = ANY ($2)
			AND    state = 'waiting'`, message, ids)
		return err
	})
	if err != nil {
		return fmt.Errorf("bind deliveries: %w", err)
	}
	return nil
}

// Settle implements [notices.Outbox].
func (d Deliveries) Settle(ctx context.Context, loop worker.LoopName, fence uint64, ids []events.DeliveryID, s notices.Settlement) error {
	var ended, first *time.Time
	if at := stored(s.At); s.State != notices.Waiting {
		ended = &at
	}
	if at := stored(s.First); !s.First.IsZero() {
		first = &at
	}
	err := d.held(ctx, loop, fence, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE private.deliveries
			SET    state = $2,
			       due_at = CASE WHEN $2 = 'waiting' THEN $3 ELSE due_at END,
			       held = $4,
			       attempts = $5,
			       first_at = $6,
			       code = $7,
			       ended_at = $8,
			       claimed_until = NULL
			WHERE  id = ANY ($1)
			AND    state = 'waiting'`, ids, s.State, stored(s.Due), s.Held, s.Attempts, first, s.Code, ended)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle deliveries: %w", err)
	}
	return nil
}

// Sweep implements [notices.Outbox].
func (d Deliveries) Sweep(ctx context.Context, before time.Time, held command.Holds) (int, error) {
	if held.Everybody() {
		return 0, nil
	}
	kept := []notices.Recipient{}
	for _, id := range held.Users() {
		kept = append(kept, notices.ToUser(id))
	}
	gone, err := d.Pool.Exec(ctx, `
		DELETE FROM private.deliveries
		WHERE  at < $1
		AND    recipient <> ALL ($2)`, stored(before), kept)
	if err != nil {
		return 0, fmt.Errorf("sweep deliveries: %w", err)
	}
	return int(gone.RowsAffected()), nil
}

// Depth implements [notices.Outbox].
func (d Deliveries) Depth(ctx context.Context, now time.Time) (waiting int, late time.Duration, err error) {
	var oldest *time.Time
	err = d.Pool.QueryRow(ctx, `
		SELECT count(*), min(due_at)
		FROM   private.deliveries
		WHERE  state = 'waiting'`).Scan(&waiting, &oldest)
	if err != nil {
		return 0, 0, fmt.Errorf("count deliveries that wait: %w", err)
	}
	if oldest != nil {
		late = max(now.Sub(*oldest), 0)
	}
	return waiting, late, nil
}

// List returns what somebody was told, or is to be, newest first. Errors: [notices.ErrCursor].
func (d Deliveries) List(ctx context.Context, to notices.Recipient, cursor string, limit int) (notices.DeliveryPage, error) {
	before := int64(1<<63 - 1)
	if cursor != "" {
		n, err := strconv.ParseInt(cursor, 36, 64)
		if err != nil || n <= 0 {
			return notices.DeliveryPage{}, notices.ErrCursor
		}
		before = n
	}
	rows, err := d.Pool.Query(ctx, `
		SELECT   `+deliveryColumns+`
		FROM     private.deliveries
		WHERE    recipient = $1
		AND      number < $2
		ORDER BY number DESC
		LIMIT    $3`, pgx.QueryExecModeCacheDescribe, to, before, limit+1)
	if err != nil {
		return notices.DeliveryPage{}, fmt.Errorf("list deliveries: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[delivery])
	if err != nil {
		return notices.DeliveryPage{}, fmt.Errorf("list deliveries: %w", err)
	}
	page := notices.DeliveryPage{}
	if len(found) > limit {
		found = found[:limit]
		page.Next = strconv.FormatInt(found[limit-1].Number, 36)
	}
	page.Items = known(found)
	return page, nil
}

// Retry lets a delivery that was given up be sent again, from its first attempt on. It goes by
// itself, whatever it went out with before. record is called before it is let; where it fails,
// nothing was done. Errors: [notices.ErrNoDelivery].
func (d Deliveries) Retry(ctx context.Context, to notices.Recipient, id events.DeliveryID, now time.Time, record func() error) error {
	err := pgx.BeginFunc(ctx, d.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
		UPDATE private.deliveries
		SET    state = 'waiting',
		       due_at = $3,
		       message = '',
		       first_at = NULL,
		       attempts = 0,
		       ended_at = NULL,
		       claimed_until = NULL
		WHERE  id = $1
		AND    recipient = $2
		AND    state IN ('dead', 'unset')`, id, to, stored(now))
		if err == nil && tag.RowsAffected() == 0 {
			err = notices.ErrNoDelivery
		}
		if err != nil {
			return err
		}
		return record()
	})
	if err != nil {
		return fmt.Errorf("retry %s: %w", id, err)
	}
	return nil
}
