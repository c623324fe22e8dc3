package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

// compared is a log of one connection that views and audit were folded from, and what compares them.
type compared struct {
	*comparer
	t      *testing.T
	db     *postgrestest.DB
	facts  *commandtest.Memory
	logged bytes.Buffer
}

func newCompared(t *testing.T) *compared {
	t.Helper()
	w := &compared{t: t, db: cluster.New(t), facts: &commandtest.Memory{}}
	owner, err := pgx.Connect(t.Context(), w.db.OwnerDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.WithoutCancel(t.Context()))
	if err := projections.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: time.Now()}
	if _, err := command.Record(t.Context(), w.facts, events.ConnectionStream("file"), meta, events.ConnectionCreated{Provider: "file", Cluster: "demo"}); err != nil {
		t.Fatal(err)
	}
	w.fold()
	w.comparer = (&stack{
		database: &database{pool: w.db.App, owner: w.db.OwnerDSN}, pool: w.db.App, log: slog.New(slog.NewTextHandler(&w.logged, nil)),
	}).openComparer()
	w.log, w.feed = w.facts, w.facts
	return w
}

// fold brings views and audit to the end of the log.
func (w *compared) fold() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	progress, done := projections.NewProgress(w.db.App), make(chan error, 1)
	go func() { done <- (&projections.Follower{Pool: w.db.App, Progress: progress}).Run(ctx, w.facts) }()
	last, err := w.facts.Last(ctx)
	if err == nil {
		err = progress.WaitFor(ctx, last)
	}
	cancel()
	if ended := <-done; err != nil || !errors.Is(ended, context.Canceled) {
		w.t.Fatal(err, ended)
	}
}

func (w *compared) exec(sql string) {
	w.t.Helper()
	if _, err := w.db.Owner.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatal(err)
	}
}

// forge changes a fact of the audit as its owner can, who puts the trigger back.
func (w *compared) forge(set string) {
	w.t.Helper()
	w.exec("ALTER TABLE audit.events DISABLE TRIGGER events_are_never_changed")
	w.exec("UPDATE audit.events SET " + set + " WHERE seq = 1")
	w.exec("ALTER TABLE audit.events ENABLE ALWAYS TRIGGER events_are_never_changed")
}

