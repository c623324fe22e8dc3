package web

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/inventory"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

var (
	jobTypes  = []events.Operation{events.OperationDiscover, events.OperationFingerprint, events.OperationKeys}
	jobStates = []events.JobState{
		events.JobStateQueued, events.JobStateRunning, events.JobStateFinished, events.JobStateFailed, events.JobStateCancelled,
	}
)

// queueJob opens a job over a whole connection. Of each type one runs at a time.
func (a *API) queueJob(c *call) (reply, error) {
	var m api.QueueJob
	if err := c.decodeConfiguration(&m); err != nil {
		return reply{}, err
	}
	if !events.ValidName(m.Connection) {
		return reply{}, command.ErrConnectionUnknown
	}
	connection, _, err := command.Load[command.Connection](c.ctx(), a.Log, events.ConnectionStream(events.ConnectionID(m.Connection)))
	if err == nil {
		err = c.reachesConnection(connection, policy.JobManage)
	}
	if err != nil {
		return reply{}, err
	}
	done, err := a.Inventory.Queue(c.ctx(), c.meta(), events.ConnectionID(m.Connection), events.Operation(m.Type))
	if errors.Is(err, command.ErrScanRunning) {
		return reply{}, &problem{command.ErrScanRunning.Code, "job " + string(done.State.ID) + " of this type is queued or running for the connection; follow it, or cancel it first"}
	}
	return a.queued(c, http.StatusCreated, done, err)
}

// queued answers with a job as it was when it was opened, also to a try of the same call
// that comes later. The answer is kept for those, so it names nobody.
func (a *API) queued(c *call, status int, done command.Decision[command.Job], err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	history, err := a.Log.Load(c.ctx(), events.JobStream(done.State.ID))
	if err != nil {
		return reply{}, err
	}
	first := history[0]
	job := done.State.Queued
	return reply{status: status, seq: first.Seq, body: jobOf(projections.Job{
		ID: job.Job, State: events.JobStateQueued, Operation: job.Operation, Connection: job.Connection, Provider: job.Provider,
		Cluster: job.Cluster, Secret: job.Secret, Ref: job.Ref, Scheduled: job.Scheduled, QueuedBy: first.Events[0].Actor,
		QueuedAt: first.Events[0].Time.UTC(), Until: job.Until.UTC(), LastSeq: first.Seq,
	}, nil)}, nil
}

