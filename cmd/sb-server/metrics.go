package main

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"secretsbridge/accounts"
	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/build"
	"secretsbridge/ledger"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/worker"
)

// metrics is what a server tells a monitoring system about itself. Labels are words of this
// program, and the names of clusters: no name of a person, a secret, a connection or an agent is one,
// so whoever reads metrics learns nothing that the audit protects (decisions 0109 and 0143).
type metrics struct {
	loops         func() []worker.LoopStats
	log           func(context.Context) (events.Seq, error)                  // its end
	halted        func() error                                               // what the log is not trusted for any more; nil if it is
	views         func(context.Context) (events.Seq, error)                  // what they hold
	agents        func(context.Context) (online, enrolled int, err error)    // by the views
	clusters      func(context.Context) ([]projections.ClusterAgents, error) // likewise
	rights        func() events.Seq                                          // what the rights in memory hold
	circumstances func() events.Seq                                          // likewise
	age           func(context.Context, events.Seq) (time.Duration, error)   // of a commit
	queued        func(context.Context) (int, error)                         // jobs
	outbox        func(context.Context) (waiting int, late time.Duration, err error)
	open          func(context.Context) (watches, requests int, err error) // by the views

	witnessed   func(context.Context) (size int64, err error) // the most that any agent vouches for
	distrusting func() int                                    // agents that take this log for another one
	proof       func() ledger.Stats
	looks       func() map[look]looked // comparisons with the log that this server made
	refused     func() map[accounts.RowKind]uint64
	logger      *slog.Logger

	figures *figures
}

// loopMetric is a figure of each loop.
type loopMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(worker.LoopStats) float64
}

var perLoop = []loopMetric{
	loopDesc("held", "1 while this server works at the loop, 0 while another one may", prometheus.GaugeValue, func(s worker.LoopStats) float64 {
		if s.Held {
			return 1
		}
		return 0
	}),
	loopDesc("lag_seconds", "how far the loop is behind what it follows, or how long the oldest thing is due; 0 unless held", prometheus.GaugeValue, func(s worker.LoopStats) float64 {
		return s.Lag.Seconds()
	}),
	loopDesc("last_run_timestamp_seconds", "when a step of the loop last ended well on this server, 0 if none did", prometheus.GaugeValue, func(s worker.LoopStats) float64 {
		return unixSeconds(s.LastRun)
	}),
	loopDesc("position", "sequence of the last commit that the loop reacted to on this server, 0 for one that follows time", prometheus.GaugeValue, func(s worker.LoopStats) float64 {
		return float64(s.Position)
	}),
	loopDesc("terms_total", "how often this server took the loop's lease", prometheus.CounterValue, func(s worker.LoopStats) float64 {
		return float64(s.Terms)
	}),
	loopDesc("handled_total", "what the loop did", prometheus.CounterValue, func(s worker.LoopStats) float64 {
		return float64(s.Handled)
	}),
	loopDesc("failed_total", "what the loop could not do and tries again", prometheus.CounterValue, func(s worker.LoopStats) float64 {
		return float64(s.Failed)
	}),
	loopDesc("dead_letters_total", "what the loop gave up", prometheus.CounterValue, func(s worker.LoopStats) float64 {
		return float64(s.Buried)
	}),
}

func loopDesc(name, help string, kind prometheus.ValueType, value func(worker.LoopStats) float64) loopMetric {
	return loopMetric{prometheus.NewDesc("sb_loop_"+name, help, []string{"loop"}, nil), kind, value}
}

