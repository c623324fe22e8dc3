package notices

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"secretsbridge/events"
	"secretsbridge/worker"
)

const (
	// More than floodCount messages to somebody within floodWindow become one.
	floodCount  = 5
	floodWindow = time.Minute

	// The pause after an attempt doubles from the shortest to the longest; what a receiver asks
	// for counts as well, up to longestAfter. After that many attempts, or that long, it is
	// given up.
	shortestPause = 5 * time.Second
	longestPause  = time.Hour
	longestAfter  = 6 * time.Hour
	maxAttempts   = 12
	maxTrying     = 24 * time.Hour
)

// deliver works through what is due to one recipient, one message after the other.
func (n *Notices) deliver(ctx context.Context, t *worker.Term, b batch) error {
	way, err := n.wayTo(ctx, b.to)
	if err != nil {
		return err
	}
	defer way.addr.close()
	if way.sender == nil {
		return n.settle(ctx, t, b.rows, func(d Delivery) Settlement {
			return Settlement{State: Unset, Code: events.DeliveryUnset, Attempts: d.Attempts, First: d.First}
		})
	}
	rows, err := n.hush(ctx, t, b.to, b.rows)
	if err != nil {
		return err
	}
	messages, err := n.messages(ctx, t, b.to, rows, way.joins)
	if err != nil {
		return err
	}
	for i, m := range messages {
		if n.Now().Add(2 * sendTimeout).After(b.until) {
			return n.release(ctx, t, messages[i:], n.Now())
		}
		again, err := n.attempt(ctx, t, way, m)
		if err != nil {
			return err
		}
		if !again.IsZero() { // it will be as with this one: the others wait with it
			return n.release(ctx, t, messages[i+1:], again)
		}
	}
	return nil
}

// hush holds back what comes in quiet hours.
func (n *Notices) hush(ctx context.Context, t *worker.Term, to Recipient, rows []Delivery) ([]Delivery, error) {
	id, person := to.User()
	if !person {
		return rows, nil
	}
	end, quiet := quietUntil(ChosenBy(n.Rights.User(id)).Quiet, n.Now())
	if !quiet {
		return rows, nil
	}
	var loud, held []Delivery
	for _, d := range rows {
		if urgent(d.Kind) {
			loud = append(loud, d)
		} else {
			held = append(held, d)
		}
	}
	return loud, n.settle(ctx, t, held, func(d Delivery) Settlement {
		return Settlement{State: Waiting, Due: end, Held: true, Attempts: d.Attempts, First: d.First, Code: d.Code}
	})
}

// parcel is what goes out as one message.
type parcel struct {
	id   events.DeliveryID
	rows []Delivery
}

// messages puts together what goes out together: what already did at an attempt before, what was
// held back, and what comes too fast.
func (n *Notices) messages(ctx context.Context, t *worker.Term, to Recipient, rows []Delivery, joins bool) ([]parcel, error) {
	var all []parcel
	var loose []Delivery
	bound := map[events.DeliveryID]int{}
	held := false
	for _, d := range rows {
		switch i, known := bound[d.Message]; {
		case d.Message != "" && known:
			all[i].rows = append(all[i].rows, d)
		case d.Message != "":
			bound[d.Message] = len(all)
			all = append(all, parcel{d.Message, []Delivery{d}})
		case !joins || d.Attempts > 0 || urgent(d.Kind): // a message that was tried stays as it was
			all = append(all, parcel{d.ID, []Delivery{d}})
		default:
			held = held || d.Held
			loose = append(loose, d)
		}
	}
	if len(loose) == 0 {
		return all, nil
	}
	now := n.Now()
	sent, err := n.Outbox.SentSince(ctx, to, now.Add(-floodWindow), floodCount)
	switch {
	case err != nil:
		return nil, err
	case len(sent) >= floodCount:
		return all, n.settle(ctx, t, loose, func(d Delivery) Settlement {
			return Settlement{State: Waiting, Due: sent[0].Add(floodWindow), Held: true}
		})
	case len(loose) > 1 && (held || len(sent)+len(loose) > floodCount):
		// What was given up with one digest and is retried may begin another one: the time parts them.
		of := "digest." + string(loose[0].ID) + "." + loose[0].Due.UTC().Format(time.RFC3339Nano)
		digest := parcel{events.DeliveryOf(events.EventID(of), string(to)), loose}
		ids := idsOf(loose)
		return append(all, digest), n.Outbox.Bind(ctx, SendLoop, t.Fence(), digest.id, ids)
	}
	for _, d := range loose {
		all = append(all, parcel{d.ID, []Delivery{d}})
	}
	return all, nil
}

