package receipts

import (
	"fmt"

	"secretsbridge/events"
)

// Check verifies the receipt of an outcome, and that the agent said what the fact says. The fact
// is one that ends a job; one without a receipt has a nil statement and no error, because nobody
// need have said it. stream is the history that the fact is of. Errors wrap [ErrReceipt].
func Check(stream events.Stream, fact events.Fact, enrolled events.AgentEnrolled) (*Statement, error) {
	r := Of(fact)
	if r == nil {
		return nil, nil
	}
	said, err := Verify(*r, enrolled)
	if err != nil {
		return nil, err
	}
	if stream != said.stream() {
		return nil, fmt.Errorf("%w: it is about another request or job than %s", ErrReceipt, stream)
	}
	if !said.fits(fact) {
		return nil, fmt.Errorf("%w: the agent said something else than the fact does", ErrReceipt)
	}
	return &said, nil
}

// Of is the receipt that a fact carries, nil if none.
func Of(fact events.Fact) *events.Receipt {
	switch f := fact.(type) {
	case events.RequestExecuted:
		return f.Receipt
	case events.RequestFailed:
		return f.Receipt
	case events.OutcomeUnknown:
		return f.Receipt
	case events.JobFinished:
		return f.Receipt
	case events.JobFailed:
		return f.Receipt
	}
	return nil
}

// stream is the history that a statement is about.
func (s Statement) stream() events.Stream {
	if s.Request != "" {
		return events.RequestStream(s.Request)
	}
	return events.JobStream(s.Job)
}

// fits reports whether a fact follows from what was said. What a comparison leads to is decided
// by the control plane, from all that was seen of the secret; of that one, the version counts.
func (s Statement) fits(fact events.Fact) bool {
	looked := s.Service == events.ServiceCompare
	switch f := fact.(type) {
	case events.RequestExecuted:
		if looked {
			return f.ProviderVersion == s.ProviderVersion
		}
		return s.Done && f.Job == s.Job && f.Attempt == s.Attempt && f.ProviderVersion == s.ProviderVersion && f.Outcome == s.Outcome
	case events.RequestFailed:
		return looked || !s.Done && f.Job == s.Job && f.Code == s.Code
	case events.OutcomeUnknown:
		return !s.Done && f.Job == s.Job
	case events.JobFinished:
		return s.Done && f.Job == s.Job && f.Attempt == s.Attempt && f.Version == s.ProviderVersion
	case events.JobFailed:
		return !s.Done && f.Job == s.Job && f.Code == s.Code
	}
	return false
}
