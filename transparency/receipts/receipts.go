// Package receipts checks what agents signed when they said what became of a job. It is pure: an
// auditor needs the outcome's fact and the fact of the agent's enrolment, and no access to
// anything.
package receipts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// ErrReceipt says that a receipt does not prove what it is said to. The error says why.
var ErrReceipt = errors.New("not a receipt of this agent for this outcome")

// Statement is what an agent said. Only what it said of is set.
type Statement struct {
	Service events.Service
	Request events.RequestID // empty where no request stands behind the job
	Job     events.JobID
	Attempt int // 0: it refused the ticket, or only looked

	Done            bool // it did what it was asked for
	ProviderVersion string
	Outcome         events.PatchOutcome // of a patch
	Envelopes       []events.EnvelopeID // of a read: what it handed over
	Pages           int                 // of a job over a connection

	Code events.FailureCode // why it did not
}

// Verify checks that the holder of a key signed a receipt, and returns what it says. The key is
// that of the agent's enrolment (events.AgentEnrolled), and so is the account, never what the
// receipt says of itself. Errors wrap [ErrReceipt].
func Verify(r events.Receipt, enrolled events.AgentEnrolled) (Statement, error) {
	if r.Key != enrolled.SignKey || r.Account != enrolled.Account {
		return Statement{}, fmt.Errorf("%w: it names another key or account than the agent's enrolment", ErrReceipt)
	}
	key, err := seal.ParseVerifyKey(enrolled.SignKey)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	call := seal.Call{Service: string(r.Service), Account: enrolled.Account}
	opened, err := call.OpenRequest(key, r.Frame)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	said, err := read(r.Service, opened.Body)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	said.Service = r.Service
	return said, nil
}

// read reads the message of a service that ends jobs.
func read(service events.Service, body []byte) (Statement, error) {
	switch service {
	case events.ServiceComplete:
		m, err := decode[events.CompleteJob](body)
		return Statement{
			Request: m.Request, Job: m.Job, Attempt: m.Attempt, Done: true,
			ProviderVersion: m.ProviderVersion, Outcome: m.Outcome, Envelopes: m.Envelopes,
		}, err
	case events.ServiceFail:
		m, err := decode[events.FailJob](body)
		return Statement{Request: m.Request, Job: m.Job, Attempt: m.Attempt, Code: m.Code}, err
	case events.ServiceCompare:
		m, err := decode[events.ComparePatch](body)
		return Statement{Request: m.Request, Job: m.Job, Attempt: m.Attempt, ProviderVersion: m.Version, Code: m.Problem}, err
	case events.ServiceFinish:
		m, err := decode[events.FinishJob](body)
		return Statement{Job: m.Job, Attempt: m.Attempt, Done: true, ProviderVersion: m.Version, Pages: m.Pages}, err
	case events.ServiceAbandon:
		m, err := decode[events.AbandonJob](body)
		return Statement{Job: m.Job, Attempt: m.Attempt, Code: m.Code}, err
	}
	return Statement{}, fmt.Errorf("no outcome is told by %q", service)
}

// decode reads a message that has the one form in which it is kept.
func decode[M any](body []byte) (m M, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return m, fmt.Errorf("its message: %w", err)
	}
	if again, err := json.Marshal(m); err != nil || !bytes.Equal(again, body) {
		return m, errors.New("its message is not in the form that agents write")
	}
	return m, nil
}
