package e2e_test

import (
	"bufio"
	"encoding/json"
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

// BenchmarkApproveToReady measures how long it takes from an approval to the sealed
// value being ready, with the agent connected. By the server's own clock ("p50-ms",
// "p99-ms") that is from the moment the approval came in to the durable fact that the
// request was executed. "beyond-ms" is what of the p50 lies beyond two durable appends
// to a log on the same disk. "seen" is the same as the requester sees it: from the call
// of the approver over HTTPS to the event on the requester's open stream, so with the
// fold into the views.
func BenchmarkApproveToReady(b *testing.B) {
	c := start(b, "SB_LOG_LEVEL=WARN")
	for range 20 { // a server that has just started is not what is measured
		approveToReady(b, c)
	}
	oneAppend := durableAppend(b)
	var took, seen []time.Duration
	for b.Loop() {
		byFacts, byStream := approveToReady(b, c)
		// A fact bears the time at which its command came in, before it is appended.
		took, seen = append(took, byFacts+oneAppend), append(seen, byStream)
	}
	slices.Sort(took)
	slices.Sort(seen)
	p50 := quantile(took, 0.50)
	b.ReportMetric(ms(p50), "p50-ms")
	b.ReportMetric(ms(quantile(took, 0.99)), "p99-ms")
	b.ReportMetric(ms(quantile(seen, 0.50)), "seen-p50-ms")
	b.ReportMetric(ms(quantile(seen, 0.99)), "seen-p99-ms")
	b.ReportMetric(ms(2*oneAppend), "two-appends-ms")
	b.ReportMetric(ms(p50-2*oneAppend), "beyond-ms")
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

// approveToReady takes one request through, watching it as `sb request show --watch`
// does: who polls would be measured too.
func approveToReady(b *testing.B, c *control) (byFacts, byStream time.Duration) {
	var submitted api.Submitted
	body := api.Submit{Secret: "file/prod/db/password", Keys: []string{"password"}, Reason: "measure"}
	if status := insist(c, "developer", "POST", "/requests", newKey(), body, &submitted); status != http.StatusCreated {
		b.Fatalf("submit: %d", status)
	}
	path := "/requests/" + submitted.ID
	changes, stop := c.watch(b, "developer", path+"/stream")
	defer stop()
	next(b, changes) // pending
	began := time.Now()
	if status := insist(c, "approver", "POST", path+"/approve", newKey(), api.Verdict{}, nil); status != http.StatusOK {
		b.Fatalf("approve: %d", status)
	}
	for {
		switch r := next(b, changes); {
		case r.State == "executed":
			return r.EndedAt.Sub(*r.ApprovedAt), time.Since(began)
		case final(r.State):
			b.Fatalf("it ended as %s", r.State)
		}
	}
}

func next(b *testing.B, changes *bufio.Scanner) (r api.Request) {
	b.Helper()
	for changes.Scan() {
		if data, ok := strings.CutPrefix(changes.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(data), &r); err != nil {
				b.Fatal(err)
			}
			return r
		}
	}
	b.Fatalf("the stream ended: %v", changes.Err())
	return r
}

// watch opens a stream of events and returns its lines.
func (c *control) watch(b *testing.B, who, path string) (lines *bufio.Scanner, stop func()) {
	b.Helper()
	req, err := http.NewRequest("GET", c.url+"/api/v1"+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	token, _ := c.token(who)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("watch %s: %d", path, resp.StatusCode)
	}
	return bufio.NewScanner(resp.Body), func() { _ = resp.Body.Close() }
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
	writer, err := nats.NewWriter(make([]byte, nats.WriterKeySize), 1)
	if err != nil {
		b.Fatal(err)
	}
	log, err := nats.OpenStore(b.Context(), nc, writer)
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
