package projections_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// What is kept beside the secrets, against the secrets themselves: rows that only one of
// both has.
var derived = map[string]string{
	"secrets by status": `
		(SELECT connection, status, n FROM views.secret_counts)
		%
		(SELECT connection, status, count(*) FROM views.secrets GROUP BY 1, 2)`,
	"labels by value": `
		(SELECT connection, name, value, n FROM views.label_counts WHERE parent <> '00000000-0000-0000-0000-000000000000')
		%
		(SELECT connection, key, value, count(*) FROM views.secrets, jsonb_each_text(labels) WHERE status = 'present' GROUP BY 1, 2, 3)`,
	"labels by name": `
		(SELECT connection, name, n FROM views.label_counts WHERE parent = '00000000-0000-0000-0000-000000000000')
		%
		(SELECT connection, key, count(*) FROM views.secrets, jsonb_object_keys(labels) key WHERE status = 'present' GROUP BY 1, 2)`,
	"rows of labels": `
		(SELECT place, count(*) FROM views.secret_labels GROUP BY 1)
		%
		(SELECT place, count(*) FROM views.secrets, jsonb_object_keys(labels) GROUP BY 1)`,
	"rows of owners": `
		(SELECT place FROM views.secret_owners)
		%
		(SELECT place FROM views.secrets)`,
}

// checkDerived compares them.
func checkDerived(t interface{ Errorf(string, ...any) }, pool *pgxpool.Pool) {
	for name, sql := range derived {
		var n int
		for _, sql := range []string{strings.Replace(sql, "%", "EXCEPT ALL", 1), swapped(sql)} {
			var more int
			if err := pool.QueryRow(context.Background(), "SELECT count(*) FROM ("+sql+") difference").Scan(&more); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			n += more
		}
		if n > 0 {
			t.Errorf("%s: %d rows differ from what the secrets say", name, n)
		}
	}
}

func swapped(sql string) string {
	kept, counted, _ := strings.Cut(sql, "%")
	return counted + " EXCEPT ALL " + kept
}

// checkOwners compares whose every secret is with a loop over the rules.
func checkOwners(t interface{ Errorf(string, ...any) }, pool *pgxpool.Pool, hands map[events.SecretID]events.SecretAssigned) {
	views := projections.Views{Pool: pool}
	_, rules, _, err := views.OwnershipRules(context.Background())
	if err != nil {
		t.Errorf("%v", err)
	}
	page, err := views.Secrets(context.Background(), projections.SecretFilter{Limit: projections.MaxLimit})
	if err != nil {
		t.Errorf("%v", err)
	}
	for _, s := range page.Items {
		owner, ownerFrom := outcome(rules, s, hands[s.ID].Owner, func(r events.OwnershipRule) (string, string) { return r.Owner, r.OwnerLabel })
		environment, environmentFrom := outcome(rules, s, hands[s.ID].Environment, func(r events.OwnershipRule) (string, string) { return r.Environment, r.EnvironmentLabel })
		got := []any{s.Owner, s.OwnerFrom, s.Environment, s.EnvironmentFrom}
		if diff := cmp.Diff([]any{owner, ownerFrom, environment, environmentFrom}, got); diff != "" {
			t.Errorf("%s with %q of %q, by %+v (-want +got):\n%s", s.Ref, s.Labels, s.Connection, rules, diff)
		}
	}
}

func outcome(rules []events.OwnershipRule, s projections.Secret, hand string, field func(events.OwnershipRule) (string, string)) (string, projections.AssignedFrom) {
	if hand != "" {
		return strings.ToValidUTF8(strings.ReplaceAll(hand, "\x00", "\uFFFD"), "\uFFFD"), projections.ByHand
	}
	for _, r := range rules {
		says, label := field(r)
		if says == "" {
			says = s.Labels[label]
			if label == "" {
				says = ""
			}
		}
		fits := (r.Connection == "" || r.Connection == s.Connection) && strings.HasPrefix(s.Ref, r.Prefix)
		for name, value := range r.Labels {
			got, ok := s.Labels[name]
			fits = fits && ok && got == value
		}
		if fits && says != "" {
			return says, projections.ByRule
		}
	}
	return "", ""
}

