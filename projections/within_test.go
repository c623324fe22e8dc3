package projections_test

import (
	"context"
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

// oddRefs are such that one is often below, beside or right after another.
var oddRefs = []string{
	"prod", "prod/", "prod/db", "prod/db/main", "prod/db-main", "prod-eu", "prod-eu/db", "prod.old", "prod_x", "prod0", "production", "production/db",
	"prod\x01", "prod/\U0010FFFF", "p", "a", "a/b", "a/b/c", "a/bc", "a/b-c", "é", "é/x", "z/" + strings.Repeat("long", 60), "z/" + strings.Repeat("long", 60) + "/x",
}

var oddPrefixes = []string{"", "prod", "prod/", "prod/db", "prod-", "prod.", "prod/db-", "production", "a", "a/", "a/b", "é", "z/" + strings.Repeat("long", 60), "nothing", "p"}

// below is the rule of package policy, told again.
func below(ref, prefix string) bool {
	rest, ok := strings.CutPrefix(ref, prefix)
	return ok && (prefix == "" || rest == "" || rest[0] == '/' || strings.ContainsAny(prefix[len(prefix)-1:], "/-_."))
}

func inside(w projections.Within, connection events.ConnectionID, ref string) bool {
	return w == nil || slices.ContainsFunc(w, func(a projections.Area) bool {
		return a.Connection == connection && below(ref, a.Prefix) && !slices.ContainsFunc(a.Except, func(e string) bool { return below(ref, e) })
	})
}

func anyWithin(r *rapid.T) projections.Within {
	if rapid.IntRange(0, 9).Draw(r, "everywhere") == 0 {
		return nil
	}
	return append(projections.Within{}, rapid.SliceOfN(rapid.Custom(func(r *rapid.T) projections.Area {
		return projections.Area{
			Connection: rapid.SampledFrom([]events.ConnectionID{"c1", "c2", "c3", "other"}).Draw(r, "connection"),
			Prefix:     rapid.SampledFrom(oddPrefixes).Draw(r, "prefix"),
			Except:     rapid.SliceOfN(rapid.SampledFrom(oddPrefixes[1:]), 0, 3).Draw(r, "except"),
		}
	}), 0, 5).Draw(r, "areas")...)
}

// Every list and every count has what lies in the areas and nothing else, whichever index it
// walks by.
func TestListsHaveWhatLiesInTheAreasAndNothingElse(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	type place struct {
		connection events.ConnectionID
		ref        string
	}
	var all []place
	teams := map[place]string{}
	for i, name := range []events.ConnectionID{"c1", "c2", "c3"} {
		w.append(events.ConnectionStream(name), "user:u_1", events.ConnectionCreated{Connection: name, Provider: "vault", Cluster: "east"})
		var secrets []events.SecretMetadata
		for n, ref := range oddRefs {
			at := place{name, ref}
			all, teams[at] = append(all, at), fmt.Sprint("team-", n%3)
			secrets = append(secrets, events.SecretMetadata{Ref: ref, Version: "1", Labels: map[string]string{"team": teams[at]}, Created: day.Add(-time.Duration(n) * time.Hour)})
		}
		w.scanned(name, i+1, found(name, secrets...))
		secrets = slices.Clone(secrets)
		for n, ref := range oddRefs {
			secrets[n].Version = "2"
			w.append(events.RequestStream(events.RequestID(fmt.Sprintf("r_%s_%02d", name, n))), "user:u_1", events.RequestSubmitted{
				Request: events.RequestID(fmt.Sprintf("r_%s_%02d", name, n)), Requester: events.UserID(fmt.Sprint("u_", n%2)), Connection: name, Ref: ref,
			})
			w.append(events.JobStream(events.JobID(fmt.Sprintf("j_%s_%02d", name, n))), "user:u_1", events.JobQueued{
				Job: events.JobID(fmt.Sprintf("j_%s_%02d", name, n)), Operation: events.OperationKeys, Connection: name, Ref: ref, Until: day,
			})
		}
		w.append(events.PageStream("j_scan", 100+i), "agent:a_1", changed(name, secrets...))
	}
	catchUp(t, db.App, log)
	views := projections.Views{Pool: db.App}
	ctx := context.Background()
	rapid.Check(t, func(r *rapid.T) {
		within := anyWithin(r)
		prefix := rapid.SampledFrom([]string{"", "", "prod", "prod/db", "a/", "z"}).Draw(r, "prefix of the filter")
		team := rapid.SampledFrom([]string{"", "", "team-1"}).Draw(r, "team")
		filter := projections.SecretFilter{Within: within, Prefix: prefix, Limit: rapid.IntRange(1, 20).Draw(r, "limit")}
		if team != "" {
			filter.Labels = map[string]string{"team": team}
		}
		want := []string{}
		counts := map[string]int{}
		seen, jobs := []string{}, []string{}
		for _, at := range all {
			name := string(at.connection) + "|" + at.ref
			if !inside(within, at.connection, at.ref) {
				continue
			}
			counts[teams[at]]++
			jobs = append(jobs, name)
			if seen = append(seen, name); strings.HasPrefix(at.ref, prefix) && (team == "" || teams[at] == team) {
				want = append(want, name)
			}
		}
		check := func(what string, want, got []string) {
			slices.Sort(got)
			want = append([]string{}, slices.Sorted(slices.Values(want))...)
			if diff := cmp.Diff(want, append([]string{}, got...)); diff != "" {
				r.Fatalf("%s within %+v (-want +got):\n%s", what, within, diff)
			}
		}
		for what, list := range map[string]func(context.Context, projections.SecretFilter) (projections.Page[projections.Secret], error){
			"secrets": views.Secrets, "unowned": views.UnownedSecrets, "stale": views.StaleSecrets,
			"out of band": func(ctx context.Context, f projections.SecretFilter) (projections.Page[projections.Secret], error) {
				page, err := views.OutOfBand(ctx, f)
				secrets := projections.Page[projections.Secret]{Next: page.Next}
				for _, c := range page.Items {
					secrets.Items = append(secrets.Items, c.Secret)
				}
				return secrets, err
			},
		} {
			var got []string
			for _, s := range walk(t, func(cursor string) (projections.Page[projections.Secret], error) {
				filter.Cursor = cursor
				return list(ctx, filter)
			}) {
				got = append(got, string(s.Connection)+"|"+s.Ref)
			}
			check(what, want, got)
		}
		filter.Cursor = ""
		if n, err := views.CountSecrets(ctx, filter); err != nil || n != (projections.Count{N: len(want), Exact: true}) {
			r.Fatalf("counted %+v, %v, want %d within %+v", n, err, len(want), within)
		}
		facets, err := views.LabelFacets(ctx, projections.FacetFilter{Name: "team", Within: within})
		got := map[string]int{}
		for _, f := range facets {
			got[f.Value] = f.N
		}
		if err != nil || !maps.Equal(counts, got) {
			r.Fatalf("facets %v, %v, want %v within %+v", got, err, counts, within)
		}
		names, err := views.LabelFacets(ctx, projections.FacetFilter{Within: within})
		if err != nil || len(names) != min(1, len(seen)) || len(names) == 1 && names[0] != (projections.Facet{Value: "team", N: len(seen)}) {
			r.Fatalf("names of labels %v, %v, want %d within %+v", names, err, len(seen), within)
		}
		// What a person sees: their own in some areas, everybody's in others.
		own := anyWithin(r)
		var sights []string
		for n, at := range all {
			if mine := n%len(oddRefs)%2 == 0; inside(within, at.connection, at.ref) || mine && inside(own, at.connection, at.ref) {
				sights = append(sights, string(at.connection)+"|"+at.ref)
			}
		}
		got2 := []string{}
		for _, q := range walk(t, func(cursor string) (projections.Page[projections.Request], error) {
			return views.Requests(ctx, projections.RequestFilter{Seen: []projections.Sight{{Requester: "u_0", Within: own}, {Within: within}}, Cursor: cursor, Limit: 20})
		}) {
			got2 = append(got2, string(q.Connection)+"|"+q.Ref)
		}
		check("requests", sights, got2)
		got2 = nil
		for _, j := range walk(t, func(cursor string) (projections.Page[projections.Job], error) {
			return views.Jobs(ctx, projections.JobFilter{Operations: []events.Operation{events.OperationKeys}, Within: within, Cursor: cursor, Limit: 20})
		}) {
			got2 = append(got2, string(j.Connection)+"|"+j.Ref)
		}
		check("jobs", jobs, got2)
	})
}

// A job over a connection lies where the connection as a whole does.
func TestScansAndConnectionsLieInAreas(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	for i, name := range []events.ConnectionID{"c1", "c2"} {
		w.append(events.ConnectionStream(name), "user:u_1", events.ConnectionCreated{Connection: name, Provider: "vault", Cluster: "east"})
		w.append(events.JobStream(events.JobID(fmt.Sprint("j_", i))), "user:u_1", events.JobQueued{Job: events.JobID(fmt.Sprint("j_", i)), Operation: events.OperationDiscover, Connection: name, Until: day})
	}
	catchUp(t, db.App, log)
	views := projections.Views{Pool: db.App}
	for name, tt := range map[string]struct {
		within            projections.Within
		jobs, connections int
	}{
		"everywhere":              {nil, 2, 2},
		"nowhere":                 {projections.Within{}, 0, 0},
		"a whole connection":      {projections.Within{{Connection: "c1"}}, 1, 1},
		"all of one but a part":   {projections.Within{{Connection: "c1", Except: []string{"x"}}}, 1, 1},
		"a part of one":           {projections.Within{{Connection: "c1", Prefix: "x"}}, 0, 1},
		"one and a part of one":   {projections.Within{{Connection: "c2"}, {Connection: "c1", Prefix: "x"}}, 1, 2},
		"one that does not exist": {projections.Within{{Connection: "c3"}}, 0, 0},
	} {
		jobs, err := views.Jobs(t.Context(), projections.JobFilter{Within: tt.within})
		if err != nil || len(jobs.Items) != tt.jobs {
			t.Errorf("%s: %d jobs, %v", name, len(jobs.Items), err)
		}
		connections, err := views.Connections(t.Context(), projections.ConnectionFilter{Within: tt.within})
		if err != nil || len(connections.Items) != tt.connections {
			t.Errorf("%s: %d connections, %v", name, len(connections.Items), err)
		}
	}
}
