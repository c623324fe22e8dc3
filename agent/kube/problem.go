package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"secretsbridge/events"
)

// problem is why a look saw nothing. The code goes to the control plane; the sentence stays in the
// agent's log. It holds names of things, and nothing that the API said.
type problem struct {
	code events.RolloutProblem
	what string
}

func (p *problem) Error() string { return p.what }

func tooLarge(what string) error {
	return &problem{events.RolloutTooLarge, what + " is more than one look takes"}
}

// errExpired says that a list cannot be gone on with, because its snapshot is no more.
var errExpired = errors.New("the list has expired")

// errAbsent says that there is no such object, or no such API.
var errAbsent = errors.New("there is no such thing")

// problemOf is what the control plane is told; "" where there is none.
func problemOf(err error) events.RolloutProblem {
	var p *problem
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return p.code
	case errors.Is(err, errAbsent):
		return events.RolloutNotFound
	case errors.As(err, &untrusted):
		return events.RolloutUntrusted
	}
	return events.RolloutUnreachable
}

// failed says why a call had no answer, without its URL, whose selectors may be long.
func failed(where string, err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var untrusted *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &untrusted):
		return &problem{events.RolloutUntrusted, "the certificate of the API server is not trusted: " + untrusted.Err.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &problem{events.RolloutUnreachable, where + ": no answer in time"}
	}
	return fmt.Errorf("%s: %w", where, err)
}

// refused turns the status of an answer into an error; nil is 200.
func refused(where string, status int) error {
	says := func(code events.RolloutProblem, what string) error {
		return &problem{code, fmt.Sprintf("%s: %s (HTTP status %d)", where, what, status)}
	}
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusUnauthorized:
		return says(events.RolloutUnauthorized, "the agent's token or certificate counts no more")
	case status == http.StatusForbidden:
		return says(events.RolloutForbidden, "a role for the agent's service account is missing; see docs/integrations/kubernetes.md")
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %w", where, errAbsent)
	case status == http.StatusGone:
		return fmt.Errorf("%s: %w", where, errExpired)
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return says(events.RolloutUnreachable, "the API server cannot answer now")
	}
	return says(events.RolloutMalformed, "no API server answers so")
}
