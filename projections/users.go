package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Users answers from the view of people and machines.
type Users struct{ Pool *pgxpool.Pool }

// UserFilter narrows a list. Zero fields do not.
type UserFilter struct {
	States []command.UserState
	Kind   events.UserKind
	Role   string // of a grant of their own, whatever its scope and end
	Cursor string
	Limit  int // at most [MaxLimit]
}

const selectUsers = "SELECT * FROM views.users"

// List returns people and machines, newest first. Errors: [ErrCursor].
func (u Users) List(ctx context.Context, filter UserFilter) (Page[User], error) {
	var q query
	if len(filter.States) > 0 {
		q.and("state = ANY (?)", filter.States)
	}
	if filter.Kind != "" {
		q.and("kind = ?", filter.Kind)
	}
	if filter.Role != "" {
		q.and("grants @> jsonb_build_array(jsonb_build_object('role', ?::text))", filter.Role)
	}
	if err := q.before(filter.Cursor); err != nil {
		return Page[User]{}, err
	}
	limit := limited(filter.Limit)
	found, err := fetch[User](ctx, u.Pool, q.text(selectUsers, "ORDER BY seq DESC", limit+1), q.args...)
	if err != nil {
		return Page[User]{}, fmt.Errorf("list users: %w", err)
	}
	for i := range found {
		found[i].inUTC()
	}
	return paged(found, limit, func(u User) string { return cursor(uint64(u.Seq)) }), nil
}

// Get returns one person or machine, or [ErrNotFound].
func (u Users) Get(ctx context.Context, id events.UserID) (User, error) {
	user, err := fetchOne[User](ctx, u.Pool, selectUsers+" WHERE id = $1", string(id))
	if err != nil {
		return User{}, fmt.Errorf("load user: %w", err)
	}
	user.inUTC()
	return user, nil
}

// Users returns everybody's rights with the commit that they stand at. Package rights starts
// from them.
func (u Users) Users(ctx context.Context) (users []command.User, at events.Seq, err error) {
	err = pgx.BeginTxFunc(ctx, u.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		position, err := readPosition(ctx, tx, "views.positions") // fixes what this transaction sees
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectUsers)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByName[User])
		for _, user := range found {
			users = append(users, user.Rights())
		}
		at = position.Seq
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("load everybody's rights: %w", err)
	}
	return users, at, nil
}
