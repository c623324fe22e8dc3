package projections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Requests answers from the view of requests.
type Requests struct{ Pool *pgxpool.Pool }

// RequestFilter narrows a list. Zero fields do not.
type RequestFilter struct {
	States     []events.RequestState
	Requester  events.UserID
	Connection events.ConnectionID
	Seen       []Sight // any of them; nil: all requests
	Cursor     string
	Limit      int // at most [MaxLimit]

	Operation events.Operation
	Ref       string // of one secret; of Connection

	Project     string
	Environment string   // of any project, unless Project is set
	FillTeams   []string // whom the request asks for its values
	Reviews     []ReviewState
	Actionable  bool // somebody has to do something: decide, fill in, review
}

// Sight is requests that somebody may see: somebody's, or everybody's, about secrets of areas.
type Sight struct {
	Requester events.UserID // empty: everybody
	Within    Within
}

const selectRequests = "SELECT * FROM views.requests"

// List returns requests, newest first, without their envelopes. Pages walk everything
// once, also while requests are added: those are before the first page. Errors:
// [ErrCursor].
func (r Requests) List(ctx context.Context, filter RequestFilter) (Page[Request], error) {
	var q query
	if !q.requests(filter) {
		return Page[Request]{Items: []Request{}}, nil
	}
	if err := q.before(filter.Cursor); err != nil {
		return Page[Request]{}, err
	}
	limit := limited(filter.Limit)
	found, err := r.fetch(ctx, q.text(selectRequests, "ORDER BY seq DESC", limit+1), q.args...)
	if err != nil {
		return Page[Request]{}, fmt.Errorf("list requests: %w", err)
	}
	return paged(found, limit, CursorAfter), nil
}

// requests adds the conditions of a filter, or reports that nothing can be like that.
func (q *query) requests(filter RequestFilter) bool {
	if len(filter.States) > 0 {
		q.and("state = ANY (?)", filter.States)
	}
	if filter.Requester != "" {
		q.and("requester = ?", filter.Requester)
	}
	if filter.Connection != "" {
		q.and("connection = ?", filter.Connection)
	}
	if filter.Operation != "" {
		q.and("operation = ?", filter.Operation)
	}
	if filter.Ref != "" {
		q.and("md5(ref) = md5(?) AND ref = ?", filter.Ref, filter.Ref)
	}
	if filter.Project != "" {
		q.and("project <> '' AND left(project, 200) = left(?, 200) AND project = ?", filter.Project, filter.Project)
	}
	if filter.Environment != "" {
		q.and("environment = ?", filter.Environment)
	}
	if len(filter.FillTeams) > 0 {
		q.and("fill_team = ANY (?)", filter.FillTeams)
	}
	if len(filter.Reviews) > 0 {
		q.and("review = ANY (?)", filter.Reviews)
	}
	if filter.Actionable {
		q.and("(state IN ('awaiting_values', 'pending') OR review IN ('pending', 'overdue'))")
	}
	return filter.Seen == nil || q.seen(filter.Seen)
}

// CursorAfter asks for what follows a request in a list.
func CursorAfter(r Request) string { return cursor(uint64(r.Seq)) }

// seen adds the condition that somebody may see a request, or reports that they may see none.
func (q *query) seen(sights []Sight) bool {
	var either []string
	args := q.args
	for _, sight := range sights {
		if sight.Within != nil && len(sight.Within) == 0 {
			continue
		}
		one := query{args: args}
		if sight.Requester != "" {
			one.and("requester = ?", sight.Requester)
		}
		one.within(sight.Within, "connection", "ref")
		if args = one.args; len(one.where) == 0 {
			return true // everything
		}
		either = append(either, "("+strings.Join(one.where, " AND ")+")")
	}
	if len(either) == 0 {
		return false
	}
	q.args, q.where = args, append(q.where, "("+strings.Join(either, " OR ")+")")
	return true
}

