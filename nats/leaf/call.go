package leaf

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/nats/subject"
)

// callTimeout is how long an answer may take: a little more than the control plane
// gives itself.
const callTimeout = 20 * time.Second

// Call implements [agent.Link]. After [agent.ErrLinkDown] the call may or may not have
// been taken; the same call again is answered the same way.
func (l *Link) Call(ctx context.Context, service events.Service, request []byte) ([]byte, error) {
	msg := &natsgo.Msg{Subject: subject.Service(l.config.Account, service), Data: request}
	if in := trace.From(ctx).Traceparent(); in.Valid() {
		msg.Header = natsgo.Header{subject.Traceparent: {string(in)}}
	}
	reply, err := l.requestMsg(ctx, msg, callTimeout)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", service, err)
	}
	return reply, nil
}

// request asks and waits for one answer. Nobody answers, or not in time, or the
// link broke: that is [agent.ErrLinkDown].
func (l *Link) request(ctx context.Context, to string, data []byte, limit time.Duration) ([]byte, error) {
	return l.requestMsg(ctx, &natsgo.Msg{Subject: to, Data: data}, limit)
}

func (l *Link) requestMsg(ctx context.Context, question *natsgo.Msg, limit time.Duration) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	linked, cancel, ok := l.during(ctx)
	if !ok {
		return nil, agent.ErrLinkDown
	}
	defer cancel()
	wait, stop := context.WithTimeout(linked, limit)
	defer stop()
	msg, err := l.nc.RequestMsgWithContext(wait, question)
	switch {
	case err == nil:
		return msg.Data, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, natsgo.ErrMaxPayload):
		return nil, err // for good: another try is as long
	}
	return nil, fmt.Errorf("%w: %w", agent.ErrLinkDown, err)
}
