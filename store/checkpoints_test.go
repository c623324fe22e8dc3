package store_test

import (
	"testing"

	"secretsbridge/ledger/ledgertest"
	"secretsbridge/store"
)

func TestCheckpointsInPostgresDoAsThoseInMemory(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	ledgertest.Run(t, store.Checkpoints{Pool: db.App})
	for what, statement := range map[string]string{
		"change a row":                   "UPDATE private.checkpoints SET root = signed",
		"add a smaller one past the app": "INSERT INTO private.checkpoints SELECT 1, root, signed, signed_at FROM private.checkpoints LIMIT 1",
	} {
		if _, err := db.App.Exec(t.Context(), statement); err == nil {
			t.Errorf("the server's role may %s", what)
		}
	}
}
