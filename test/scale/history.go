package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"secretsbridge/web/api"
)

// historyFigure is a log with so many requests that were submitted and rejected. No agent has a part in it, so
// it grows faster than by whole lives.
type historyFigure struct {
	Requests   int     `json:"requests"`
	PerSecond  float64 `json:"per_second"` // since the figure before
	ServerMs   float64 `json:"server_ms"`  // processor time a request
	PostgresMs float64 `json:"postgres_ms"`
	LagCommits float64 `json:"lag_commits"`
	ServerMB   int64   `json:"server_mb"`
	LogMB      int64   `json:"log_mb"`
	DatabaseMB int64   `json:"database_mb"`

	// Reads, one after the other, while nothing else happens.
	NewestP50ms float64 `json:"newest_p50_ms"` // 50 requests, the newest
	NewestP99ms float64 `json:"newest_p99_ms"`
	StateP50ms  float64 `json:"state_p50_ms"` // 50 requests of a state
	StateP99ms  float64 `json:"state_p99_ms"`
	OneP50ms    float64 `json:"one_p50_ms"` // a request by its id
	OneP99ms    float64 `json:"one_p99_ms"`
	AuditP50ms  float64 `json:"audit_p50_ms"` // 50 facts of a kind
	AuditP99ms  float64 `json:"audit_p99_ms"`

	StartS   float64 `json:"start_s"`   // until it serves
	VerifyS  float64 `json:"verify_s"`  // sb-server rebuild --verify
	RebuildS float64 `json:"rebuild_s"` // sb-server rebuild
}

// together of a history is how many callers make it.
const historyCallers = 16

// growRecord lengthens the history, and at each length reads it, starts the server on it and folds it again.
func (r *report) growRecord(ctx context.Context, p plan, s *server, _ *fleet) error {
	if err := s.connect(0); err != nil {
		return err
	}
	done := 0
	for _, n := range p.history {
		if r.out(ctx, "a history of %d requests", n) {
			return nil
		}
		figure, ids, err := s.reject(ctx, n-done)
		if err != nil {
			return err
		}
		if done += len(ids); done < n {
			r.CutShort = append(r.CutShort, fmt.Sprintf("a history of %d requests: it came to %d", n, done))
		}
		figure.Requests = done
		ctx := context.WithoutCancel(ctx) // what there is, is measured
		if err := s.read(ids, &figure); err != nil {
			return err
		}
		figure.LogMB, figure.DatabaseMB = sizeOf(s.dir+"/nats")>>20, sizeOf(s.dir+"/postgres/data/base")>>20
		s.stop()
		for _, command := range []struct {
			into *float64
			args []string
		}{{&figure.VerifyS, []string{"rebuild", "--verify"}}, {&figure.RebuildS, []string{"rebuild"}}} {
			cmd := exec.CommandContext(ctx, s.cmd.Path, command.args...)
			cmd.Env = s.cmd.Env
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%v: %w: %s", command.args, err, out)
			}
			*command.into = time.Since(began).Seconds()
		}
		began := time.Now()
		if err := s.start(); err != nil {
			return err
		}
		figure.StartS = time.Since(began).Seconds()
		r.History = append(r.History, figure)
		progress("a history of %d requests: %.0f/s, a page of it %.1f ms, folded again in %.1f s", done, figure.PerSecond, figure.NewestP50ms, figure.RebuildS)
		if done < n {
			return nil
		}
	}
	return nil
}

// reject submits n requests and has them rejected, or as many as the time suffices for.
func (s *server) reject(ctx context.Context, n int) (f historyFigure, ids []string, err error) {
	own, postgres := s.used()
	began := time.Now()
	var (
		mu   sync.Mutex
		next atomic.Int64
		all  sync.WaitGroup
	)
	for range historyCallers {
		all.Go(func() {
			for ctx.Err() == nil && next.Add(1) <= int64(n) {
				var made api.Submitted
				i := next.Load()
				one := s.call("developer", "POST", "/requests", api.Submit{
					Secret: fmt.Sprintf("%s/prod/app-%d/secret-%d", connectionOf(0), i%97, i%1000), Keys: []string{"password"}, Reason: "measured",
				}, &made)
				if one == nil {
					one = s.call("approver", "POST", "/requests/"+made.ID+"/reject", api.Verdict{Comment: "measured"}, nil)
				}
				mu.Lock()
				if err = errors.Join(err, one); one == nil {
					ids = append(ids, made.ID)
				}
				stop := err != nil
				mu.Unlock()
				if stop {
					return
				}
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
				f.LagCommits = max(f.LagCommits, v)
			}
		}
	}
	if err != nil || len(ids) == 0 {
		return f, ids, err
	}
	count := float64(len(ids))
	own2, postgres2 := s.used()
	f.PerSecond = count / time.Since(began).Seconds()
	f.ServerMs, f.PostgresMs, f.ServerMB = ms(own2.CPU-own.CPU)/count, ms(postgres2.CPU-postgres.CPU)/count, own2.RSS>>20
	return f, ids, nil
}

// reads is how often each view is read.
const reads = 200

// read reads views one call after the other.
func (s *server) read(ids []string, f *historyFigure) error {
	for _, one := range []struct {
		p50, p99 *float64
		path     func(i int) string
	}{
		{&f.NewestP50ms, &f.NewestP99ms, func(int) string { return "/requests?limit=50" }},
		{&f.StateP50ms, &f.StateP99ms, func(int) string { return "/requests?limit=50&state=rejected" }},
		{&f.OneP50ms, &f.OneP99ms, func(i int) string { return "/requests/" + ids[i*7919%len(ids)] }},
		{&f.AuditP50ms, &f.AuditP99ms, func(int) string { return "/audit/events?limit=50&type=sb.request.rejected.v1" }},
	} {
		var took []time.Duration
		for i := range reads {
			var anything struct{}
			began := time.Now()
			if err := s.call("admin", "GET", one.path(i), nil, &anything); err != nil {
				return err
			}
			took = append(took, time.Since(began))
		}
		*one.p50, *one.p99 = ms(quantile(took, 0.5)), ms(quantile(took, 0.99))
	}
	return nil
}