// The figures of a server as a whole.
var (
	buildInfo    = prometheus.NewDesc("sb_build_info", "1, for the version that runs", []string{"version", "go"}, nil)
	partUp       = prometheus.NewDesc("sb_part_up", "1 while a part that the server needs answers it, else 0", []string{"part"}, nil)
	logLast      = prometheus.NewDesc("sb_log_last_sequence", "sequence of the newest commit of the log", nil, nil)
	logAlarm     = prometheus.NewDesc("sb_log_alarm", "1 once this server does not trust its log any more, by what it found; it stops then", []string{"name"}, nil)
	viewsAt      = prometheus.NewDesc("sb_views_position", "sequence of the last commit that the views hold", nil, nil)
	viewsBehind  = prometheus.NewDesc("sb_views_lag_commits", "commits of the log that the views do not hold yet", nil, nil)
	outboxDepth  = prometheus.NewDesc("sb_outbox_waiting", "deliveries of notices that are still to be made, also those held back", nil, nil)
	outboxLate   = prometheus.NewDesc("sb_outbox_late_seconds", "how long the oldest delivery of a notice is due, 0 if none is", nil, nil)
	watchesOpen  = prometheus.NewDesc("sb_watches_open", "applications that are watched for written patches and not yet judged", nil, nil)
	watchedFor   = prometheus.NewDesc("sb_watched_requests", "written patches whose applications are watched", nil, nil)
	witnessed    = prometheus.NewDesc("sb_witnessed_commits", "commits of the largest checkpoint that an agent cosigned, 0 if none did", nil, nil)
	distrusting  = prometheus.NewDesc("sb_distrusting_agents", "agents that told this server within a minute that they do no jobs, because they take the log for another one", nil, nil)
	comparedDiff = prometheus.NewDesc("sb_compared_differences", "rows of views and audit that were not what the log says when this server last compared them, by how much it looked at", []string{"look"}, nil)
	comparedAt   = prometheus.NewDesc("sb_compared_timestamp_seconds", "when this server last compared views and audit with the log", []string{"look"}, nil)
	followBehind = prometheus.NewDesc("sb_follower_lag_commits", "commits of the log that a follower of it has not taken yet", []string{"follower"}, nil)
	followLate   = prometheus.NewDesc("sb_follower_lag_seconds", "how old the oldest commit is that a follower has not taken yet, 0 if it took all", []string{"follower"}, nil)
	jobsQueued   = prometheus.NewDesc("sb_jobs_queued", "tickets that wait for an agent or are in an agent's hands", nil, nil)
	byCluster    = prometheus.NewDesc("sb_cluster_agents", "agents that are enrolled, by their cluster and by whether they are heard", []string{"cluster", "state"}, nil)
	agentsByHear = prometheus.NewDesc("sb_agents", "agents that are enrolled, by whether they are heard", []string{"state"}, nil)
)

// Describe implements [prometheus.Collector].
func (m metrics) Describe(to chan<- *prometheus.Desc) {
	for _, l := range perLoop {
		to <- l.desc
	}
	for _, d := range []*prometheus.Desc{buildInfo, partUp, logLast, logAlarm, viewsAt, viewsBehind, outboxDepth, outboxLate, watchesOpen, watchedFor, comparedDiff, comparedAt, agentsByHear, witnessed, distrusting, followBehind, followLate, jobsQueued, byCluster, refusedRows} {
		to <- d
	}
	for _, d := range proofDescs {
		to <- d
	}
}

