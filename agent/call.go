package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/seal"
)

// Pauses between tries to reach the control plane. A link that broke is back within
// two seconds of the control plane's return (decision 0031).
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// errUnreadable says that a reply is none of this vocabulary.
var errUnreadable = errors.New("the control plane's reply is unreadable")

// errAltered says that an answer is not what the control plane said to this question. It
// counts for nothing: the outcome of the call is unknown, as if the answer was lost.
var errAltered = errors.New("the answer is not the control plane's")

// callOf is what the frames of a call are about.
func (a *Agent) callOf(service events.Service) seal.Call {
	return seal.Call{Service: string(service), Account: a.Account}
}

// ask sends a question in a frame of its own and returns both frames, the answer as it
// came.
func (a *Agent) ask(ctx context.Context, service events.Service, question any) (frame, answer []byte, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, nil, fmt.Errorf("encode %s: %w", service, err)
	}
	frame = a.callOf(service).SignRequest(a.SignKey, body)
	answer, err = a.Link.Call(ctx, service, frame)
	return frame, answer, err
}

// open checks an answer. Where it is signed by a key that is unknown here, the control
// plane is asked whether that one is its own.
func (a *Agent) open(ctx context.Context, service events.Service, frame, answer []byte) ([]byte, error) {
	body, err := a.callOf(service).OpenReply(a.trusted(), frame, answer)
	var unknown *seal.UnknownSignerError
	if errors.As(err, &unknown) {
		if learnt := a.learn(ctx, unknown.ID); learnt != nil {
			return nil, a.altered(service, learnt)
		}
		body, err = a.callOf(service).OpenReply(a.trusted(), frame, answer)
	}
	if err != nil {
		return nil, a.altered(service, err)
	}
	return body, nil
}

// altered tells the operator, because no honest control plane answers so.
func (a *Agent) altered(service events.Service, err error) error {
	a.Logger.Error("an answer was altered on the way, or is not the control plane's; it counts for nothing", "service", service, "err", err)
	return fmt.Errorf("call %s: %w: %w", service, errAltered, err)
}

// call asks an agent service once. Errors: an [*events.ServiceError], [ErrLinkDown],
// errAltered, errUnreadable, or that ctx ended.
func call[R any](ctx context.Context, a *Agent, service events.Service, question any) (_ R, err error) {
	ctx, span := trace.Child(ctx, "call "+string(service), trace.Client, trace.Of(trace.Service, service))
	defer func() { span.End(codeOf(err)) }()
	var reply events.ServiceReply[R]
	frame, answer, err := a.ask(ctx, service, question)
	if err != nil {
		return *new(R), err
	}
	if answer, err = a.open(ctx, service, frame, answer); err != nil {
		return *new(R), err
	}
	if err := json.Unmarshal(answer, &reply); err != nil || (reply.Result == nil) == (reply.Error == nil) {
		return *new(R), fmt.Errorf("call %s: %w", service, errUnreadable)
	}
	if reply.Error != nil {
		return *new(R), fmt.Errorf("call %s: %w", service, reply.Error)
	}
	return *reply.Result, nil
}

// insist repeats a call until the control plane answers it or ctx ends; then the error
// is ctx's cause. Only for calls that are the same call however often they are made.
func insist[R any](ctx context.Context, a *Agent, service events.Service, question any) (R, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		reply, err := call[R](ctx, a, service, question)
		switch {
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return reply, fmt.Errorf("call %s: %w", service, context.Cause(ctx))
		case !passing(err):
			return reply, err
		}
		a.Logger.Warn("the control plane did not take a call; it is made again", "service", service, "err", err)
		if err := sleep(ctx, jitter(pause)); err != nil {
			return reply, fmt.Errorf("call %s: %w", service, err)
		}
	}
}

// passing reports whether the same call may succeed later.
func passing(err error) bool {
	var refusal *events.ServiceError
	if errors.As(err, &refusal) {
		return refusal.Retry
	}
	return errors.Is(err, ErrLinkDown) || errors.Is(err, errAltered) || errors.Is(err, errUnreadable) || errors.Is(err, context.DeadlineExceeded)
}

// refusedWith returns the code of a refusal for good, or "".
func refusedWith(err error) string {
	var refusal *events.ServiceError
	if errors.As(err, &refusal) && !refusal.Retry {
		return refusal.Code
	}
	return ""
}

// codeOf says how a call went, without a word of the error's text.
func codeOf(err error) string {
	var refusal *events.ServiceError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return "refused"
	case errors.Is(err, ErrLinkDown), errors.Is(err, context.DeadlineExceeded):
		return "link_down"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "unreadable"
}

// sleep waits, or returns the cause of ctx's end.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jitter spreads a pause over half to one and a half of it, so that the agents of a
// cluster do not all come back in one moment.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
