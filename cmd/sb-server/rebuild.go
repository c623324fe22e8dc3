package main

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"secretsbridge/projections"
	"secretsbridge/web"
)

// rebuildCommand drops the views and the audit and folds them again from the log.
func rebuildCommand() *cobra.Command {
	var verify bool
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "drop the views and the audit and fold them again from the log",
		Long: "Drops the views and the audit and folds them again from the log; the result has the\n" +
			"same bytes. With --verify nothing is dropped: the log is folded beside them and differences are named.\n" +
			"No server may be running. With your own Postgres it needs SB_DATABASE_OWNER_URL.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "only compare, and fail if anything differs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		return offline(ctx, func(st *stack) error {
			owner, err := st.database.openOwner(ctx)
			if err != nil {
				return err
			}
			defer owner.Close()
			return rebuild(cmd, st, owner, verify)
		})
	}
	return cmd
}

func rebuild(cmd *cobra.Command, st *stack, owner *pgxpool.Pool, verify bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	if verify {
		done, err := projections.Compare(ctx, owner, st.store, func(d projections.Difference) error {
			_, err := fmt.Fprint(out, web.DifferenceOf(d))
			return err
		})
		if err != nil {
			return err
		}
		if done.Differences > 0 {
			return fmt.Errorf("%d rows differ, in %s: `sb-server rebuild` folds the views again", done.Differences, strings.Join(done.Tables, ", "))
		}
		fmt.Fprintln(out, "the views and the audit are what the log says")
		return nil
	}
	position, err := projections.Rebuild(ctx, owner, st.store)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "folded %d commits into fresh views and audit\n", position.Seq)
	return nil
}
