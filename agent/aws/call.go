package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"secretsbridge/agent"
	"secretsbridge/internal/patience"
)

const (
	// attempts, firstPause and maxPause let a call try for about two seconds: longer
	// outages are for the job's own redelivery.
	attempts   = 5
	firstPause = 150 * time.Millisecond
	maxPause   = 2 * time.Second

	// maxRetryAfter is the longest pause that AWS may ask for within a call.
	maxRetryAfter = 10 * time.Second
)

// call makes one call of AWS, and makes it again while that may help. So each call here
// may come twice: those that write have a token by which AWS knows them again, or name
// the state that they expect. An error is a [*fault].
//
// Where AWS refuses credentials that are renewed by themselves, it does so once more with
// fresh ones: a session may have been revoked.
func (p *Provider) call(ctx context.Context, operation string, once func(context.Context) error) error {
	unsure, renewed := false, false
	for attempt := 0; ; {
		f := p.attempt(ctx, once)
		if f == nil {
			return nil
		}
		f.operation = operation
		unsure = unsure || f.unsure
		f.unsure = unsure
		if f.renew && !renewed && p.renew(ctx) {
			renewed = true
			continue
		}
		attempt++
		if !f.again || attempt == attempts || f.after > maxRetryAfter {
			return f
		}
		if err := patience.Wait(ctx, max(patience.Pause(firstPause, maxPause, attempt), f.after)); err != nil {
			return &fault{operation: operation, kind: agent.ErrUnavailable, text: f.text, cause: err, unsure: unsure}
		}
	}
}

// attempt makes a call once, as somebody, and no faster than the configuration allows.
func (p *Provider) attempt(ctx context.Context, once func(context.Context) error) *fault {
	if p.closed.Load() {
		return &fault{kind: agent.ErrUnavailable, text: "the provider is closed"}
	}
	if err := p.limit.Wait(ctx); err != nil {
		return &fault{kind: agent.ErrUnavailable, text: "the agent's own limit, requests_per_second, is reached", cause: ctx.Err()}
	}
	if _, err := p.credentials.Retrieve(ctx); err != nil {
		return signInFault(ctx, err)
	}
	if err := once(ctx); err != nil {
		return callFault(ctx, err)
	}
	return nil
}

// renew forgets credentials that come from somewhere which may give others.
func (p *Provider) renew(ctx context.Context) bool {
	now, err := p.credentials.Retrieve(ctx)
	if err != nil || !now.CanExpire {
		return false
	}
	p.credentials.Invalidate()
	return true
}

// fault is why a call came to nothing. Its text holds nothing of what AWS said but the
// codes of [codes].
type fault struct {
	operation string // of AWS
	kind      error  // one of the port's errors
	text      string
	cause     error // of the context, if it ended
	code      string
	after     time.Duration // as long as AWS asks to wait

	again  bool // the same call may succeed soon
	unsure bool // this attempt, or one before it, may have had its effect
	renew  bool // other credentials could help
}

func (f *fault) Error() string {
	text := fmt.Sprintf("%v: %s", f.kind, f.text)
	if f.operation != "" {
		text += " (" + f.operation + ")"
	}
	if f.cause != nil {
		text += ": " + f.cause.Error()
	}
	return text
}

func (f *fault) Unwrap() []error {
	if f.cause != nil {
		return []error{f.kind, f.cause}
	}
	return []error{f.kind}
}

// unknown says of a write that nobody knows what became of it.
func (f *fault) unknown() *fault {
	g := *f
	g.kind = agent.ErrUnavailable
	g.text += "; the outcome of the write is unknown"
	return &g
}

// faultOf is the fault that an error of [Provider.call] is.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return &fault{kind: agent.ErrUnavailable, text: "it broke"}
}
