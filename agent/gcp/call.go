package gcp

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/googleapis/gax-go/v2"
	"golang.org/x/time/rate"
	"google.golang.org/api/googleapi"

	"secretsbridge/agent"
)

const (
	// maxRetries, minRetryWait and maxRetryWait let a call try for about two seconds:
	// longer outages are for the job's own redelivery.
	maxRetries   = 4
	minRetryWait = 100 * time.Millisecond
	maxRetryWait = 2 * time.Second

	// maxRetryAfter is the longest pause that a server may ask for within a call.
	maxRetryAfter = 10 * time.Second

	// maxAnswer bounds what is read of an answer. The largest is a page of 250 secrets with
	// 64 labels and 16 KiB of annotations each.
	maxAnswer = 16 << 20
)

// once takes the library's own retries away: they go on for a minute.
var once = gax.WithRetry(func() gax.Retryer { return nil })

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

// access runs a call that reads a value, which has a quota that needs no limit here.
func access[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, p, nil, true, call)
}

// read runs a call that changes nothing.
func read[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, p, p.reads, true, call)
}

// write runs a call that is not sent twice unless the first surely had no effect.
func write[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, p, p.writes, false, call)
}

// rewrite runs a call that changes something and may be sent twice.
func rewrite[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, p, p.writes, true, call)
}

// repeat runs call until it succeeds, cannot, or was tried often enough. A token that Google
// does not accept is replaced once.
func repeat[T any](ctx context.Context, p *Provider, limit *rate.Limiter, harmless bool, call func(context.Context) (T, error)) (T, error) {
	var none T
	renewed := false
	for tries := 0; ; tries++ {
		if limit != nil {
			if err := limit.Wait(ctx); err != nil {
				if ctx.Err() == nil { // it would take longer than the context lives
					return none, &fault{kind: agent.ErrUnavailable, detail: "too many requests of this agent wait for their turn (requests_per_minute)"}
				}
				return none, fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err())
			}
		}
		out, err := call(ctx)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return none, fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err())
		}
		f := classify(err)
		if f.status == http.StatusUnauthorized && f.kind == agent.ErrSignIn && f.sure && !renewed {
			renewed = true
			continue
		}
		if tries >= maxRetries || f.after > maxRetryAfter || !f.passes || !f.sure && !harmless {
			return none, f
		}
		pause := min(minRetryWait<<tries, maxRetryWait)
		pause = pause/2 + rand.N(pause/2+1)
		if !wait(ctx, max(pause, f.after)) {
			return none, fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err())
		}
	}
}

func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// classify turns what the SDK returns into a fault.
func classify(err error) *fault {
	var own *fault
	if errors.As(err, &own) { // the session's
		f := *own
		f.passes = f.kind == agent.ErrUnavailable && f.sure
		return &f
	}
	var answered *googleapi.Error
	if errors.As(err, &answered) {
		return classifyAnswer(answered)
	}
	f := &fault{kind: agent.ErrUnavailable, passes: true}
	var tooLong *http.MaxBytesError
	var untrusted *tls.CertificateVerificationError
	var network *net.OpError
	switch {
	case errors.As(err, &tooLong):
		f.kind, f.passes, f.detail = agent.ErrTooLarge, false, fmt.Sprintf("the answer has more than %d bytes", maxAnswer)
	case errors.As(err, &untrusted):
		f.passes, f.detail = false, "google's certificate is not trusted"
	case errors.As(err, &network) && network.Op == "dial":
		f.sure, f.detail = true, network.Error()
	default:
		f.detail = "the connection broke, or the answer is not Secret Manager's"
	}
	return f
}

// classifyAnswer maps codes as "Errors" of Google's API design guide gives them; several of
// them share a status of HTTP.
func classifyAnswer(answered *googleapi.Error) *fault {
	var body struct {
		Error struct {
			Status  string `json:"status"`
			Details []struct {
				Reason string `json:"reason"` // of google.rpc.ErrorInfo
			} `json:"details"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(answered.Body), &body)
	f := &fault{kind: agent.ErrUnavailable, status: answered.Code, code: known(body.Error.Status), after: retryAfter(answered.Header)}
	switch {
	case f.status == http.StatusNotFound:
		f.kind = agent.ErrNotFound
	case f.status == http.StatusForbidden:
		f.kind, f.rights = agent.ErrForbidden, true
		for _, d := range body.Error.Details {
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

// known lets only Google's canonical codes into an error.
func known(code string) string {
	switch code {
	case "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
		"DATA_LOSS", "UNAUTHENTICATED":
		return code
	}
	return ""
}

// has reports whether Google answered with that code.
func has(err error, code string) bool {
	var f *fault
	return errors.As(err, &f) && f.code == code
}

// retryAfter reads the header, in seconds or as a date (RFC 9110, section 10.2.3).
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
