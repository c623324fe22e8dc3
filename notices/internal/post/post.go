// Package post posts a message to an address that is a secret, and judges what came of it.
package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"secretsbridge/events"
	"secretsbridge/internal/egress"
	"secretsbridge/internal/patience"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
)

// maxAnswer is how much of an answer is read, in bytes: enough to tell what Teams says, and to use
// the connection again.
const maxAnswer = 4 << 10

// Send posts a JSON body once. A 2xx is taken for delivered unless reads, which may be nil, makes a
// failure of the answer's body. Any error is a [*notices.Failure] that holds the host at most.
func Send(ctx context.Context, client *http.Client, to secret.Value, header http.Header, body []byte, reads func(answer []byte) *notices.Failure) error {
	if len(to.Expose()) == 0 {
		return &notices.Failure{Code: events.DeliveryUnset, Err: errors.New("there is no address")}
	}
	at, err := egress.Target("the address", string(to.Expose()))
	if err != nil {
		return &notices.Failure{Code: events.DeliveryForbidden, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
	if err != nil {
		return &notices.Failure{Code: events.DeliveryInternal, Err: errors.New("the address makes no request")} // err holds it
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "secrets-bridge")
	res, err := egress.Do(client, req)
	if err != nil {
		return unsent(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if failure := judge(res); failure != nil {
		return failure // whatever the rest of the answer was
	}
	if err == nil && reads != nil {
		if failure := reads(answer); failure != nil {
			return failure
		}
	}
	return nil
}

// unsent is what a call came to that has no answer.
func unsent(err error) *notices.Failure {
	failure := &notices.Failure{Code: events.DeliveryUnavailable, Retry: true, Err: err}
	switch {
	case errors.Is(err, egress.ErrForbidden):
		failure.Code, failure.Retry = events.DeliveryForbidden, false
	case errors.Is(err, egress.ErrUntrusted): // certificates are renewed: later it may be another
		failure.Code = events.DeliveryUntrusted
	case errors.Is(err, egress.ErrTimeout):
		failure.Code = events.DeliveryTimeout
	case errors.Is(err, context.Canceled): // we are stopping
		failure.Code = events.DeliveryInternal
	}
	return failure
}

// judge is nil for a 2xx.
func judge(res *http.Response) *notices.Failure {
	status := res.StatusCode
	failure := &notices.Failure{Err: fmt.Errorf("%s answered %d", res.Request.URL.Hostname(), status)}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusTooManyRequests:
		failure.Code, failure.Retry, failure.After = events.DeliveryThrottled, true, patience.RetryAfter(res.Header)
	case status >= 500:
		failure.Code, failure.Retry, failure.After = events.DeliveryUnavailable, true, patience.RetryAfter(res.Header)
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly:
		failure.Code, failure.Retry = events.DeliveryUnavailable, true
	default: // of a redirect, too: it is not followed
		failure.Code = events.DeliveryRefused
	}
	return failure
}
