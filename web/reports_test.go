package web_test

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// table reads a report as CSV, without its header, as values by column.
func (r *rig) table(who person, path string, options ...option) (rows []map[string]string) {
	r.t.Helper()
	got := r.call(who, "GET", path, nil, options...).wants(r.t, 200, "")
	if kind := got.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/csv;") {
		r.t.Errorf("%s is %s", path, kind)
	}
	lines, err := csv.NewReader(strings.NewReader(string(got.body))).ReadAll()
	if err != nil || len(lines) == 0 {
		r.t.Fatalf("%s: %v in %q", path, err, got.body)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

func column(rows []map[string]string, name string) (cells []string) {
	for _, row := range rows {
		cells = append(cells, row[name])
	}
	return cells
}

func TestReportsOfSecrets(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	r.call(r.admin, "POST", "/secrets/"+string(secretID("prod/api"))+"/assign", api.Assign{Owner: "payments"}).wants(t, 200, "")
	for query, want := range map[string]string{
		"/stale": "test/db prod/db", "/stale?older_than_days=399": "test/db", "/stale?older_than_days=1": "test/db prod/db prod/api",
		"/stale?label=team:payments": "prod/db", "/stale?prefix=test/": "test/db", "/stale?connection=other": "", "/stale?owner=payments": "",
		"/unowned": "prod/db test/db prod/db", "/unowned?provider=vault": "prod/db", "/unowned?cluster=far": "", "/unowned?environment=": "prod/db test/db prod/db",
		"/unowned?text=backend": "prod/db",
	} {
		if got := refs(read[api.Page[api.Secret]](t, r.call(r.approver, "GET", "/reports"+query, nil))); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		format := "?format=csv"
		if strings.Contains(query, "?") {
			format = "&format=csv"
		}
		if got := strings.Join(column(r.table(r.approver, "/reports"+query+format), "ref"), " "); got != want {
			t.Errorf("%s as CSV: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{
		"/stale?format=xml", "/stale?format=", "/stale?format=csv&limit=1", "/stale?format=csv&cursor=MQ", "/stale?status=gone", "/unowned?owner=x",
		"/stale?older_than_days=0", "/unowned?label=x", "/out-of-band?limit=0", "/duplicates?connection=file", "/duplicates?format=json&format=csv",
	} {
		r.call(r.approver, "GET", "/reports"+query, nil).wants(t, 400, "parameter_invalid")
	}
	if got := walk(r, r.approver, "/reports/unowned", 1, func(s api.Secret) string { return s.Secret }, func() {}); !slices.Equal(got, []string{"file/prod/db", "file/test/db", "other/prod/db"}) {
		t.Errorf("walked %v", got)
	}
	row := r.table(r.approver, "/reports/stale?format=csv")[1]
	want := map[string]string{
		"id": string(secretID("prod/db")), "secret": "file/prod/db", "connection": "file", "cluster": "demo", "provider": "file", "ref": "prod/db",
		"status": "present", "version": "1", "rotated_at": "2026-08-16T12:00:00Z", "age_days": "100", "created_at": "2026-08-16T12:00:00Z",
		"first_seen_at": "2026-11-24T12:00:00Z", "last_seen_at": "2026-11-24T12:00:00Z", "labels": `{"team":"payments","tier":"backend"}`,
		"owner": "", "owner_from": "", "environment": "", "environment_from": "", "updated_at": "", "gone_at": "",
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("a row (-want +got):\n%s", diff)
	}
	disposition := r.call(r.approver, "GET", "/reports/stale?format=csv", nil).Header.Get("Content-Disposition")
	if disposition != `attachment; filename="stale-2026-11-24.csv"` {
		t.Errorf("the file is %s", disposition)
	}
}

func TestChangesOutOfBandAreReported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	changed := listed("a")
	changed.Version = "2"
	a.scan("file", listed("a"))
	job := a.scan("file", changed, listed("b"))
	r.settled()
	page := read[api.Page[api.OutOfBand]](t, r.call(r.approver, "GET", "/reports/out-of-band", nil))
	var got []string
	for _, c := range page.Items {
		got = append(got, fmt.Sprint(c.Secret.Secret, " ", c.Kind, " ", c.FromVersion, ">", c.ToVersion, " ", c.Scan == job.ID))
	}
	slices.Sort(got)
	want := []string{"file/a changed 1>2 true", "file/b created >1 true"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	rows := r.table(r.approver, "/reports/out-of-band?format=csv&prefix=a")
	if len(rows) != 1 || rows[0]["to_version"] != "2" || rows[0]["from_version"] != "1" || rows[0]["secret"] != "file/a" || rows[0]["kind"] != "changed" {
		t.Errorf("%v", rows)
	}
}

func TestValuesThatSecretsShareAreReported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	print := func(c string) string { return strings.Repeat(c, 64) }
	const keyID = "00112233445566aa"
	job := r.queue("fingerprint", "file")
	s := a.take(job.ID)
	ask[events.PageTaken](a, events.ServicePrints, events.FingerprintPage{
		Job: s.job, Attempt: s.attempt, Number: 1, KeyID: keyID, Secrets: []events.Fingerprinted{
			{Ref: "a", Prints: []string{print("1"), print("2")}}, {Ref: "b", Prints: []string{print("1"), print("3")}},
			{Ref: "c", Prints: []string{print("2"), print("3")}}, {Ref: "d", Prints: []string{print("4")}},
		},
	})
	s.pages = 1
	s.finish()
	all := read[api.Page[api.Duplicate]](t, r.call(r.approver, "GET", "/reports/duplicates", nil))
	var got []string
	groups := map[string]bool{}
	for _, d := range all.Items {
		var names []string
		for _, s := range d.Secrets {
			names = append(names, s.Secret)
		}
		got = append(got, fmt.Sprint(d.Total, " ", names))
		groups[d.Group] = true
		if strings.Contains(d.Group, "1111") || strings.Contains(d.Group, "2222") || strings.Contains(d.Group, "3333") {
			t.Errorf("a group's name is its fingerprint: %s", d.Group)
		}
	}
	want := []string{"2 [file/a file/b]", "2 [file/a file/c]", "2 [file/b file/c]"}
	if !slices.Equal(got, want) || len(groups) != 3 {
		t.Errorf("%v in %d groups, want %v", got, len(groups), want)
	}
	first := read[api.Page[api.Duplicate]](t, r.call(r.approver, "GET", "/reports/duplicates?limit=1", nil))
	if told, err := base64.RawURLEncoding.DecodeString(first.Next); err != nil || len(told) == 0 || strings.Contains(string(told), print("1")[:8]) || strings.Contains(string(told), keyID) {
		t.Errorf("a cursor tells a fingerprint: %s, %v", told, err)
	}
	if walked := walk(r, r.approver, "/reports/duplicates", 1, func(d api.Duplicate) string { return d.Group }, func() {}); len(walked) != 3 || !distinct(walked) {
		t.Errorf("walked %v", walked)
	}
	again := r.queue("fingerprint", "file")
	s = a.take(again.ID)
	s.finish()
	r.call(r.approver, "GET", "/reports/duplicates?cursor="+first.Next, nil).wants(t, 400, "cursor_invalid")
}

func TestValuesThatSecretsShareComeAsCSV(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	print := func(c string) string { return strings.Repeat(c, 64) }
	job := r.queue("fingerprint", "file")
	s := a.take(job.ID)
	ask[events.PageTaken](a, events.ServicePrints, events.FingerprintPage{
		Job: s.job, Attempt: s.attempt, Number: 1, KeyID: "00112233445566aa", Secrets: []events.Fingerprinted{
			{Ref: "a", Prints: []string{print("1"), print("2")}}, {Ref: "b", Prints: []string{print("1"), print("3")}},
			{Ref: "c", Prints: []string{print("2"), print("3")}},
		},
	})
	s.pages = 1
	s.finish()
	rows := r.table(r.approver, "/reports/duplicates?format=csv")
	if want := []string{"file/a", "file/b", "file/a", "file/c", "file/b", "file/c"}; !slices.Equal(column(rows, "secret"), want) || rows[0]["total"] != "2" {
		t.Errorf("%v", rows)
	}
}

// TestDuplicatesAreOfWhatIsThere lets secrets go and change after they were fingerprinted.
func TestDuplicatesAreOfWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	print := func(c string) []string { return []string{strings.Repeat(c, 64)} }
	at := func(ref, version string) events.SecretMetadata {
		return events.SecretMetadata{Ref: ref, Version: version}
	}
	a.scan("file", at("pair1", "1"), at("pair2", "1"), at("goes", "1"), at("alone", "1"), at("behind", "1"), at("went", "1"))
	made := r.clock.Now().UTC()
	s := a.take(r.queue("fingerprint", "file").ID)
	ask[events.PageTaken](a, events.ServicePrints, events.FingerprintPage{
		Job: s.job, Attempt: s.attempt, Number: 1, KeyID: "00112233445566aa", Secrets: []events.Fingerprinted{
			{Ref: "alone", Version: "1", Prints: print("0")}, {Ref: "went", Version: "1", Prints: print("0")},
			{Ref: "pair1", Version: "1", Prints: print("1")}, {Ref: "pair2", Version: "1", Prints: print("1")}, {Ref: "goes", Version: "1", Prints: print("1")},
			{Ref: "behind", Version: "2", Prints: print("2")}, {Ref: "never", Version: "7", Prints: print("2")}, {Ref: "silent", Prints: print("2")},
		},
	})
	s.pages = 1
	s.finish()
	told := func() (all []string) {
		t.Helper()
		for cursor := ""; ; {
			page := read[api.Page[api.Duplicate]](t, r.call(r.approver, "GET", "/reports/duplicates?limit=1"+cursor, nil, r.newest()))
			for _, d := range page.Items {
				for _, s := range d.Secrets {
					if s.ID != string(secretID(strings.TrimPrefix(s.Secret, "file/"))) || !s.FingerprintedAt.Equal(made) {
						t.Errorf("%+v, made %v", s, made)
					}
					all = append(all, fmt.Sprint(d.Total, " ", s.Secret, " ", s.Version, " ", s.Changed))
				}
			}
			if page.Next == "" {
				return all
			}
			cursor = "&cursor=" + page.Next
		}
	}
	same := func(when string, want ...string) {
		t.Helper()
		r.settled()
		if diff := cmp.Diff(want, told()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		var rows []string
		for _, row := range r.table(r.approver, "/reports/duplicates?format=csv") {
			rows = append(rows, fmt.Sprint(row["total"], " ", row["secret"], " ", row["version"], " ", row["changed"]))
			if row["fingerprinted_at"] != made.Format(time.RFC3339Nano) {
				t.Errorf("%v", row)
			}
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("%s, as CSV (-want +got):\n%s", when, diff)
		}
	}
	same("as they were read, one of them after the scan",
		"2 file/alone 1 false", "2 file/went 1 false", "3 file/goes 1 false", "3 file/pair1 1 false", "3 file/pair2 1 false",
		"3 file/behind 2 false", "3 file/never 7 false", "3 file/silent  false")
	r.clock.Add(time.Minute)
	a.scan("file", at("pair1", "1"), at("pair2", "2"), at("alone", "1"), at("behind", "2"), at("silent", "4"))
	same("after some went and one changed",
		"2 file/pair1 1 false", "2 file/pair2 1 true", "3 file/behind 2 false", "3 file/never 7 false", "3 file/silent  false")
}

// TestTheCoverageTellsWhichKeysCompare fingerprints two connections under two keys.
func TestTheCoverageTellsWhichKeysCompare(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	for _, name := range []string{"other", "third"} {
		r.call(r.admin, "POST", "/connections", api.CreateConnection{Name: name, Provider: "vault", Cluster: "demo"}).wants(t, 201, "")
	}
	r.settled()
	begin := func(connection, keyID string, secrets ...events.Fingerprinted) *scanner {
		s := a.take(r.queue("fingerprint", connection).ID)
		s.pages = 1
		ask[events.PageTaken](a, events.ServicePrints, events.FingerprintPage{Job: s.job, Attempt: s.attempt, Number: 1, KeyID: keyID, Secrets: secrets})
		return s
	}
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	first := r.clock.Now().UTC()
	begin("other", "00112233445566bb", events.Fingerprinted{Ref: "a", Prints: []string{one}}).finish()
	r.clock.Add(time.Minute)
	begin("file", "00112233445566aa", events.Fingerprinted{Ref: "a", Prints: []string{one, two}}, events.Fingerprinted{Ref: "b", Prints: []string{two}}).finish()
	begin("third", "00112233445566aa", events.Fingerprinted{Ref: "a", Prints: []string{one}}) // not at its end
	want := []api.Coverage{
		{Connection: "file", KeyID: "00112233445566aa", Secrets: 2, FingerprintedAt: first.Add(time.Minute)},
		{Connection: "other", KeyID: "00112233445566bb", Secrets: 1, FingerprintedAt: first},
	}
	got := read[api.Page[api.Coverage]](t, r.call(r.approver, "GET", "/reports/duplicates/coverage", nil))
	if diff := cmp.Diff(want, got.Items); diff != "" || got.Next != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, query := range []string{"?format=csv", "?cursor=MQ", "?limit=1"} {
		r.call(r.approver, "GET", "/reports/duplicates/coverage"+query, nil).wants(t, 400, "parameter_invalid")
	}
	r.call(r.developer, "GET", "/reports/duplicates/coverage", nil).wants(t, 403, "forbidden")
	empty := newRig(t)
	if got := empty.call(empty.approver, "GET", "/reports/duplicates/coverage", nil).wants(t, 200, ""); string(got.body) != "{\"items\":[]}\n" {
		t.Errorf("before any: %s", got.body)
	}
}

// TestCellsAreNoFormulas lists secrets whose names and labels a spreadsheet would run.
func TestCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	evil := []string{"=1+1", "+1", "-1", "@SUM(A1)", `=HYPERLINK("evil.example","x")`, "＝1", "'=1", `a",=1`}
	var secrets []events.SecretMetadata
	for _, name := range evil {
		m := listed(name, name, name)
		m.Version = name
		secrets = append(secrets, m)
	}
	a.scan("file", secrets...)
	for i, owner := range []string{"=cmd|' /C calc'!A0", "\tx", "@x"} {
		r.settled()
		answer := r.call(r.admin, "POST", "/secrets/"+string(secretID(evil[i]))+"/assign", api.Assign{Owner: owner, Environment: owner})
		answer.wants(t, 200, "")
	}
	r.settled()
	rows := r.table(r.approver, "/reports/stale?format=csv&older_than_days=1")
	r.clock.Add(2 * 24 * time.Hour)
	later := person{r.approver.Person, r.session(r.approver.ID), r.approver.roles}
	if rows = append(rows, r.table(later, "/reports/stale?format=csv&older_than_days=1")...); len(rows) != len(evil) {
		t.Fatalf("%d rows of %d", len(rows), len(evil))
	}
	for _, row := range rows {
		for name, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
				t.Errorf("%s of %s is a formula: %q", name, row["id"], cell)
			}
		}
	}
	for i, name := range evil { // an apostrophe, and nothing else, is different
		if cell := rows[slices.Index(column(rows, "id"), string(secretID(name)))]["ref"]; cell != name && cell != "'"+name {
			t.Errorf("%d: %q is shown as %q", i, name, cell)
		}
	}
}

