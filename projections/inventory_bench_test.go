package projections_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/projections"
)

// benchConnections is how many stores the secrets of a benchmark are spread over.
const benchConnections = 20

// benchSecret is the n-th secret: six labels, of which team is common (a tenth have each
// value), app is not, uid is never the same, and half goes with no team of the other half
// but once in 20,000.
func benchSecret(n int) events.SecretMetadata {
	half := "one"
	if n%10 < 5 == (n%20_000 < 10) {
		half = "other"
	}
	return events.SecretMetadata{
		Ref: fmt.Sprintf("apps/%03d/service-%d/password", n%997, n), Version: strconv.Itoa(n%9 + 1),
		Labels: map[string]string{
			"team": fmt.Sprintf("team-%d", n%10), "env": []string{"prod", "prod", "staging", "dev"}[n/10%4], "app": fmt.Sprintf("app-%05d", n*7919%10_000),
			"tier": fmt.Sprintf("tier-%d", n/100%5), "uid": fmt.Sprintf("uid-%08d", n), "half": half,
		},
		Created: day.Add(-time.Duration(n) * time.Minute), Updated: day.Add(-time.Duration(n*31%500_000) * time.Minute),
	}
}

// scanLog is a log of first scans that find n secrets, 500 a commit.
func scanLog(b *testing.B, n int) *rawLog {
	log := &rawLog{}
	add := func(stream events.Stream, facts ...events.Fact) {
		raw, err := events.Encode(commit(stream, "agent:a_1", string(events.DeriveCommandID("scan", strconv.Itoa(len(log.raws)))), day, facts...))
		if err != nil {
			b.Fatal(err)
		}
		log.raws = append(log.raws, raw)
		log.events += len(facts)
	}
	for c := range benchConnections {
		name := events.ConnectionID(fmt.Sprintf("store-%02d", c))
		add(events.ConnectionStream(name), events.ConnectionCreated{Provider: []events.ProviderKind{"vault", "aws"}[c%2], Cluster: events.ClusterID(fmt.Sprintf("cluster-%d", c/5))})
		job := events.ScanOf(name, events.OperationDiscover, 1)
		add(events.JobStream(job), events.JobQueued{Job: job, Operation: events.OperationDiscover, Connection: name, Number: 1, Until: day}, events.JobTaken{Job: job, Attempt: 1})
		from, to := c*n/benchConnections, (c+1)*n/benchConnections
		for page := 1; from < to; page++ {
			var secrets []events.SecretMetadata
			for ; from < to && len(secrets) < events.MaxPageSecrets; from++ {
				secrets = append(secrets, benchSecret(from))
			}
			add(events.PageStream(job, page), events.SecretsFound{Scan: job, Connection: name, Secrets: secrets})
		}
		add(events.JobStream(job), events.JobFinished{Job: job, Attempt: 1})
	}
	return log
}

var inventoryTables = []string{
	"audit.commits", "audit.events", "views.secrets", "views.secret_labels", "views.secret_owners", "views.label_counts",
}