// Get returns one request with its envelopes, or [ErrNotFound].
func (r Requests) Get(ctx context.Context, id events.RequestID) (Request, error) {
	request, err := fetchOne[Request](ctx, r.Pool, selectRequests+" WHERE id = $1", id)
	if err != nil {
		return Request{}, fmt.Errorf("load request %s: %w", id, err)
	}
	request.inUTC()
	if err := r.attach(ctx, []*Request{&request}); err != nil {
		return Request{}, fmt.Errorf("load the envelopes of request %s: %w", id, err)
	}
	return request, nil
}

// Openable returns of each request the envelope that can be opened for longest, or else one that
// cannot be opened any more; none of a request that has none.
func (r Requests) Openable(ctx context.Context, ids []events.RequestID) ([]Envelope, error) {
	found, err := fetch[Envelope](ctx, r.Pool, `
		SELECT DISTINCT ON (request) *
		FROM   views.envelopes
		WHERE  request = ANY ($1)
		ORDER  BY request, state = 'ready' DESC, expires_at DESC, place`, planned, ids)
	if err != nil {
		return nil, fmt.Errorf("load what can be opened: %w", err)
	}
	return found, nil
}

// History returns the events of one request, oldest first, or none.
func (r Requests) History(ctx context.Context, id events.RequestID) ([]AuditEvent, error) {
	return Audit(r).Stream(ctx, events.RequestStream(id))
}

// openStates are those that a request can leave.
var openStates = []events.RequestState{events.StateAwaiting, events.StatePending, events.StateApproved, events.StateRunning, events.StateUnknown}

// Open returns requests that await values, are pending, approved, running or unknown, oldest first, that were
// submitted after a commit: 0, then the Seq of the last one returned, until there is
// none. It is how whoever drives them finds its work after a start.
func (r Requests) Open(ctx context.Context, after events.Seq, limit int) ([]Request, error) {
	found, err := r.fetch(ctx, selectRequests+`
		WHERE  state = ANY ($1)
		AND    seq > $2
		ORDER  BY seq
		LIMIT  $3`,
		openStates, after, limited(limit))
	if err != nil {
		return nil, fmt.Errorf("list open requests: %w", err)
	}
	return found, nil
}

// Ending is a request that has not ended, or that has envelopes to be opened, with its end.
type Ending struct {
	ID    events.RequestID `db:"id"`
	Seq   events.Seq       `db:"seq"`
	Due   time.Time        `db:"due_at"`
	Since time.Time        `db:"since"` // its approval, or its submit
}

// Ending returns requests that reach an end of theirs after one time, or at it and after one
// place, and at or before another time, the soonest first.
func (r Requests) Ending(ctx context.Context, after time.Time, place events.Seq, before time.Time, limit int) ([]Ending, error) {
	found, err := fetch[Ending](ctx, r.Pool, `
		SELECT id,
		       seq,
		       due_at,
		       coalesce(approved_at, submitted_at) AS since
		FROM   views.requests
		WHERE  (due_at, seq) > ($1, $2)
		AND    due_at <= $3
		ORDER  BY due_at, seq
		LIMIT  $4`, pgx.QueryExecModeCacheDescribe, after, place, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list requests that end soon: %w", err)
	}
	return found, nil
}

func (r Requests) fetch(ctx context.Context, sql string, args ...any) ([]Request, error) {
	found, err := fetch[Request](ctx, r.Pool, sql, args...)
	for i := range found {
		found[i].inUTC()
	}
	return found, err
}

func (r Requests) attach(ctx context.Context, requests []*Request) error {
	ids := make([]string, len(requests))
	byID := make(map[string]*Request, len(requests))
	for i, request := range requests {
		ids[i] = string(request.ID)
		byID[ids[i]] = request
	}
	found, err := fetch[Envelope](ctx, r.Pool, "SELECT * FROM views.envelopes WHERE request = ANY ($1)", ids)
	if err != nil {
		return err
	}
	pointers := make([]*Envelope, len(found))
	for i := range found {
		pointers[i] = &found[i]
	}
	attach(byID, pointers)
	return nil
}
