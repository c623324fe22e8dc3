package main

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"secretsbridge/internal/postgres"
)

// migrateCommand makes roles and schemas in the operator's Postgres, or brings them to this version.
func migrateCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "make the roles and schemas in your Postgres, or bring them to this version",
		Long: "Makes the roles " + postgres.OwnerRole + " and " + postgres.AppRole + " and the schemas in the database of SB_DATABASE_OWNER_URL, whose login may create\n" +
			"roles and, in that database, schemas; or brings what is there to this version. Run it before the first start and before\n" +
			"each upgrade; running it again changes nothing. It sets no password: give one to " + postgres.AppRole + " yourself, for SB_DATABASE_URL.\n" +
			"With --check nothing is changed, and the exit code is 1 where something would be.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&check, "check", false, "only say what would be done")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := loadSettings()
		if err != nil {
			return err
		}
		dsn := s.DatabaseOwnerURL
		if dsn == "" {
			return errNoOwner
		}
		ctx, out := cmd.Context(), cmd.OutOrStdout()
		owner, err := pgx.Connect(ctx, dsn)
		if err != nil {
			return fmt.Errorf("connect to Postgres as the owner: %w", err)
		}
		defer owner.Close(ctx)
		before, err := SchemaVersions(ctx, owner)
		if err != nil {
			return err
		}
		if check {
			for _, v := range before {
				fmt.Fprintf(out, "schema %s: version %d, this binary needs %d\n", v.Schema, v.Has, v.Wants)
			}
			return fitting(before)
		}
		if err := migrateSchemas(ctx, dsn); err != nil {
			return err
		}
		for _, v := range before {
			if v.Has == v.Wants {
				fmt.Fprintf(out, "schema %s: version %d, as before\n", v.Schema, v.Has)
			} else {
				fmt.Fprintf(out, "schema %s: from version %d to %d\n", v.Schema, v.Has, v.Wants)
			}
		}
		var password bool
		err = owner.QueryRow(ctx, "SELECT coalesce(rolpassword IS NOT NULL, false) FROM pg_authid WHERE rolname = $1", postgres.AppRole).Scan(&password)
		if err == nil && !password {
			fmt.Fprintf(out, "role %s has no password: ALTER ROLE %s PASSWORD '...' gives it one\n", postgres.AppRole, postgres.AppRole)
		}
		return nil
	}
	return cmd
}
