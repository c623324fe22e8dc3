package projections_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/transparency"
)

// What nobody may do to the audit, in any way that SQL has.
var forbidden = []string{
	"UPDATE audit.commits SET raw = ''",
	"UPDATE audit.events SET actor = 'user:u_innocent'",
	"DELETE FROM audit.commits WHERE seq = 1",
	"DELETE FROM audit.events",
	"TRUNCATE audit.commits",
	"UPDATE audit.nodes SET number = number + 1",
	"DELETE FROM audit.nodes",
	"TRUNCATE audit.nodes",
	"TRUNCATE audit.events",
	"INSERT INTO audit.commits SELECT * FROM audit.commits ON CONFLICT (seq) DO UPDATE SET raw = ''",
	"MERGE INTO audit.events e USING audit.commits c ON c.seq = e.seq WHEN MATCHED THEN DELETE",
}

func TestNobodyChangesTheAudit(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 260) // so that the tree has a node
	catchUp(t, db.App, log)
	want := dump(t, db.App)

	// The application has no right to; the owner, and a superuser who pretends to
	// replicate, meet the triggers.
	for who, enter := range map[string]struct {
		pool   func() (*pgx.Conn, error)
		before string
		says   string
	}{
		"application": {func() (*pgx.Conn, error) { return pgx.Connect(t.Context(), db.AppDSN) }, "SELECT 1", "permission denied"},
		"owner":       {func() (*pgx.Conn, error) { return pgx.Connect(t.Context(), db.OwnerDSN) }, "SET ROLE sb_owner", "append-only"},
		"replication": {func() (*pgx.Conn, error) { return pgx.Connect(t.Context(), db.OwnerDSN) }, "SET session_replication_role = replica", "append-only"},
	} {
		conn, err := enter.pool()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(t.Context(), enter.before); err != nil {
			t.Fatal(err)
		}
		for _, sql := range forbidden {
			if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), enter.says) {
				t.Errorf("%s: %s: %v, want %q", who, sql, err, enter.says)
			}
		}
	}
	for _, sql := range []string{
		"ALTER TABLE audit.commits DISABLE TRIGGER ALL", "DROP TABLE audit.events", "DROP TRIGGER commits_are_never_changed ON audit.commits",
		"CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
		"SET session_replication_role = replica", "SET ROLE sb_owner", "DELETE FROM views.requests",
	} {
		if _, err := db.App.Exec(t.Context(), sql); err == nil {
			t.Errorf("the application may: %s", sql)
		}
	}
	if diff := cmp.Diff(want, dump(t, db.App)); diff != "" {
		t.Errorf("the audit changed:\n%s", diff)
	}
}

func TestTheAuditHoldsTheStoredBytesAndEveryEvent(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 120)
	catchUp(t, db.App, log)
	audit := projections.Audit{Pool: db.App}

	got := walk(t, func(cursor string) (projections.Page[projections.AuditEvent], error) {
		return audit.List(t.Context(), projections.AuditFilter{Cursor: cursor, Limit: 7})
	})
	for seq := events.Seq(120); seq >= 1; seq-- {
		commit, err := log.At(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		var raw, hash []byte
		err = db.App.QueryRow(t.Context(), "SELECT raw, hash FROM audit.commits WHERE seq = $1", seq).Scan(&raw, &hash)
		if want := transparency.LeafHash(commit.Raw); err != nil || string(raw) != string(commit.Raw) || string(hash) != string(want[:]) {
			t.Fatalf("commit %d: stored bytes or hash differ, %v", seq, err)
		}
		var stored []json.RawMessage
		if err := json.Unmarshal(commit.Raw, &stored); err != nil {
			t.Fatal(err)
		}
		for place := len(commit.Events) - 1; place >= 0; place-- {
			e := commit.Events[place]
			typ, _ := events.TypeOf(e.Fact)
			want := projections.AuditEvent{
				Seq: seq, Place: place, ID: e.ID, Type: typ, Stream: e.Stream.String(), Time: e.Time,
				Actor: e.Actor, Correlation: e.Correlation, Command: e.Command, Hash: hash, Raw: stored[place],
			}
			if want.Data, err = json.Marshal(e.Fact); err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				t.Fatalf("the list ends before %d.%d", seq, place)
			}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Fatalf("event %d.%d (-want +got):\n%s", seq, place, diff)
			}
			got = got[1:]
		}
	}
	if len(got) > 0 {
		t.Errorf("%d events too many", len(got))
	}
}

