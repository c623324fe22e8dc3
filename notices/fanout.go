package notices

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker"
)

const (
	// endingInterval is how late somebody may hear that an end is near.
	endingInterval = 15 * time.Second

	// endingBatch and endingPages bound one look.
	endingBatch = 500
	endingPages = 10

	// An end is near when a quarter of the time towards it is left, and no more than an hour.
	// What is left for less than two minutes needs no message: it would come too late.
	endingPart   = 4
	endingMost   = time.Hour
	endingLittle = 2 * time.Minute
)

// fanOut works out who is told of some commits. Deliveries and the position are written together,
// and the id of a delivery follows from the event, the kind and the recipient: whatever happens in
// between, each is there once.
func (n *Notices) fanOut(ctx context.Context, t *worker.Term, commits []events.Recorded) error {
	last := commits[len(commits)-1].Seq
	var fresh []Delivery
	var integrations []Integration
	looked := false
	for _, c := range commits {
		all, err := n.directed(ctx, c)
		if err != nil {
			return err
		}
		if len(all) > 0 && !looked {
			if integrations, err = n.integrations(ctx, last); err != nil {
				return err
			}
			looked = true
		}
		for _, told := range all {
			fresh = append(fresh, n.deliveries(told, c.Seq, integrations)...)
		}
	}
	added, err := n.Outbox.Add(ctx, FanOutLoop, t.Fence(), last, fresh)
	if err != nil {
		return err
	}
	t.Handled(added)
	return nil
}

// directed is what one commit is told as. Rights are asked as of that commit at least: somebody
// who lost a right since is told no more.
func (n *Notices) directed(ctx context.Context, c events.Recorded) ([]told, error) {
	switch c.Stream.Aggregate {
	case events.AggregateAgent, events.AggregateIntegration:
		return ofOthers(c.Events), nil
	case events.AggregateRequest:
	default:
		return nil, nil
	}
	if !slices.ContainsFunc(c.Events, func(e events.Event) bool { return tellsOf(e.Fact) }) {
		return nil, nil
	}
	if err := n.Rights.WaitFor(ctx, c.Seq); err != nil {
		return nil, err
	}
	history, err := n.Log.Load(ctx, c.Stream)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", c.Stream, err)
	}
	var before command.Request
	for _, h := range history {
		for _, e := range h.Events {
			if h.Seq < c.Seq {
				before = before.Evolve(e)
			}
		}
	}
	after := before
	for _, e := range c.Events {
		after = after.Evolve(e)
	}
	d := director{rights: n.Rights, now: c.Events[0].Time}
	return d.ofRequest(c.Events, before, after), nil
}

// tellsOf reports whether a fact of a request is told at all, so that the history of others need
// not be read.
func tellsOf(f events.Fact) bool {
	switch f.(type) {
	case events.RequestSubmitted, events.ValuesProvided, events.ValuesRefused, events.RequestRejected, events.ApprovalGiven, events.RequestApproved,
		events.RequestCancelled, events.RequestExecuted, events.RequestFailed, events.RequestExpired, events.EnvelopeExpired, events.EnvelopeRevealed,
		events.GlassBroken, events.GlassReviewed, events.ReviewOverdue, events.StepReminded, events.StepEscalated, events.ApprovalsVoided,
		events.RequestApplied, events.RequestRolloutFailed, events.RequestUnverified:
		return true
	}
	return false
}

// deliveries are one notice to each of those who want it.
func (n *Notices) deliveries(t told, seq events.Seq, integrations []Integration) []Delivery {
	var all []Delivery
	now := n.Now()
	add := func(to Recipient, due time.Time, held bool) {
		all = append(all, Delivery{
			ID: events.DeliveryOf(t.event.ID, string(t.kind)+" "+string(to)), // one fact may be told as two kinds
			To: to, Kind: t.kind, Event: t.event.ID, Seq: seq, Request: t.request.ID, At: t.event.Time,
			State: Waiting, Due: due, Held: held,
		})
	}
	for _, id := range t.people {
		if chosen := ChosenBy(n.Rights.User(id)); wants(chosen, t.kind) {
			due, held := dueAt(chosen, t.kind, now)
			add(ToUser(id), due, held)
		}
	}
	for _, i := range integrations {
		if i.hears(t) {
			add(ToIntegration(i.ID), now, false)
		}
	}
	return all
}