// pages is an inventory without end: each page has two secrets, until one fails.
type pages struct {
	web.Views
	read  atomic.Int64
	fails int64         // at this page
	slow  time.Duration // each page takes so long
}

func (p *pages) StaleSecrets(ctx context.Context, f projections.SecretFilter) (projections.Page[projections.Secret], error) {
	n := p.read.Add(1)
	if p.fails > 0 && n >= p.fails {
		return projections.Page[projections.Secret]{}, io.ErrUnexpectedEOF
	}
	select {
	case <-time.After(p.slow):
	case <-ctx.Done():
		return projections.Page[projections.Secret]{}, ctx.Err()
	}
	page := projections.Page[projections.Secret]{Next: "more"}
	for range f.Limit {
		page.Items = append(page.Items, projections.Secret{Connection: "file", Ref: strings.Repeat("x", 500), Labels: map[string]string{}})
	}
	return page, nil
}

// endless is a rig with such an inventory.
func endless(t *testing.T, p *pages) *rig {
	return newRig(t, func(cfg *web.Config) { p.Views, cfg.Views = cfg.Views, p })
}

func TestAReportThatBreaksOffIsNotWhole(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pages *pages
		rows  int
		begin func(*rig) // once it has begun
	}{
		"a page fails":     {pages: &pages{fails: 5}},
		"too many rows":    {rows: 2000},
		"the server stops": {pages: &pages{slow: time.Millisecond}, begin: func(r *rig) { r.api.Drain() }},
		"the person is disabled": {pages: &pages{slow: time.Millisecond}, begin: func(r *rig) {
			if err := r.people.SetDisabled(r.t.Context(), r.approver.ID, true); err != nil {
				r.t.Error(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.pages == nil {
				tt.pages = &pages{}
			}
			r := endless(t, tt.pages)
			r.api.SetHeartbeat(20 * time.Millisecond)
			if tt.rows > 0 {
				r.api.SetExportRows(tt.rows)
			}
			resp, err := r.client.Do(r.request(r.approver, "GET", "/reports/stale?format=csv", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if tt.begin != nil {
				tt.begin(r)
			}
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != 200 || err == nil {
				t.Errorf("%d, %d bytes, and then %v", resp.StatusCode, len(body), err)
			}
		})
	}
	r := endless(t, &pages{fails: 1})
	r.call(r.approver, "GET", "/reports/stale?format=csv", nil).wantsRetry(t)
	r = endless(t, &pages{})
	r.api.SetExportRows(100)
	r.call(r.approver, "GET", "/reports/stale?format=csv", nil).wants(t, 413, "report_too_long")
}

// TestAReportTakesAsLongAsItIs lets the timeouts of other calls pass.
func TestAReportTakesAsLongAsItIs(t *testing.T) {
	t.Parallel()
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := endless(t, &pages{slow: 60 * time.Millisecond, fails: 30})
			r.serve(protocol, func(s *httptest.Server) {
				s.Config.ReadTimeout, s.Config.WriteTimeout = time.Second, time.Second
			})
			begun := time.Now()
			resp, err := r.client.Do(r.request(r.approver, "GET", "/reports/stale?format=csv", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)
			if took := time.Since(begun); took < 1500*time.Millisecond || n < 28*200*500 || err == nil {
				t.Errorf("%d bytes in %v, then %v", n, took, err)
			}
		})
	}
}

func TestACallerWhoLeavesEndsTheirReport(t *testing.T) {
	t.Parallel()
	r := endless(t, &pages{slow: 20 * time.Millisecond})
	begin := func() (int, context.CancelFunc) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := r.client.Do(r.request(r.approver, "GET", "/reports/stale?format=csv", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cancel(); resp.Body.Close() })
		return resp.StatusCode, cancel
	}
	for range 2 {
		_, leave := begin()
		leave()
	}
	for late := time.Now().Add(patience); ; {
		if status, _ := begin(); status == 200 { // there is a place again
			return
		} else if status != 429 || time.Now().After(late) {
			t.Fatalf("%d: they go on", status)
		}
	}
}

