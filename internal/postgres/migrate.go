package postgres

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"
)

// OwnerRole owns every object and cannot sign in. AppRole is the application's
// login; on a server that asks for passwords the operator sets one for it.
const (
	OwnerRole = "sb_owner"
	AppRole   = "sb_app"
)

// ensureRoles creates both roles and lets the migrating login act as the owner. Roles
// belong to the whole cluster, so another database may have made them, even at this
// moment.
const ensureRoles = `
DO $$
BEGIN
	BEGIN
		CREATE ROLE sb_owner NOLOGIN;
	EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
	END;
	BEGIN
		CREATE ROLE sb_app LOGIN;
	EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
	END;
	IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
	AND NOT pg_has_role(current_user, 'sb_owner', 'USAGE') THEN
		EXECUTE format('GRANT sb_owner TO %I', current_user);
	END IF;
END
$$`

// Migrate brings one schema to the newest version in files: numbered SQL with
// unqualified names, such as 001_tables.sql. It creates both roles and the schema when
// they are missing; everything it makes belongs to [OwnerRole]. Each file runs in its
// own transaction, and concurrent callers wait for each other.
//
// The connection must be of a login that may create roles and, in this database,
// schemas. The files run on a second connection of the same login.
func Migrate(ctx context.Context, owner *pgx.Conn, files fs.FS, schema string) error {
	return MigrateTo(ctx, owner, files, schema, newest)
}

// newest stands for the last of the files.
const newest = -1

// MigrateTo is [Migrate] up to one version: the number of a file. It is for rows that were copied
// from a schema of that version; [Migrate] goes on from there.
func MigrateTo(ctx context.Context, owner *pgx.Conn, files fs.FS, schema string, version int32) error {
	if _, err := owner.Exec(ctx, ensureRoles); err != nil {
		return fmt.Errorf("create the Postgres roles: %w", err)
	}
	name := pgx.Identifier{schema}.Sanitize()
	if err := createSchema(ctx, owner, name, schema); err != nil {
		return fmt.Errorf("create schema %s: %w", schema, err)
	}
	conn, err := connectAsOwner(ctx, owner, name)
	if err != nil {
		return fmt.Errorf("act as the owner of schema %s: %w", schema, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	migrator, err := migrate.NewMigrator(ctx, conn, schema+"."+versionTable)
	if err != nil {
		return fmt.Errorf("migrate schema %s: %w", schema, err)
	}
	if err := migrator.LoadMigrations(files); err != nil {
		return fmt.Errorf("read the migrations of schema %s: %w", schema, err)
	}
	if version == newest {
		version = int32(len(migrator.Migrations))
	}
	if err := migrator.MigrateTo(ctx, version); err != nil {
		return fmt.Errorf("migrate schema %s: %w", schema, err)
	}
	// The application looks whether it and the schema fit. Two grants at once would collide.
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, lockSchemas+"; GRANT SELECT ON "+name+"."+versionTable+" TO "+AppRole)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate schema %s: %w", schema, err)
	}
	return nil
}

// connectAsOwner opens a connection whose defaults are the schema's: the migrator
// resets all settings between files.
func connectAsOwner(ctx context.Context, owner *pgx.Conn, name string) (*pgx.Conn, error) {
	config := owner.Config()
	config.RuntimeParams["search_path"] = name
	config.RuntimeParams["role"] = OwnerRole
	return pgx.ConnectConfig(ctx, config)
}

// lockSchemas has those who change schemas take turns.
const lockSchemas = "SELECT pg_advisory_xact_lock(hashtext('secretsbridge schemas'))"

// createSchema leaves alone what exists: IF NOT EXISTS asks for the right to create
// even then, and two callers that both miss it would still collide.
func createSchema(ctx context.Context, owner *pgx.Conn, name, schema string) error {
	return pgx.BeginFunc(ctx, owner, func(tx pgx.Tx) error {
		var exists bool
		_, err := tx.Exec(ctx, lockSchemas)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema).Scan(&exists)
		if err != nil || exists {
			return err
		}
		_, err = tx.Exec(ctx, "CREATE SCHEMA "+name+" AUTHORIZATION sb_owner; GRANT USAGE ON SCHEMA "+name+" TO sb_app")
		return err
	})
}
