package projections_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

func TestPagesWalkEverySecretOnceWhileScansGoOn(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	views := projections.Views{Pool: db.App}
	labels := map[string]string{"team": "a"}
	secret := func(n int) events.SecretMetadata {
		return events.SecretMetadata{Ref: fmt.Sprintf("s/%03d", n), Labels: labels, Version: "1", Created: day.Add(time.Duration(n*37%50) * time.Hour)}
	}
	var first []events.SecretMetadata
	for n := range 50 {
		first = append(first, secret(n))
	}
	for _, name := range []events.ConnectionID{"c1", "c2"} {
		w.append(events.ConnectionStream(name), "user:u_1", events.ConnectionCreated{Provider: "vault", Cluster: "east"})
	}
	w.scanned("c1", 1, found("c1", first[:30]...))
	w.scanned("c0", 1, found("c0", events.SecretMetadata{Ref: "elsewhere"}))
	w.scanned("c2", 1, found("c2", first[30:]...))
	catchUp(t, db.App, log)
	progress := projections.NewProgress(db.App)
	follow(t, db.App, log, progress)
	next := 50
	for name, list := range map[string]func(cursor string) (projections.Page[projections.Secret], error){
		"all": func(c string) (projections.Page[projections.Secret], error) {
			return views.Secrets(t.Context(), projections.SecretFilter{Cursor: c, Limit: 4})
		},
		"by label": func(c string) (projections.Page[projections.Secret], error) {
			return views.Secrets(t.Context(), projections.SecretFilter{Labels: labels, Cursor: c, Limit: 4})
		},
		"by ref": func(c string) (projections.Page[projections.Secret], error) {
			return views.Secrets(t.Context(), projections.SecretFilter{Prefix: "s/", Cursor: c, Limit: 4})
		},
		"unowned": func(c string) (projections.Page[projections.Secret], error) {
			return views.UnownedSecrets(t.Context(), projections.SecretFilter{Cursor: c, Limit: 4})
		},
		"stale": func(c string) (projections.Page[projections.Secret], error) {
			return views.StaleSecrets(t.Context(), projections.SecretFilter{Cursor: c, Limit: 4})
		},
		"of two connections": func(c string) (projections.Page[projections.Secret], error) {
			return views.Secrets(t.Context(), projections.SecretFilter{Cluster: "east", Cursor: c, Limit: 3})
		},
	} {
		got := walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
			page, err := list(cursor)
			last := w.append(events.PageStream("j_scan", next), "agent:a_1",
				found("c1", secret(next)), changed("c2", events.SecretMetadata{Ref: "s/031", Labels: labels, Version: fmt.Sprint(next), Created: day.Add(31 * 37 % 50 * time.Hour)}))
			if next++; next > 1000 {
				t.Fatal("no end")
			}
			if err := progress.WaitFor(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			return page, err
		})
		times := map[string]int{}
		for _, s := range got {
			times[s.Ref]++
		}
		for _, s := range first {
			if times[s.Ref] != 1 {
				t.Errorf("%s: %s came %d times", name, s.Ref, times[s.Ref])
			}
		}
	}
}

func TestLabelsThatAreRareTogetherAreFound(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	var page []events.Fact
	var want []string
	long := strings.Repeat("x", 1000) // together more than a batch has
	for n := 0; n < 19_000; {
		var secrets []events.SecretMetadata
		for ; len(secrets) < 500; n++ {
			m := events.SecretMetadata{Ref: fmt.Sprintf("s/%d", n), Labels: map[string]string{[]string{"a", "b"}[n%2]: "x", "long": long}}
			if n%4_000 == 3_999 {
				m.Labels["a"] = "x"
				want = append(want, m.Ref)
			}
			secrets = append(secrets, m)
		}
		page = append(page, found("c1", secrets...))
	}
	w.scanned("c1", 1, page...)
	catchUp(t, db.App, log)
	views := projections.Views{Pool: db.App}
	filter := projections.SecretFilter{Labels: map[string]string{"a": "x", "b": "x"}}
	for _, limit := range []int{1, 3, 50} {
		filter.Limit = limit
		got := walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
			filter.Cursor = cursor
			return views.Secrets(t.Context(), filter)
		})
		if diff := cmp.Diff(want, refs(got)); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	filter.Cursor = ""
	if got, err := views.CountSecrets(t.Context(), filter); err != nil || got != (projections.Count{N: len(want), Exact: true}) {
		t.Errorf("counted %+v, %v", got, err)
	}
	if differences, err := compare(t.Context(), db, log); err != nil || len(differences) > 0 {
		t.Errorf("verify: %v, %v", differences, err)
	}
}

// A search that finds nothing for long says so page by page, and counting stops.
func TestASearchLooksAtSoManySecretsAPage(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	for _, sql := range []string{
		`INSERT INTO views.secrets
		 SELECT n, 'i_' || n, 'c1', 'ref/' || n, '{}', 'ref/' || n || CASE WHEN n % 100000 = 0 THEN ' needle' ELSE '' END, '1', '1', NULL, NULL, NULL, '2026-11-24', '2026-11-24', 'present', NULL, 1, 1
		 FROM   generate_series(1, 100000) n`,
		"INSERT INTO views.secret_owners SELECT place, CASE WHEN place % 2 = 0 THEN 'me' ELSE '' END, '', '', '' FROM views.secrets",
		"ANALYZE views.secrets, views.secret_owners",
	} {
		if _, err := db.Owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	views := projections.Views{Pool: db.App}
	pages := 0
	got := walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
		pages++
		return views.Secrets(t.Context(), projections.SecretFilter{Text: "NEEDLE", Cursor: cursor})
	})
	if pages != 2 || len(got) != 1 || got[0].Ref != "ref/100000" {
		t.Errorf("%d pages, %d secrets", pages, len(got))
	}
	me := "me"
	for name, c := range map[string]struct {
		filter projections.SecretFilter
		want   projections.Count
	}{
		"more than are counted":           {projections.SecretFilter{Owner: &me}, projections.Count{N: 10_000}},
		"none among those that were seen": {projections.SecretFilter{Text: "needle"}, projections.Count{}},
	} {
		if got, err := views.CountSecrets(t.Context(), c.filter); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestPresentSecretsAreListedByTheBytesOfTheirIDs(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	var secrets []events.SecretMetadata
	var want []projections.SecretName
	for n := range 40 {
		ref := fmt.Sprintf("s/%d", n)
		secrets = append(secrets, events.SecretMetadata{Ref: ref})
		if n != 7 {
			want = append(want, projections.SecretName{ID: events.SecretOf("c1", ref), Ref: ref})
		}
	}
	slices.SortFunc(want, func(a, b projections.SecretName) int { return strings.Compare(string(a.ID), string(b.ID)) })
	w.scanned("c1", 1, found("c1", secrets...))
	w.scanned("c2", 1, found("c2", secrets...))
	w.scanned("c1", 2, events.SecretsGone{Connection: "c1", Refs: []string{"s/7"}})
	catchUp(t, db.App, log)
	var got []projections.SecretName
	for after := events.SecretID(""); ; {
		page, err := projections.Views{Pool: db.App}.PresentAfter(t.Context(), "c1", after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1].ID
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
