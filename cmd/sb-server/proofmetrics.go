package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"secretsbridge/ledger"
)

// The figures of the log's proof. The label of a witness is the name of its key, which the
// operator wrote into the policy.
var (
	treeSize       = prometheus.NewDesc("sb_tree_size", "commits of the log that this server has read and proven", nil, nil)
	checkpointSize = prometheus.NewDesc("sb_checkpoint_size", "commits in the last checkpoint, by any server, that this one compared with the log", nil, nil)
	checkpointAt   = prometheus.NewDesc("sb_checkpoint_timestamp_seconds", "when that was signed, 0 if there is none", nil, nil)
	witnessSize    = prometheus.NewDesc("sb_witness_size", "commits in the checkpoint that an outside witness cosigned last for this server", []string{"witness"}, nil)
	witnessSigned  = prometheus.NewDesc("sb_witness_cosignatures_total", "checkpoints that an outside witness cosigned for this server", []string{"witness"}, nil)
	witnessFailing = prometheus.NewDesc("sb_witness_failing", "1 while an outside witness did not cosign when this server asked it last", []string{"witness"}, nil)
	witnessClaims  = prometheus.NewDesc("sb_witness_contradicts", "1 since an outside witness claimed another history, until it cosigns for this server", []string{"witness"}, nil)
	scrubOf        = prometheus.NewDesc("sb_scrub_commits", "commits that this server's reading of the whole log is to read, of the pass that runs or the last one", nil, nil)
	scrubDone      = prometheus.NewDesc("sb_scrub_done_commits", "commits of them that were read and compared", nil, nil)
	scrubAt        = prometheus.NewDesc("sb_scrub_last_run_timestamp_seconds", "when this server last read the whole log and found nothing wrong, 0 if it never did since it started", nil, nil)
	tilesSize      = prometheus.NewDesc("sb_tiles_size", "commits in the checkpoint that this server exported last with its tiles, 0 if it exports none", nil, nil)
)

var proofDescs = []*prometheus.Desc{
	treeSize, checkpointSize, checkpointAt, witnessSize, witnessSigned, witnessFailing, witnessClaims, scrubOf, scrubDone, scrubAt, tilesSize,
}

// collectProof tells how the proof stands.
func collectProof(to chan<- prometheus.Metric, s ledger.Stats) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(treeSize, float64(s.Size))
	gauge(checkpointSize, float64(s.Signed))
	gauge(checkpointAt, unixSeconds(s.SignedAt))
	gauge(scrubOf, float64(s.Scrub.Of))
	gauge(scrubDone, float64(s.Scrub.Done))
	gauge(scrubAt, unixSeconds(s.Scrub.EndedAt))
	gauge(tilesSize, float64(s.Tiles.Size))
	for name, w := range s.Witnesses {
		gauge(witnessSize, float64(w.Size), name)
		gauge(witnessFailing, oneIf(w.Failing), name)
		gauge(witnessClaims, oneIf(w.Contradicts), name)
		to <- prometheus.MustNewConstMetric(witnessSigned, prometheus.CounterValue, float64(w.Cosigned), name)
	}
}

// oneIf is 1 for what is so.
func oneIf(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

// unixSeconds is a time as Prometheus has it, 0 for none.
func unixSeconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}
