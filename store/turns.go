package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Turns has all servers do something one after the other. A server that dies gives its turn back.
type Turns struct{ Pool *pgxpool.Pool }

// Take waits for the turn of that name, and holds it until do returns. It holds a connection of the
// pool meanwhile: a process asks for one turn of a name at a time.
func (t Turns) Take(ctx context.Context, what string, do func() error) error {
	return pgx.BeginFunc(ctx, t.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('turns of servers'), hashtext($1))", what); err != nil {
			return fmt.Errorf("wait for the turn of %s: %w", what, err)
		}
		return do()
	})
}
