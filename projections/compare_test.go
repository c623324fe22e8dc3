package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
)

// compare names every row that differs.
func compare(ctx context.Context, db *postgrestest.DB, log command.Feed) ([]projections.Difference, error) {
	var named []projections.Difference
	done, err := projections.Compare(ctx, db.Owner, log, func(d projections.Difference) error {
		named = append(named, d)
		return nil
	})
	if err == nil && done.Differences != len(named) {
		err = fmt.Errorf("%d differences, and %d are named", done.Differences, len(named))
	}
	return named, err
}

// told is a difference in one line: table, kind, key and the columns that differ.
func told(d projections.Difference) string {
	var key, columns []string
	for _, k := range d.Key {
		key = append(key, k.Value)
	}
	for _, c := range d.Columns {
		columns = append(columns, c.Name)
	}
	if d.Kind != projections.RowChanged { // then it is all of them
		columns = nil
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", d.Table, d.Kind, strings.Join(key, "/"), strings.Join(columns, ",")))
}

// column is a column of a table and its type, and whether it is of the key.
type column struct {
	name, kind string
	key        bool
}

// columnsOf lists the tables that are folded, from the catalogue: one that is added later is
// tampered with as well.
func columnsOf(t *testing.T, db *postgrestest.DB) map[string][]column {
	t.Helper()
	rows, err := db.Owner.Query(t.Context(), `
		SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, NULL), COALESCE(a.attnum = ANY (i.indkey), FALSE)
		FROM   pg_class c
		JOIN   pg_namespace n ON n.oid = c.relnamespace
		JOIN   pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT   JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
		WHERE  n.nspname IN ('views', 'audit')
		AND    c.relkind = 'r'
		AND    c.relname <> 'schema_version'
		ORDER  BY 1, a.attnum`)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]column{}
	var table string
	var c column
	if _, err := pgx.ForEachRow(rows, []any{&table, &c.name, &c.kind, &c.key}, func() error {
		found[table] = append(found[table], c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// another is an expression that is never the value of a column.
func another(c column) string {
	switch c.kind {
	case "bigint", "integer":
		return c.name + " + 1000000"
	case "boolean":
		return "NOT " + c.name
	case "timestamp with time zone":
		return fmt.Sprintf("COALESCE(%s + interval '1 second', 'epoch')", c.name)
	case "bytea":
		return fmt.Sprintf("sha256(%s)", c.name)
	case "json", "jsonb":
		return fmt.Sprintf(`'"forged"'::%s`, c.kind)
	case "uuid":
		return fmt.Sprintf("md5(%s::text)::uuid", c.name)
	}
	return c.name + " || 'forged'"
}

// keyOf selects the key of a row as told says it.
func keyOf(columns []column) string {
	var parts []string
	for _, c := range columns {
		if c.key {
			parts = append(parts, c.name+"::text")
		}
	}
	return strings.Join(parts, " || '/' || ")
}

// Whoever owns the database changes one row among many, in each table and in each of four ways,
// with no trigger to stop them and all of them back afterwards; and every such row is named, with
// the columns that differ.
func TestEveryRowThatADatabaseOwnerTampersWithIsNamed(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := everything(t)
	catchUp(t, db.App, log)
	if named, err := compare(t.Context(), db, log); err != nil || len(named) > 0 {
		t.Fatalf("before anybody tampered: %v, %v", named, err)
	}
	var want []string
	tables := columnsOf(t, db)
	if len(tables) < 21 {
		t.Fatalf("only %d tables", len(tables))
	}
	for table, columns := range tables {
		rows := asSuperuser(t, db, "SELECT FROM "+table)
		if rows == 0 {
			t.Errorf("%s has no row to tamper with", table)
			continue
		}
		key, changed := keyOf(columns), columns[0]
		for _, c := range columns {
			if !c.key {
				changed = c
			}
		}
		pick := func(n int64) string { // the key of the n-th row
			return one(t, db, fmt.Sprintf("SELECT %s FROM %s ORDER BY 1 OFFSET %d LIMIT 1", key, table, n%rows))
		}
		edited, copied, deleted := pick(rows/2), pick(0), pick(rows/2+1)
		// One is edited: a column that is not of the key, where there is one.
		if n := asSuperuser(t, db, fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s = '%s'", table, changed.name, another(changed), key, edited)); n != 1 {
			t.Fatalf("%s: %d rows edited", table, n)
		}
		if changed.key {
			want = append(want, table+" missing "+edited, table+" added ?")
		} else {
			want = append(want, fmt.Sprintf("%s changed %s %s", table, edited, changed.name))
		}
		// One is inserted, with a key of its own.
		var values []string
		renamed := false
		for _, c := range columns {
			switch {
			case c.key && !renamed || c.name == "id":
				values, renamed = append(values, another(c)), renamed || c.key
			default:
				values = append(values, c.name)
			}
		}
		asSuperuser(t, db, fmt.Sprintf("INSERT INTO %s SELECT %s FROM %s WHERE %s = '%s'", table, strings.Join(values, ", "), table, key, copied))
		want = append(want, table+" added ?")
		if rows < 4 {
			continue
		}
		// One is deleted.
		if n := asSuperuser(t, db, fmt.Sprintf("DELETE FROM %s WHERE %s = '%s'", table, key, deleted)); n != 1 {
			t.Fatalf("%s: %d rows deleted", table, n)
		}
		want = append(want, table+" missing "+deleted)
	}
	named, err := compare(t.Context(), db, log)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	added, wanted := map[string]int{}, map[string]int{}
	for _, d := range named {
		got[told(d)]++
		if d.Kind == projections.RowAdded {
			added[d.Table]++
		}
	}
	for _, w := range want {
		if table, ok := strings.CutSuffix(w, " added ?"); ok {
			if wanted[table]++; added[table] < wanted[table] {
				t.Errorf("%d rows that were inserted into %s are named, and not %d", added[table], table, wanted[table])
			}
			continue
		}
		if got[w] != 1 {
			t.Errorf("not named: %s", w)
		}
	}
	if len(named) != len(want) {
		for _, d := range named {
			t.Log(told(d))
		}
		t.Errorf("%d differences, want %d", len(named), len(want))
	}
}

// everything is a log of which every table has some row.
func everything(t *testing.T) *commandtest.Memory {
	t.Helper()
	log := &commandtest.Memory{}
	fill(t, log, 1300)
	w := &writer{t: t, log: log, n: 10_000}
	for i := range 5 {
		name := events.IntegrationID(fmt.Sprintf("hook-%d", i))
		w.append(events.IntegrationStream(name), "user:u_1", events.IntegrationCreated{Integration: name, Kind: events.IntegrationWebhook},
			events.MappingAdded{Mapping: events.MappingID(fmt.Sprintf("p_%d", i)), Secrets: events.MappedSecrets{Connection: "file", Ref: "a"}})
		job := events.JobID(fmt.Sprintf("j_%d", i))
		w.append(events.JobStream(job), "user:u_1", events.JobQueued{Job: job, Operation: events.OperationDiscover, Connection: "file", Number: i + 1, Until: day})
		secret := events.SecretOf("file", fmt.Sprintf("s/%d", i))
		w.append(events.SecretStream(secret), "user:u_1", events.SecretAssigned{Secret: secret, Owner: "me"})
	}
	return log
}

// Two rows of each table exchange what they say; those whose columns are all of the key have
// nothing to exchange, and ids that are there once stay.
func TestRowsThatChangedPlacesAreNamed(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := everything(t)
	catchUp(t, db.App, log)
	want := map[string]int{}
	for table, columns := range columnsOf(t, db) {
		var set, a, b []string
		for _, c := range columns {
			if !c.key && c.name != "id" {
				set = append(set, fmt.Sprintf("%s = other.%s", c.name, c.name))
				a, b = append(a, "a."+c.name+"::text"), append(b, "b."+c.name+"::text")
			}
		}
		if len(set) == 0 {
			continue
		}
		of := func(row string) string {
			var key []string
			for _, c := range columns {
				if c.key {
					key = append(key, row+"."+c.name+"::text")
				}
			}
			return strings.Join(key, " || '/' || ")
		}
		var one, other string
		err := db.Owner.QueryRow(t.Context(), fmt.Sprintf("SELECT %s, %s FROM %s a, %s b WHERE ROW(%s, '') IS DISTINCT FROM ROW(%s, '') LIMIT 1",
			of("a"), of("b"), table, table, strings.Join(a, ", "), strings.Join(b, ", "))).Scan(&one, &other)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // one row, or all say the same
		}
		if err != nil {
			t.Fatal(err)
		}
		n := asSuperuser(t, db, fmt.Sprintf("UPDATE %[1]s this SET %[2]s FROM %[1]s other WHERE (%[3]s, %[4]s) IN (('%[5]s', '%[6]s'), ('%[6]s', '%[5]s'))",
			table, strings.Join(set, ", "), of("this"), of("other"), one, other))
		if n != 2 {
			t.Fatalf("%s: %d rows changed places", table, n)
		}
		want[table+" changed "+one], want[table+" changed "+other] = 1, 1
	}
	if len(want) < 2*15 {
		t.Fatalf("only %d rows changed places", len(want))
	}
	named, err := compare(t.Context(), db, log)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, d := range named {
		d.Columns = nil
		got[told(d)]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("named (-want +got):\n%s", diff)
	}
}

// A row among 10^5, as often as there are ways to change one: it is named alone.
func TestOneRowAmongManyIsNamed(t *testing.T) {
	t.Parallel()
	const commits = 100_000
	db := cluster.New(t)
	log := &many{commits: commits}
	if _, err := projections.Rebuild(t.Context(), db.Owner, log); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"UPDATE audit.events SET actor = 'user:u_2' WHERE seq = 77777",
		"DELETE FROM audit.events WHERE seq = 12345",
		"UPDATE audit.commits SET raw = set_byte(raw, 100, get_byte(raw, 100) # 1) WHERE seq = 54321",
		"UPDATE audit.nodes SET hash = sha256(hash) WHERE level = 1 AND number = 300",
		"INSERT INTO audit.commits SELECT 100001, hash, raw FROM audit.commits WHERE seq = 99999",
	} {
		if n := asSuperuser(t, db, sql); n != 1 {
			t.Fatalf("%s: %d rows", sql, n)
		}
	}
	named, err := compare(t.Context(), db, log)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range named {
		got = append(got, told(d))
	}
	slices.Sort(got)
	want := []string{
		"audit.commits added 100001", "audit.commits changed 54321 raw", "audit.events changed 77777/0 actor", "audit.events missing 12345/0", "audit.nodes changed 1/300 hash",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("named (-want +got):\n%s", diff)
	}
}

// many is a log of sign-ins, made as they are read.
type many struct{ commits events.Seq }

func (m *many) Last(context.Context) (events.Seq, error) { return m.commits, nil }

func (m *many) At(_ context.Context, seq events.Seq) (events.Recorded, error) {
	stream := events.AccessStream("user:u_1")
	made := commit(stream, "user:u_1", fmt.Sprintf("c_%06d", seq), day, events.SignedIn{User: "u_1", Session: "s_1"})
	raw, err := events.Encode(made)
	return events.Recorded{Seq: seq, Stream: stream, Events: made, Raw: raw}, err
}

func (m *many) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	for after < m.commits {
		var piece []events.Recorded
		for len(piece) < limit && after < m.commits {
			after++
			c, err := m.At(ctx, after)
			if err != nil {
				return err
			}
			piece = append(piece, c)
		}
		if err := deliver(ctx, piece); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// Nobody needs to change a row where a table can be made to say something else.
func TestWhatATableIsMadeOfIsCompared(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 60)
	catchUp(t, db.App, log)
	want := map[string]bool{}
	for _, tampering := range []struct{ do, want string }{
		{"ALTER TABLE audit.events DISABLE TRIGGER events_are_never_changed", "audit.events definition trigger events_are_never_changed"},
		{"CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'", "audit.refuse_change definition function audit.refuse_change()"},
		{"ALTER TABLE views.users ENABLE ROW LEVEL SECURITY", "views.users definition table"},
		{"CREATE POLICY nobody ON views.users USING (false)", "views.users definition policy nobody"},
		{"CREATE RULE nothing AS ON UPDATE TO views.users DO INSTEAD NOTHING", "views.users definition rule nothing"},
		{"ALTER TABLE views.mappings ADD COLUMN note text", "views.mappings definition column note"},
		{"ALTER TABLE views.integrations ALTER COLUMN kind SET DEFAULT 'webhook'", "views.integrations definition column kind"},
		{"DROP INDEX views.users_newest_first", "views.users definition index views.users_newest_first"},
		{"CREATE TABLE views.mine (id text)", "views.mine definition table"},
		{"ALTER TABLE views.jobs RENAME TO joobs", "views.jobs definition table"},
		{"ALTER TABLE views.agents DROP CONSTRAINT an_agent_has_one_row; INSERT INTO views.agents SELECT * FROM views.agents", "views.agents added a_1"},
	} {
		if _, err := db.Owner.Exec(t.Context(), tampering.do); err != nil {
			t.Fatalf("%s: %v", tampering.do, err)
		}
		want[tampering.want] = true
	}
	if _, err := db.Owner.Exec(t.Context(), "CREATE INDEX another ON views.users (kind)"); err != nil { // which changes nothing
		t.Fatal(err)
	}
	named, err := compare(t.Context(), db, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range named {
		delete(want, told(d))
		if strings.Contains(told(d), "another") {
			t.Errorf("named is %s", told(d))
		}
	}
	for w := range want {
		t.Errorf("not named: %s", w)
	}
}

func one(t *testing.T, db *postgrestest.DB, sql string) (text string) {
	t.Helper()
	if err := db.Owner.QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func TestMoreThanCanBeReadIsCounted(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &many{commits: 12_000}
	if _, err := projections.Rebuild(t.Context(), db.Owner, log); err != nil {
		t.Fatal(err)
	}
	asSuperuser(t, db, "UPDATE audit.events SET actor = 'nobody'")
	named := 0
	done, err := projections.Compare(t.Context(), db.Owner, log, func(projections.Difference) error { named++; return nil })
	if err != nil || named != projections.MaxNamed || done.Differences != 12_000 || done.UpTo != 12_000 || !slices.Equal(done.Tables, []string{"audit.events"}) {
		t.Errorf("%d named, %+v, %v", named, done, err)
	}
}

// Somebody writes while it is compared: what is new is no difference. And the shadows are there once.
func TestAComparisonHoldsUpNobody(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 300)
	progress := projections.NewProgress(db.App)
	follow(t, db.App, log, progress)
	if err := progress.WaitFor(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		w := &writer{t: t, log: log, n: 1000}
		for ctx.Err() == nil {
			seq := w.append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{})
			if progress.WaitFor(ctx, seq) != nil {
				break
			}
		}
		written <- w.n - 1000
	}()
	asSuperuser(t, db, "UPDATE audit.events SET actor = 'nobody' WHERE seq = 250 AND place = 0")
	done, err := projections.Compare(t.Context(), db.Owner, log, func(d projections.Difference) error {
		if told(d) != "audit.events changed 250/0 actor" {
			t.Errorf("named is %s", told(d))
		}
		_, err := projections.Compare(t.Context(), db.Owner, log, func(projections.Difference) error { return nil })
		if !errors.Is(err, projections.ErrComparing) {
			t.Errorf("a second comparison: %v, want %v", err, projections.ErrComparing)
		}
		return nil
	})
	stop()
	if n := <-written; err != nil || done.Differences != 1 || done.UpTo <= 300 || n == 0 {
		t.Errorf("%+v, %v, while %d commits were written", done, err, n)
	}
	if left := one(t, db, "SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE '%shadow'"); left != "0" {
		t.Errorf("%s shadows are left", left)
	}
}

func TestAComparisonThatIsStoppedLeavesNothing(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 50)
	catchUp(t, db.App, log)
	ctx, stop := context.WithCancel(t.Context())
	asSuperuser(t, db, "UPDATE audit.events SET actor = 'nobody'")
	_, err := projections.Compare(ctx, db.Owner, log, func(projections.Difference) error { stop(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if left := one(t, db, "SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE '%shadow'"); left != "0" {
		t.Errorf("%s shadows are left", left)
	}
}
