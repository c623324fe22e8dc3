package leaf

import (
	"context"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// pullHold is how long after a pull the server answers it even though its inbox is gone:
// it does not rely on what it knows of inboxes behind a link (nats-server v2.15,
// consumer.go, nextWaiting: two seconds). Some more is for the way.
const pullHold = 2*time.Second + 300*time.Millisecond

// handBack takes over the inbox of a pull whose caller has gone, for as long as a job may
// still come to it, and gives that one back at once: nobody would do it, and it would
// wait for a whole lease. It reports whether it took the inbox over. [Link.Close] waits
// for it.
func (l *Link) handBack(replies *natsgo.Subscription, until time.Time) bool {
	if !time.Now().Before(until) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.late.Go(func() {
		defer func() { _ = replies.Unsubscribe() }()
		linked, cancel, ok := l.during(context.Background())
		if !ok {
			return
		}
		defer cancel()
		wait, stop := context.WithDeadline(linked, until)
		defer stop()
		for {
			msg, err := replies.NextMsgWithContext(wait)
			if err != nil {
				return // the time is over, or the link
			}
			switch status := msg.Header.Get("Status"); {
			case status == "100":
			case status != "":
				return // the pull has ended
			case msg.Reply != "":
				d := &delivery{link: l, msg: msg}
				if err := d.Later(linked, 0); err != nil {
					l.config.Logger.Warn("a job came too late and is not given back; it comes again when its lease ends", "err", err)
				}
				return // one pull, one job
			}
		}
	})
	return true
}
