package web_test

import (
	"strings"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

// scanner is an agent at work on a job over a connection.
type scanner struct {
	agent
	job     events.JobID
	attempt int
	pages   int
}

// queue opens a job over a connection.
func (r *rig) queue(kind, connection string) api.Job {
	r.t.Helper()
	return read[api.Job](r.t, r.call(r.admin, "POST", "/jobs", api.QueueJob{Type: kind, Connection: connection}))
}

func (a agent) take(job string) *scanner {
	a.t.Helper()
	grant := ask[events.JobGrant](a, events.ServiceTake, events.TakeJob{Job: events.JobID(job)})
	return &scanner{a, events.JobID(job), grant.Attempt, grant.Page - 1}
}

func (s *scanner) page(secrets ...events.SecretMetadata) {
	s.t.Helper()
	s.pages++
	ask[events.PageTaken](s.agent, events.ServicePage, events.ScanPage{Job: s.job, Attempt: s.attempt, Number: s.pages, Secrets: secrets})
}

func (s *scanner) finish() {
	s.t.Helper()
	ask[events.Done](s.agent, events.ServiceFinish, events.FinishJob{Job: s.job, Attempt: s.attempt, Pages: s.pages})
}

// scan lists a connection as a whole.
func (a agent) scan(connection string, secrets ...events.SecretMetadata) api.Job {
	a.t.Helper()
	job := a.queue("discover", connection)
	s := a.take(job.ID)
	s.page(secrets...)
	s.finish()
	return job
}

// found puts a secret of the connection "file" into the inventory, as a scan would.
func (r *rig) found(ref string) events.SecretID {
	r.t.Helper()
	job := events.ScanOf("file", events.OperationDiscover, 1000)
	r.record(events.PageStream(job, 1), events.SecretsFound{Scan: job, Connection: "file", Secrets: []events.SecretMetadata{listed(ref)}})
	r.settled()
	return secretID(ref)
}

// settled waits until the views hold everything: commands do not wait for them.
func (r *rig) settled() {
	r.t.Helper()
	r.call(r.developer, "GET", "/me", nil, r.newest()).wants(r.t, 200, "")
}

func secretID(ref string) events.SecretID { return events.SecretOf("file", ref) }

// listed is a secret as a provider lists it, with labels as name and value in turn.
func listed(ref string, labels ...string) events.SecretMetadata {
	return aged(ref, 0, labels...)
}

// aged is one that was written so many days ago.
func aged(ref string, days int, labels ...string) events.SecretMetadata {
	m := events.SecretMetadata{Ref: ref, Version: "1", Created: commandtest.Noon.Add(-time.Duration(days) * 24 * time.Hour)}
	for i := 0; i < len(labels); i += 2 {
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels[labels[i]] = labels[i+1]
	}
	return m
}

// refs are those of a page of secrets, in its order.
func refs(page api.Page[api.Secret]) string {
	var all []string
	for _, s := range page.Items {
		all = append(all, s.Ref)
	}
	return strings.Join(all, " ")
}
