package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// FormerRoles are people of an installation from before rights were facts, with the roles that
// their rows had. They wait here until they are facts, whatever becomes of the rows.
type FormerRoles struct{ Pool *pgxpool.Pool }

// Former is one of them.
type Former struct {
	Person   events.UserID
	Roles    []string
	Disabled bool
}

// keepFormerRoles sets aside what the rows of people say, before a migration changes them. It
// does so once: where there are no people, or where it was done, it does nothing.
func keepFormerRoles(ctx context.Context, owner *pgx.Conn) error {
	var there bool
	err := owner.QueryRow(ctx, `
		SELECT EXISTS (
		           SELECT FROM information_schema.columns
		           WHERE  table_schema = 'private'
		           AND    table_name = 'people'
		           AND    column_name = 'roles')
		AND    to_regclass('private.former_roles') IS NULL`).Scan(&there)
	if err != nil || !there {
		return err
	}
	return pgx.BeginFunc(ctx, owner, func(tx pgx.Tx) error {
		var anybody bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM private.people)").Scan(&anybody); err != nil || !anybody {
			return err
		}
		_, err := tx.Exec(ctx, `
			SELECT pg_advisory_xact_lock(hashtext('secretsbridge schemas'));
			SET LOCAL ROLE sb_owner;
			CREATE TABLE IF NOT EXISTS private.former_roles AS
			SELECT id AS person, roles, disabled
			FROM   private.people;
			GRANT SELECT, DELETE ON private.former_roles TO sb_app`)
		return err
	})
}

// All returns those that are not facts yet.
func (f FormerRoles) All(ctx context.Context) ([]Former, error) {
	var there bool
	if err := f.Pool.QueryRow(ctx, "SELECT to_regclass('private.former_roles') IS NOT NULL").Scan(&there); err != nil || !there {
		return nil, err
	}
	rows, err := f.Pool.Query(ctx, `
		SELECT person, roles, disabled
		FROM   private.former_roles
		ORDER BY person`)
	if err != nil {
		return nil, fmt.Errorf("find former roles: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Former])
	if err != nil {
		return nil, fmt.Errorf("find former roles: %w", err)
	}
	return all, nil
}

// Forget removes one that is facts now.
func (f FormerRoles) Forget(ctx context.Context, person events.UserID) error {
	_, err := f.Pool.Exec(ctx, "DELETE FROM private.former_roles WHERE person = $1", person)
	if err != nil {
		return fmt.Errorf("forget former roles: %w", err)
	}
	return nil
}
