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

const newestFirst = "ORDER BY e.seq DESC, e.place DESC"

// List returns events, newest first. With a text or a cluster a page looks at so many events at
// most, so it can be shorter than its limit, or empty, and still have a next one.
// Errors: [ErrCursor], [ErrShortText].
func (a Audit) List(ctx context.Context, filter AuditFilter) (Page[AuditEvent], error) {
	page, err := a.list(ctx, filter)
	if err != nil {
		return Page[AuditEvent]{}, fmt.Errorf("list the audit: %w", err)
	}
	return page, nil
}

func (a Audit) list(ctx context.Context, filter AuditFilter) (Page[AuditEvent], error) {
	s, err := filter.before()
	if err != nil {
		return Page[AuditEvent]{}, err
	}
	limit := limited(filter.Limit)
	at := func(e AuditEvent) string { return cursor(uint64(e.Seq), uint64(e.Place)) }
	if len(s.late) == 0 {
		found, err := a.fetch(ctx, s.text(selectAudit, newestFirst, limit+1), s.args...)
		return paged(found, limit, at), err
	}
	var found []AuditEvent
	var end *auditPlace
	for _, stage := range auditStages {
		found, end, err = a.look(ctx, s, stage, limit+1)
		if err != nil {
			return Page[AuditEvent]{}, err
		}
		if len(found) > limit || end == nil {
			break
		}
	}
	page := paged(found, limit, at)
	if page.Next == "" && end != nil {
		page.Next = cursor(uint64(end.seq), uint64(end.place))
	}
	return page, a.attachData(ctx, page.Items)
}

// before searches what the cursor has not passed.
func (f AuditFilter) before() (auditSearch, error) {
	if f.Cursor == "" {
		return f.search("")
	}
	at, err := parseCursor(f.Cursor, 2)
	if err != nil {
		return auditSearch{}, fmt.Errorf("read cursor: %w", err)
	}
	return f.search("(e.seq, e.place) < (?, ?)", at[0], at[1])
}

// auditPlace is where an event lies in the log.
type auditPlace struct {
	seq   events.Seq
	place int
}

// look returns up to limit events that the filter wants among the first stage ones that the
// indexes find, and where the last of those lies, or nil if there are fewer.
func (a Audit) look(ctx context.Context, s auditSearch, stage, limit int) (found []AuditEvent, end *auditPlace, err error) {
	window := "WITH e AS MATERIALIZED (" + s.text(selectAudit, newestFirst, stage) + ")"
	// Both see the same moment, or events between two ends would be there twice.
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
	batch.Queue(window+"\nSELECT e.*\nFROM   e"+s.commits()+whereAll(s.late)+"\n"+newestFirst+" "+limitTo(limit), s.args...).Query(func(rows pgx.Rows) (err error) {
		found, err = collectAudit(rows)
		return err
	})
	batch.Queue(window+"\nSELECT e.seq, e.place\nFROM   e\n"+newestFirst+" OFFSET "+strconv.Itoa(stage-1), s.args[:s.early]...).QueryRow(func(row pgx.Row) error {
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
