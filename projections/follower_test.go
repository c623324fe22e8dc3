package projections_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
)

var cluster = postgrestest.Cluster{Prepare: projections.Migrate}

func TestMain(m *testing.M) {
	// Every random history is folded at least twice and verified, on a disk: twelve are
	// a few seconds. For more: -rapid.checks=1000.
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
	os.Exit(cluster.Main(m))
}

// follow runs a follower in the background; the returned function stops it and returns
// what it returned.
func follow(t testing.TB, pool *pgxpool.Pool, feed command.Feed, progress *projections.Progress) func() error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&projections.Follower{Pool: pool, Progress: progress}).Run(ctx, feed) }()
	stop := func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// catchUp folds everything that is in the log, and stops.
func catchUp(t testing.TB, pool *pgxpool.Pool, feed command.Feed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	last, err := feed.Last(ctx)
	if err != nil {
		t.Fatal(err)
	}
	progress := projections.NewProgress(pool)
	stop := follow(t, pool, feed, progress)
	if err := progress.WaitFor(ctx, last); err != nil {
		t.Fatalf("%v; the follower: %v", err, stop())
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Fatalf("follower: %v", err)
	}
}

// dump is every table, as COPY writes it.
func dump(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	conn, err := pool.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	var out bytes.Buffer
	for _, from := range []string{
		"views.positions ORDER BY projection", "views.requests ORDER BY id", "views.envelopes ORDER BY request, id",
		"views.connections ORDER BY name", "views.agents ORDER BY id", "views.jobs ORDER BY id", "views.users ORDER BY id",
		"views.scanned_connections ORDER BY connection", "views.secrets ORDER BY place", "views.secret_labels ORDER BY label, place",
		"views.secret_owners ORDER BY place", "views.secret_assignments ORDER BY secret", "views.ownership_rules ORDER BY setting",
		"views.secret_counts ORDER BY connection, status", "views.label_counts ORDER BY label, connection", "views.version_changes ORDER BY place",
		"audit.commits ORDER BY seq", "audit.nodes ORDER BY level, number", "audit.events ORDER BY seq, place",
	} {
		if _, err := conn.Conn().PgConn().CopyTo(context.Background(), &out, "COPY (SELECT * FROM "+from+") TO STDOUT"); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestFoldingAFactTwiceIsFoldingItOnce(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 300)
	catchUp(t, db.App, log)
	want := dump(t, db.App)
	again := repeating{log}
	catchUp(t, db.App, again)
	(&writer{t: t, log: log, n: 1000}).append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{})
	catchUp(t, db.App, again)
	if got := dump(t, db.App); len(got) <= len(want) {
		t.Error("the new fact was not folded")
	}
	if differences, err := compare(t.Context(), db, log); err != nil || len(differences) > 0 {
		t.Errorf("verify: %v, %v", differences, err)
	}
}

// repeating delivers everything from the beginning, whatever it was asked for.
type repeating struct{ *commandtest.Memory }

func (r repeating) Follow(ctx context.Context, _ events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	return r.Memory.Follow(ctx, 0, limit, deliver)
}

func TestAFollowerThatWasStoppedAnywhereGoesOn(t *testing.T) {
	t.Parallel()
	whole, broken := cluster.New(t), cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 600)
	catchUp(t, whole.App, log)
	random := rand.New(rand.NewPCG(7, 7))
	for range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		left := random.IntN(15)
		feed := cut{log, func() int {
			if left--; left < 0 {
				cancel() // while a batch is on its way to the database
			}
			return 1 + random.IntN(5)
		}}
		err := (&projections.Follower{Pool: broken.App}).Run(ctx, feed)
		if cancel(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	catchUp(t, broken.App, log)
	if diff := cmp.Diff(dump(t, whole.App), dump(t, broken.App)); diff != "" {
		t.Errorf("(-at once +in pieces):\n%s", diff)
	}
}