// endings is how far the loop over ends came. It owns them.
type endings struct {
	after time.Time
	place events.Seq
	told  map[events.EventID]time.Time // ends that were told of, until they are over
}

// tellEnding tells of ends that are near. There is no fact that says so: the event's place is
// taken by a name made of the request and that end, so each end is told of once, whoever looks.
// Where there are more than one look takes, the next goes on after them.
func (n *Notices) tellEnding(ctx context.Context, t *worker.Term) error {
	now, e := n.Now(), &n.endings
	if e.told == nil {
		e.told = map[events.EventID]time.Time{}
	}
	maps.DeleteFunc(e.told, func(_ events.EventID, end time.Time) bool { return end.Before(now) })
	if e.after.Before(now) {
		e.after, e.place = now, 0
	}
	for range endingPages {
		found, err := n.Ends.Ending(ctx, e.after, e.place, now.Add(endingMost), endingBatch)
		if err != nil {
			return fmt.Errorf("what ends soon: %w", err)
		}
		if err := n.tellEnds(ctx, t, found, now); err != nil {
			return err
		}
		if len(found) < endingBatch {
			e.after = time.Time{} // from the soonest on again
			return nil
		}
		last := found[len(found)-1]
		e.after, e.place = last.End, last.Place
	}
	return nil
}

// tellEnds tells of those of some ends that are near and were not told of.
func (n *Notices) tellEnds(ctx context.Context, t *worker.Term, found []Ending, now time.Time) error {
	var fresh []Delivery
	said := map[events.EventID]time.Time{}
	for _, f := range found {
		if !near(f.End.Sub(f.Since), f.End, now) || !n.endings.told[endingEvent(f.Request, f.End)].IsZero() {
			continue
		}
		told, seq, err := n.ending(ctx, f.Request, now)
		if err != nil {
			return err
		}
		if told.kind == "" {
			continue
		}
		integrations, err := n.integrations(ctx, seq)
		if err != nil {
			return err
		}
		fresh = append(fresh, n.deliveries(told, seq, integrations)...)
		said[endingEvent(f.Request, f.End)] = f.End
	}
	added, err := n.Outbox.Put(ctx, fresh)
	if err != nil {
		return err
	}
	maps.Copy(n.endings.told, said)
	t.Handled(added)
	return nil
}

// near reports whether an end is near: a quarter of the way is left, and no more than an hour.
func near(life time.Duration, end, now time.Time) bool {
	left := end.Sub(now)
	return left <= min(life/endingPart, endingMost) && left >= endingLittle
}

// endingEvent stands for the fact that an end is near.
func endingEvent(id events.RequestID, end time.Time) events.EventID {
	return events.EventID("expiring." + string(id) + "." + strconv.FormatInt(end.Unix(), 10))
}

// ending is the notice about the end of one request, if it is near.
func (n *Notices) ending(ctx context.Context, id events.RequestID, now time.Time) (told, events.Seq, error) {
	history, err := n.Log.Load(ctx, events.RequestStream(id))
	if err != nil {
		return told{}, 0, fmt.Errorf("load request %s: %w", id, err)
	}
	var r command.Request
	var seq events.Seq
	for _, c := range history {
		for _, e := range c.Events {
			r = r.Evolve(e)
		}
		seq = c.Seq
	}
	life, end := endAhead(r)
	if life == 0 && seq > 0 {
		life = end.Sub(history[0].Events[0].Time)
	}
	if end.IsZero() || !near(life, end, now) {
		return told{}, 0, nil
	}
	if err := n.Rights.WaitFor(ctx, seq); err != nil {
		return told{}, 0, err
	}
	d := director{rights: n.Rights, now: now}
	people := d.active(r.Requester)
	switch r.State {
	case events.StatePending:
		people = append(people, d.voters(r)...)
	case events.StateAwaiting:
		people = append(people, d.providers(r)...)
	}
	return told{kind: events.NoticeExpiring, event: events.Event{ID: endingEvent(id, end), Time: now}, request: r, people: people}, seq, nil
}
