package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// sink is a control plane that keeps nothing of what it is told, for one job.
type sink struct {
	t      testing.TB
	caller seal.SigningKey
	signer seal.SigningKey
	ticket []byte
	done   chan struct{} // closed when the job is over
	onPage func(number int)

	mu      sync.Mutex // guards what follows
	taken   bool       // the ticket
	secrets int
	bytes   int
	over    string
}

func (s *sink) Next(ctx context.Context) (agent.Delivery, error) {
	s.mu.Lock()
	first := !s.taken
	s.taken = true
	s.mu.Unlock()
	if first {
		return s, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *sink) Data() []byte                 { return s.ticket }
func (s *sink) Extend(context.Context) error { return nil }
func (s *sink) Done(context.Context) error   { close(s.done); return nil }
func (s *sink) Later(context.Context, time.Duration) error {
	s.over = "later"
	close(s.done)
	return nil
}
func (s *sink) Refuse(_ context.Context, why string) error { s.over = why; close(s.done); return nil }

func (s *sink) Call(_ context.Context, service events.Service, frame []byte) ([]byte, error) {
	call := seal.Call{Service: string(service), Account: account}
	request, err := call.OpenRequest(s.caller.Public(), frame)
	if err != nil {
		return nil, err
	}
	var result any = events.Done{}
	switch service {
	case events.ServiceHeartbeat:
		result = events.HeartbeatReply{Time: time.Now(), NextSeconds: 60, Suites: []string{"xwing"}}
	case events.ServiceTake:
		result = events.JobGrant{Attempt: 1, Page: 1, Until: time.Now().Add(time.Hour)}
	case events.ServicePage, events.ServicePrints:
		page := read[struct {
			Number  int        `json:"number"`
			Secrets []struct{} `json:"secrets"`
		}](s.t, request.Body)
		s.mu.Lock()
		s.secrets, s.bytes = s.secrets+len(page.Secrets), s.bytes+len(request.Body)
		s.mu.Unlock()
		s.onPage(page.Number)
		result = events.PageTaken{Next: page.Number + 1}
	case events.ServiceFinish:
		s.over = "finished"
	}
	return call.SignReply(s.signer, frame, encode(s.t, events.ServiceReply[any]{Result: &result})), nil
}

// many are n secrets with ten labels each and a value that a fingerprint is made of.
type many struct{ *synthetic }

func newMany(n int) many {
	return many{&synthetic{Memory: providertest.NewMemory(), n: n, size: agent.MaxPage, labels: func(i int) map[string]string {
		labels := make(map[string]string, 10)
		for k := range 10 {
			labels[fmt.Sprintf("label-%d", k)] = fmt.Sprintf("%s, value %d of %d", strings.Repeat("v", 30), k, i)
		}
		return labels
	}}}
}

func (many) Read(_ context.Context, ref agent.Ref) (agent.Bundle, error) {
	return agent.Bundle{Version: "1", Entries: map[string]agent.Entry{
		"password": text(hard + ref.String()), "user": text("app"), "shared": text(canary + hard),
	}}, nil
}

// drive runs one job over n secrets through an agent and returns what it was told.
func drive(t testing.TB, op events.Operation, n int, onPage func(number int)) *sink {
	t.Helper()
	generate := func() seal.SigningKey {
		key, err := seal.GenerateSigningKey()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	s := &sink{t: t, caller: generate(), signer: generate(), done: make(chan struct{}), onPage: onPage}
	raw := encode(t, events.Ticket{
		Job: events.KeysJobOf("c"), Operation: op, Cluster: cluster, Connection: connection, Provider: events.ProviderFile,
		Issued: time.Now(), Until: time.Now().Add(time.Hour),
	})
	s.ticket = encode(t, events.SignedTicket{Ticket: raw, Signer: s.signer.Public().ID(), Signature: s.signer.Sign(events.TicketDomain, raw)})
	cfg := agent.Config{
		Link: s, Agent: agentID, Cluster: cluster, Account: account, Version: "test", SignKey: s.caller,
		Keys: &ring{keys: []seal.RecipientKey{boxKey()}, since: time.Now()}, KeyLife: 1000 * time.Hour,
		Trust:      &trust{keys: agent.TrustedKeys{{Serial: 1, Key: s.signer.Public()}}},
		Credential: agent.Credential{Credentials: events.Credentials{UserJWT: "jwt", Expires: time.Now().Add(24 * time.Hour)}, Issued: time.Now()},
		Renewed:    func(context.Context, agent.Credential) error { return nil },
		Logger:     slog.New(slog.DiscardHandler),
	}
	withPrints(1)(&cfg)
	serve(newMany(n))(&cfg)
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	<-s.done
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s.over != "finished" || s.secrets != n {
		t.Fatalf("the job is %q after %d secrets", s.over, s.secrets)
	}
	return s
}

// live is the heap that is in use after a collection, in bytes.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestTheMemoryOfAScanDoesNotGrowWithTheList compares the live heap early and late.
func TestTheMemoryOfAScanDoesNotGrowWithTheList(t *testing.T) {
	const n, most = 100_000, 4 << 20
	for _, op := range []events.Operation{events.OperationDiscover, events.OperationFingerprint} {
		t.Run(string(op), func(t *testing.T) {
			var early, late uint64
			drive(t, op, n, func(number int) {
				switch number {
				case 10:
					early = live()
				case 100, 190:
					late = max(late, live())
				}
			})
			if early == 0 || late == 0 || late > early+most {
				t.Errorf("%d bytes are live after 5,000 secrets, %d later", early, late)
			}
		})
	}
}

// resident is VmRSS of this process, in MB.
func resident(t testing.TB) float64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	kb := 0
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return float64(kb) / 1000
}

// BenchmarkScan runs jobs over 100,000 secrets, against a provider and a control plane that take
// no time. RSS is the most that this process had while a page was sent; the agent's binary
// has some 20 MB without any job.
func BenchmarkScan(b *testing.B) {
	for _, op := range []events.Operation{events.OperationDiscover, events.OperationFingerprint} {
		b.Run(string(op), func(b *testing.B) {
			const n = 100_000
			peak, sent := 0.0, 0
			for b.Loop() {
				sent = drive(b, op, n, func(int) { peak = max(peak, resident(b)) }).bytes
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "secrets/s")
			b.ReportMetric(peak, "rss-MB")
			b.ReportMetric(float64(sent)/1e6, "sent-MB")
		})
	}
}
