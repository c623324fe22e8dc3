package projections_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"secretsbridge/command/commandtest"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
)

func TestARebuildLeavesEveryIndexInPlace(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 200)
	before := indexes(t, db)
	if len(before) < 10 {
		t.Fatalf("only %d indexes before", len(before))
	}
	if _, err := projections.Rebuild(t.Context(), db.Owner, log); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, indexes(t, db)); diff != "" {
		t.Errorf("indexes (-before +after):\n%s", diff)
	}
}

func indexes(t *testing.T, db *postgrestest.DB) []string {
	t.Helper()
	rows, err := db.Owner.Query(t.Context(), `
		SELECT indexdef
		FROM   pg_indexes
		WHERE  schemaname IN ('views', 'audit')
		ORDER  BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}
