package projections_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/transparency"
)

func TestLeavesAreThoseOfTheLog(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 20)
	catchUp(t, db.App, log)
	progress := projections.NewProgress(db.App)
	read := func(after events.Seq, limit int) []tlog.Hash {
		t.Helper()
		leaves, err := progress.Leaves(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return leaves
	}
	last, err := log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := append(read(0, 7), read(7, 1000)...)
	if len(all) != int(last) || len(read(last, 5)) != 0 {
		t.Fatalf("%d leaves of %d commits", len(all), last)
	}
	for i, leaf := range all {
		c, err := log.At(t.Context(), events.Seq(i+1))
		if err != nil || leaf != transparency.LeafHash(c.Raw) {
			t.Errorf("leaf %d is not that of its commit, %v", i, err)
		}
	}
	for _, statement := range []string{"ALTER TABLE audit.commits DISABLE TRIGGER ALL", "DELETE FROM audit.commits WHERE seq = 9"} {
		if _, err := db.Owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, after := range []events.Seq{5, 8} {
		if _, err := progress.Leaves(t.Context(), after, 10); !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), "no commit 9") {
			t.Errorf("a row that was removed, after %d: %v", after, err)
		}
	}
}
