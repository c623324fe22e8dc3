package agent

import (
	"context"
	"time"
)

// endTimeout bounds the end of a delivery. One that is not confirmed comes again, and
// the register or the control plane knows that its job is over.
const endTimeout = 5 * time.Second

// verdict is how a delivery ends.
type verdict struct {
	how    ending
	delay  time.Duration // of givenBack
	reason string        // of refused; it may be shown to operators
}

type ending int

const (
	// leave: another attempt holds the ticket now, and its end is not ours to decide.
	leave ending = iota
	done
	givenBack
	refused
)

func doneWith() verdict                 { return verdict{how: done} }
func later(delay time.Duration) verdict { return verdict{how: givenBack, delay: delay} }
func refuse(reason string) verdict      { return verdict{how: refused, reason: reason} }
func left() verdict                     { return verdict{how: leave} }

// end carries a verdict out, also for an agent that is stopping.
func (a *Agent) end(ctx context.Context, d Delivery, v verdict) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	var err error
	switch v.how {
	case done:
		err = d.Done(ctx)
	case givenBack:
		err = d.Later(ctx, v.delay)
	case refused:
		err = d.Refuse(ctx, v.reason)
	}
	if err != nil {
		a.Logger.Warn("a job's ticket is not acknowledged; it will come again", "err", err)
	}
}
