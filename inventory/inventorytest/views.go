package inventorytest

import (
	"context"
	"slices"
	"strings"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/inventory"
)

// Views is an [inventory.Views] that reads the whole log each time.
type Views struct{ Log *commandtest.Memory }

var _ inventory.Views = Views{}

// each hands every fact of the log to look.
func (v Views) each(ctx context.Context, look func(events.Event)) {
	last, _ := v.Log.Last(ctx)
	for seq := events.Seq(1); seq <= last; seq++ {
		c, err := v.Log.At(ctx, seq)
		if err != nil {
			panic(err)
		}
		for _, e := range c.Events {
			look(e)
		}
	}
}

// WaitFor implements [inventory.Views].
func (v Views) WaitFor(ctx context.Context, _ events.Seq) error { return ctx.Err() }

// Present are the secrets that are there now.
func (v Views) Present(ctx context.Context) map[events.SecretID]events.SecretMetadata {
	there := map[events.SecretID]events.SecretMetadata{}
	v.each(ctx, func(e events.Event) {
		switch f := e.Fact.(type) {
		case events.SecretsFound:
			for _, s := range f.Secrets {
				there[events.SecretOf(f.Connection, s.Ref)] = s
			}
		case events.SecretsChanged:
			for _, s := range f.Secrets {
				there[events.SecretOf(f.Connection, s.Ref)] = s
			}
		case events.SecretsGone:
			for _, ref := range f.Refs {
				delete(there, events.SecretOf(f.Connection, ref))
			}
		}
	})
	return there
}

// PresentAfter implements [inventory.Views].
func (v Views) PresentAfter(ctx context.Context, connection events.ConnectionID, after events.SecretID, limit int) ([]inventory.Name, error) {
	var names []inventory.Name
	for id, s := range v.Present(ctx) {
		if id > after && id == events.SecretOf(connection, s.Ref) {
			names = append(names, inventory.Name{ID: id, Ref: s.Ref})
		}
	}
	slices.SortFunc(names, func(a, b inventory.Name) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return names[:min(len(names), limit)], nil
}

// LastNumber implements [inventory.Views].
func (v Views) LastNumber(ctx context.Context, connection events.ConnectionID, op events.Operation) (n int, err error) {
	v.each(ctx, func(e events.Event) {
		if f, ok := e.Fact.(events.JobQueued); ok && f.Connection == connection && f.Operation == op {
			n = max(n, f.Number)
		}
	})
	return n, nil
}

// OpenJobs implements [inventory.Views].
func (v Views) OpenJobs(ctx context.Context) (open []events.JobID, err error) {
	v.each(ctx, func(e events.Event) {
		switch f := e.Fact.(type) {
		case events.JobQueued:
			open = append(open, f.Job)
		case events.JobFinished, events.JobFailed, events.JobCancelled:
			open = slices.DeleteFunc(open, func(id events.JobID) bool { return string(id) == e.Stream.ID })
		}
	})
	return open, nil
}

// Schedules implements [inventory.Views].
func (v Views) Schedules(ctx context.Context) ([]inventory.Schedule, error) {
	every := map[events.ConnectionID]inventory.Schedule{}
	scans := map[events.JobID]events.ConnectionID{}
	v.each(ctx, func(e events.Event) {
		switch f := e.Fact.(type) {
		case events.DiscoveryScheduled:
			s := every[events.ConnectionID(e.Stream.ID)]
			s.Connection, s.Every = events.ConnectionID(e.Stream.ID), time.Duration(f.Every)*time.Second
			every[s.Connection] = s
		case events.JobQueued:
			if f.Operation == events.OperationDiscover {
				s := every[f.Connection]
				s.Number = f.Number
				every[f.Connection], scans[f.Job] = s, f.Connection
			}
		case events.JobFinished, events.JobFailed, events.JobCancelled:
			if name, ok := scans[events.JobID(e.Stream.ID)]; ok {
				s := every[name]
				s.Last = e.Time
				every[name] = s
			}
		}
	})
	var all []inventory.Schedule
	for _, s := range every {
		if s.Every > 0 {
			all = append(all, s)
		}
	}
	return all, nil
}