// step runs a look once.
func (w *compared) step(run func(context.Context, *worker.Term) error) {
	w.t.Helper()
	term, err := workertest.Term(w.t.Context(), &workertest.Leases{}, "compare")
	if err == nil {
		err = run(w.t.Context(), term)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// looks runs a look, and returns what the server says of the last ones: by how many rows differ. The
// one before may have its turn for a moment still, until Postgres notices that its connection ended.
func (w *compared) looks(what look, run func(context.Context, *worker.Term) error) map[look]int {
	w.t.Helper()
	end, tick := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for before := w.looked()[what].at; ; {
		if w.step(run); w.looked()[what].at != before {
			break
		}
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("nobody looks at %s", what)
		}
	}
	found := map[look]int{}
	for what, last := range w.looked() {
		if time.Since(last.at) > time.Hour {
			w.t.Errorf("%s was looked at %s", what, last.at)
		}
		found[what] = last.differences
	}
	return found
}

// said are the facts of comparisons, in words.
func (w *compared) said() (all []string) {
	w.t.Helper()
	last, err := w.facts.Last(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for seq := events.Seq(1); seq <= last; seq++ {
		c, err := w.facts.At(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range c.Events {
			if f, ok := e.Fact.(events.AuditCompared); ok {
				all = append(all, fmt.Sprintf("%s: %d in %v", e.Actor, f.Differences, f.Tables))
			}
		}
	}
	return all
}

// TestAServerComparesByItself: a fact is left where a look finds something else than the one before,
// rows are named in the server's log without what they hold, and the newest look is what is told.
func TestAServerComparesByItself(t *testing.T) {
	t.Parallel()
	w := newCompared(t)
	if got := w.looks(lookAll, w.compareAll); cmp.Diff(map[look]int{lookAll: 0}, got) != "" || len(w.said()) > 0 || w.logged.Len() > 0 {
		t.Fatalf("where nothing differs: %v, %v\n%s", got, w.said(), &w.logged)
	}

	w.exec("UPDATE views.connections SET description = 'a text of the thief'")
	for range 2 { // the same again is on record already
		if got := w.looks(lookAll, w.compareAll); got[lookAll] != 1 {
			t.Errorf("of one row: %v", got)
		}
	}
	one := "system:compare: 1 in [views.connections]"
	if diff := cmp.Diff([]string{one}, w.said()); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	said := w.logged.String()
	if strings.Count(said, "alarm="+viewsDiffer) != 2 || !strings.Contains(said, "views.connections changed") || strings.Contains(said, "thief") {
		t.Errorf("logged:\n%s", said)
	}

	w.fold() // with the fact of that
	w.forge("type = 'sb.forged.v1'")
	w.logged.Reset()
	if got := w.looks(lookTail, w.compareTail); got[lookTail] != 1 || got[lookAll] != 1 || !strings.Contains(w.logged.String(), "audit.events changed") {
		t.Errorf("of the newest rows: %v\n%s", got, &w.logged)
	}
	if got := w.looks(lookAll, w.compareAll); got[lookAll] != 2 {
		t.Errorf("of two rows: %v", got)
	}
	w.fold()
	w.exec("UPDATE views.connections SET description = ''")
	w.forge("type = 'sb.connection.created.v1'")
	w.logged.Reset()
	if got := w.looks(lookAll, w.compareAll); got[lookAll] != 0 {
		t.Errorf("when it is mended: %v", got)
	}
	if got := w.looks(lookTail, w.compareTail); cmp.Diff(map[look]int{lookAll: 0, lookTail: 0}, got) != "" || w.logged.Len() > 0 {
		t.Errorf("when it is mended: %v\n%s", got, &w.logged)
	}
	if diff := cmp.Diff([]string{one, "system:compare: 2 in [audit.events views.connections]", "system:compare: 0 in []"}, w.said()); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
}

// TestWhatIsNotRecordedIsSaidAgain: a look whose fact is not stored fails, and the next one leaves it.
func TestWhatIsNotRecordedIsSaidAgain(t *testing.T) {
	t.Parallel()
	w := newCompared(t)
	w.exec("UPDATE views.connections SET description = 'another'")
	term, err := workertest.Term(t.Context(), &workertest.Leases{}, "compare")
	if err != nil {
		t.Fatal(err)
	}
	w.facts.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails }
	if err := w.compareAll(t.Context(), term); err == nil {
		t.Error("it is not on record, and the look is well")
	}
	w.facts.OnAppend = nil
	if w.looks(lookAll, w.compareAll); len(w.said()) != 1 {
		t.Errorf("on record: %v", w.said())
	}
}

// TestOneComparisonIsUnderWay: a look of the loop gives way to a comparison that somebody asked for,
// and somebody who asks meanwhile is told.
func TestOneComparisonIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newCompared(t)
	w.exec("UPDATE views.connections SET description = 'another'")
	asked := 0
	_, err := w.compare(t.Context(), func(projections.Difference) error {
		asked++
		if w.step(w.compareAll); len(w.looked()) > 0 || len(w.said()) > 0 {
			t.Errorf("a look beside another: %v, %v", w.looked(), w.said())
		}
		if _, err := w.compare(t.Context(), unnamed); !errors.Is(err, projections.ErrComparing) {
			t.Errorf("a second one: %v", err)
		}
		return nil
	})
	if err != nil || asked != 1 {
		t.Errorf("%d rows, %v", asked, err)
	}
}

func TestWhichComparisonsAServerMakes(t *testing.T) {
	for name, c := range map[string]struct {
		owner string
		each  time.Duration
		loops []worker.LoopName
		warns bool
	}{
		"with the owner's login":    {"postgres://owner@db/secretsbridge", time.Minute, []worker.LoopName{"audit-tail", "compare"}, false},
		"where it is not wanted":    {"postgres://owner@db/secretsbridge", 0, []worker.LoopName{"audit-tail"}, false},
		"without the owner's login": {"", time.Minute, []worker.LoopName{"audit-tail"}, true},
	} {
		var logged bytes.Buffer
		made := (&stack{database: &database{owner: c.owner}, log: slog.New(slog.NewTextHandler(&logged, nil))}).openComparer()
		var names []worker.LoopName
		for _, l := range made.loops(c.each) {
			names = append(names, l.Name)
		}
		if diff := cmp.Diff(c.loops, names); diff != "" || strings.Contains(logged.String(), "SB_DATABASE_OWNER_URL") != c.warns {
			t.Errorf("%s (-want +got):\n%s%s", name, diff, &logged)
		}
		if _, err := made.compare(t.Context(), unnamed); c.owner == "" && !errors.Is(err, projections.ErrNoOwner) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
