package web

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/window"
)

// Limits counts what people and addresses do, over all servers together. Package nats
// has it, as Windows, and the conformance suite is in internal/window/windowtest.
type Limits interface {
	// Take counts a cost of whoever does something. If wait is 0 it is granted. An error
	// means that nobody can say, and then nothing is granted.
	Take(ctx context.Context, purpose window.Purpose, who string, cost int) (wait time.Duration, left int, err error)

	// Limit is what a purpose is limited to.
	Limit(purpose window.Purpose) window.Limit
}

// cost is what a call of the route counts against the calls of an address and of a
// person. A live stream is one query, when it is opened.
func (r Route) cost() int {
	if r.Method == http.MethodGet {
		return window.QueryCost
	}
	return window.ChangeCost
}

// limit counts what somebody does, and refuses what is too much
// (draft-ietf-httpapi-ratelimit-headers, revision 10, for the headers). Where it cannot be
// counted the answer is 503, to queries also: whoever could make the count fail would
// have no limit at all, and a server without NATS can record no denial either.
func (a *API) limit(c *call, purpose window.Purpose, who string, cost int) error {
	// Also for a caller who has gone: what they may not is on record all the same. Take ends
	// by itself.
	wait, left, err := a.Limits.Take(context.WithoutCancel(c.ctx()), purpose, who, cost)
	if err != nil {
		a.Logger.ErrorContext(c.ctx(), "a call cannot be counted", "call", c.id, "purpose", purpose.String(), "err", err)
		return errUnavailable
	}
	if wait == 0 {
		return nil
	}
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	limit, header := a.Limits.Limit(purpose), c.w.Header()
	header.Set("Retry-After", seconds)
	header.Set("RateLimit-Policy", `"default";q=`+strconv.Itoa(limit.Burst)+";w="+strconv.Itoa(int(limit.Per.Seconds())))
	header.Set("RateLimit", `"default";r=`+strconv.Itoa(left)+";t="+seconds)
	return errTooMany
}

// recordFolded notes a denial that comes again and again, such as that somebody who is signed in
// came up against a limit: at most once a minute of one person, or one address, or it would fill
// the log that the limits protect.
func (a *API) recordFolded(c *call, route Route, code string) error {
	wait, _, err := a.Limits.Take(context.WithoutCancel(c.ctx()), window.Refusals, a.who(c)+" "+code, 1)
	if err != nil {
		a.Logger.ErrorContext(c.ctx(), "a call cannot be counted", "call", c.id, "purpose", window.Refusals.String(), "err", err)
		return errUnavailable
	}
	if wait > 0 {
		return nil
	}
	_, err = a.record(c, c.actor, events.AccessDenied{Action: string(route.Permission), Resource: resource(c), Code: code})
	return err
}
