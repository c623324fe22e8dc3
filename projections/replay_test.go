package projections_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// anyLog is a log of what no decider would write, the same one for the same seed.
func anyLog(t *testing.T, n, seed int) *commandtest.Memory {
	t.Helper()
	log := &commandtest.Memory{}
	for i := range n {
		c := rapid.Custom(anyCommit).Example(seed*1_000 + i)
		for k := range c {
			c[k].ID += events.EventID(fmt.Sprintf("/%d", i)) // no log has the same event twice
		}
		if _, err := log.Append(t.Context(), c[0].Stream, events.AnySeq, c); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func commitsOf(t testing.TB, log *commandtest.Memory) (all []events.Recorded) {
	t.Helper()
	last, err := log.Last(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for seq := events.Seq(1); seq <= last; seq++ {
		c, err := log.At(context.Background(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// In memory each row has what Postgres has, whatever was recorded.
func TestAReplayInMemoryHasTheRowsOfTheViews(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	for name, log := range map[string]*commandtest.Memory{"plausible": {}, "anything": anyLog(t, 500, 1)} {
		if name == "plausible" {
			fill(t, log, 300)
		}
		if _, err := projections.Rebuild(t.Context(), db.Owner, log); err != nil {
			t.Fatal(err)
		}
		replay := projections.NewReplay()
		for i, commits := 0, commitsOf(t, log); i < len(commits); i += 7 {
			if err := replay.Fold(t.Context(), commits[i:min(i+7, len(commits))]); err != nil {
				t.Fatal(err)
			}
		}
		rows := 0
		for _, view := range projections.ReplayViews() {
			if view == projections.GovernanceView {
				continue
			}
			got := replayed(t, replay, view)
			rows += len(got)
			if diff := cmp.Diff(rowsOfView(t, db.App, view), got); diff != "" {
				t.Errorf("%s: %s (-views +memory):\n%s", name, view, diff)
			}
		}
		if rows < 6 { // of anything there are few histories
			t.Errorf("%s: only %d rows were compared", name, rows)
		}
	}
}

// replayed are rows as values, by key.
func replayed(t *testing.T, replay *projections.Replay, view string) map[string]any {
	t.Helper()
	got := map[string]any{}
	last := ""
	err := replay.Rows(view, func(row projections.ReplayedRow) error {
		if row.Key < last {
			t.Errorf("%s: %q follows %q", view, row.Key, last)
		}
		last = row.Key
		got[row.Key] = values(t, row.Row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// rowsOfView are rows as Postgres shows them.
func rowsOfView(t *testing.T, pool *pgxpool.Pool, view string) map[string]any {
	t.Helper()
	key := map[string]string{"envelopes": "request || '/' || id", "connections": "name", "integrations": "name", "mappings": "integration || '/' || id"}[view]
	if key == "" {
		key = "id"
	}
	rows, err := pool.Query(t.Context(), "SELECT "+key+", row_to_json(v)::text FROM views."+view+" v")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	var id, row string
	if _, err := pgx.ForEachRow(rows, []any{&id, &row}, func() error { got[id] = values(t, []byte(row)); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

// values are those of a row, with times written in one way, and numbers as they are.
func values(t *testing.T, row []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(row))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		t.Fatalf("%s: %v", row, err)
	}
	for name, value := range object {
		if text, ok := value.(string); ok && (strings.HasSuffix(name, "_at") || strings.HasSuffix(name, "until") || name == "at") {
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil && !strings.Contains(text, "BC") && !strings.HasPrefix(text, "0000") {
				t.Fatalf("%s: %v", name, err)
			}
			object[name] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	return object
}

// What changed between two commits are just the rows that are different.
func TestAReplayTellsWhatChanged(t *testing.T) {
	t.Parallel()
	log := anyLog(t, 120, 2)
	commits := commitsOf(t, log)
	for _, from := range []int{0, 1, 60, 119, 120} {
		before, after := projections.NewReplay(), projections.NewReplay()
		for _, replay := range []*projections.Replay{before, after} {
			if err := replay.Fold(t.Context(), commits[:from]); err != nil {
				t.Fatal(err)
			}
		}
		after.Mark()
		for _, c := range commits[from:] {
			if err := after.Fold(t.Context(), []events.Recorded{c}); err != nil {
				t.Fatal(err)
			}
		}
		changes, err := after.Changes(projections.ReplayViews())
		if err != nil {
			t.Fatal(err)
		}
		for _, view := range projections.ReplayViews() {
			want := map[string][2]any{}
			were, are := replayed(t, before, view), replayed(t, after, view)
			for key := range are {
				if !cmp.Equal(were[key], are[key]) {
					want[key] = [2]any{were[key], are[key]}
				}
			}
			got := map[string][2]any{}
			for _, c := range changes {
				if c.View != view {
					continue
				}
				var pair [2]any
				for i, row := range []json.RawMessage{c.Before, c.After} {
					if row != nil {
						pair[i] = values(t, row)
					}
				}
				got[c.Key] = pair
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("from %d: %s (-want +got):\n%s", from, view, diff)
			}
		}
	}
}

func TestAReplayRefusesAGapAndAnUnknownView(t *testing.T) {
	t.Parallel()
	log := anyLog(t, 3, 3)
	replay := projections.NewReplay()
	if err := replay.Fold(t.Context(), commitsOf(t, log)[1:]); err == nil {
		t.Error("the first commit was left out, and nobody said so")
	}
	if err := replay.Rows("secrets", nil); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("rows of no view: %v", err)
	}
}

// A scratch schema of any prefix has the bytes that a fold of that prefix gives.
func TestAScratchSchemaHasTheBytesOfItsPrefix(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 260)
	for i, upto := range []events.Seq{0, 150} {
		name := fmt.Sprintf("then_%d", i)
		made, err := projections.ReplayInto(t.Context(), db.Owner.Config().ConnString(), name, log, upto)
		if err != nil {
			t.Fatal(err)
		}
		if made.Position.Seq != upto {
			t.Errorf("it came to %d, want %d", made.Position.Seq, upto)
		}
		if _, err := projections.Rebuild(t.Context(), db.Owner, prefix{log, upto}); err != nil {
			t.Fatal(err)
		}
		for _, table := range tablesOf(t, db.Owner, name, name+"_audit") {
			live := strings.Replace(strings.Replace(table, name+"_audit.", "audit.", 1), name+".", "views.", 1)
			if got, want := copied(t, db.Owner, table), copied(t, db.Owner, live); got != want {
				t.Errorf("up to %d: %s is not %s:\n%s\nwant\n%s", upto, table, live, got, want)
			}
		}
		if got, want := len(indexesOf(t, db.Owner, name, name+"_audit")), len(indexesOf(t, db.Owner, "views", "audit")); got != want {
			t.Errorf("the scratch schemas have %d indexes, want %d", got, want)
		}
	}
}

// tablesOf are the tables of two schemas that are folded.
func tablesOf(t *testing.T, pool *pgxpool.Pool, schemas ...string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT schemaname || '.' || tablename
		FROM   pg_tables
		WHERE  schemaname = ANY ($1)
		AND    tablename <> 'schema_version'
		ORDER  BY 1`, schemas)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(found) < 18 {
		t.Fatalf("%d tables, %v", len(found), err)
	}
	return found
}

func indexesOf(t *testing.T, pool *pgxpool.Pool, schemas ...string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT indexname FROM pg_indexes WHERE schemaname = ANY ($1)", schemas)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// copied is a table in the text format of COPY, its rows sorted.
func copied(t *testing.T, pool *pgxpool.Pool, table string) string {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	var b bytes.Buffer
	if _, err := conn.Conn().PgConn().CopyTo(t.Context(), &b, "COPY (SELECT * FROM "+table+") TO STDOUT"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestAScratchSchemaTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	dsn := db.Owner.Config().ConnString()
	log := &commandtest.Memory{}
	if _, err := db.Owner.Exec(t.Context(), "CREATE SCHEMA mine; CREATE SCHEMA half_audit"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"views": projections.ErrSchemaName, "audit": projections.ErrSchemaName, "private": projections.ErrSchemaName, "public": projections.ErrSchemaName,
		"views_shadow": projections.ErrSchemaName, "audit_shadow": projections.ErrSchemaName, "pg_temp": projections.ErrSchemaName, "information_schema": projections.ErrSchemaName,
		"": projections.ErrSchemaName, "Then": projections.ErrSchemaName, "a;b": projections.ErrSchemaName, "1st": projections.ErrSchemaName,
		strings.Repeat("a", 51): projections.ErrSchemaName, "mine": projections.ErrSchemaExists, "half": projections.ErrSchemaExists, "then": projections.ErrSchemaName,
	} {
		if _, err := projections.ReplayInto(t.Context(), dsn, name, log, 0); !errors.Is(err, want) {
			t.Errorf("schema %q: %v, want %v", name, err, want)
		}
	}
	for _, dsn := range []string{"postgres://me:word@127.0.0.1:1/db", "host=127.0.0.1 port=1 password=word", "postgres://127.0.0.1:1/db?password=word"} {
		_, err := projections.ReplayInto(t.Context(), dsn, "then", log, 0)
		if !errors.Is(err, projections.ErrPassword) || strings.Contains(err.Error(), "word@") {
			t.Errorf("a connection string with a password: %v", err)
		}
	}
	// What failed leaves nothing behind.
	gone := gap{log}
	fill(t, log, 20)
	if _, err := projections.ReplayInto(t.Context(), dsn, "once", gone, 20); err == nil {
		t.Fatal("a log with a gap was replayed")
	}
	var left int
	if err := db.Owner.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname IN ('once', 'once_audit')").Scan(&left); err != nil || left > 0 {
		t.Errorf("%d schemas were left, %v", left, err)
	}
}

// What is asked for as of a commit is what the views said when that commit was the newest one.
func TestThePastIsWhatTheViewsSaidThen(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	for name, log := range map[string]*commandtest.Memory{"plausible": {}, "anything": anyLog(t, 90, 4)} {
		if name == "plausible" {
			fill(t, log, 90)
		}
		if _, err := projections.Rebuild(t.Context(), db.Owner, &commandtest.Memory{}); err != nil {
			t.Fatal(err)
		}
		last, err := log.Last(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		views := projections.Views{Pool: db.App}
		requests, secrets := map[events.Seq]map[events.RequestID]projections.Request{}, map[events.Seq]map[events.SecretID]projections.Secret{}
		const step = 5
		for seq := events.Seq(step); seq <= last; seq += step {
			foldUpTo(t, db.App, prefix{log, seq})
			requests[seq], secrets[seq] = map[events.RequestID]projections.Request{}, map[events.SecretID]projections.Secret{}
			for _, id := range ids(t, db.App, "requests") {
				if requests[seq][events.RequestID(id)], err = views.Request(t.Context(), events.RequestID(id)); err != nil {
					t.Fatal(err)
				}
			}
			for _, id := range ids(t, db.App, "secrets") {
				if secrets[seq][events.SecretID(id)], err = views.Secret(t.Context(), events.SecretID(id)); err != nil {
					t.Fatal(err)
				}
			}
		}
		last -= last % step
		compared := 0
		for seq := events.Seq(step); seq <= last; seq += step {
			for id := range requests[last] {
				got, err := views.RequestAsOf(t.Context(), id, seq)
				want, was := requests[seq][id]
				if was != (err == nil) || !was && !errors.Is(err, projections.ErrNotFound) {
					t.Fatalf("%s: %s as of %d: %v; it was there: %t", name, id, seq, err, was)
				}
				if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
					t.Fatalf("%s: %s as of %d (-then +now):\n%s", name, id, seq, diff)
				}
				compared++
			}
			for _, id := range slices.Sorted(maps.Keys(secrets[last]))[:8] {
				got, err := views.SecretAsOf(t.Context(), id, seq)
				want, was := secrets[seq][id]
				if was != (err == nil) || !was && !errors.Is(err, projections.ErrNotFound) {
					t.Fatalf("%s: %s as of %d: %v; it was there: %t", name, id, seq, err, was)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%s: %s as of %d (-then +now):\n%s", name, id, seq, diff)
				}
				compared++
			}
		}
		if compared < 100 {
			t.Errorf("%s: only %d were compared", name, compared)
		}
	}
}

func asJSON(t *testing.T, r projections.Request) string {
	t.Helper()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func foldUpTo(t *testing.T, pool *pgxpool.Pool, feed prefix) {
	t.Helper()
	if err := (&projections.Follower{Pool: pool}).Run(t.Context(), feed); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
}

func ids(t *testing.T, pool *pgxpool.Pool, view string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT id FROM views."+view)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The order of the log decides: what precedes the last commit that is not later counts, whatever
// its clock said.
func TestATimeIsTheLastCommitThatIsNotLater(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	for i, second := range []int{10, 20, 50, 30, 40, 60} {
		at := day.Add(time.Duration(second) * time.Second)
		c := commit(events.AccessStream("user:u_1"), "user:u_1", fmt.Sprintf("c_%d", i), at, events.SignedIn{User: "u_1"})
		if _, err := log.Append(t.Context(), c[0].Stream, events.AnySeq, c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := projections.Rebuild(t.Context(), db.Owner, log); err != nil {
		t.Fatal(err)
	}
	views := projections.Views{Pool: db.App}
	for second, want := range map[int]events.Seq{9: 0, 10: 1, 19: 1, 20: 2, 29: 2, 30: 4, 39: 4, 40: 5, 59: 5, 60: 6, 600: 6} {
		got, err := views.CommitAt(t.Context(), day.Add(time.Duration(second)*time.Second))
		if err != nil || got != want {
			t.Errorf("at %d s it is %d, %v; want %d", second, got, err, want)
		}
	}
}

// BenchmarkReplay folds a million events in memory, from their stored bytes.
func BenchmarkReplay(b *testing.B) {
	log := makeRawLog(b, 1_000_000)
	last, err := log.Last(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		replay := projections.NewReplay()
		err := log.Follow(b.Context(), 0, 2_000, func(ctx context.Context, commits []events.Recorded) error {
			if err := replay.Fold(ctx, commits); err != nil {
				return err
			}
			if replay.Seq() == last {
				return errEnd
			}
			return nil
		})
		if !errors.Is(err, errEnd) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1_000_000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
