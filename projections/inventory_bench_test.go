package projections_test

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
)

// benchConnections is how many stores the secrets of a benchmark are spread over.
const benchConnections = 20

// benchSecret is the n-th secret: five labels, of which team is common (a tenth have
// each value), app is not, and uid is never the same.
func benchSecret(n int) events.SecretMetadata {
	return events.SecretMetadata{
		Ref: fmt.Sprintf("apps/%03d/service-%d/password", n%997, n), Version: strconv.Itoa(n%9 + 1),
		Labels: map[string]string{
			"team": fmt.Sprintf("team-%d", n%10), "env": []string{"prod", "prod", "staging", "dev"}[n/10%4], "app": fmt.Sprintf("app-%05d", n*7919%10_000),
			"tier": fmt.Sprintf("tier-%d", n/100%5), "uid": fmt.Sprintf("uid-%08d", n),
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
	if os.Getenv("SLOW") != "" { slowLog(b, os.Getenv("SLOW")) }
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
func quantiles(b *testing.B, name string, times int, run func(i int)) (p50 time.Duration) {
	took := make([]time.Duration, times)
	for i := range took {
		begin := time.Now()
		run(i)
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[times/2].Microseconds())/1000, name+"-p50-ms")
	b.ReportMetric(float64(took[times*99/100].Microseconds())/1000, name+"-p99-ms")
	return took[times/2]
}

var _ = pprof.StartCPUProfile
var _ context.Context
var _ *postgrestest.DB
