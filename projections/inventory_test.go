package projections_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// scanned appends what one scan of a connection says, from its beginning to its end.
func (w *writer) scanned(connection events.ConnectionID, n int, facts ...events.Fact) {
	job := events.ScanOf(connection, events.OperationDiscover, n)
	w.append(events.JobStream(job), "system:worker", events.JobQueued{Job: job, Operation: events.OperationDiscover, Connection: connection, Number: n, Until: day.Add(time.Hour)})
	w.append(events.JobStream(job), "agent:a_1", events.JobTaken{Job: job, Agent: "a_1", Attempt: 1})
	for page, fact := range facts {
		w.append(events.PageStream(job, page+1), "agent:a_1", fact)
	}
	w.append(events.JobStream(job), "agent:a_1", events.JobFinished{Job: job, Agent: "a_1", Attempt: 1, Result: events.ScanTally{Pages: len(facts)}})
}

func found(connection events.ConnectionID, secrets ...events.SecretMetadata) events.Fact {
	return events.SecretsFound{Connection: connection, Scan: "j_scan", Secrets: secrets}
}

func changed(connection events.ConnectionID, secrets ...events.SecretMetadata) events.Fact {
	return events.SecretsChanged{Connection: connection, Scan: "j_scan", Secrets: secrets}
}

func refs(secrets []projections.Secret) []string {
	var refs []string
	for _, s := range secrets {
		refs = append(refs, s.Ref)
	}
	return refs
}