// attempt sends one message and notes what became of it. It returns when to try again, if it is
// to be tried again.
func (n *Notices) attempt(ctx context.Context, t *worker.Term, w way, p parcel) (again time.Time, err error) {
	var of []Delivery
	var said []composed
	for _, d := range p.rows {
		one, err := n.composer.compose(ctx, d)
		switch {
		case errors.Is(err, errMoot):
			err = n.settle(ctx, t, []Delivery{d}, func(d Delivery) Settlement { return Settlement{State: Moot, Attempts: d.Attempts, First: d.First} })
		case err == nil:
			of, said = append(of, d), append(said, one)
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	var m Message
	switch len(of) {
	case 0:
		return time.Time{}, nil
	case 1:
		m = single(of[0], said[0])
		m.ID = p.id
	default:
		m = n.composer.digest(p.id, of, said)
	}
	if err := t.Check(); err != nil {
		return time.Time{}, err
	}
	timed, cancel := context.WithTimeout(ctx, sendTimeout)
	err = w.sender.Send(timed, w.addr, m)
	cancel()
	// From here on the message may have arrived. Whoever dies before it is noted leaves it to be
	// sent again, with the same id.
	attempts, first := of[0].Attempts+1, of[0].First
	if first.IsZero() {
		first = n.Now()
	}
	if err == nil {
		t.Handled(len(of))
		return time.Time{}, n.settle(ctx, t, of, func(Delivery) Settlement { return Settlement{State: Sent, Attempts: attempts, First: first} })
	}
	if ctx.Err() != nil {
		return time.Time{}, ctx.Err() // the claim ends by itself
	}
	return n.failed(ctx, t, of, m.ID, attempts, first, err)
}

// failed notes an attempt that did not succeed.
func (n *Notices) failed(ctx context.Context, t *worker.Term, of []Delivery, message events.DeliveryID, attempts int, first time.Time, err error) (again time.Time, _ error) {
	f := &Failure{Code: events.DeliveryInternal, Retry: true, Err: err}
	errors.As(err, &f)
	now := n.Now()
	n.Logger.Warn("notice was not delivered", "delivery", message, "recipient", of[0].To, "code", f.Code, "attempts", attempts, "err", f.Err)
	switch {
	case f.Code == events.DeliveryUnset:
		return again, n.settle(ctx, t, of, func(Delivery) Settlement {
			return Settlement{State: Unset, Code: f.Code, Attempts: attempts, First: first}
		})
	case !f.Retry || attempts >= maxAttempts || now.Sub(first) >= maxTrying:
		for _, d := range of {
			if err := n.bury(ctx, d, attempts, f.Code); err != nil {
				return again, err
			}
		}
		t.Buried(len(of))
		return again, n.settle(ctx, t, of, func(Delivery) Settlement {
			return Settlement{State: Dead, Code: f.Code, Attempts: attempts, First: first}
		})
	}
	t.Failed(len(of))
	again = now.Add(max(pauseAfter(attempts), min(f.After, longestAfter)))
	return again, n.settle(ctx, t, of, func(d Delivery) Settlement {
		return Settlement{State: Waiting, Due: again, Held: d.Held, Code: f.Code, Attempts: attempts, First: first}
	})
}

// pauseAfter is how long to wait after that many attempts: half of it for certain, the other half
// by chance, so that what failed together does not come again together.
func pauseAfter(attempts int) time.Duration {
	full := min(shortestPause<<min(attempts-1, 16), longestPause)
	return full/2 + rand.N(full/2+1)
}

// release gives up a claim, untried, until a time.
func (n *Notices) release(ctx context.Context, t *worker.Term, of []parcel, until time.Time) error {
	for _, p := range of {
		err := n.settle(ctx, t, p.rows, func(d Delivery) Settlement {
			return Settlement{State: Waiting, Due: until, Held: d.Held, Attempts: d.Attempts, First: d.First, Code: d.Code}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settle notes what became of deliveries. Those that end alike are noted together.
func (n *Notices) settle(ctx context.Context, t *worker.Term, rows []Delivery, as func(Delivery) Settlement) error {
	var order []Settlement
	ids := map[Settlement][]events.DeliveryID{}
	for _, d := range rows {
		s := as(d)
		s.At = n.Now()
		if len(order) > 0 && sameBut(order[len(order)-1], s) {
			s = order[len(order)-1]
		} else {
			order = append(order, s)
		}
		ids[s] = append(ids[s], d.ID)
	}
	for _, s := range order {
		if err := n.Outbox.Settle(ctx, SendLoop, t.Fence(), ids[s], s); err != nil {
			return err
		}
	}
	return nil
}

// sameBut reports whether two settlements differ in when they are noted at most.
func sameBut(a, b Settlement) bool {
	a.At = b.At
	return a == b
}

func idsOf(rows []Delivery) []events.DeliveryID {
	ids := make([]events.DeliveryID, len(rows))
	for i, d := range rows {
		ids[i] = d.ID
	}
	return ids
}
