package gcp

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"secretsbridge/agent"
	"secretsbridge/internal/patience"
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

// access runs a call that reads a value. It has a quota that needs no limit here: 90,000 a
// minute.
func access[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, nil, true, call)
}

// read runs a call that changes nothing.
func read[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, p.reads, true, call)
}

// write runs a call that is not sent twice unless the first surely had no effect.
func write[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, p.writes, false, call)
}

// rewrite runs a call that changes something and may be sent twice.
func rewrite[T any](ctx context.Context, p *Provider, call func(context.Context) (T, error)) (T, error) {
	return repeat(ctx, p.writes, true, call)
}

// repeat runs call until it succeeds, cannot, or was tried often enough. A token that Google
// does not accept is replaced once.
func repeat[T any](ctx context.Context, limit *rate.Limiter, harmless bool, call func(context.Context) (T, error)) (T, error) {
	var none T
	renewed := false
	for tries := 0; ; tries++ {
		if limit != nil {
			if err := limit.Wait(ctx); err != nil {
				if ctx.Err() == nil { // it would take longer than the context lives
					return none, &fault{kind: agent.ErrUnavailable, detail: "too many requests of this agent wait for their turn (requests_per_minute)"}
				}
				return none, ended(ctx)
			}
		}
		out, err := call(ctx)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return none, ended(ctx)
		}
		f := classify(err)
		switch {
		case f.status == http.StatusUnauthorized && f.sure && !renewed:
			renewed = true
			continue
		case tries >= maxRetries || f.after > maxRetryAfter || !f.passes || !f.sure && !harmless:
			return none, f
		}
		if patience.Wait(ctx, max(patience.Pause(minRetryWait, maxRetryWait, tries+1), f.after)) != nil {
			return none, ended(ctx)
		}
	}
}

func ended(ctx context.Context) error { return fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err()) }