// Any filter finds what a loop over all secrets finds, page by page, and counts it; and
// counters say what counting says.
func TestAnyFilterFindsWhatALoopFinds(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	views := projections.Views{Pool: db.App}
	teams, words := []string{"a", "b", "", "Ünïted \x00 %_\\"}, []string{"prod/db", "prod/api", "test/DB", "prod%", "\x00"}
	for i, connection := range []events.ConnectionID{"c1", "c2", "c3"} {
		w.append(events.ConnectionStream(connection), "user:u_1", events.ConnectionCreated{
			Provider: events.ProviderKind([]string{"vault", "aws", "vault"}[i]), Cluster: events.ClusterID([]string{"east", "east", "west"}[i]),
		})
		var secrets []events.SecretMetadata
		var gone []string
		for n := range 70 {
			m := events.SecretMetadata{Ref: fmt.Sprintf("%s/%03d", words[n%len(words)], n*9%70), Version: "1", Labels: map[string]string{}}
			if n%3 > 0 {
				m.Labels["team"] = teams[n%len(teams)]
			}
			if n%5 > 0 {
				m.Created = day.Add(-time.Duration(n) * time.Hour)
			}
			if n%4 == 1 {
				m.Labels["tier"] = "gold"
				m.Updated = day.Add(-time.Duration(n*n) * time.Minute)
			}
			if secrets = append(secrets, m); n%9 == 0 {
				gone = append(gone, m.Ref)
			}
		}
		w.scanned(connection, 1, found(connection, secrets...))
		w.scanned(connection, 2, events.SecretsGone{Connection: connection, Refs: gone})
		w.append(events.SecretStream(events.SecretOf(connection, secrets[1].Ref)), "user:u_1", events.SecretAssigned{Owner: "hand", Environment: "lab"})
	}
	w.append(events.SettingOwnership(), "user:u_1", events.OwnershipRulesSet{Version: 1, Rules: []events.OwnershipRule{
		{Prefix: "prod/", Environment: "production"}, {OwnerLabel: "team"}, {Connection: "c3", Owner: "west team"},
	}})
	catchUp(t, db.App, log)
	all := walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
		return views.Secrets(t.Context(), projections.SecretFilter{Cursor: cursor, Limit: 7})
	})
	if len(all) != 210 {
		t.Fatalf("%d secrets", len(all))
	}
	pick := func(r *rapid.T, label string, of ...string) string { return rapid.SampledFrom(of).Draw(r, label) }
	rapid.Check(t, func(r *rapid.T) {
		f := projections.SecretFilter{
			Prefix: pick(r, "prefix", "", "", "", "prod", "prod/", "prod%", "p_od", "\x00", "\uFFFD", "test/DB/0", "none"), Provider: events.ProviderKind(pick(r, "provider", "", "", "vault", "aws", "none")),
			Cluster: events.ClusterID(pick(r, "cluster", "", "", "east", "west")), Connection: events.ConnectionID(pick(r, "connection", "", "", "c1", "c2", "c4")),
			Status: projections.SecretStatus(pick(r, "status", "", "", "present", "gone")), Text: pick(r, "text", "", "", "db/", "üNÏTED", "OLD", "%_\\", "team"),
			Limit: rapid.IntRange(1, 60).Draw(r, "limit"),
		}
		if labels := rapid.MapOfN(rapid.SampledFrom([]string{"team", "tier", "none"}), rapid.SampledFrom([]string{"a", "b", "gold", "Ünïted \x00 %_\\"}), 0, 2).Draw(r, "labels"); rapid.Bool().Draw(r, "by labels") {
			f.Labels = labels
		}
		if owner := pick(r, "owner", "-", "-", "-", "", "a", "hand", "west team"); owner != "-" {
			f.Owner = &owner
		}
		if environment := pick(r, "environment", "-", "-", "-", "", "production", "lab"); environment != "-" {
			f.Environment = &environment
		}
		if rapid.IntRange(0, 3).Draw(r, "by age") == 0 {
			f.OlderThan = day.Add(-20 * time.Hour)
		}
		var want []projections.Secret
		for _, s := range all {
			if matches(f, s) {
				want = append(want, s)
			}
		}
		if f.Prefix != "" && len(f.Labels) == 0 && f.Owner == nil && f.Environment == nil {
			slices.SortStableFunc(want, func(a, b projections.Secret) int { return strings.Compare(a.Ref, b.Ref) })
		}
		count, err := views.CountSecrets(context.Background(), f)
		if err != nil || count.N != len(want) || !count.Exact {
			r.Errorf("counted %+v, %v; want %d", count, err, len(want))
		}
		got := walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
			f.Cursor = cursor
			return views.Secrets(context.Background(), f)
		})
		if diff := cmp.Diff(want, got); diff != "" {
			r.Errorf("%+v (-want +got):\n%s", f, diff)
		}
		f.Cursor, f.Status, want = "", projections.SecretPresent, nil
		for _, s := range all {
			if matches(f, s) && s.RotatedAt != nil {
				want = append(want, s)
			}
		}
		slices.SortStableFunc(want, func(a, b projections.Secret) int { return a.RotatedAt.Compare(*b.RotatedAt) })
		stale := walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
			f.Cursor = cursor
			return views.StaleSecrets(context.Background(), f)
		})
		if diff := cmp.Diff(want, stale); diff != "" {
			r.Errorf("stale %+v (-want +got):\n%s", f, diff)
		}
	})
}

// matches is what a filter means.
func matches(f projections.SecretFilter, s projections.Secret) bool {
	clean := func(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }
	for name, value := range f.Labels {
		if got, ok := s.Labels[name]; !ok || got != clean(value) {
			return false
		}
	}
	text := f.Text == "" || strings.Contains(strings.ToLower(s.Ref), strings.ToLower(f.Text))
	for value := range maps.Values(s.Labels) {
		text = text || strings.Contains(strings.ToLower(value), strings.ToLower(f.Text))
	}
	is := func(want, got string) bool { return want == "" || want == got }
	return text && strings.HasPrefix(s.Ref, clean(f.Prefix)) &&
		is(string(f.Provider), string(s.Provider)) && is(string(f.Cluster), string(s.Cluster)) &&
		is(string(f.Connection), string(s.Connection)) && is(string(f.Status), string(s.Status)) &&
		(f.Owner == nil || *f.Owner == s.Owner) && (f.Environment == nil || *f.Environment == s.Environment) &&
		(f.OlderThan.IsZero() || s.RotatedAt != nil && s.RotatedAt.Before(f.OlderThan))
}

