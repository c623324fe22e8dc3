package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

var lookedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func seen() events.Observation {
	return events.Observation{
		At: lookedAt, Sync: "Synced", Health: "Healthy", Revision: "main@sha1:4d0c9d2a", OperationPhase: "Succeeded", OperationFinished: lookedAt,
		Secrets: []events.ObservedSecret{{Namespace: "shop", Name: "db.v1", ResourceVersion: "12345", External: "db", Ready: true, Refreshed: lookedAt}},
		Workloads: []events.ObservedWorkload{{Kind: "Rollout", Namespace: "shop", Name: "api", Use: events.UseVolume, Pods: []events.ObservedPod{
			{Name: "api-7d9f-x2x4z", Started: lookedAt.Add(-90 * 24 * time.Hour)},
		}}},
	}
}

func pods(n int) []events.ObservedPod {
	all := make([]events.ObservedPod, n)
	for i := range all {
		all[i] = events.ObservedPod{Name: fmt.Sprintf("p-%d", i), Started: lookedAt}
	}
	return all
}

func TestAnObservationIsCheckedBeforeItIsBelieved(t *testing.T) {
	workload := func(n int) events.ObservedWorkload {
		return events.ObservedWorkload{Kind: "Deployment", Namespace: "shop", Name: "api", Use: events.UseEnvironment, Pods: pods(n)}
	}
	for name, c := range map[string]struct {
		change func(*events.Observation)
		fails  bool
	}{
		"as an agent makes it":        {func(*events.Observation) {}, false},
		"nothing but its time":        {func(o *events.Observation) { *o = events.Observation{At: lookedAt} }, false},
		"a problem alone":             {func(o *events.Observation) { *o = events.Observation{At: lookedAt, Problem: events.RolloutForbidden} }, false},
		"a problem and a state":       {func(o *events.Observation) { o.Problem = events.RolloutForbidden }, true},
		"a problem that nobody knows": {func(o *events.Observation) { *o = events.Observation{At: lookedAt, Problem: "<b>"} }, true},
		"a problem at another time": {func(o *events.Observation) {
			*o = events.Observation{At: lookedAt.Add(-time.Hour), Problem: events.RolloutForbidden}
		}, true},
		"a sync that nobody knows":         {func(o *events.Observation) { o.Sync = "synced" }, true},
		"a health that nobody knows":       {func(o *events.Observation) { o.Health = "Great" }, true},
		"a phase that nobody knows":        {func(o *events.Observation) { o.OperationPhase = "Done" }, true},
		"a revision of two lines":          {func(o *events.Observation) { o.Revision = "a\nb" }, true},
		"a long revision":                  {func(o *events.Observation) { o.Revision = strings.Repeat("a", 513) }, true},
		"a clock that is behind":           {func(o *events.Observation) { o.At = lookedAt.Add(-6 * time.Minute) }, true},
		"no time":                          {func(o *events.Observation) { o.At = time.Time{} }, true},
		"a clock that is a little ahead":   {func(o *events.Observation) { o.At = lookedAt.Add(4 * time.Minute) }, false},
		"a secret of a foreign alphabet":   {func(o *events.Observation) { o.Secrets[0].Name = "dß" }, true},
		"a secret with no namespace":       {func(o *events.Observation) { o.Secrets[0].Namespace = "" }, true},
		"a namespace that climbs":          {func(o *events.Observation) { o.Secrets[0].Namespace = ".." }, true},
		"an external secret with a path":   {func(o *events.Observation) { o.Secrets[0].External = "a/b" }, true},
		"a resource version with controls": {func(o *events.Observation) { o.Secrets[0].ResourceVersion = "1\x1b[2J" }, true},
		"a refresh that is to come":        {func(o *events.Observation) { o.Secrets[0].Refreshed = lookedAt.Add(time.Hour) }, true},
		"a sync that is to come":           {func(o *events.Observation) { o.OperationFinished = lookedAt.Add(time.Hour) }, true},
		"a change that is to come":         {func(o *events.Observation) { o.Secrets[0].Changed = lookedAt.Add(time.Hour) }, true},
		"a look that took for ever":        {func(o *events.Observation) { o.TookMS = 60_001 }, true},
		"a look that ended before": {func(o *events.Observation) {
			*o = events.Observation{At: lookedAt, Problem: events.RolloutForbidden, TookMS: -1}
		}, true},
		"a workload of no kind":    {func(o *events.Observation) { o.Workloads[0].Kind = "Secret" }, true},
		"a workload with no use":   {func(o *events.Observation) { o.Workloads[0].Use = "" }, true},
		"a workload in capitals":   {func(o *events.Observation) { o.Workloads[0].Name = "API" }, true},
		"a pod with a long name":   {func(o *events.Observation) { o.Workloads[0].Pods[0].Name = strings.Repeat("a", 254) }, true},
		"a pod that never started": {func(o *events.Observation) { o.Workloads[0].Pods[0].Started = time.Time{} }, true},
		"a pod of tomorrow":        {func(o *events.Observation) { o.Workloads[0].Pods[0].Started = lookedAt.Add(time.Hour) }, true},
		"as many pods as may be":   {func(o *events.Observation) { o.Workloads = []events.ObservedWorkload{workload(2500), workload(2500)} }, false},
		"one pod more":             {func(o *events.Observation) { o.Workloads = []events.ObservedWorkload{workload(2500), workload(2501)} }, true},
		"too many secrets":         {func(o *events.Observation) { o.Secrets = make([]events.ObservedSecret, events.MaxObservedSecrets+1) }, true},
		"too many workloads": {func(o *events.Observation) {
			o.Workloads = make([]events.ObservedWorkload, events.MaxObservedWorkloads+1)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := seen()
			c.change(&o)
			if err := o.Check(lookedAt); (err != nil) != c.fails {
				t.Errorf("Check: %v", err)
			}
		})
	}
	o := seen()
	o.At = lookedAt.Add(events.ClockTolerance + time.Second)
	if err := o.Check(lookedAt); !errors.Is(err, events.ErrClockApart) {
		t.Errorf("a clock that is apart: %v", err)
	}
}
