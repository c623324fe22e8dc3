package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// edited is a feed in which somebody changed one commit.
type edited struct {
	command.Feed
	seq  events.Seq
	edit func(*events.Recorded)
}

func (f edited) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	return f.Feed.Follow(ctx, after, limit, func(ctx context.Context, commits []events.Recorded) error {
		for i := range commits {
			if commits[i].Seq == f.seq {
				f.edit(&commits[i])
			}
		}
		return deliver(ctx, commits)
	})
}

func TestAnEditAnywhereInTheLogIsNamed(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 20)
	catchUp(t, db.App, log)
	progress := projections.NewProgress(db.App)
	if err := progress.ProveHistory(t.Context(), log); err != nil {
		t.Fatalf("the log as it was folded: %v", err)
	}
	for seq := range events.Seq(20) {
		feed := edited{log, seq + 1, func(c *events.Recorded) {
			c.Raw = append([]byte{}, c.Raw...)
			c.Raw[len(c.Raw)/2] ^= 1
		}}
		err := progress.ProveHistory(t.Context(), feed)
		if !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), fmt.Sprintf("commit %d ", seq+1)) {
			t.Errorf("a flipped bit in commit %d: %v", seq+1, err)
		}
	}
	if err := progress.ProveHistory(t.Context(), gap{log}); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("a missing commit: %v", err)
	}
}