func TestRebuildAndVerifyFindTheSameBytes(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 500)
	catchUp(t, db.App, log)
	want := dump(t, db.App)
	if differences, err := compare(t.Context(), db, log); err != nil || len(differences) > 0 {
		t.Errorf("verify: %v, %v", differences, err)
	}
	position, err := projections.Rebuild(t.Context(), db.Owner, log)
	if err != nil || position.Seq != 500 {
		t.Fatalf("rebuilt to %d: %v", position.Seq, err)
	}
	if diff := cmp.Diff(want, dump(t, db.App)); diff != "" {
		t.Errorf("(-folded +rebuilt):\n%s", diff)
	}
	// What was rebuilt is as guarded as before, and goes on.
	if _, err := db.App.Exec(t.Context(), "DELETE FROM audit.commits"); err == nil {
		t.Error("the application may delete from a rebuilt audit")
	}
	(&writer{t: t, log: log, n: 1000}).append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{})
	catchUp(t, db.App, log)
}

func TestRebuildOfAnEmptyLog(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	if position, err := projections.Rebuild(t.Context(), db.Owner, log); err != nil || position.Seq != 0 {
		t.Errorf("rebuilt to %d: %v", position.Seq, err)
	}
	if differences, err := compare(t.Context(), db, log); err != nil || len(differences) > 0 {
		t.Errorf("verify: %v, %v", differences, err)
	}
}

func TestALogThatIsNotTheOneThatWasFoldedIsRefused(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log, shorter, other := &commandtest.Memory{}, &commandtest.Memory{}, &commandtest.Memory{}
	fill(t, log, 100)
	fill(t, shorter, 99)
	fill(t, other, 120) // the same beginning, and other dice
	catchUp(t, db.App, log)
	want := dump(t, db.App)
	for name, feed := range map[string]command.Feed{
		"rolled back": shorter, "rewritten": other, "with a gap": gap{log},
	} {
		if name == "with a gap" {
			(&writer{t: t, log: log, n: 1000}).append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{})
			(&writer{t: t, log: log, n: 1001}).append(events.ConnectionStream("file"), "user:u_1", events.ConnectionEnabled{})
		}
		err := (&projections.Follower{Pool: db.App}).Run(t.Context(), feed)
		if !errors.Is(err, command.ErrLogUnsafe) {
			t.Errorf("%s: %v, want %v", name, err, command.ErrLogUnsafe)
		}
	}
	if diff := cmp.Diff(want, dump(t, db.App)); diff != "" {
		t.Errorf("a refused log was folded:\n%s", diff)
	}
}

// gap leaves out the first commit that it is asked for.
type gap struct{ *commandtest.Memory }

func (g gap) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	return g.Memory.Follow(ctx, after+1, limit, deliver)
}

func TestAFollowerWhosePositionWasMovedStops(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 50)
	progress := projections.NewProgress(db.App)
	done := make(chan error, 1)
	go func() {
		done <- (&projections.Follower{Pool: db.App, Progress: progress}).Run(t.Context(), log)
	}()
	if err := progress.WaitFor(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Owner.Exec(t.Context(), "UPDATE views.positions SET hash = 'another'"); err != nil {
		t.Fatal(err)
	}
	w := &writer{t: t, log: log, n: 1000}
	w.append(events.ConnectionStream("new"), "user:u_1", events.ConnectionCreated{Connection: "new", Provider: "file", Cluster: "demo"})
	if err := <-done; !errors.Is(err, projections.ErrFenced) {
		t.Errorf("follower: %v, want %v", err, projections.ErrFenced)
	}
	if _, err := (projections.Connections{Pool: db.App}).Get(t.Context(), "new"); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("what the fenced follower folded: %v, want nothing", err)
	}
}

func TestAStandbyTakesOver(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	progress := projections.NewProgress(db.App)
	first := follow(t, db.App, log, progress)
	w := &writer{t: t, log: log}
	created := func(name events.ConnectionID) {
		seq := w.append(events.ConnectionStream(name), "user:u_1", events.ConnectionCreated{Connection: name, Provider: "file", Cluster: "demo"})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := progress.WaitFor(ctx, seq); err != nil {
			t.Fatal(err)
		}
	}
	created("one")
	follow(t, db.App, log, progress)
	created("two")
	if err := first(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	created("three")
}