func TestASecretIsSeenAsItsFactsTellIt(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	views := projections.Views{Pool: db.App}
	id := events.SecretOf("c1", "prod/db")
	if _, err := views.Secret(t.Context(), id); !errors.Is(err, projections.ErrNotFound) {
		t.Fatalf("before it was found: %v", err)
	}
	w.append(events.SecretStream(id), "user:u_1", events.SecretAssigned{Environment: "lab"})                                                                             // 1
	w.append(events.ConnectionStream("c1"), "user:u_1", events.ConnectionCreated{Provider: "vault", Cluster: "east"}, events.DiscoveryScheduled{Every: 600})             // 2
	w.append(events.SettingOwnership(), "user:u_1", events.OwnershipRulesSet{Version: 7, Rules: []events.OwnershipRule{{Owner: "platform", Environment: "everywhere"}}}) // 3
	meta := events.SecretMetadata{Ref: "prod/db", Labels: map[string]string{"team": "a"}, Version: "1", Created: day.Add(-time.Hour)}
	w.scanned("c1", 1, found("c1", meta)) // 4 to 7
	catchUp(t, db.App, log)
	want := projections.Secret{
		ID: id, Connection: "c1", Cluster: "east", Provider: "vault", Ref: "prod/db", Labels: map[string]string{"team": "a"}, Version: "1",
		CreatedAt: pointer(at(-time.Hour)), RotatedAt: pointer(at(-time.Hour)), FirstSeenAt: at(6 * time.Second), LastSeenAt: at(6 * time.Second),
		Status: projections.SecretPresent, Owner: "platform", OwnerFrom: projections.ByRule, Environment: "lab", EnvironmentFrom: projections.ByHand, Seq: 6, LastSeq: 6,
	}
	same := func(when string) {
		t.Helper()
		catchUp(t, db.App, log)
		got, err := views.Secret(t.Context(), id)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", when, err, diff)
		}
	}
	same("found")

	w.scanned("c1", 2) // 8 to 10: there is nothing to tell
	want.LastSeenAt = at(9 * time.Second)
	same("met again by a scan that says nothing")

	meta.Labels, meta.Version, meta.Updated = nil, "2", day
	w.scanned("c1", 3, changed("c1", meta)) // 11 to 14
	want.Labels, want.Version, want.UpdatedAt, want.RotatedAt = map[string]string{}, "2", &day, &day
	want.LastSeq, want.LastSeenAt = 13, at(13*time.Second)
	same("changed")

	w.scanned("c1", 4)                                                                                 // 15 to 17
	w.scanned("c1", 5, events.SecretsGone{Connection: "c1", Refs: []string{"prod/db", "never/there"}}) // 18 to 21
	w.scanned("c1", 6)                                                                                 // 22 to 24
	want.Status, want.GoneAt, want.LastSeenAt, want.LastSeq = projections.SecretGone, pointer(at(20*time.Second)), at(16*time.Second), 20
	same("gone")
	standings, err := views.SecretStandings(t.Context(), []events.SecretID{id, "i_none"})
	stands := map[events.SecretID]projections.Standing{id: {ID: id, Status: projections.SecretGone, Version: "2", LastSeenAt: at(16 * time.Second)}}
	if diff := cmp.Diff(stands, standings); err != nil || diff != "" {
		t.Errorf("how it stands: %v (-want +got):\n%s", err, diff)
	}

	w.append(events.SecretStream(id), "user:u_1", events.SecretAssigned{Owner: "me"}) // 25
	want.Owner, want.OwnerFrom, want.Environment, want.EnvironmentFrom, want.LastSeq = "me", projections.ByHand, "everywhere", projections.ByRule, 25
	same("assigned by hand")

	w.append(events.SettingOwnership(), "user:u_1", events.OwnershipRulesSet{Version: 8}) // 26
	want.Environment, want.EnvironmentFrom = "", ""
	same("without rules")

	w.scanned("c1", 7, found("c1", meta)) // 27 to 30
	want.Status, want.GoneAt, want.LastSeenAt, want.LastSeq = projections.SecretPresent, nil, at(29*time.Second), 29
	same("there again")

	version, rules, seq, err := views.OwnershipRules(t.Context())
	if err != nil || version != 8 || len(rules) != 0 || seq != 26 {
		t.Errorf("rules %d: %v, set by %d, %v", version, rules, seq, err)
	}
	if c, err := views.Connection(t.Context(), "c1"); err != nil || c.DiscoverEvery != 600 {
		t.Errorf("connection %+v, %v", c, err)
	}
}

