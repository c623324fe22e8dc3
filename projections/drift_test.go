package projections_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// patched appends the life of a patch that led from one version to another.
func (w *writer) patched(connection events.ConnectionID, ref, from, to string, outcome events.PatchOutcome) {
	id := events.RequestID(fmt.Sprintf("r_%d", w.n))
	w.append(events.RequestStream(id), "user:u_1", events.RequestSubmitted{Request: id, Operation: events.OperationPatch, Connection: connection, Ref: ref})
	w.append(events.RequestStream(id), "agent:a_1", events.RequestExecuted{Outcome: outcome, PreviousVersion: from, ProviderVersion: to})
}

// What is out of band, told as "ref: from -> to (kind)".
func outOfBand(t *testing.T, views projections.Views) []string {
	t.Helper()
	var told []string
	for _, c := range walk(t, func(cursor string) (projections.Page[projections.SecretChange], error) {
		return views.OutOfBand(context.Background(), projections.SecretFilter{Cursor: cursor, Limit: 2})
	}) {
		told = append(told, fmt.Sprintf("%s: %s -> %s (%s)", c.Ref, c.FromVersion, c.ToVersion, c.Kind))
	}
	return told
}

func TestChangesThatNoApprovedRequestWroteAreReported(t *testing.T) {
	t.Parallel()
	version := func(ref, version string) events.SecretMetadata {
		return events.SecretMetadata{Ref: ref, Version: version}
	}
	for name, c := range map[string]struct {
		facts func(w *writer)
		want  []string
	}{
		"a first scan changes nothing": {func(*writer) {}, nil},
		"somebody wrote":               {func(w *writer) { w.scanned("c1", 2, changed("c1", version("a", "2"))) }, []string{"a: 1 -> 2 (changed)"}},
		"we wrote": {func(w *writer) {
			w.patched("c1", "a", "1", "2", events.PatchWritten)
			w.scanned("c1", 2, changed("c1", version("a", "2")))
		}, nil},
		"a scan was quicker than the fact": {func(w *writer) {
			w.scanned("c1", 2, changed("c1", version("a", "2")))
			w.patched("c1", "a", "1", "2", events.PatchFound)
		}, nil},
		"we wrote twice, told in the wrong order": {func(w *writer) {
			w.patched("c1", "a", "2", "3", events.PatchWritten)
			w.scanned("c1", 2, changed("c1", version("a", "3")))
			w.patched("c1", "a", "1", "2", events.PatchWritten)
		}, nil},
		"somebody wrote before us": {func(w *writer) {
			w.patched("c1", "a", "2", "3", events.PatchWritten)
			w.scanned("c1", 2, changed("c1", version("a", "3")))
		}, []string{"a: 1 -> 3 (changed)"}},
		"somebody wrote after us": {func(w *writer) {
			w.patched("c1", "a", "1", "2", events.PatchWritten)
			w.scanned("c1", 2, changed("c1", version("a", "3")))
		}, []string{"a: 1 -> 3 (changed)"}},
		"a patch that had nothing to write": {func(w *writer) {
			w.patched("c1", "a", "1", "2", events.PatchUnchanged)
			w.scanned("c1", 2, changed("c1", version("a", "2")))
		}, []string{"a: 1 -> 2 (changed)"}},
		"a patch of another secret": {func(w *writer) {
			w.patched("c1", "b", "1", "2", events.PatchWritten)
			w.patched("c2", "a", "1", "2", events.PatchWritten)
			w.scanned("c1", 2, changed("c1", version("a", "2")))
		}, []string{"a: 1 -> 2 (changed)"}},
		"versions that lead in a circle": {func(w *writer) {
			w.patched("c1", "a", "2", "3", events.PatchWritten)
			w.patched("c1", "a", "3", "2", events.PatchWritten)
			w.scanned("c1", 2, changed("c1", version("a", "2")))
		}, []string{"a: 1 -> 2 (changed)"}},
		"somebody made one":                             {func(w *writer) { w.scanned("c1", 2, found("c1", version("n", "1"))) }, []string{"n:  -> 1 (created)"}},
		"somebody made one where nobody scanned before": {func(w *writer) { w.scanned("c2", 1, found("c2", version("n", "1"))) }, nil},
		"we made one": {func(w *writer) {
			w.patched("c1", "n", "", "1", events.PatchWritten)
			w.scanned("c1", 2, found("c1", version("n", "1")))
		}, nil},
		"it went, and somebody made it again": {func(w *writer) {
			w.scanned("c1", 2, events.SecretsGone{Connection: "c1", Refs: []string{"a"}})
			w.scanned("c1", 3, found("c1", version("a", "7")))
		}, []string{"a: 1 -> 7 (returned)"}},
		"it went, and we made it again": {func(w *writer) {
			w.scanned("c1", 2, events.SecretsGone{Connection: "c1", Refs: []string{"a"}})
			w.patched("c1", "a", "", "7", events.PatchWritten)
			w.scanned("c1", 3, found("c1", version("a", "7")))
		}, nil},
		"it went and came back as it was": {func(w *writer) {
			w.scanned("c1", 2, events.SecretsGone{Connection: "c1", Refs: []string{"a"}})
			w.scanned("c1", 3, found("c1", version("a", "1")))
		}, nil},
		"other labels": {func(w *writer) {
			w.scanned("c1", 2, changed("c1", events.SecretMetadata{Ref: "a", Version: "1", Labels: map[string]string{"a": "b"}}))
		}, nil},
		"a provider that lists no versions": {func(w *writer) {
			w.scanned("c2", 1, found("c2", version("a", "")))
			w.scanned("c2", 2, changed("c2", events.SecretMetadata{Ref: "a", Updated: day}))
		}, nil},
		"a version that was disabled before somebody wrote": {func(w *writer) {
			w.scanned("c1", 2, changed("c1", version("a", "")))
			w.scanned("c1", 3, changed("c1", version("a", "2")))
		}, []string{"a: 1 -> 2 (changed)"}},
		"a version that was disabled before it went": {func(w *writer) {
			w.scanned("c1", 2, changed("c1", version("a", "")))
			w.scanned("c1", 3, events.SecretsGone{Connection: "c1", Refs: []string{"a"}})
			w.scanned("c1", 4, found("c1", version("a", "2")))
		}, []string{"a: 1 -> 2 (returned)"}},
		"a version that was disabled before we wrote": {func(w *writer) {
			w.scanned("c1", 2, changed("c1", version("a", "")))
			w.patched("c1", "a", "1", "2", events.PatchWritten)
			w.scanned("c1", 3, changed("c1", version("a", "2")))
		}, nil},
		"a version that was disabled for a while": {func(w *writer) {
			w.scanned("c1", 2, changed("c1", version("a", "")))
			w.scanned("c1", 3, changed("c1", version("a", "1")))
		}, nil},
		"the newest first": {func(w *writer) {
			w.scanned("c1", 2, changed("c1", version("a", "2"), version("b", "2")))
			w.scanned("c1", 3, changed("c1", version("a", "3")))
		}, []string{"a: 2 -> 3 (changed)", "b: 1 -> 2 (changed)", "a: 1 -> 2 (changed)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &commandtest.Memory{}
			w := &writer{t: t, log: log}
			w.scanned("c1", 1, found("c1", version("a", "1"), version("b", "1")))
			c.facts(w)
			for _, pieces := range []int{1, 1000} { // a batch a commit, and one for all
				db := cluster.New(t)
				catchUp(t, db.App, cut{log, func() int { return pieces }})
				if diff := cmp.Diff(c.want, outOfBand(t, projections.Views{Pool: db.App})); diff != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", pieces, diff)
				}
			}
		})
	}
}