func TestOnePersonHasTwoReportsUnderWay(t *testing.T) {
	t.Parallel()
	r := endless(t, &pages{slow: 20 * time.Millisecond})
	for range 2 {
		resp, err := r.client.Do(r.request(r.approver, "GET", "/reports/stale?format=csv", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	r.call(r.approver, "GET", "/reports/stale?format=csv", nil).wants(t, 429, "too_many_requests")
	r.call(r.approver, "GET", "/reports/stale", nil).wants(t, 200, "")
	r.api.Drain()
}

func TestAReportIsSignedAsAWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.enrol().scan("file", aged("old", 100))
	r.settled()
	who, key := r.keyed(r.approver)
	got := r.call(who, "GET", "/reports/stale?format=csv", nil, r.signs(key)).wants(t, 200, "")
	r.isSigned(got, true)
	if !strings.Contains(string(got.body), "file/old") {
		t.Errorf("%s", got.body)
	}
	found := &pages{fails: 5}
	broken := endless(t, found)
	who, key = broken.keyed(broken.approver)
	for range 6 { // more than a server holds at a time: each one's place is free again
		found.read.Store(0)
		refused := broken.call(who, "GET", "/reports/stale?format=csv", nil, broken.signs(key))
		broken.isSigned(refused, true)
		refused.wantsRetry(t)
		if refused.Header.Get("Content-Disposition") != "" {
			t.Error("a problem is a file")
		}
	}
}

func TestReportsAreForThoseWhoMayReadThem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"stale", "unowned", "out-of-band", "duplicates"} {
		for _, format := range []string{"", "?format=csv"} {
			r.call(r.developer, "GET", "/reports/"+name+format, nil).wants(t, 403, "forbidden")
			if got := r.call(r.admin, "GET", "/reports/"+name+format, nil).wants(t, 200, ""); format == "" && string(got.body) != "{\"items\":[]}\n" {
				t.Errorf("%s of nothing: %s", name, got.body)
			}
		}
	}
}
