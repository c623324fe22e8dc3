package agent

import (
	"context"
	"time"
)

// extendTimeout bounds one renewal, so that a lost answer costs one and no more.
const extendTimeout = 5 * time.Second

// keepLease renews the lease of a delivery each third of its term: two renewals may be
// lost in a row and the next still comes in time. The returned function stops it and
// waits until no renewal is under way.
func (a *Agent) keepLease(ctx context.Context, d Delivery) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(a.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			a.extend(ctx, d)
		}
	}()
	return func() { cancel(); <-done }
}

// extend tells nobody but the log: whether the lease was lost all the same shows when
// the control plane refuses the attempt.
func (a *Agent) extend(ctx context.Context, d Delivery) {
	limited, cancel := context.WithTimeout(ctx, min(extendTimeout, a.Lease/3))
	defer cancel()
	if err := d.Extend(limited); err != nil && ctx.Err() == nil {
		a.Logger.Warn("a lease was not renewed", "err", err)
	}
}