// However scans and patches of one secret lie in the log, a change is ours if the links
// of all patches together lead there.
func TestAnyOrderOfScansAndPatchesSaysTheSame(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	rapid.Check(t, func(r *rapid.T) {
		type link struct{ from, to string }
		version := rapid.SampledFrom([]string{"", "1", "2", "3", "4", "5"})
		links := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) link { return link{version.Draw(r, "from"), version.Draw(r, "to")} }), 0, 6).Draw(r, "patches")
		seen := rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}), 1, 4).Draw(r, "versions")
		log := &commandtest.Memory{}
		w := &writer{t: t, log: log}
		w.scanned("c1", 1, found("c1", events.SecretMetadata{Ref: "a", Version: "1"}))
		var want []string
		before, scan := "1", 2
		for _, at := range rapid.Permutation(slices.Concat(make([]int, len(seen)), slices.Repeat([]int{1}, len(links)))).Draw(r, "order") {
			if at == 1 {
				w.patched("c1", "a", links[0].from, links[0].to, events.PatchWritten)
				links = append(links[1:], links[0]) // all of them again, at the end
				continue
			}
			w.scanned("c1", scan, changed("c1", events.SecretMetadata{Ref: "a", Version: seen[0]}))
			if seen[0] != before {
				want = append(want, before+" "+seen[0])
			}
			before, seen, scan = seen[0], seen[1:], scan+1
		}
		ours := func(change string) bool {
			from, reached := change[:1], map[string]bool{change[2:]: true}
			for range links {
				for _, l := range links {
					if l.to != "" && reached[l.to] {
						reached[l.from] = true
					}
				}
			}
			return reached[from]
		}
		want = slices.DeleteFunc(want, ours)
		slices.Reverse(want)
		if _, err := projections.Rebuild(context.Background(), db.Owner, log); err != nil {
			r.Fatal(err)
		}
		var got []string
		page, err := projections.Views{Pool: db.App}.OutOfBand(context.Background(), projections.SecretFilter{Limit: 100})
		for _, c := range page.Items {
			got = append(got, c.FromVersion+" "+c.ToVersion)
		}
		if diff := cmp.Diff(want, got, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); err != nil || len(want)+len(got) > 0 && diff != "" {
			r.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// A secret that changes each hour has thousands of changes. Only a patch can say more of
// those that were judged.
func TestANewChangeIsJudgedWithoutALookAtThoseBefore(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	views := projections.Views{Pool: db.App}
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	scan := func(n int, version string) {
		w.scanned("c1", n, changed("c1", events.SecretMetadata{Ref: "a", Version: version}))
		catchUp(t, db.App, log)
	}
	w.scanned("c1", 1, found("c1", events.SecretMetadata{Ref: "a", Version: "1"}))
	scan(2, "2")
	// Made to look as if it led nowhere: whoever judges it again takes it for ours.
	if _, err := db.App.Exec(t.Context(), "UPDATE views.version_changes SET from_version = to_version"); err != nil {
		t.Fatal(err)
	}
	scan(3, "3")
	if diff := cmp.Diff([]string{"a: 2 -> 3 (changed)", "a: 2 -> 2 (changed)"}, outOfBand(t, views)); diff != "" {
		t.Errorf("after another change (-want +got):\n%s", diff)
	}
	w.patched("c1", "a", "3", "4", events.PatchWritten)
	catchUp(t, db.App, log)
	if diff := cmp.Diff([]string{"a: 2 -> 3 (changed)"}, outOfBand(t, views)); diff != "" {
		t.Errorf("after a patch (-want +got):\n%s", diff)
	}
}
