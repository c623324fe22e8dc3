package e2e_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/web/api"
)

// BenchmarkApproveToReady measures, by the server's own facts, how long it takes from
// an approval to the sealed value being ready, with the agent connected: p50 and p99,
// and how much of it lies beyond two durable appends to a log on the same disk.
func BenchmarkApproveToReady(b *testing.B) {
	c := start(b, "SB_LOG_LEVEL=WARN")
	twoAppends := 2 * durableAppend(b)
	var took []time.Duration
	for b.Loop() {
		took = append(took, approveToReady(b, c))
	}
	slices.Sort(took)
	p50, p99 := quantile(took, 0.50), quantile(took, 0.99)
	b.ReportMetric(ms(p50), "p50-ms")
	b.ReportMetric(ms(p99), "p99-ms")
	b.ReportMetric(ms(twoAppends), "two-appends-p50-ms")
	b.ReportMetric(ms(p50-twoAppends), "beyond-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIdleAgentMemory reads the resident memory of an agent that has nothing to do,
// after it did some jobs.
func BenchmarkIdleAgentMemory(b *testing.B) {
	c := start(b, "SB_LOG_LEVEL=WARN")
	for range 20 {
		approveToReady(b, c)
	}
	time.Sleep(10 * time.Second) // idle is what is measured
	for b.Loop() {
	}
	b.ReportMetric(resident(b, c.agentPID()), "MB-resident")
	b.ReportMetric(0, "ns/op")
}

func approveToReady(b *testing.B, c *control) time.Duration {
	var submitted api.Submitted
	body := api.Submit{Secret: "file/prod/db/password", Keys: []string{"password"}, Reason: "measure"}
	if status := insist(c, "developer", "POST", "/requests", newKey(), body, &submitted); status != http.StatusCreated {
		b.Fatalf("submit: %d", status)
	}
	if status := insist(c, "approver", "POST", "/requests/"+submitted.ID+"/approve", newKey(), api.Verdict{}, nil); status != http.StatusOK {
		b.Fatalf("approve: %d", status)
	}
	var r api.Request
	for r.State != "executed" {
		if final(r.State) && r.State != "" {
			b.Fatalf("it ended as %s", r.State)
		}
		insist(c, "developer", "GET", "/requests/"+submitted.ID, "", nil, &r)
	}
	return r.EndedAt.Sub(*r.ApprovedAt)
}

// durableAppend is the median of appends to a log of the same settings on this disk.
func durableAppend(b *testing.B) time.Duration {
	b.Helper()
	dir := b.TempDir()
	authority, err := nats.CreateAuthority(filepath.Join(dir, "keys"))
	if err != nil {
		b.Fatal(err)
	}
	hub, err := nats.StartHub(nats.HubConfig{Authority: authority, Dir: filepath.Join(dir, "store")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(hub.Shutdown)
	nc, err := hub.ConnectProvisioner("bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	streams, err := nats.NewStreams(nc, 1, hub.Durability, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	if err := streams.Provision(b.Context()); err != nil {
		b.Fatal(err)
	}
	log, err := nats.OpenStore(b.Context(), nc)
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for range 300 {
		began := time.Now()
		meta := command.Meta{Command: events.NewCommandID(), Actor: events.Anonymous, Time: began}
		if _, err := command.Record(b.Context(), log, events.AccessStream(events.Anonymous), meta, events.AccessDenied{Action: "measure"}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return quantile(took, 0.5)
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// resident is VmRSS of a process, in MB of 10^6 bytes.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
