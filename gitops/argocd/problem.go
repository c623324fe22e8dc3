package argocd

import (
	"errors"
	"net/http"

	"secretsbridge/events"
	"secretsbridge/internal/egress"
)

// errGone says that Argo CD knows an object no more that its tree named before.
var errGone = errors.New("the object is gone")

// fault is an error with what is told of it. It quotes nothing that Argo CD said.
type fault struct {
	problem events.RolloutProblem
	err     error
}

// Error implements error.
func (f *fault) Error() string { return f.err.Error() }

// Unwrap returns what happened.
func (f *fault) Unwrap() error { return f.err }

func problem(p events.RolloutProblem, err error) error { return &fault{p, err} }

func malformed(text string) error { return problem(events.RolloutMalformed, errors.New(text)) }

func tooLarge(text string) error { return problem(events.RolloutTooLarge, errors.New(text)) }

// problemOf says what an error is to those who watch. What is no problem of the other side's is
// one of being reached.
func problemOf(err error) events.RolloutProblem {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f.problem
	case errors.Is(err, egress.ErrTooLarge):
		return events.RolloutTooLarge
	case errors.Is(err, egress.ErrUntrusted):
		return events.RolloutUntrusted
	}
	return events.RolloutUnreachable
}

// problemOfStatus says what a status is that is not 200. Argo CD answers 403 for an application
// that is not there as well as for one that a token may not see, 401 for a token that counts no
// more, and 500 or 503 when it cannot reach a cluster.
func problemOfStatus(status int) events.RolloutProblem {
	switch {
	case status == http.StatusUnauthorized:
		return events.RolloutUnauthorized
	case status == http.StatusForbidden:
		return events.RolloutForbidden
	case status == http.StatusNotFound:
		return events.RolloutNotFound
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return events.RolloutUnreachable
	}
	return events.RolloutMalformed // a redirect leads to a page for people
}
