package inventory

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"secretsbridge/command"
	"secretsbridge/events"
)

// system is the actor of what follows from time alone.
var system = events.SystemActor("worker")

// Queue opens a job over a whole connection, unless one of the kind is under way: then it
// is [command.ErrScanRunning], with the job that runs. The jobs of a connection are
// numbered, and the next number is free only when the job before is over, so that two who
// ask at the same time cannot both get one.
func (i *Inventory) Queue(ctx context.Context, meta command.Meta, name events.ConnectionID, op events.Operation) (command.Decision[command.Job], error) {
	var none command.Decision[command.Job]
	if op != events.OperationDiscover && op != events.OperationFingerprint {
		return none, command.ErrJobKind
	}
	connection, err := i.connection(ctx, name)
	if err != nil {
		return none, err
	}
	last, err := i.Views.LastNumber(ctx, name, op)
	if err != nil {
		return none, fmt.Errorf("last job of %s: %w", name, err)
	}
	// The views may be behind, so go on to the first number that is free.
	for n := last; ; n++ {
		if n > 0 {
			before, err := i.load(ctx, events.ScanOf(name, op, n))
			switch {
			case err != nil:
				return none, err
			case before.Took(meta.Command):
				return command.Decision[command.Job]{State: before, Repeated: true}, nil
			case !before.State.Over() && before.State != "":
				return command.Decision[command.Job]{State: before}, command.ErrScanRunning
			}
		}
		id := events.ScanOf(name, op, n+1)
		done, err := i.queue(ctx, meta, events.JobQueued{
			Job: id, Operation: op, Connection: name, Provider: connection.Provider, Cluster: connection.Cluster,
			Number: n + 1, Scheduled: meta.Actor == system, Until: meta.Time.Add(command.MaxScan).UTC(),
		})
		if errors.Is(err, command.ErrJobExists) {
			continue
		}
		return done, err
	}
}

// QueueKeys opens a job for the names of one secret's keys.
func (i *Inventory) QueueKeys(ctx context.Context, meta command.Meta, name events.ConnectionID, ref string) (command.Decision[command.Job], error) {
	connection, err := i.connection(ctx, name)
	if err != nil {
		return command.Decision[command.Job]{}, err
	}
	return i.queue(ctx, meta, events.JobQueued{
		Job: events.KeysJobOf(meta.Command), Operation: events.OperationKeys, Connection: name, Provider: connection.Provider, Cluster: connection.Cluster,
		Secret: events.SecretOf(name, ref), Ref: ref, Until: meta.Time.Add(command.MaxKeysJob).UTC(),
	})
}

func (i *Inventory) queue(ctx context.Context, meta command.Meta, job events.JobQueued) (command.Decision[command.Job], error) {
	return command.Execute(ctx, i.Log, events.JobStream(job.Job), meta, func(j command.Job) ([]events.Fact, error) { return j.Queue(meta, job) })
}

// connection returns one that takes jobs.
func (i *Inventory) connection(ctx context.Context, name events.ConnectionID) (command.Connection, error) {
	c, _, err := command.Load[command.Connection](ctx, i.Log, events.ConnectionStream(name))
	switch {
	case err != nil:
		return c, err
	case c.State == "":
		return c, command.ErrConnectionUnknown
	case c.State == command.ConnectionDisabled:
		return c, command.ErrConnectionDisabled
	}
	return c, nil
}

// QueueDue opens the scans whose time has come.
func (i *Inventory) QueueDue(ctx context.Context) error {
	schedules, err := i.Views.Schedules(ctx)
	if err != nil {
		return fmt.Errorf("schedules: %w", err)
	}
	now := i.Now()
	for _, s := range schedules {
		if now.Sub(s.Last) < s.Every {
			continue
		}
		meta := command.Meta{
			Command: events.DeriveCommandID("scheduled scan", string(s.Connection), strconv.Itoa(s.Number+1)),
			Actor:   system, Time: now,
		}
		_, err := i.Queue(ctx, meta, s.Connection, events.OperationDiscover)
		var refused *command.Rejection
		if err != nil && !errors.As(err, &refused) { // one is under way, or the connection is disabled
			return fmt.Errorf("scheduled scan of %s: %w", s.Connection, err)
		}
	}
	return nil
}