func TestTheAuditIsSearched(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 200)
	catchUp(t, db.App, log)
	audit := projections.Audit{Pool: db.App}
	all := walk(t, func(cursor string) (projections.Page[projections.AuditEvent], error) {
		return audit.List(t.Context(), projections.AuditFilter{Cursor: cursor})
	})
	since, until := day.Add(50*time.Second), day.Add(90*time.Second)
	for name, search := range map[string]struct {
		filter projections.AuditFilter
		match  func(projections.AuditEvent) bool
	}{
		"actor":       {projections.AuditFilter{Actor: "system:worker"}, func(e projections.AuditEvent) bool { return e.Actor == "system:worker" }},
		"type":        {projections.AuditFilter{TypePrefix: "sb.access."}, func(e projections.AuditEvent) bool { return strings.HasPrefix(e.Type, "sb.access.") }},
		"wildcards":   {projections.AuditFilter{TypePrefix: "sb_acc%"}, func(projections.AuditEvent) bool { return false }},
		"stream":      {projections.AuditFilter{Stream: events.AgentStream("a_1")}, func(e projections.AuditEvent) bool { return e.Stream == "agent/a_1" }},
		"correlation": {projections.AuditFilter{Correlation: "x_a_1"}, func(e projections.AuditEvent) bool { return e.Correlation == "x_a_1" }},
		"done":        {projections.AuditFilter{Outcome: events.OutcomeDone}, func(e projections.AuditEvent) bool { return e.Type != "sb.access.denied.v1" }},
		"denied":      {projections.AuditFilter{Outcome: events.OutcomeDenied}, func(e projections.AuditEvent) bool { return e.Type == "sb.access.denied.v1" }},
		"secret":      {projections.AuditFilter{Connection: "file", Ref: "prod/db/password"}, func(e projections.AuditEvent) bool { return strings.HasPrefix(e.Stream, "request/") }},
		"no secret":   {projections.AuditFilter{Connection: "files", Ref: "prod/db/password"}, func(projections.AuditEvent) bool { return false }},
		"cluster": {projections.AuditFilter{Cluster: "demo"}, func(e projections.AuditEvent) bool {
			return slices.Contains([]string{"request", "connection", "agent"}, strings.Split(e.Stream, "/")[0])
		}},
		"text":        {projections.AuditFilter{Text: "INCIDENT 4"}, func(e projections.AuditEvent) bool { return e.Type == "sb.request.submitted.v1" }},
		"its name":    {projections.AuditFilter{Text: "pending_until"}, func(projections.AuditEvent) bool { return false }},
		"text of two": {projections.AuditFilter{Text: "Prod/db/", Cluster: "demo"}, func(e projections.AuditEvent) bool { return e.Type == "sb.request.submitted.v1" }},
		"type's text": {projections.AuditFilter{Text: "JOB_started"}, func(e projections.AuditEvent) bool { return e.Type == "sb.request.job_started.v1" }},
		"wild text":   {projections.AuditFilter{Text: `.*"%_\`}, func(projections.AuditEvent) bool { return false }},
		"time":        {projections.AuditFilter{Since: since, Until: until}, func(e projections.AuditEvent) bool { return !e.Time.Before(since) && e.Time.Before(until) }},
	} {
		got := walk(t, func(cursor string) (projections.Page[projections.AuditEvent], error) {
			search.filter.Cursor, search.filter.Limit = cursor, 3
			return audit.List(t.Context(), search.filter)
		})
		var want []projections.AuditEvent
		for _, e := range all {
			if search.match(e) {
				want = append(want, e)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := audit.List(t.Context(), projections.AuditFilter{Text: "ab"}); !errors.Is(err, projections.ErrShortText) {
		t.Errorf("a text of two letters: %v", err)
	}
}

// Facts may hold what SQL, JSON, regular expressions or Postgres make something of.
func TestOddTextsAreFoundInTheAudit(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	texts := []string{`say "hello"`, `back\slash`, "two\nlines", "é\u2028ö", "100%_sure", "(a|b)*[c]+.$^", "{{x}}", "<&>'", `\u0000 typed`, "日本語"}
	for _, text := range texts {
		w.append(events.RequestStream("r_1"), "user:u_1",
			events.ApprovalGiven{Step: "first", Comment: "other \x00 text"}, events.ApprovalGiven{Step: "second", Comment: "before " + text + " after"})
	}
	catchUp(t, db.App, log)
	for i, text := range texts {
		got, err := projections.Audit{Pool: db.App}.List(t.Context(), projections.AuditFilter{Text: text})
		if err != nil || len(got.Items) != 1 || got.Items[0].Seq != events.Seq(i+1) || got.Items[0].Place != 1 {
			t.Errorf("%q: %d found, %v", text, len(got.Items), err)
		}
	}
}

// What no index serves is looked for in so many events a page.
func TestALongLookIsCutIntoPages(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 20)
	catchUp(t, db.App, log)
	for _, sql := range []string{
		"INSERT INTO audit.commits SELECT n, sha256(''), '[{\"data\":{}}]' FROM generate_series(1001, 46000) n",
		`INSERT INTO audit.events
		SELECT n, 0, 'e_' || n, 'sb.agent.lost.v1', CASE WHEN n % 10000 = 0 THEN 'agent/a_1' ELSE 'agent/a_other' END, now(), 'system:gateway', 'x_' || n, 'c_' || n
		FROM   generate_series(1001, 46000) n`,
	} {
		if _, err := db.Owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var got []events.Seq
	pages := 0
	for _, e := range walk(t, func(cursor string) (projections.Page[projections.AuditEvent], error) {
		pages++
		return projections.Audit{Pool: db.App}.List(t.Context(), projections.AuditFilter{Cluster: "demo", TypePrefix: "sb.agent.lost.", Cursor: cursor, Limit: 3})
	}) {
		got = append(got, e.Seq)
	}
	if diff := cmp.Diff([]events.Seq{40000, 30000, 20000, 10000}, got); diff != "" || pages != 3 {
		t.Errorf("in %d pages (-want +got):\n%s", pages, diff)
	}
	counts := func(want projections.AuditCounts, filter projections.AuditFilter) {
		t.Helper()
		got, err := projections.Audit{Pool: db.App}.Count(t.Context(), filter, projections.ByType)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
	}
	const lost = "sb.agent.lost.v1"
	counts(projections.AuditCounts{Values: []projections.Facet{{Value: lost, N: 45_000}}, Total: 45_000, Exact: true}, projections.AuditFilter{TypePrefix: lost})
	counts(projections.AuditCounts{Values: []projections.Facet{{Value: lost, N: 2}}, Total: 2}, projections.AuditFilter{TypePrefix: lost, Cluster: "demo"})
	counts(projections.AuditCounts{Values: []projections.Facet{{Value: lost, N: 4}}, Total: 4, Exact: true}, projections.AuditFilter{Stream: events.AgentStream("a_1"), Cluster: "demo", TypePrefix: lost})
	// In a longer log only the newest are counted, however few they are.
	if _, err := db.Owner.Exec(t.Context(), "INSERT INTO audit.events SELECT 3000000, place, id || ' ', type, stream, time, actor, correlation, command FROM audit.events WHERE seq = 40000"); err != nil {
		t.Fatal(err)
	}
	counts(projections.AuditCounts{Values: []projections.Facet{{Value: lost, N: 5}}, Total: 5, Exact: true}, projections.AuditFilter{Stream: events.AgentStream("a_1"), TypePrefix: lost})
}

// walk reads all pages of a list.
func walk[T any](t *testing.T, list func(cursor string) (projections.Page[T], error)) []T {
	t.Helper()
	var all []T
	for cursor := ""; ; {
		page, err := list(cursor)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Items...)
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}
