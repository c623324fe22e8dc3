package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"secretsbridge/events"
)

// pageTimeout bounds the wait for one page. A provider with a limit on its rate may need
// minutes for it, such as 250 reads of metadata; one that hangs would hold the job's place
// until its end.
const pageTimeout = 5 * time.Minute

// errCutShort says that a list ended and did not say that it is complete. What it did not
// show must not be taken for gone.
var errCutShort = errors.New("the list ended before its last page")

// ahead yields what the provider lists from a cursor on, as [job.pages], and reads the
// next page while its caller works on one; no more than that one waits. While there is none
// it yields an empty page each half minute, so that its caller can tell the control plane
// that it is there, and hear that the job was called off. When it returns, the provider is
// not at work any more.
func (j job) ahead(ctx context.Context, from Cursor) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		read, ended := make(chan Page), make(chan struct{})
		var fault error // read after both were closed
		go func() {
			defer close(ended)
			defer close(read)
			fault = j.guarded(func() error {
				for page, err := range j.pages(ctx, from) {
					if err != nil {
						return err
					}
					if ctx.Err() != nil {
						return context.Cause(ctx) // select might hand the page over all the same
					}
					select {
					case read <- page:
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}
				return nil
			})
		}()
		defer func() { stop(); <-ended }()
		idle := time.NewTicker(pageAge)
		defer idle.Stop()
		for {
			var page Page
			more := true
			select {
			case page, more = <-read:
				idle.Reset(pageAge)
			case <-idle.C:
			}
			if !more {
				break
			}
			if !yield(page, nil) {
				return
			}
		}
		if fault != nil {
			yield(Page{}, fault)
		}
	}
}

// pages yields what the provider lists from a cursor on. It goes on after outages, and
// begins anew where the cursor is none any more, once: then secrets come again.
func (j job) pages(ctx context.Context, from Cursor) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		var away outage
		for anew := false; ; {
			stopped := false
			err := j.list(ctx, from, func(page Page) bool {
				from, away = page.Next, outage{}
				stopped = !yield(page, nil)
				return !stopped
			})
			switch {
			case stopped || err == nil:
				return
			case ctx.Err() == nil && errors.Is(err, ErrCursor) && !anew:
				j.log.Warn("a list does not go on from where it was; it begins anew", "err", err)
				from, anew = "", true
				continue
			case ctx.Err() == nil && errors.Is(err, ErrUnavailable) && j.sitOut(ctx, &away, err):
				continue
			}
			yield(Page{}, err)
			return
		}
	}
}

// list asks the provider once, until take has enough or the list is complete.
func (j job) list(ctx context.Context, from Cursor, take func(Page) bool) error {
	provider, err := j.Connections.Open(j.ticket.Connection, j.ticket.Provider)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(pageTimeout, cancel)
	defer late.Stop()
	for page, err := range provider.List(ctx, from) {
		late.Stop()
		if errors.Is(err, ErrTooLarge) {
			return &failure{code: events.FailureListTooLarge, err: err}
		}
		if err != nil {
			return err
		}
		if !take(page) || page.Next == "" {
			return nil
		}
		late.Reset(pageTimeout)
	}
	return fmt.Errorf("list %s: %w", j.ticket.Connection, errCutShort)
}

// How long a scan waits for a provider that is away, and the pauses between its tries;
// the first doubles. After that the job is given back ([outageDelays]).
const (
	outagePatience     = 2 * time.Minute
	firstOutagePause   = time.Second
	longestOutagePause = 20 * time.Second
)

// outage is how long a provider has been away. The zero outage is none.
type outage struct {
	since time.Time
	pause time.Duration
}

// sitOut waits before the next try. It reports false where the patience is over, or the
// job's time would be.
func (j job) sitOut(ctx context.Context, o *outage, err error) bool {
	now := time.Now()
	if o.since.IsZero() {
		o.since = now
	}
	o.pause = min(max(firstOutagePause, 2*o.pause), longestOutagePause)
	pause := jitter(o.pause)
	next := now.Add(pause)
	if next.Sub(o.since) > outagePatience || !next.Add(j.ReadTimeout).Before(j.ticket.Until) {
		return false
	}
	j.log.Warn("a provider did not answer", "connection", j.ticket.Connection, "again_in", pause, "err", err)
	return sleep(ctx, pause) == nil
}
