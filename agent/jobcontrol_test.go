package agent_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"secretsbridge/events"
)

// standalone is what the control plane knows of a job that no request stands behind. Its
// rules are those of the services' doc comments, in small.
type standalone struct {
	ticket  events.Ticket
	signed  []byte
	state   events.JobState
	attempt int
	grants  []events.JobGrant
	code    events.FailureCode
	result  events.FinishJob

	pages  []events.ScanPage        // that were taken, in order
	prints []events.FingerprintPage // likewise
	cursor string                   // of the last one
}

// queue makes a job and queues its ticket.
func (c *control) queueJob(op events.Operation, change ...func(*events.Ticket)) *standalone {
	s := c.planJob(op, change...)
	c.deliver(s.signed)
	return s
}

// planJob makes a job whose ticket is not queued yet.
func (c *control) planJob(op events.Operation, change ...func(*events.Ticket)) *standalone {
	ticket := events.Ticket{
		Job: events.KeysJobOf(events.NewCommandID()), Operation: op, Cluster: cluster, Connection: connection, Provider: events.ProviderFile,
		Issued: time.Now().UTC(), Until: time.Now().Add(6 * time.Hour).UTC(),
	}
	for _, f := range change {
		f(&ticket)
	}
	s := &standalone{ticket: ticket, signed: sign(c.t, c.signer, events.TicketDomain, ticket), state: events.JobStateQueued}
	c.set(func() { c.jobs[ticket.Job] = s })
	return s
}

func ofSecret(ref string) func(*events.Ticket) { return func(t *events.Ticket) { t.Ref = ref } }

// jobOf finds the job that a message is about.
func (c *control) jobOf(body []byte) *standalone {
	var m struct {
		Job events.JobID `json:"job"`
	}
	if _ = json.Unmarshal(body, &m); m.Job == "" {
		return nil
	}
	return c.jobs[m.Job]
}

func (c *control) answerJob(s *standalone, service events.Service, body []byte) (result any, refusal string) {
	switch service {
	case events.ServiceTake:
		if s.state.Over() || !time.Now().Before(s.ticket.Until) {
			return nil, "job_over"
		}
		s.state = events.JobStateRunning
		s.attempt++
		grant := events.JobGrant{Attempt: s.attempt, Until: s.ticket.Until, Page: 1 + len(s.pages) + len(s.prints), Cursor: s.cursor}
		s.grants = append(s.grants, grant)
		return grant, ""
	case events.ServicePage:
		q := read[events.ScanPage](c.t, body)
		c.checkPage(s, events.OperationDiscover, body, len(q.Secrets), q.Cursor)
		if !distinct(q.Secrets, func(m events.SecretMetadata) string { return m.Ref }) {
			return nil, "page_invalid"
		}
		return keep(c.t, s, &s.pages, q.Attempt, q.Number, q.Cursor, q)
	case events.ServicePrints:
		q := read[events.FingerprintPage](c.t, body)
		c.checkPage(s, events.OperationFingerprint, body, len(q.Secrets), q.Cursor)
		if !distinct(q.Secrets, func(f events.Fingerprinted) string { return f.Ref }) {
			return nil, "page_invalid"
		}
		return keep(c.t, s, &s.prints, q.Attempt, q.Number, q.Cursor, q)
	case events.ServiceFinish:
		q := read[events.FinishJob](c.t, body)
		if s.state == events.JobStateFinished && s.attempt == q.Attempt {
			return events.Done{}, ""
		}
		if refusal := s.holds(q.Attempt); refusal != "" {
			return nil, refusal
		}
		if q.Pages != len(s.pages)+len(s.prints) {
			c.t.Errorf("finished after %d pages of %d", q.Pages, len(s.pages)+len(s.prints))
		}
		s.state, s.result = events.JobStateFinished, q
		return events.Done{}, ""
	case events.ServiceAbandon:
		q := read[events.AbandonJob](c.t, body)
		switch {
		case s.state == events.JobStateFailed && s.code == q.Code:
			return events.Done{}, ""
		case s.ticket.Cluster != cluster:
			return nil, "job_not_yours"
		case q.Attempt != 0 || s.state != events.JobStateQueued:
			if refusal := s.holds(q.Attempt); refusal != "" {
				return nil, refusal
			}
		}
		if !q.Code.Valid() {
			c.t.Errorf("failure code %q is unknown", q.Code)
		}
		s.state, s.code = events.JobStateFailed, q.Code
		return events.Done{}, ""
	}
	c.t.Errorf("service %q of a job that no request stands behind", service)
	return nil, "service_unknown"
}

func (s *standalone) holds(attempt int) string {
	switch {
	case s.state != events.JobStateRunning || !time.Now().Before(s.ticket.Until):
		return "job_over"
	case s.attempt != attempt:
		return "attempt_stale"
	}
	return ""
}

func (c *control) checkPage(s *standalone, op events.Operation, body []byte, secrets int, cursor string) {
	if s.ticket.Operation != op || len(body) > events.MaxPageBytes || secrets > events.MaxPageSecrets || len(cursor) > events.MaxCursor {
		c.t.Errorf("a page of %s has %d secrets in %d bytes and a cursor of %d", s.ticket.Operation, secrets, len(body), len(cursor))
	}
}

// keep takes the next page, or the last one again.
func keep[P any](t *testing.T, s *standalone, pages *[]P, attempt, number int, cursor string, page P) (any, string) {
	if refusal := s.holds(attempt); refusal != "" {
		return nil, refusal
	}
	switch {
	case number == len(*pages)+1:
		*pages, s.cursor = append(*pages, page), cursor
	case number == len(*pages) && number > 0:
		if string(encode(t, (*pages)[number-1])) != string(encode(t, page)) {
			t.Errorf("page %d comes again with other content", number)
		}
	default:
		return nil, "page_out_of_order"
	}
	return events.PageTaken{Next: number + 1}, ""
}

func distinct[T any](all []T, ref func(T) string) bool {
	seen := map[string]bool{}
	for _, one := range all {
		if seen[ref(one)] {
			return false
		}
		seen[ref(one)] = true
	}
	return true
}

// wantJob checks a job's state and how its last delivery ended.
func (r *rig) wantJob(t *testing.T, s *standalone, state events.JobState, code events.FailureCode, ended string) {
	t.Helper()
	r.mu.Lock()
	got, why := s.state, s.code
	r.mu.Unlock()
	if got != state || why != code {
		t.Errorf("the job is %s with code %q, want %s with %q\n%s", got, why, state, code, r.log)
	}
	if how := r.last().how(); how != ended {
		t.Errorf("the last delivery ended as %q, want %q\n%s", how, ended, r.log)
	}
}

// found are the secrets of all pages, each once, by ref.
func (s *standalone) found() []string {
	var refs []string
	for _, page := range s.pages {
		for _, secret := range page.Secrets {
			refs = append(refs, secret.Ref)
		}
	}
	for _, page := range s.prints {
		for _, secret := range page.Secrets {
			refs = append(refs, secret.Ref)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}
