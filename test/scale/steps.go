package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"secretsbridge/web/api"
)

// agentsFigure is a server with so many agents that have nothing to do.
type agentsFigure struct {
	Agents     int     `json:"agents"`
	Modelled   int     `json:"modelled"`     // of them
	GrowthS    float64 `json:"growth_s"`     // since the figure before: to invite, enrol and link
	ServerMB   int64   `json:"server_mb"`    // resident
	KBPerAgent int64   `json:"kb_per_agent"` // of the server, beyond that without agents
	FleetKB    int64   `json:"fleet_kb"`     // of this process, an agent
	Server     float64 `json:"server_cores"`
	Postgres   float64 `json:"postgres_cores"`
	Fleet      float64 `json:"fleet_cores"` // of this process: what one machine can hold of agents ends here
	Online     int     `json:"online"`      // as the server says
	P50ms      float64 `json:"p50_ms"`      // of a request, from its approval to its value
}

func (r *report) growFleet(ctx context.Context, p plan, s *server, f *fleet) error {
	own, _ := s.used()
	base, baseSelf := own.RSS, self().RSS
	for _, wanted := range p.agents {
		n := wanted
		if r.out(ctx, "%d agents", n) {
			return nil
		}
		took, err := f.grow(ctx, n)
		if err != nil {
			return err
		}
		if have := len(f.links); have < n {
			r.CutShort = append(r.CutShort, fmt.Sprintf("%d agents: %d were linked", n, have))
			n, ctx = have, context.WithoutCancel(ctx) // what there is, is measured
		}
		debug.FreeOSMemory()
		figure := agentsFigure{Agents: n, Modelled: max(0, n-f.real), GrowthS: took.Seconds()}
		before, began := self().CPU, time.Now()
		figure.Server, figure.Postgres = s.idle(ctx, p.idle)
		figure.Fleet = (self().CPU - before).Seconds() / time.Since(began).Seconds()
		own, _ := s.used()
		figure.ServerMB, figure.KBPerAgent = own.RSS>>20, (own.RSS-base)/int64(n)>>10
		figure.FleetKB = (self().RSS - baseSelf) / int64(n) >> 10
		online, err := s.metric("sb_agents")
		if err != nil {
			return err
		}
		figure.Online = int(online)
		if err := s.connect(0); err != nil {
			return err
		}
		one, err := s.lives(ctx, 20, 1, 1)
		if err != nil {
			return err
		}
		figure.P50ms = one.P50ms
		r.Agents = append(r.Agents, figure)
		progress("%d agents: %d MB, %.2f cores", n, figure.ServerMB, figure.Server)
		if n != wanted {
			return nil
		}
	}
	return nil
}

// connect makes the connection of an agent known.
func (s *server) connect(n int) error {
	err := s.call("admin", "POST", "/connections", api.CreateConnection{Name: connectionOf(n), Provider: "file", Cluster: clusterOf(n)}, nil)
	if err != nil && strings.Contains(err.Error(), ": 409: ") { // it is there
		return nil
	}
	return err
}

// livesFigure is requests that went from submit to reveal.
type livesFigure struct {
	Requests   int     `json:"requests"`
	Together   int     `json:"together"`
	PerSecond  float64 `json:"per_second"`
	P50ms      float64 `json:"p50_ms"` // from the approval to the value that is ready, as a caller sees it
	P99ms      float64 `json:"p99_ms"`
	ServerMs   float64 `json:"server_ms"` // processor time a request
	PostgresMs float64 `json:"postgres_ms"`
	OthersMs   float64 `json:"others_ms"` // of this process: agents and callers
	LagCommits float64 `json:"lag_commits"`
	ServerMB   int64   `json:"server_mb"`
	LogKB      float64 `json:"log_kb"` // on disk a request
	DatabaseKB float64 `json:"database_kb"`
}

// manyStores is how many connections requests are spread over.
const manyStores = 100

// usualCallers are as many as were best where that is not measured in the same run.
const usualCallers = 8

// perCaller is how many requests each of the callers takes through.
const perCaller = 50

