package main

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"secretsbridge/events"
)

// providerFigures adds up what agents report of their providers. It takes valid reports only
// ([events.ValidCalls]): words of the vocabulary, so that no agent can make up a series.
type providerFigures struct {
	mu    sync.Mutex
	calls map[providerCall]uint64
	took  map[providerWork]*reported
}

type providerWork struct {
	provider  events.ProviderKind
	operation events.CallOperation
}

type providerCall struct {
	providerWork
	outcome events.CallOutcome
}

// reported is how long calls took.
type reported struct {
	slots   []uint64 // as [events.ProviderCalls.Took]
	seconds float64
}

var (
	providerCalls = prometheus.NewDesc("sb_provider_calls_total", "calls of providers that agents reported to this server", []string{"provider", "operation", "outcome"}, nil)
	providerTook  = prometheus.NewDesc("sb_provider_call_duration_seconds", "how long they took", []string{"provider", "operation"}, nil)
)

func newProviderFigures() *providerFigures {
	return &providerFigures{calls: map[providerCall]uint64{}, took: map[providerWork]*reported{}}
}

func (p *providerFigures) add(calls []events.ProviderCalls) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range calls {
		work := providerWork{c.Provider, c.Operation}
		took := p.took[work]
		if took == nil {
			took = &reported{slots: make([]uint64, len(events.CallBounds)+1)}
			p.took[work] = took
		}
		for i, n := range c.Took {
			took.slots[i] += uint64(n)
			p.calls[providerCall{work, c.Outcome}] += uint64(n)
		}
		took.seconds += float64(c.SumMS) / 1000
	}
}

// Describe implements [prometheus.Collector].
func (p *providerFigures) Describe(to chan<- *prometheus.Desc) {
	to <- providerCalls
	to <- providerTook
}

// Collect implements [prometheus.Collector].
func (p *providerFigures) Collect(to chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for call, n := range p.calls {
		to <- prometheus.MustNewConstMetric(providerCalls, prometheus.CounterValue, float64(n), string(call.provider), string(call.operation), string(call.outcome))
	}
	for work, took := range p.took {
		buckets, below := make(map[float64]uint64, len(events.CallBounds)), uint64(0)
		for i, bound := range events.CallBounds {
			below += took.slots[i]
			buckets[bound.Seconds()] = below
		}
		below += took.slots[len(events.CallBounds)]
		to <- prometheus.MustNewConstHistogram(providerTook, below, took.seconds, buckets, string(work.provider), string(work.operation))
	}
}