// Texts that no index takes, NUL, and what two refs have in common when they are cleaned.
func TestTextsOfAnyLengthAreFoundAgain(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	views := projections.Views{Pool: db.App}
	long := strings.Repeat("é\x00", 3_000)
	name, value := strings.Repeat("\x00", events.MaxLabelName), strings.Repeat("\x00", events.MaxLabelValue)
	w.scanned("c1", 1, found("c1",
		events.SecretMetadata{Ref: long + "1", Labels: map[string]string{name: value}, Version: "1"}, events.SecretMetadata{Ref: long + "2", Version: "1"},
		events.SecretMetadata{Ref: "\x00"}, events.SecretMetadata{Ref: "\uFFFD"},
	))
	w.append(events.SettingOwnership(), "user:u_1", events.OwnershipRulesSet{Version: 1, Rules: []events.OwnershipRule{
		{Prefix: long, Labels: map[string]string{name: value}, OwnerLabel: name, Environment: long},
	}})
	w.scanned("c1", 2, changed("c1", events.SecretMetadata{Ref: long + "2", Version: long}))
	w.patched("c1", "a", "1", long, events.PatchWritten)
	catchUp(t, db.App, log)
	for what, filter := range map[string]projections.SecretFilter{
		"ref":         {Prefix: long + "1"},
		"label":       {Labels: map[string]string{name: value}},
		"owner":       {Owner: &value},
		"environment": {Environment: &long},
		"text":        {Text: value},
		"together":    {Prefix: long, Labels: map[string]string{name: value}, Owner: &value, Environment: &long},
	} {
		got := walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
			filter.Cursor = cursor
			return views.Secrets(t.Context(), filter)
		})
		if len(got) != 1 || got[0].ID != events.SecretOf("c1", long+"1") {
			t.Errorf("by %s: %d secrets", what, len(got))
		}
	}
	if count, err := views.CountSecrets(t.Context(), projections.SecretFilter{}); err != nil || count.N != 4 {
		t.Errorf("counted %+v, %v", count, err)
	}
	if facets, err := views.LabelFacets(t.Context(), projections.FacetFilter{Name: name}); err != nil || len(facets) != 1 || facets[0].N != 1 {
		t.Errorf("%d facets, %v", len(facets), err)
	}
	if differences, err := compare(t.Context(), db, log); err != nil || len(differences) > 0 {
		t.Errorf("verify: %d differences, %v", len(differences), err)
	}
	for _, filter := range []projections.SecretFilter{{Text: "ab"}, {Text: "é\x00"}} {
		if _, err := views.Secrets(t.Context(), filter); !errors.Is(err, projections.ErrShortText) {
			t.Errorf("a search for %q: %v", filter.Text, err)
		}
	}
	for _, cursor := range []string{"!", "MQ.", "LTE", "MS4y"} {
		_, one := views.Secrets(t.Context(), projections.SecretFilter{Cursor: cursor})
		_, two := views.OutOfBand(t.Context(), projections.SecretFilter{Cursor: cursor})
		_, three := views.StaleSecrets(t.Context(), projections.SecretFilter{Cursor: "MQ"})
		if !errors.Is(one, projections.ErrCursor) || !errors.Is(two, projections.ErrCursor) || !errors.Is(three, projections.ErrCursor) {
			t.Errorf("cursor %q: %v, %v, %v", cursor, one, two, three)
		}
	}
}
