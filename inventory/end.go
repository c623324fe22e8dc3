package inventory

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Finish takes the good end of a job. Only of a scan that listed everything is what it did
// not meet gone.
func (i *Inventory) Finish(ctx context.Context, meta command.Meta, by Agent, m events.FinishJob) error {
	meta.Command = events.DeriveCommandID("finish", string(by.ID), string(m.Job), strconv.Itoa(m.Attempt))
	err := i.finish(ctx, meta, by, m)
	if !errors.Is(err, command.ErrJobOver) {
		return err
	}
	job, fault := i.load(ctx, m.Job)
	switch {
	case fault != nil:
		return fault
	case !job.Took(meta.Command):
		return err
	}
	// The answer was lost, or another server took the same call. What follows the fact may
	// be left.
	return i.Ended(ctx, m.Job)
}

func (i *Inventory) finish(ctx context.Context, meta command.Meta, by Agent, m events.FinishJob) error {
	job, err := i.holds(ctx, by, m.Job, m.Attempt, events.OperationDiscover, events.OperationFingerprint, events.OperationKeys)
	if err != nil {
		return err
	}
	finish := command.FinishJob{Attempt: attemptOf(by, m.Job, m.Attempt), Cluster: by.Cluster, Version: m.Version}
	if job.Queued.Operation == events.OperationKeys {
		if err := command.CheckKeyNames(m.Keys); err != nil || m.Pages != 0 {
			return command.ErrOutcomeInvalid
		}
		finish.Keys = len(m.Keys)
		// They are of no use before the fact says that the job is done.
		if err := i.Scans.KeepNames(ctx, m.Job, m.Keys, meta.Time.Add(namesFor)); err != nil {
			return err
		}
	} else {
		if len(m.Keys) > 0 || m.Version != "" {
			return command.ErrOutcomeInvalid
		}
		if finish.Result, err = i.complete(ctx, meta, job, m); err != nil {
			return err
		}
	}
	if _, err := command.Execute(ctx, i.Log, events.JobStream(m.Job), meta, func(j command.Job) ([]events.Fact, error) {
		return j.Finish(meta, finish)
	}); err != nil {
		return err
	}
	return i.Ended(ctx, m.Job)
}

// complete counts a job over a connection, and records what is gone.
func (i *Inventory) complete(ctx context.Context, meta command.Meta, job command.Job, m events.FinishJob) (events.ScanTally, error) {
	at, err := i.Scans.Get(ctx, m.Job)
	switch {
	case errors.Is(err, ErrNoScan):
		return events.ScanTally{}, command.ErrJobOver
	case err != nil:
		return events.ScanTally{}, err
	case at.Attempt != m.Attempt:
		return events.ScanTally{}, command.ErrAttemptStale
	case at.Pages != m.Pages:
		return events.ScanTally{}, command.ErrPageOrder
	}
	tally := at.Tally
	if job.Queued.Operation != events.OperationDiscover || tally.Unlisted > 0 {
		return tally, nil
	}
	tally.Gone, err = i.gone(ctx, meta, job, at)
	return tally, err
}

// Abandon takes the bad end of a job.
func (i *Inventory) Abandon(ctx context.Context, meta command.Meta, by Agent, m events.AbandonJob) error {
	meta.Command = events.DeriveCommandID("abandon", string(by.ID), string(m.Job), strconv.Itoa(m.Attempt))
	return i.abandon(ctx, meta, command.AbandonJob{Attempt: attemptOf(by, m.Job, m.Attempt), Cluster: by.Cluster, Code: m.Code})
}

// Bury ends a job whose ticket nobody gets again. It reports false if there is no such job.
func (i *Inventory) Bury(ctx context.Context, cluster events.ClusterID, id events.JobID, code events.FailureCode) (bool, error) {
	job, err := i.load(ctx, id)
	if err != nil || job.State == "" {
		return false, err
	}
	meta := command.Meta{Command: events.DeriveCommandID("dead letter", string(id)), Actor: system, Time: i.Now()}
	return true, i.abandon(ctx, meta, command.AbandonJob{Attempt: command.Attempt{Job: id}, Cluster: cluster, Code: code})
}

func (i *Inventory) abandon(ctx context.Context, meta command.Meta, cmd command.AbandonJob) error {
	cmd.Result = i.tally(ctx, cmd.Job)
	_, err := command.Execute(ctx, i.Log, events.JobStream(cmd.Job), meta, func(j command.Job) ([]events.Fact, error) {
		return j.Abandon(meta, cmd)
	})
	if err != nil {
		return err
	}
	return i.Ended(ctx, cmd.Job)
}

// Cancel calls a job off.
func (i *Inventory) Cancel(ctx context.Context, meta command.Meta, id events.JobID, reason string) (command.Decision[command.Job], error) {
	result := i.tally(ctx, id)
	done, err := command.Execute(ctx, i.Log, events.JobStream(id), meta, func(j command.Job) ([]events.Fact, error) {
		return j.Cancel(meta, reason, result)
	})
	if err != nil {
		return done, err
	}
	return done, i.Ended(ctx, id)
}

// Expire brings jobs to their end whose time is over.
func (i *Inventory) Expire(ctx context.Context) error {
	open, err := i.Views.OpenJobs(ctx)
	if err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	for _, id := range open {
		meta := command.Meta{Command: events.DeriveCommandID("job expired", string(id)), Actor: system, Time: i.Now()}
		job, err := i.load(ctx, id)
		if err != nil {
			return err
		}
		if job.State.Over() || meta.Time.Before(job.Queued.Until) {
			continue
		}
		result := i.tally(ctx, id)
		if _, err := command.Execute(ctx, i.Log, events.JobStream(id), meta, func(j command.Job) ([]events.Fact, error) {
			return j.Expire(meta, result)
		}); err != nil {
			return err
		}
		if err := i.Ended(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// Ended forgets what is of no use after a job's end. It is safe to do again.
func (i *Inventory) Ended(ctx context.Context, id events.JobID) error {
	job, err := i.load(ctx, id)
	if err != nil || !job.State.Over() {
		return err
	}
	replaces := events.ConnectionID("")
	if job.State == events.JobStateFinished && job.Queued.Operation == events.OperationFingerprint {
		replaces = job.Queued.Connection
	}
	return i.Scans.End(ctx, id, replaces)
}

// tally is what a job met so far, as well as anybody knows. Something is gone by it only if
// its end was begun and did not come.
func (i *Inventory) tally(ctx context.Context, id events.JobID) events.ScanTally {
	at, err := i.Scans.Get(ctx, id)
	if errors.Is(err, ErrNoScan) {
		return at.Tally
	}
	if err == nil {
		_, at.Tally.Gone, err = i.goneBefore(ctx, id)
	}
	if err != nil {
		i.Logger.Warn("what a job met is not known", "job", id, "err", err)
	}
	return at.Tally
}
