package projections

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// auditStages are how many events a page looks at for what no index serves. After the last it
// ends, and the next one goes on from there.
var auditStages = []int{1_000, 20_000}

// order is one in which events are walked.
type order struct {
	by   string
	from string // what a cursor has not passed
}

var (
	newestFirst = order{"ORDER BY e.seq DESC, e.place DESC", "(e.seq, e.place) < (?::bigint, ?::bigint)"}
	oldestFirst = order{"ORDER BY e.seq, e.place", "(e.seq, e.place) > (?::bigint, ?::bigint)"}
)

// List returns events, newest first. With a text or a cluster a page looks at so many events at
// most, so it can be shorter than its limit, or empty, and still have a next one.
// Errors: [ErrCursor], [ErrShortText].
func (a Audit) List(ctx context.Context, filter AuditFilter) (Page[AuditEvent], error) {
	return a.list(ctx, filter, newestFirst)
}

// Export is likewise, oldest first. Its cursors are its own, and those of [AuditAfter].
func (a Audit) Export(ctx context.Context, filter AuditFilter) (Page[AuditEvent], error) {
	return a.list(ctx, filter, oldestFirst)
}

// AuditAfter is the cursor of what follows an event.
func AuditAfter(seq events.Seq, place int) string { return cursor(uint64(seq), uint64(place)) }

func (a Audit) list(ctx context.Context, filter AuditFilter, o order) (Page[AuditEvent], error) {
	page, err := a.walk(ctx, filter, o)
	if err != nil {
		return Page[AuditEvent]{}, fmt.Errorf("list the audit: %w", err)
	}
	return page, nil
}

func (a Audit) walk(ctx context.Context, filter AuditFilter, o order) (Page[AuditEvent], error) {
	s, err := filter.from(o)
	if err != nil {
		return Page[AuditEvent]{}, err
	}
	limit := limited(filter.Limit)
	at := func(e AuditEvent) string { return AuditAfter(e.Seq, e.Place) }
	if len(s.late) == 0 {
		found, err := a.fetch(ctx, s.text(selectAudit, o.by, limit+1), s.args...)
		return paged(found, limit, at), err
	}
	var found []AuditEvent
	var end *auditPlace
	for _, stage := range auditStages {
		found, end, err = a.look(ctx, s, o, stage, limit+1)
		if err != nil {
			return Page[AuditEvent]{}, err
		}
		if len(found) > limit || end == nil {
			break
		}
	}
	page := paged(found, limit, at)
	if page.Next == "" && end != nil {
		page.Next = AuditAfter(end.seq, end.place)
	}
	return page, a.attachData(ctx, page.Items)
}

// from searches what the cursor has not passed.
func (f AuditFilter) from(o order) (auditSearch, error) {
	if f.Cursor == "" {
		return f.search("")
	}
	at, err := parseCursor(f.Cursor, 2)
	if err != nil {
		return auditSearch{}, fmt.Errorf("read cursor: %w", err)
	}
	return f.search(o.from, at[0], at[1])
}

// auditPlace is where an event lies in the log.
type auditPlace struct {
	seq   events.Seq
	place int
}

// look returns up to limit events that the filter wants among the first stage ones that the
// indexes find, and where the last of those lies, or nil if there are fewer.
func (a Audit) look(ctx context.Context, s auditSearch, o order, stage, limit int) (found []AuditEvent, end *auditPlace, err error) {
	window := "WITH e AS MATERIALIZED (" + s.text(selectAudit, o.by, stage) + ")"
	// Both see the same moment, or events between two ends would be there twice.
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
	batch.Queue(window+"\nSELECT e.*\nFROM   e"+s.commits()+whereAll(s.late)+"\n"+o.by+" "+limitTo(limit), s.args...).Query(func(rows pgx.Rows) (err error) {
		found, err = collectAudit(rows)
		return err
	})
	batch.Queue(window+"\nSELECT e.seq, e.place\nFROM   e\n"+o.by+" OFFSET "+strconv.Itoa(stage-1), s.args[:s.early]...).QueryRow(func(row pgx.Row) error {
		end = &auditPlace{}
		if err := row.Scan(&end.seq, &end.place); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		end = nil
		return nil
	})
	batch.Queue("COMMIT")
	err = a.Pool.SendBatch(ctx, batch).Close()
	return found, end, err
}

// commits joins what the text is looked for in.
func (s auditSearch) commits() string {
	if !s.words {
		return ""
	}
	return "\nJOIN   audit.commits c ON c.seq = e.seq"
}
