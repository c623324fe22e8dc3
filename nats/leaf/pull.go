package leaf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/agent"
	"secretsbridge/nats/subject"
)

// How jobs are asked for. One answer ends a pull at the control plane (decision 0037),
// so there is one job a pull and no heartbeat. It remembers 15 s whom a pull is
// answered to.
const (
	pullExpires = 10 * time.Second

	// pullSilence is when a pull counts as lost: its end should have been said.
	pullSilence = pullExpires + 3*time.Second

	retryMin = 200 * time.Millisecond
	retryMax = 5 * time.Second
)

// errPullOver says that a pull ended without a job and without a fault.
var errPullOver = errors.New("the pull has ended")

// Next implements [agent.Link]. A pull that was under way when the link broke is given
// up as soon as the link is back, so a waiting job comes within a moment of it.
func (l *Link) Next(ctx context.Context) (agent.Delivery, error) {
	retry := retryMin
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		period := l.now()
		if !period.linked {
			if err := l.wait(ctx, period.over, nil); err != nil {
				return nil, err
			}
			retry = retryMin
			continue
		}
		got, err := l.pull(ctx)
		switch {
		case err == nil:
			return got, nil
		case errors.Is(err, errPullOver):
			retry = retryMin
			continue
		case l.nc.IsClosed():
			return nil, fmt.Errorf("wait for a job: %w", err)
		case ctx.Err() == nil:
			l.config.Logger.Warn("no jobs can be asked for", "err", err)
		}
		// Nobody answers, such as before the cluster's consumer is made. The link's
		// next period ends the pause.
		if err := l.wait(ctx, period.over, time.After(retry)); err != nil {
			return nil, err
		}
		retry = min(2*retry, retryMax)
	}
}

func (l *Link) wait(ctx context.Context, over <-chan struct{}, pause <-chan time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return fmt.Errorf("wait for a job: %w", natsgo.ErrConnectionClosed)
	case <-over:
	case <-pause:
	}
	return nil
}

// pull asks once for one job. It has an inbox of its own, which it gives up at the
// end: so the control plane forgets a pull that was given up, and sends it no job.
func (l *Link) pull(ctx context.Context) (*delivery, error) {
	linked, cancel, ok := l.during(ctx)
	if !ok {
		return nil, errPullOver
	}
	defer cancel()
	inbox := l.nc.NewInbox()
	replies, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ask for a job: %w", err)
	}
	over := true
	defer func() {
		if over {
			_ = replies.Unsubscribe()
		}
	}()
	request, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
	}{1, pullExpires})
	if err != nil {
		return nil, fmt.Errorf("ask for a job: %w", err)
	}
	if err := l.nc.PublishRequest(subject.LocalPull, inbox, request); err != nil {
		return nil, fmt.Errorf("ask for a job: %w", err)
	}
	asked := time.Now()
	for {
		silence, stop := context.WithTimeout(linked, pullSilence)
		msg, err := replies.NextMsgWithContext(silence)
		stop()
		switch {
		case err == nil: // also where the caller has just gone: nobody else has this job
		case ctx.Err() != nil:
			over = !l.handBack(replies, asked.Add(pullHold))
			return nil, errPullOver
		case linked.Err() != nil:
			return nil, errPullOver // the link has gone
		case errors.Is(err, context.DeadlineExceeded):
			return nil, errPullOver // lost on the way; ask again
		default:
			return nil, fmt.Errorf("ask for a job: %w", err)
		}
		status := msg.Header.Get("Status")
		switch status {
		case "":
			if msg.Reply == "" {
				continue // not a job
			}
			return &delivery{link: l, msg: msg}, nil
		case "404", "408": // expired
			return nil, errPullOver
		case "409": // the consumer changed, or the pull is more than it allows
			return nil, fmt.Errorf("ask for a job: %s", msg.Header.Get("Description"))
		default: // 503: nobody is there
			return nil, fmt.Errorf("ask for a job: status %s %s", status, msg.Header.Get("Description"))
		}
	}
}
