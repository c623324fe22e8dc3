package projections_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// folding is a log that grows, and whose commits are folded, while it says where it ends.
type folding struct {
	*commandtest.Memory
	grow func()
}

func (f folding) Last(ctx context.Context) (events.Seq, error) {
	last, err := f.Memory.Last(ctx)
	f.grow()
	return last, err
}

func TestWhatIsFoldedWhileTheEndOfTheLogIsReadIsNoDifference(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 20)
	catchUp(t, db.App, log)
	more := &writer{t: t, log: log, n: 1000}
	grown := 0
	feed := folding{log, func() {
		grown++
		more.append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{})
		catchUp(t, db.App, log)
	}}
	done, err := projections.CompareTail(t.Context(), db.App, feed, 100, func(d projections.Difference) error {
		t.Errorf("it differs: %s", told(d))
		return nil
	})
	if err != nil || grown != 1 || done.UpTo != 20 {
		t.Errorf("compared up to %d after it grew %d times, %v", done.UpTo, grown, err)
	}
}

func TestTheTailOfTheAuditIsCompared(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	tail := func(commits int) (named []string) {
		t.Helper()
		done, err := projections.CompareTail(t.Context(), db.App, log, commits, func(d projections.Difference) error {
			named = append(named, told(d))
			return nil
		})
		if err != nil || done.Differences != len(named) {
			t.Fatalf("%d named, %+v, %v", len(named), done, err)
		}
		return named
	}
	if named := tail(100); len(named) > 0 {
		t.Errorf("an empty audit: %q", named)
	}
	fill(t, log, 400)
	catchUp(t, db.App, log)
	(&writer{t: t, log: log, n: 1000}).append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{}) // not folded yet
	for _, commits := range []int{1, 100, 400, 1000} {
		if named := tail(commits); len(named) > 0 {
			t.Errorf("the last %d as they were folded: %q", commits, named)
		}
	}
	for _, sql := range []string{
		"UPDATE audit.events SET actor = 'nobody' WHERE seq = 390 AND place = 0",
		"UPDATE audit.events SET time = time + interval '1 microsecond' WHERE seq = 250 AND place = 0",
		"DELETE FROM audit.events WHERE seq = 391 AND place = 0",
		"UPDATE audit.commits SET raw = raw || '\\x20' WHERE seq = 392",
		"DELETE FROM audit.commits WHERE seq = 400",
		"INSERT INTO audit.commits SELECT 500, hash, raw FROM audit.commits WHERE seq = 2",
		"INSERT INTO audit.events SELECT seq, 7, 'forged', type, stream, time, actor, correlation, command FROM audit.events WHERE seq = 393 AND place = 0",
		"INSERT INTO audit.events SELECT 401, 0, 'forged', type, stream, time, actor, correlation, command FROM audit.events WHERE seq = 394 AND place = 0",
	} {
		if n := asSuperuser(t, db, sql); n != 1 {
			t.Fatalf("%s: %d rows", sql, n)
		}
	}
	want := []string{
		"audit.commits added 500", "audit.commits changed 392 raw", "audit.commits missing 400", "audit.events added 393/7",
		"audit.events added 401/0", "audit.events changed 390/0 actor", "audit.events missing 391/0",
	}
	named := tail(100)
	slices.Sort(named)
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("of the last 100 (-want +got):\n%s", diff)
	}
	if named := tail(200); !slices.Contains(named, "audit.events changed 250/0 time") {
		t.Errorf("of the last 200: %q", named)
	}
}