// handsOf are the newest assignments of a log.
func handsOf(t testing.TB, log *commandtest.Memory) map[events.SecretID]events.SecretAssigned {
	hands := map[events.SecretID]events.SecretAssigned{}
	last, _ := log.Last(context.Background())
	for seq := events.Seq(1); seq <= last; seq++ {
		c, err := log.At(context.Background(), seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if f, ok := e.Fact.(events.SecretAssigned); ok {
				hands[events.SecretID(c.Stream.ID)] = f
			}
		}
	}
	return hands
}

func TestFacetsAreCountedAcrossConnections(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	views := projections.Views{Pool: db.App}
	secret := func(ref string, labels ...string) events.SecretMetadata {
		m := events.SecretMetadata{Ref: ref, Labels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			m.Labels[labels[i]] = labels[i+1]
		}
		return m
	}
	for name, cluster := range map[events.ConnectionID]events.ClusterID{"c1": "east", "c2": "west"} {
		w.append(events.ConnectionStream(name), "user:u_1", events.ConnectionCreated{Provider: "vault", Cluster: cluster})
	}
	w.scanned("c1", 1, found("c1", secret("a", "team", "red", "tier", "1"), secret("b", "team", "red"), secret("c", "team", "blue"), secret("d")))
	w.scanned("c2", 1, found("c2", secret("a", "team", "blue", "name", ""), secret("b", "team", "blue"), secret("c", "team", "green\x00")))
	w.scanned("c1", 2, changed("c1", secret("b", "team", "blue")), events.SecretsGone{Connection: "c1", Refs: []string{"a"}})
	catchUp(t, db.App, log)
	type facets = []projections.Facet
	for name, c := range map[string]struct {
		filter projections.FacetFilter
		want   facets
	}{
		"names":                 {projections.FacetFilter{}, facets{{Value: "team", N: 5}, {Value: "name", N: 1}}},
		"values":                {projections.FacetFilter{Name: "team"}, facets{{Value: "blue", N: 4}, {Value: "green\uFFFD", N: 1}}},
		"values, only the best": {projections.FacetFilter{Name: "team", Limit: 1}, facets{{Value: "blue", N: 4}}},
		"values of a store":     {projections.FacetFilter{Name: "team", Connection: "c2"}, facets{{Value: "blue", N: 2}, {Value: "green\uFFFD", N: 1}}},
		"values of a cluster":   {projections.FacetFilter{Name: "team", Cluster: "east"}, facets{{Value: "blue", N: 2}}},
		"an empty value":        {projections.FacetFilter{Name: "name"}, facets{{Value: "", N: 1}}},
		"names of a store":      {projections.FacetFilter{Connection: "c1"}, facets{{Value: "team", N: 2}}},
		"what went":             {projections.FacetFilter{Name: "tier"}, facets{}},
		"nowhere":               {projections.FacetFilter{Name: "team", Cluster: "north"}, facets{}},
	} {
		got, err := views.LabelFacets(t.Context(), c.filter)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for name, c := range map[string]struct {
		filter projections.SecretFilter
		want   int
	}{
		"all":                 {projections.SecretFilter{}, 7},
		"present":             {projections.SecretFilter{Status: projections.SecretPresent}, 6},
		"gone of a cluster":   {projections.SecretFilter{Status: projections.SecretGone, Cluster: "east"}, 1},
		"with a label":        {projections.SecretFilter{Status: projections.SecretPresent, Labels: map[string]string{"team": "blue"}}, 4},
		"with a hostile one":  {projections.SecretFilter{Status: projections.SecretPresent, Labels: map[string]string{"team": "green\x00"}}, 1},
		"gone with a label":   {projections.SecretFilter{Status: projections.SecretGone, Labels: map[string]string{"team": "red"}}, 1},
		"of a lower provider": {projections.SecretFilter{Provider: "aws"}, 0},
	} {
		if got, err := views.CountSecrets(t.Context(), c.filter); err != nil || got != (projections.Count{N: c.want, Exact: true}) {
			t.Errorf("%s: %+v, %v; want %d", name, got, err, c.want)
		}
	}
	checkDerived(t, db.App)
}