func (a *API) listJobs(c *call) (reply, error) {
	q, err := c.query("connection", "type", "state", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	filter := projections.JobFilter{Cursor: q.Get("cursor"), Within: c.within(policy.JobList)}
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	if err := placeOf(q, &filter.Connection, &filter.Cluster, new(events.ProviderKind)); err != nil {
		return reply{}, err
	}
	if q.Has("type") {
		if filter.Operations = []events.Operation{events.Operation(q.Get("type"))}; !slices.Contains(jobTypes, filter.Operations[0]) {
			return reply{}, errParameter.because("type is one of " + joined(jobTypes))
		}
	}
	for _, s := range q["state"] {
		if !slices.Contains(jobStates, events.JobState(s)) {
			return reply{}, errParameter.because("state is one of " + joined(jobStates))
		}
		filter.States = append(filter.States, events.JobState(s))
	}
	found, err := a.Views.Jobs(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	actors := make([]events.Actor, len(found.Items))
	for i, job := range found.Items {
		actors[i] = job.QueuedBy
	}
	names, err := a.actorNames(c, actors)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Job]{Items: make([]api.Job, 0, len(found.Items)), Next: found.Next}
	for _, job := range found.Items {
		at, err := a.checkpoint(c, job)
		if err != nil {
			return reply{}, err
		}
		shown := jobOf(job, at)
		shown.QueuedByName = names[job.QueuedBy]
		page.Items = append(page.Items, shown)
	}
	return reply{status: http.StatusOK, body: page}, nil
}

// visibleJob loads a job that the caller may see: all, or those one has asked for.
func (a *API) visibleJob(c *call) (projections.Job, error) {
	id := c.param("id")
	if !events.ValidID(id, "j_") {
		return projections.Job{}, command.ErrJobUnknown
	}
	job, err := a.Views.Job(c.ctx(), events.JobID(id))
	switch {
	case isNotFound(err):
		return job, command.ErrJobUnknown
	case err == nil:
		err = a.abreast(c, job.LastSeq)
	}
	if err == nil && job.QueuedBy != c.actor && !c.may(policy.JobList, c.spot(job.Connection, job.Ref)) {
		err = errJobHidden
	}
	return job, err
}

func (a *API) showJob(c *call) (reply, error) {
	job, err := a.visibleJob(c)
	if err != nil {
		return reply{}, err
	}
	shown, err := a.presentJob(c, job)
	return reply{status: http.StatusOK, body: shown}, err
}

// presentJob shows a job with why it waits.
func (a *API) presentJob(c *call, job projections.Job) (api.Job, error) {
	at, err := a.checkpoint(c, job)
	if err != nil {
		return api.Job{}, err
	}
	names, err := a.actorNames(c, []events.Actor{job.QueuedBy})
	if err != nil {
		return api.Job{}, err
	}
	shown := jobOf(job, at)
	shown.QueuedByName = names[job.QueuedBy]
	switch job.State {
	case events.JobStateQueued:
		shown.Waiting, err = a.waitingForAgent(c, job.Cluster, "begins")
	case events.JobStateRunning:
		shown.Waiting = "an agent of cluster " + string(job.Cluster) + " works on it"
	}
	return shown, err
}

// checkpoint is how far a running job came; nil if it has no pages or nobody knows.
func (a *API) checkpoint(c *call, job projections.Job) (*inventory.Checkpoint, error) {
	if job.State != events.JobStateRunning || job.Operation == events.OperationKeys {
		return nil, nil
	}
	at, err := a.Scans.Get(c.ctx(), job.ID)
	if errors.Is(err, inventory.ErrNoScan) {
		return nil, nil // it has just begun, or just ended
	}
	return &at, err
}

func (a *API) cancelJob(c *call) (reply, error) {
	var m api.Reason
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id := c.param("id")
	if !events.ValidID(id, "j_") {
		return reply{}, command.ErrJobUnknown
	}
	job, _, err := command.Load[command.Job](c.ctx(), a.Log, events.JobStream(events.JobID(id)))
	if err != nil {
		return reply{}, err
	}
	if at := c.spot(job.Queued.Connection, job.Queued.Ref); job.State != "" && !c.may(policy.JobManage, at) {
		return reply{}, outside(job.By == c.actor || c.may(policy.JobList, at), errJobHidden)
	}
	done, err := a.Inventory.Cancel(c.ctx(), c.meta(), events.JobID(id), m.Reason)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: done.Seq, body: api.Done{Seq: uint64(done.Seq)}}, nil
}

// jobOf shows a job as the API does. At is how far it came while it runs.
func jobOf(j projections.Job, at *inventory.Checkpoint) api.Job {
	shown := api.Job{
		ID: string(j.ID), Type: string(j.Operation), State: string(j.State), Connection: string(j.Connection), Provider: string(j.Provider),
		Cluster: string(j.Cluster), Secret: string(j.Secret), Ref: j.Ref, Scheduled: j.Scheduled, QueuedBy: string(j.QueuedBy),
		QueuedAt: j.QueuedAt, Until: j.Until, Agent: string(j.Agent), Attempt: j.Attempt, TakenAt: j.TakenAt, EndedAt: j.EndedAt,
		Keys: j.Keys, Version: j.Version, Reason: j.Reason, Seq: uint64(j.LastSeq),
	}
	if j.FailureCode != "" {
		shown.Failure = &api.Failure{Code: string(j.FailureCode), Detail: j.FailureDetail}
	}
	switch {
	case j.Operation == events.OperationKeys || j.TakenAt == nil:
	case at != nil:
		shown.Progress = progressOf(at.Tally, *j.TakenAt, at.Changed)
	case j.EndedAt != nil:
		shown.Progress = progressOf(j.Result, *j.TakenAt, *j.EndedAt)
	}
	return shown
}

func progressOf(t events.ScanTally, from, to time.Time) *api.Progress {
	p := &api.Progress{
		Pages: t.Pages, Secrets: t.Secrets, Found: t.Found, Changed: t.Changed, Gone: t.Gone, Skipped: t.Skipped,
		Unlisted: t.Unlisted, Refused: t.Refused, At: to,
	}
	if took := to.Sub(from).Seconds(); took > 0 {
		p.PerSecond = math.Round(10*float64(t.Secrets)/took) / 10
	}
	return p
}