// BenchmarkInventoryFold folds what first scans find, from JSON to committed views, with
// all indexes, and copies the very rows that came out into equal tables.
func BenchmarkInventoryFold(b *testing.B) {
	n := benchSize(b, 100_000)
	log := scanLog(b, n)
	var fold, copying time.Duration
	for range b.N {
		folded, copied := cluster.New(b), cluster.New(b)
		begin := time.Now()
		progress := projections.NewProgress(folded.App)
		stop := follow(b, folded.App, log, progress)
		if err := progress.WaitFor(b.Context(), events.Seq(len(log.raws))); err != nil {
			b.Fatal(err, stop())
		}
		fold += time.Since(begin)
		_ = stop()
		copying += copyAll(b, folded, copied, inventoryTables)
	}
	total := float64(n * b.N)
	b.ReportMetric(total/fold.Seconds(), "fold-secrets/s")
	b.ReportMetric(total/copying.Seconds(), "copy-secrets/s")
	b.ReportMetric(copying.Seconds()/fold.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// benchSize is SB_BENCH_SECRETS, or n.
func benchSize(b *testing.B, n int) int {
	if s := os.Getenv("SB_BENCH_SECRETS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatalf("SB_BENCH_SECRETS: %v", err)
		}
	}
	return n
}

// quantiles runs something some times and reports its median and its 99th percentile.
func quantiles(b *testing.B, times int, run func(i int)) (p50 time.Duration) {
	took := make([]time.Duration, times)
	for i := range took {
		begin := time.Now()
		run(i)
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[times/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[times*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
	return took[times/2]
}

// BenchmarkInventory asks an inventory of a million secrets, with -benchtime 1x; folding
// it from a log takes about two minutes. Beside it, in the same run, 50 of the same rows by
// primary key: the least that a page can cost. The aim for a label is a p99 of 10 ms, on
// the first page and on page 10,000 alike.
func BenchmarkInventory(b *testing.B) {
	n := benchSize(b, 1_000_000)
	pool := inventoryOf(b, n)
	views := projections.Views{Pool: pool}
	raw := time.Duration(0)
	measure := func(name string, times int, run func(b *testing.B, i int) (rows int)) {
		b.Run(name, func(b *testing.B) {
			rows := 0
			p50 := quantiles(b, times, func(i int) { rows += run(b, i) })
			if raw == 0 {
				raw = p50
			}
			b.ReportMetric(float64(rows)/float64(times), "rows")
			b.ReportMetric(float64(p50)/float64(raw), "x-raw")
		})
	}
	ids := pick[events.SecretID](b, pool, "SELECT id FROM views.secrets ORDER BY md5(id) LIMIT 50000")
	measure("raw", 1000, func(b *testing.B, i int) int {
		return len(pick[string](b, pool, "SELECT ref FROM views.secrets WHERE id = ANY ($1)", ids[i*50:i*50+50]))
	})
	list := func(name string, filter func(i int) projections.SecretFilter) {
		measure(name, 300, func(b *testing.B, i int) int {
			page, err := views.Secrets(b.Context(), filter(i))
			if err != nil {
				b.Fatal(err)
			}
			return len(page.Items)
		})
	}
	labels := func(pairs ...string) projections.SecretFilter {
		f := projections.SecretFilter{Labels: map[string]string{}, Limit: 10}
		for i := 0; i < len(pairs); i += 2 {
			f.Labels[pairs[i]] = pairs[i+1]
		}
		return f
	}
	team := func(i int) string { return fmt.Sprintf("team-%d", i%10) }
	deep := make([]string, 10) // cursors of page 10,000
	for i := range deep {
		deep[i] = cursorAfter(b, views, labels("team", team(i)), min(9_999*10, n/10-20))
	}
	list("label/page=1", func(i int) projections.SecretFilter { return labels("team", team(i)) })
	list("label/page=10000", func(i int) projections.SecretFilter {
		f := labels("team", team(i))
		f.Cursor = deep[i%10]
		return f
	})
	list("label/rows=50", func(i int) projections.SecretFilter { f := labels("team", team(i)); f.Limit = 50; return f })
	measure("label/by-gin", 20, func(b *testing.B, i int) int {
		return len(pick[string](b, pool, `
			WITH w AS MATERIALIZED (SELECT ref, place FROM views.secrets WHERE labels @> $1::text::jsonb)
			SELECT ref
			FROM   w
			ORDER  BY place
			LIMIT  10`, `{"team": "`+team(i)+`"}`))
	})
	list("label/rare", func(i int) projections.SecretFilter { return labels("app", fmt.Sprintf("app-%05d", i)) })
	list("label/none", func(i int) projections.SecretFilter { return labels("team", fmt.Sprintf("nobody-%d", i)) })
	list("labels/common", func(i int) projections.SecretFilter { return labels("team", team(i), "env", "dev") })
	list("labels/one-rare", func(i int) projections.SecretFilter {
		return labels("team", team(i), "app", fmt.Sprintf("app-%05d", i))
	})
	list("labels/rare-together", func(i int) projections.SecretFilter { return labels("team", team(i%5), "half", "other") })
	list("label+connection", func(i int) projections.SecretFilter {
		f := labels("team", team(i))
		f.Connection = "store-17"
		return f
	})
	list("label+cluster", func(i int) projections.SecretFilter { f := labels("team", team(i)); f.Cluster = "cluster-3"; return f })
	list("label+provider", func(i int) projections.SecretFilter { f := labels("team", team(i)); f.Provider = "aws"; return f })
	list("label+gone", func(i int) projections.SecretFilter {
		f := labels("team", team(i))
		f.Status = projections.SecretGone
		return f
	})
	list("all", func(int) projections.SecretFilter { return projections.SecretFilter{Limit: 10} })
	list("prefix", func(i int) projections.SecretFilter {
		return projections.SecretFilter{Prefix: fmt.Sprintf("apps/%03d/", i%997), Limit: 10}
	})
	list("prefix+connection", func(i int) projections.SecretFilter {
		return projections.SecretFilter{Prefix: fmt.Sprintf("apps/%03d/", i%997), Connection: "store-17", Limit: 10}
	})
	within := func(areas ...projections.Area) projections.SecretFilter {
		return projections.SecretFilter{Within: areas, Limit: 10}
	}
	list("within/connections", func(i int) projections.SecretFilter {
		return within(projections.Area{Connection: "store-03"}, projections.Area{Connection: "store-17"})
	})
	list("within/prefixes", func(i int) projections.SecretFilter {
		return within(
			projections.Area{Connection: "store-03", Prefix: fmt.Sprintf("apps/%03d", i%997)},
			projections.Area{Connection: "store-17", Prefix: fmt.Sprintf("apps/%03d", i%911), Except: []string{fmt.Sprintf("apps/%03d/service-1", i%911)}})
	})
	list("within/but-a-prefix", func(i int) projections.SecretFilter {
		return within(projections.Area{Connection: "store-17", Except: []string{"apps/000", "apps/1"}})
	})
	list("within/500-prefixes", func(i int) projections.SecretFilter {
		var areas []projections.Area
		for n := range 500 {
			areas = append(areas, projections.Area{Connection: "store-17", Prefix: fmt.Sprintf("apps/%03d", (i+2*n)%997)})
		}
		return within(areas...)
	})
	list("within/prefix+label", func(i int) projections.SecretFilter {
		f := labels("team", team(i))
		f.Within = projections.Within{{Connection: "store-17", Prefix: fmt.Sprintf("apps/%03d", i%997)}}
		return f
	})
	list("text/common", func(int) projections.SecretFilter { return projections.SecretFilter{Text: "SERVICE-12", Limit: 10} })
	measure("text/none", 20, func(b *testing.B, i int) int {
		page, err := views.Secrets(b.Context(), projections.SecretFilter{Text: "nowhere to be found"})
		if err != nil || page.Next == "" {
			b.Fatal("the end", err)
		}
		return len(page.Items)
	})
	measure("stale", 300, func(b *testing.B, i int) int {
		page, err := views.StaleSecrets(b.Context(), projections.SecretFilter{OlderThan: day.AddDate(0, 0, -90), Limit: 10})
		if err != nil {
			b.Fatal(err)
		}
		return len(page.Items)
	})
	measure("present-after=500", 300, func(b *testing.B, i int) int {
		names, err := views.PresentAfter(b.Context(), "store-07", ids[i], 500)
		if err != nil {
			b.Fatal(err)
		}
		return len(names)
	})
	for name, filter := range map[string]projections.FacetFilter{
		"facets/names": {}, "facets/team": {Name: "team"}, "facets/app": {Name: "app", Limit: 20}, "facets/uid": {Name: "uid", Limit: 20},
		"facets/team+cluster": {Name: "team", Cluster: "cluster-3"},
	} {
		measure(name, 100, func(b *testing.B, i int) int {
			facets, err := views.LabelFacets(b.Context(), filter)
			if err != nil {
				b.Fatal(err)
			}
			return len(facets)
		})
	}
	nobody := ""
	for name, filter := range map[string]projections.SecretFilter{
		"count/all": {}, "count/label": {Labels: map[string]string{"team": "team-1"}, Status: projections.SecretPresent},
		"count/labels": labels("team", "team-1", "env", "dev"), "count/unowned": {Owner: &nobody}, "count/text": {Text: "service-12"},
	} {
		measure(name, 30, func(b *testing.B, i int) int {
			count, err := views.CountSecrets(b.Context(), filter)
			if err != nil {
				b.Fatal(err)
			}
			return count.N
		})
	}
	b.Run("rules", func(b *testing.B) { benchRules(b, pool, n) })
}

// benchRules folds other rules: ten that name a team each and so change every owner, and
// then the same again, which changes none. Beside them, an UPDATE of every owner.
func benchRules(b *testing.B, pool *pgxpool.Pool, n int) {
	var rules []events.OwnershipRule
	for i := range 10 {
		rules = append(rules, events.OwnershipRule{Labels: map[string]string{"team": fmt.Sprintf("team-%d", i)}, Owner: fmt.Sprintf("owners-%d", i), EnvironmentLabel: "env"})
	}
	log := scanLog(b, n)
	progress := projections.NewProgress(pool)
	for i, name := range []string{"all-differ-s", "none-differ-s"} {
		raw, err := events.Encode(commit(events.SettingOwnership(), "user:u_1", string(events.NewCommandID()), day, events.OwnershipRulesSet{Version: i + 1, Rules: rules}))
		if err != nil {
			b.Fatal(err)
		}
		log.raws = append(log.raws, raw)
		stop := follow(b, pool, log, progress)
		begin := time.Now()
		if err := progress.WaitFor(b.Context(), events.Seq(len(log.raws))); err != nil {
			b.Fatal(err, stop())
		}
		b.ReportMetric(time.Since(begin).Seconds(), name)
		_ = stop()
	}
	begin := time.Now()
	if _, err := pool.Exec(b.Context(), "UPDATE views.secret_owners SET owner = owner || '.', environment = environment || '.'"); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(begin).Seconds(), "raw-update-s")
	b.ReportMetric(0, "ns/op")
}

// inventoryOf folds n secrets into a database, as a rebuild does, and lets Postgres do what
// it does by itself within minutes.
func inventoryOf(b *testing.B, n int) *pgxpool.Pool {
	db := cluster.New(b)
	begin := time.Now()
	if _, err := projections.Rebuild(b.Context(), db.Owner, scanLog(b, n)); err != nil {
		b.Fatal(err)
	}
	b.Logf("rebuilt %d secrets in %v", n, time.Since(begin))
	if _, err := db.Owner.Exec(b.Context(), "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	return db.App
}

// cursorAfter reads pages until it has so many rows.
func cursorAfter(b *testing.B, views projections.Views, filter projections.SecretFilter, rows int) string {
	for rows > 0 {
		filter.Limit = min(rows, projections.MaxLimit)
		page, err := views.Secrets(b.Context(), filter)
		if err != nil || page.Next == "" {
			b.Fatalf("%d rows short: %v", rows, err)
		}
		rows, filter.Cursor = rows-len(page.Items), page.Next
	}
	return filter.Cursor
}

func pick[T any](b *testing.B, pool *pgxpool.Pool, sql string, args ...any) []T {
	rows, err := pool.Query(b.Context(), sql, args...)
	if err != nil {
		b.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		b.Fatal(err)
	}
	return found
}
