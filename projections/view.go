package projections

import (
	"context"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// keptRows is how many rows of one view a follower keeps between batches, so that the
// next facts of the same history need not load them. Only this follower writes them:
// the position proves it at every batch.
const keptRows = 20_000

// view folds the histories of one aggregate into rows of T.
type view[T any] struct {
	find  func(ctx context.Context, conn *pgx.Conn, ids []string) (map[string]*T, error)
	fold  func(row *T, seq events.Seq, e events.Event)
	known func(row *T) bool // it began
	done  func(row *T) bool // it needs not be kept

	rows    map[string]*T
	touched []events.Recorded // by the last take
}

// take folds commits and returns the rows that changed, each once.
func (v *view[T]) take(ctx context.Context, conn *pgx.Conn, commits []events.Recorded) ([]*T, error) {
	if v.rows == nil {
		v.rows = map[string]*T{}
	}
	if err := v.fetch(ctx, conn, commits); err != nil {
		return nil, err
	}
	v.touched = commits
	var changed []*T
	seen := make(map[string]bool, len(commits))
	for _, commit := range commits {
		id := commit.Stream.ID
		row := v.rows[id]
		for _, e := range commit.Events {
			v.fold(row, commit.Seq, e)
		}
		if v.known(row) && !seen[id] {
			seen[id] = true
			changed = append(changed, row)
		}
	}
	return changed, nil
}

// fetch makes sure that the row of every history is at hand; a new one is zero.
func (v *view[T]) fetch(ctx context.Context, conn *pgx.Conn, commits []events.Recorded) error {
	var missing []string
	for _, commit := range commits {
		if _, ok := v.rows[commit.Stream.ID]; !ok {
			v.rows[commit.Stream.ID] = new(T)
			missing = append(missing, commit.Stream.ID)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := v.find(ctx, conn, missing)
	if err != nil {
		return err
	}
	for id, row := range found {
		v.rows[id] = row
	}
	return nil
}

// trim forgets rows after their transaction committed. Only a fact makes one go.
func (v *view[T]) trim() {
	for _, commit := range v.touched {
		id := commit.Stream.ID
		if row, ok := v.rows[id]; ok && (!v.known(row) || v.done(row)) {
			delete(v.rows, id)
		}
	}
	v.touched = nil
	if len(v.rows) > keptRows {
		clear(v.rows)
	}
}

func never[T any](*T) bool { return false }

func newRequestView() view[Request] {
	return view[Request]{
		find: findRequests, fold: (*Request).fold, done: (*Request).settled,
		known: func(r *Request) bool { return r.ID != "" },
	}
}

func findRequests(ctx context.Context, conn *pgx.Conn, ids []string) (map[string]*Request, error) {
	rows, err := requestTable.rows(ctx, conn, ids)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	found := make(map[string]*Request, len(rows))
	for _, r := range rows {
		r.inUTC()
		found[string(r.ID)] = r
	}
	envelopes, err := envelopeTable.rows(ctx, conn, ids)
	if err != nil {
		return nil, err
	}
	attach(found, envelopes)
	return found, nil
}

func newConnectionView() view[Connection] {
	return view[Connection]{
		find: func(ctx context.Context, conn *pgx.Conn, ids []string) (map[string]*Connection, error) {
			rows, err := connectionTable.rows(ctx, conn, ids)
			return byKey(rows, func(c *Connection) string { c.inUTC(); return string(c.Name) }), err
		},
		fold: (*Connection).fold, done: never[Connection],
		known: func(c *Connection) bool { return c.Name != "" },
	}
}

func newAgentView() view[Agent] {
	return view[Agent]{
		find: func(ctx context.Context, conn *pgx.Conn, ids []string) (map[string]*Agent, error) {
			rows, err := agentTable.rows(ctx, conn, ids)
			return byKey(rows, func(a *Agent) string { a.inUTC(); return string(a.ID) }), err
		},
		fold: (*Agent).fold, done: never[Agent],
		known: func(a *Agent) bool { return a.ID != "" },
	}
}

func newJobView() view[Job] {
	return view[Job]{
		find: func(ctx context.Context, conn *pgx.Conn, ids []string) (map[string]*Job, error) {
			rows, err := jobTable.rows(ctx, conn, ids)
			return byKey(rows, func(j *Job) string { j.inUTC(); return string(j.ID) }), err
		},
		fold: (*Job).fold, done: func(j *Job) bool { return j.State.Over() },
		known: func(j *Job) bool { return j.ID != "" },
	}
}

func newUserView() view[User] {
	return view[User]{
		find: func(ctx context.Context, conn *pgx.Conn, ids []string) (map[string]*User, error) {
			rows, err := userTable.rows(ctx, conn, ids)
			return byKey(rows, func(u *User) string { u.inUTC(); return string(u.ID) }), err
		},
		fold: (*User).fold, done: never[User],
		known: func(u *User) bool { return u.ID != "" },
	}
}

func byKey[K comparable, T any](rows []*T, key func(*T) K) map[K]*T {
	found := make(map[K]*T, len(rows))
	for _, row := range rows {
		found[key(row)] = row
	}
	return found
}
