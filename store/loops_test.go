package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/store"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

func TestPositionsAreFenced(t *testing.T) {
	t.Parallel()
	for name, positions := range map[string]worker.Positions{
		"in memory": &workertest.Positions{}, "in Postgres": store.Loops{Pool: cluster.New(t).App},
	} {
		t.Run(name, func(t *testing.T) {
			begin := func(fence uint64, first, want events.Seq) {
				t.Helper()
				if got, err := positions.Begin(t.Context(), "dispatch", fence, first); err != nil || got != want {
					t.Errorf("begin with fence %d at %d, %v; want %d", fence, got, err, want)
				}
			}
			move := func(fence uint64, to events.Seq, want error) {
				t.Helper()
				if err := positions.Move(t.Context(), "dispatch", fence, to); !errors.Is(err, want) {
					t.Errorf("move with fence %d to %d: %v, want %v", fence, to, err, want)
				}
			}
			move(1, 1, worker.ErrFenced) // which never began
			begin(1<<40, 10, 10)
			move(1<<40, 12, nil)
			move(1<<40, 12, nil)
			begin(1<<40, 99, 12) // the same holder, after a fault
			begin(1<<40+5, 99, 12)
			move(1<<40, 20, worker.ErrFenced) // the one before, which was stopped and wakes
			if _, err := positions.Begin(t.Context(), "dispatch", 1<<40, 99); !errors.Is(err, worker.ErrFenced) {
				t.Errorf("begin with an old fence: %v", err)
			}
			move(1<<40+5, 11, worker.ErrFenced) // backwards
			move(1<<40+5, 15, nil)
			move(1<<40+9, 16, worker.ErrFenced) // newer, and never began
			begin(1<<40+9, 0, 15)
			if got, err := positions.Begin(t.Context(), "turns", 1, 3); err != nil || got != 3 {
				t.Errorf("another loop begins at %d, %v", got, err)
			}
		})
	}
}

// TestWhatAFencedHolderKeepsIsRolledBack: the position and what was made of the commits are one
// transaction.
func TestWhatAFencedHolderKeepsIsRolledBack(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	if _, err := db.Owner.Exec(t.Context(), "CREATE TABLE private.effects (n bigint); GRANT ALL ON private.effects TO sb_app"); err != nil {
		t.Fatal(err)
	}
	loops := store.Loops{Pool: db.App}
	fold := func(fence uint64, to events.Seq) error {
		return pgx.BeginFunc(t.Context(), db.App, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "INSERT INTO private.effects VALUES ($1)", to); err != nil {
				return err
			}
			return store.MoveLoop(t.Context(), tx, "notices", fence, to)
		})
	}
	for _, fence := range []uint64{1, 2} {
		if _, err := loops.Begin(t.Context(), "notices", fence, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := fold(1, 7); !errors.Is(err, worker.ErrFenced) {
		t.Errorf("the older holder: %v", err)
	}
	if err := fold(2, 7); err != nil {
		t.Error(err)
	}
	var rows int
	if err := db.App.QueryRow(context.Background(), "SELECT count(*) FROM private.effects").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
