package gcp

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"secretsbridge/agent"
	"secretsbridge/internal/patience"
)

// fault is what went wrong with a call, in the port's words. Its text holds nothing that
// anybody answered but codes.
type fault struct {
	kind   error  // one of the port's errors
	detail string // ours
	status int    // of HTTP; 0: there was no answer
	code   string // Google's canonical code, such as FAILED_PRECONDITION

	rights bool          // Google names no reason for a refusal but missing rights
	sure   bool          // the call surely had no effect
	passes bool          // the same call may succeed soon
	after  time.Duration // how long to wait before, as the server says
}

func (e *fault) Error() string {
	text := e.kind.Error()
	if e.status != 0 {
		text = fmt.Sprintf("%s: google answered %d", text, e.status)
		if e.code != "" {
			text += " " + e.code
		}
	}
	if e.detail != "" {
		text += ": " + e.detail
	}
	return text
}

func (e *fault) Unwrap() error { return e.kind }

// has reports whether Google answered with that code.
func has(err error, code string) bool {
	var f *fault
	return errors.As(err, &f) && f.code == code
}

const notGoogles = "the answer is not Secret Manager's"

// classify turns what the SDK returns into a fault. The SDK's texts quote what was answered
// and are not used.
func classify(err error) *fault {
	var own *fault
	f := &fault{kind: agent.ErrUnavailable, passes: true}
	var tooLong *http.MaxBytesError
	var untrusted *tls.CertificateVerificationError
	var network *net.OpError
	var call *url.Error
	switch {
	case errors.As(err, &own): // the session's
		return own
	case errors.As(err, &tooLong):
		f.kind, f.passes, f.detail = agent.ErrTooLarge, false, fmt.Sprintf("the answer has more than %d bytes", maxAnswer)
	case errors.As(err, &untrusted):
		f.passes, f.detail = false, "google's certificate is not trusted"
	case errors.As(err, &network) && network.Op == "dial":
		f.sure, f.detail = true, network.Error()
	case errors.As(err, &call), errors.Is(err, io.ErrUnexpectedEOF), network != nil:
		f.detail = "the connection broke"
	default: // what is no JSON of the message that was expected
		f.detail = notGoogles
	}
	return f
}

// refused maps an answer that is no success, a google.rpc.Status, as "Errors" of Google's
// API design guide (AIP-193) gives the codes; several of them share a status of HTTP. The
// SDK would believe the body where it gives another status, and a write would be sent twice.
func refused(res *http.Response, body []byte) *fault {
	var said struct {
		Error struct {
			Status  string `json:"status"`
			Details []struct {
				Reason string `json:"reason"` // of google.rpc.ErrorInfo
			} `json:"details"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &said)
	f := &fault{kind: agent.ErrUnavailable, status: res.StatusCode, code: known(said.Error.Status), after: patience.RetryAfter(res.Header)}
	switch {
	case f.code == "NOT_FOUND":
		f.kind = agent.ErrNotFound
	case f.status == http.StatusNotFound: // a page of somebody who knows no Secret Manager
		f.detail = "check the endpoint and the location"
	case f.status == http.StatusForbidden:
		f.kind, f.rights = agent.ErrForbidden, true
		for _, d := range said.Error.Details {
			if d.Reason != "" && d.Reason != "IAM_PERMISSION_DENIED" {
				f.rights, f.detail = false, "check that the project exists and that the Secret Manager API is enabled in it"
			}
		}
	case f.status == http.StatusUnauthorized:
		f.kind, f.sure = agent.ErrSignIn, true
	case f.code == "ALREADY_EXISTS":
		f.kind = agent.ErrConflict
	case f.code == "FAILED_PRECONDITION": // who asked knows what that means
	case f.status == http.StatusBadRequest:
		f.kind, f.detail = agent.ErrNotBundle, "it does not take this request"
	case f.status == http.StatusTooManyRequests:
		f.passes, f.sure, f.detail = true, true, "it asks to slow down"
	case f.status >= 300 && f.status < 400:
		f.detail = "a redirect, which is not followed"
	case f.status >= 500 || f.code == "ABORTED":
		f.passes = true
	}
	return f
}

// known lets only Google's canonical codes (google/rpc/code.proto) into an error.
func known(code string) string {
	switch code {
	case "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
		"DATA_LOSS", "UNAUTHENTICATED":
		return code
	}
	return ""
}