// Collect implements [prometheus.Collector]. What cannot be asked is left out, and its part
// is told to be down, so that the rest is still told.
func (m metrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), opsTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	up := func(part string, err error) bool {
		if err != nil {
			m.logger.Warn("a part that is measured does not answer", "part", part, "err", err)
			gauge(partUp, 0, part)
			return false
		}
		gauge(partUp, 1, part)
		return true
	}
	gauge(buildInfo, 1, build.Version(), runtime.Version())
	for _, s := range m.loops() {
		for _, l := range perLoop {
			to <- prometheus.MustNewConstMetric(l.desc, l.kind, l.value(s), string(s.Name))
		}
	}
	gauge(distrusting, float64(m.distrusting()))
	collectProof(to, m.proof())
	for what, s := range m.looks() {
		gauge(comparedDiff, float64(s.differences), string(what))
		gauge(comparedAt, float64(s.at.Unix()), string(what))
	}
	for kind, n := range m.refused() {
		to <- prometheus.MustNewConstMetric(refusedRows, prometheus.CounterValue, float64(n), kind.Table, kind.Why)
	}
	found, _ := command.AlarmOf(m.halted())
	for _, alarm := range command.Alarms {
		value := 0.0
		if alarm == found {
			value = 1
		}
		gauge(logAlarm, value, string(alarm))
	}
	// The views first: they are never ahead of the log then.
	at, viewsErr := m.views(ctx)
	last, logErr := m.log(ctx)
	if up("log", logErr) {
		gauge(logLast, float64(last))
		m.collectFollower(ctx, gauge, "rights", m.rights(), last)
		m.collectFollower(ctx, gauge, "circumstances", m.circumstances(), last)
		if depth, err := m.queued(ctx); err == nil {
			gauge(jobsQueued, float64(depth))
		} else {
			m.logger.Warn("a part that is measured does not answer", "part", "queue", "err", err)
		}
	}
	if up("database", viewsErr) {
		gauge(viewsAt, float64(at))
		if logErr == nil {
			gauge(viewsBehind, float64(last-min(at, last)))
			m.collectFollower(ctx, gauge, "views", at, last)
		}
	}
	if viewsErr != nil {
		return
	}
	told := func(part string, err error) bool {
		if err != nil {
			m.logger.Warn("a part that is measured does not answer", "part", part, "err", err)
		}
		return err == nil
	}
	if online, enrolled, err := m.agents(ctx); told("agents", err) {
		gauge(agentsByHear, float64(online), string(events.AgentOnline))
		gauge(agentsByHear, float64(enrolled-online), string(events.AgentOffline))
	}
	if clusters, err := m.clusters(ctx); told("clusters", err) {
		for _, c := range clusters {
			gauge(byCluster, float64(c.Online), string(c.Cluster), string(events.AgentOnline))
			gauge(byCluster, float64(c.Enrolled-c.Online), string(c.Cluster), string(events.AgentOffline))
		}
	}
	if size, err := m.witnessed(ctx); told("cosignatures", err) {
		gauge(witnessed, float64(size))
	}
	if waiting, late, err := m.outbox(ctx); told("outbox", err) {
		gauge(outboxDepth, float64(waiting))
		gauge(outboxLate, late.Seconds())
	}
	if watches, requests, err := m.open(ctx); told("watches", err) {
		gauge(watchesOpen, float64(watches))
		gauge(watchedFor, float64(requests))
	}
}

// maxClusters bounds the series of clusters.
const maxClusters = 500

// collectFollower tells how far one is behind. last was asked after its position.
func (m metrics) collectFollower(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), name string, at, last events.Seq) {
	gauge(followBehind, float64(last-min(at, last)), name)
	late := time.Duration(0)
	if at < last {
		var err error
		if late, err = m.age(ctx, at+1); err != nil {
			m.logger.Warn("a part that is measured does not answer", "part", name, "err", err)
			return
		}
	}
	gauge(followLate, max(0, late.Seconds()), name)
}

// age is how old a commit is, by this server's clock.
func (st *stack) age(ctx context.Context, seq events.Seq) (time.Duration, error) {
	commit, err := st.store.At(ctx, seq)
	if err != nil {
		return 0, err
	}
	return time.Since(commit.Events[0].Time), nil
}

// measures is what this server tells.
func (st *stack) measures() metrics {
	return metrics{
		loops:  st.worker.Stats,
		log:    st.store.Last,
		halted: st.store.Halted,
		views: func(ctx context.Context) (events.Seq, error) {
			at, err := st.progress.Position(ctx)
			return at.Seq, err
		},
		agents: projections.Agents{Pool: st.pool}.Count,
		clusters: func(ctx context.Context) ([]projections.ClusterAgents, error) {
			return projections.Agents{Pool: st.pool}.ByCluster(ctx, maxClusters)
		},
		rights: st.rights.Position, circumstances: st.circumstances.Position, age: st.age, queued: st.jobs.Depth,
		figures:   st.figures,
		witnessed: st.witnesses.largest, distrusting: func() int { return len(st.witnesses.Refusing()) },
		outbox: func(ctx context.Context) (int, time.Duration, error) {
			return store.Deliveries{Pool: st.pool}.Depth(ctx, time.Now())
		},
		open:  projections.Rollouts{Pool: st.pool}.Count,
		proof: st.ledger.Stats,
		looks: st.comparer.looked, refused: st.denouncer.Counted,
		logger: st.log,
	}
}

// registry is what is told: the figures of the server, of Go and of the process.
func (m metrics) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(m.figures.all()...)
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// maxScrapes bounds who asks at the same time: each asks the log and the database.
const maxScrapes = 4

// handler answers GET /metrics.
func (m metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry(), promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(m.logger.Handler(), slog.LevelWarn), MaxRequestsInFlight: maxScrapes, Timeout: 2 * opsTimeout,
	})
}