func (r *report) callTogether(ctx context.Context, p plan, s *server, f *fleet) error {
	stores := min(manyStores, len(f.links))
	for n := range stores {
		if err := s.connect(n); err != nil {
			return err
		}
	}
	for _, together := range p.together {
		if r.out(ctx, "%d callers", together) {
			return nil
		}
		var runs []livesFigure
		for range p.repeat {
			one, err := s.lives(ctx, perCaller*together, together, stores)
			if err != nil {
				return err
			}
			runs = append(runs, one)
		}
		slices.SortFunc(runs, func(a, b livesFigure) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
		figure := runs[len(runs)/2]
		r.Together = append(r.Together, figure)
		progress("%d callers: %.1f requests/s, p50 %.0f ms", together, figure.PerSecond, figure.P50ms)
	}
	return nil
}

func (r *report) growHistory(ctx context.Context, p plan, s *server, f *fleet) error {
	var best livesFigure
	done := 0
	for _, one := range r.Together {
		if done += one.Requests * p.repeat; one.PerSecond > best.PerSecond {
			best = one
		}
	}
	if len(r.Together) == 0 { // by itself
		best.Together = usualCallers
		for n := range min(manyStores, len(f.links)) {
			if err := s.connect(n); err != nil {
				return err
			}
		}
	}
	for _, n := range p.requests {
		if best.Together == 0 || r.out(ctx, "%d requests", n) {
			return nil
		}
		figure, err := s.lives(ctx, n-done, best.Together, min(manyStores, len(f.links)))
		if err != nil {
			return err
		}
		done += figure.Requests
		figure.Requests = done
		if figure.PerSecond > 0 {
			r.Requests = append(r.Requests, figure)
		}
		if done < n {
			r.CutShort = append(r.CutShort, fmt.Sprintf("%d requests: %d were taken through", n, done))
			return nil
		}
		progress("%d requests: %.1f/s, p50 %.0f ms", done, figure.PerSecond, figure.P50ms)
	}
	return nil
}

// lives takes n requests through, or as many as the time suffices for.
func (s *server) lives(ctx context.Context, n, together, stores int) (livesFigure, error) {
	recipient, err := newRecipient()
	if err != nil {
		return livesFigure{}, err
	}
	reveal := api.Reveal{Recipient: recipient}
	log, database := sizeOf(s.dir+"/nats"), sizeOf(s.dir+"/postgres/data/base")
	own, postgres := s.used()
	before := self()
	began := time.Now()
	var (
		mu     sync.Mutex
		took   []time.Duration
		failed error
		next   atomic.Int64
		all    sync.WaitGroup
		lag    float64
	)
	for range together {
		all.Go(func() {
			for {
				i := int(next.Add(1))
				mu.Lock()
				stop := failed != nil
				mu.Unlock()
				if i > n || stop || ctx.Err() != nil {
					return
				}
				d, err := s.life(ctx, i, stores, reveal)
				mu.Lock()
				if err != nil && failed == nil && ctx.Err() == nil {
					failed = err
				}
				if err == nil {
					took = append(took, d)
				}
				mu.Unlock()
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	for busy := true; busy; {
		select {
		case <-ended:
			busy = false
		case <-time.After(500 * time.Millisecond):
			if v, err := s.metric("sb_views_lag_commits"); err == nil {
				lag = max(lag, v)
			}
		}
	}
	if failed != nil && ctx.Err() == nil {
		return livesFigure{}, failed
	}
	if len(took) == 0 {
		return livesFigure{}, nil
	}
	count := float64(len(took))
	own2, postgres2 := s.used()
	return livesFigure{
		Requests: len(took), Together: together, PerSecond: count / time.Since(began).Seconds(),
		P50ms: ms(quantile(took, 0.5)), P99ms: ms(quantile(took, 0.99)),
		ServerMs: ms(own2.CPU-own.CPU) / count, PostgresMs: ms(postgres2.CPU-postgres.CPU) / count, OthersMs: ms(self().CPU-before.CPU) / count,
		LagCommits: lag, ServerMB: own2.RSS >> 20,
		LogKB: float64(sizeOf(s.dir+"/nats")-log) / count / 1024, DatabaseKB: float64(sizeOf(s.dir+"/postgres/data/base")-database) / count / 1024,
	}, nil
}

// life is one request from its submit to its reveal. It returns the time from the call of the
// approver to the sight of the value by the requester.
func (s *server) life(ctx context.Context, i, stores int, reveal api.Reveal) (time.Duration, error) {
	var submitted api.Submitted
	secret := fmt.Sprintf("%s/prod/app-%d/secret-%d", connectionOf(i%stores), i%97, i%1000)
	if err := s.call("developer", "POST", "/requests", api.Submit{Secret: secret, Keys: []string{"password"}, Reason: "measured"}, &submitted); err != nil {
		return 0, err
	}
	began := time.Now()
	var done api.Done
	if err := s.call("approver", "POST", "/requests/"+submitted.ID+"/approve", api.Verdict{}, &done); err != nil {
		return 0, err
	}
	var r api.Request
	for pause := 2 * time.Millisecond; r.State != "executed"; pause = min(2*pause, 100*time.Millisecond) {
		if r.State == "failed" {
			return 0, fmt.Errorf("request %s failed: %+v", submitted.ID, r.Failure)
		}
		if time.Since(began) > 2*time.Minute || ctx.Err() != nil {
			return 0, fmt.Errorf("request %s is %s after %s", submitted.ID, r.State, time.Since(began))
		}
		time.Sleep(pause)
		if err := s.call("developer", "GET", "/requests/"+submitted.ID, nil, &r); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	for _, e := range r.Envelopes {
		var value api.Revealed
		if err := s.call("developer", "POST", "/requests/"+submitted.ID+"/envelopes/"+e.ID+"/reveal", reveal, &value); err != nil {
			return 0, err
		}
		if len(value.Sealed) == 0 {
			return 0, errors.New("a reveal showed nothing")
		}
	}
	return took, nil
}

// secretsFigure is an inventory of so many secrets.
type secretsFigure struct {
	Secrets    int     `json:"secrets"`
	PerSecond  float64 `json:"per_second"` // listed, judged, kept and to be found, of those that are new
	SecondPass float64 `json:"second_pass_per_second"`
	ServerUs   float64 `json:"server_us"` // processor time a new secret
	PostgresUs float64 `json:"postgres_us"`
	ServerMB   int64   `json:"server_mb"`
	DatabaseMB int64   `json:"database_mb"`
	LogMB      int64   `json:"log_mb"`
	PageP50ms  float64 `json:"page_p50_ms"` // of 50 secrets by a label
	PageP99ms  float64 `json:"page_p99_ms"`
}

func (r *report) fillInventory(ctx context.Context, p plan, s *server, f *fleet) error {
	stores := min(p.stores, len(f.links))
	for n := range stores {
		if err := s.connect(n); err != nil {
			return err
		}
	}
	before := 0
	for _, n := range p.secrets {
		if r.out(ctx, "%d secrets", n) {
			return nil
		}
		own, postgres := s.used()
		f.list(n / stores)
		took, err := s.scan(ctx, stores)
		if r.out(ctx, "%d secrets", n) {
			return nil
		}
		if err != nil {
			return err
		}
		own2, postgres2 := s.used()
		fresh := float64(n - before)
		figure := secretsFigure{
			Secrets: n, PerSecond: fresh / took.Seconds(), ServerUs: 1000 * ms(own2.CPU-own.CPU) / fresh, PostgresUs: 1000 * ms(postgres2.CPU-postgres.CPU) / fresh,
			ServerMB: own2.RSS >> 20, DatabaseMB: sizeOf(s.dir+"/postgres/data/base") >> 20, LogMB: sizeOf(s.dir+"/nats") >> 20,
		}
		if again, err := s.scan(ctx, stores); err == nil {
			figure.SecondPass = float64(n) / again.Seconds()
		}
		var pages []time.Duration
		for i := range 100 {
			var page api.Page[struct{}]
			began := time.Now()
			if err := s.call("admin", "GET", "/secrets?limit=50&label="+url.QueryEscape(fmt.Sprintf("App:app-%d", i%97)), nil, &page); err != nil {
				return err
			}
			if len(page.Items) == 0 {
				return errors.New("a label finds nothing")
			}
			pages = append(pages, time.Since(began))
		}
		figure.PageP50ms, figure.PageP99ms = ms(quantile(pages, 0.5)), ms(quantile(pages, 0.99))
		r.Secrets = append(r.Secrets, figure)
		progress("%d secrets: %.0f/s", n, figure.PerSecond)
		before = n
	}
	return nil
}

// scan has every store listed, all at once, and waits for the end.
func (s *server) scan(ctx context.Context, stores int) (time.Duration, error) {
	began := time.Now()
	for n := range stores {
		if err := s.call("admin", "POST", "/jobs", api.QueueJob{Type: "discover", Connection: connectionOf(n)}, nil); err != nil {
			return 0, err
		}
	}
	for {
		open := 0
		for _, state := range []string{"queued", "running"} {
			var page api.Page[api.Job]
			if err := s.call("admin", "GET", "/jobs?limit=50&state="+state, nil, &page); err != nil {
				return 0, err
			}
			open += len(page.Items)
		}
		if open == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	var failed api.Page[api.Job]
	if err := s.call("admin", "GET", "/jobs?limit=50&state=failed", nil, &failed); err != nil {
		return 0, err
	}
	if len(failed.Items) > 0 {
		return 0, fmt.Errorf("%d scans failed: %+v", len(failed.Items), failed.Items[0])
	}
	return time.Since(began), nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// String is the table.
func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d cores, %d MB, %s; load before the run %s; server, Postgres, agents and callers share them\n", r.Machine.Cores, r.Machine.Memory, r.Machine.Go, r.Machine.Load)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nagents\tmodelled\tgrown in s\tserver MB\tKB/agent\tfleet KB/agent\tserver cores\tPostgres cores\tfleet cores\tonline\tready p50 ms\t")
	for _, f := range r.Agents {
		fmt.Fprintf(w, "%d\t%d\t%.0f\t%d\t%d\t%d\t%.3f\t%.3f\t%.2f\t%d\t%.0f\t\n", f.Agents, f.Modelled, f.GrowthS, f.ServerMB, f.KBPerAgent, f.FleetKB, f.Server, f.Postgres, f.Fleet, f.Online, f.P50ms)
	}
	for _, part := range []struct {
		what string
		all  []livesFigure
	}{{"requests (callers grow)", r.Together}, {"requests (history grows)", r.Requests}} {
		fmt.Fprintf(w, "\n%s\tcallers\t/s\tready p50 ms\tp99 ms\tserver ms\tPostgres ms\tothers ms\tlag commits\tserver MB\tlog KB\tdatabase KB\t\n", part.what)
		for _, f := range part.all {
			fmt.Fprintf(w, "%d\t%d\t%.1f\t%.0f\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%d\t%.1f\t%.1f\t\n", f.Requests, f.Together, f.PerSecond, f.P50ms, f.P99ms, f.ServerMs, f.PostgresMs, f.OthersMs, f.LagCommits, f.ServerMB, f.LogKB, f.DatabaseKB)
		}
	}
	fmt.Fprintln(w, "\nsecrets\tnew/s\tsecond pass/s\tserver µs\tPostgres µs\tserver MB\tdatabase MB\tlog MB\tpage p50 ms\tp99 ms\t")
	for _, f := range r.Secrets {
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%d\t%d\t%.1f\t%.1f\t\n", f.Secrets, f.PerSecond, f.SecondPass, f.ServerUs, f.PostgresUs, f.ServerMB, f.DatabaseMB, f.LogMB, f.PageP50ms, f.PageP99ms)
	}
	fmt.Fprintln(w, "\nhistory\t/s\tserver ms\tPostgres ms\tlag commits\tserver MB\tlog MB\tdatabase MB\tnewest p50 ms\tp99 ms\tof a state\tp99\tone\tp99\taudit\tp99\tstart s\tverify s\trebuild s\t")
	for _, f := range r.History {
		fmt.Fprintf(w, "%d\t%.1f\t%.1f\t%.1f\t%.0f\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n", f.Requests, f.PerSecond, f.ServerMs, f.PostgresMs, f.LagCommits, f.ServerMB, f.LogMB, f.DatabaseMB,
			f.NewestP50ms, f.NewestP99ms, f.StateP50ms, f.StateP99ms, f.OneP50ms, f.OneP99ms, f.AuditP50ms, f.AuditP99ms, f.StartS, f.VerifyS, f.RebuildS)
	}
	_ = w.Flush()
	if r.Repeated > 0 {
		fmt.Fprintf(&b, "%d calls were made again, because no answer came or 503\n", r.Repeated)
	}
	for _, what := range r.CutShort {
		fmt.Fprintf(&b, "cut short: %s\n", what)
	}
	return b.String()
}
