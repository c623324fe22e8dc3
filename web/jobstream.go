package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/inventory"
	"secretsbridge/web/api"
)

// streamJob tells what becomes of one job, as Server-Sent Events, until it is over. Its
// progress leaves no facts, so it is looked at while it runs; such an event has the
// sequence of the fact before.
func (a *API) streamJob(c *call) (reply, error) {
	job, err := a.visibleJob(c)
	if err != nil {
		return reply{}, err
	}
	return a.follow(c, "job", events.JobStream(job.ID), func() (told, error) {
		job, err := a.visibleJob(c)
		if err != nil {
			return told{}, err
		}
		shown, err := a.presentJob(c, job)
		if err != nil {
			return told{}, err
		}
		mark, err := json.Marshal([]any{shown.Progress, shown.Waiting})
		return told{seq: job.LastSeq, mark: string(mark), shown: shown, over: job.State.Over(), moves: job.State == events.JobStateRunning}, err
	})
}

// keyNames tells the names of a secret's keys to the person who asked for them, and to
// nobody else. That they are told is a fact, once for the job; until it is in the log
// they are not told.
func (a *API) keyNames(c *call) (reply, error) {
	id := events.JobID(c.param("id"))
	if !events.ValidID(string(id), "j_") {
		return reply{}, command.ErrJobUnknown
	}
	if err := a.fresh(c); err != nil { // what is told here is told once and for all
		return reply{}, err
	}
	history, err := a.Log.Load(c.ctx(), events.JobStream(id))
	if err != nil {
		return reply{}, err
	}
	var job command.Job
	var version string
	for _, commit := range history {
		for _, e := range commit.Events {
			job = job.Evolve(e)
			if f, ok := e.Fact.(events.JobFinished); ok {
				version = f.Version
			}
		}
	}
	secret := job.Queued
	may, err := a.mayListKeys(c, secret.Connection, secret.Ref)
	switch {
	case err != nil:
		return reply{}, err
	case job.State == "":
		return reply{}, command.ErrJobUnknown
	case job.By != c.actor:
		return reply{}, errJobHidden
	case secret.Operation != events.OperationKeys:
		return reply{}, errNamesGone.because("a job of this type has no names of keys")
	case !may:
		return reply{}, errJobHidden // not any more
	case !job.State.Over():
		return reply{}, errNotFinished
	case job.State != events.JobStateFinished:
		return reply{}, errNamesGone.because("the job ended without names; it says why")
	}
	names, err := a.Scans.Names(c.ctx(), id, c.now)
	if errors.Is(err, inventory.ErrNoScan) {
		return reply{}, errNamesGone
	}
	if err != nil {
		return reply{}, err
	}
	names = append([]string{}, names...)
	slices.Sort(names)
	meta := c.meta()
	meta.Command, meta.Correlation = events.DeriveCommandID("keys told", string(id)), events.CorrelationID(id)
	done, err := command.Execute(c.ctx(), a.Log, events.SecretStream(secret.Secret), meta, func(command.Secret) ([]events.Fact, error) {
		return []events.Fact{events.SecretKeysListed{Secret: secret.Secret, Job: id, By: c.person.ID, Keys: len(names), Version: version}}, nil
	})
	if err != nil {
		return reply{}, err
	}
	// From here on it is on record.
	return reply{status: http.StatusOK, seq: done.Seq, body: api.KeyNames{Keys: names, Version: version}}, nil
}
