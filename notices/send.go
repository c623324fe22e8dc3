package notices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker"
)

const (
	// sendInterval is how late something that is due may be sent when nothing fails.
	sendInterval = 500 * time.Millisecond

	// parallel is how many recipients of one channel are sent to side by side. Each gets one
	// message at a time, so that one that is slow holds up nobody else, and a channel of which
	// all are slow no other channel.
	parallel = 16

	// queued is how many recipients may wait for their channel with what they are due claimed.
	queued = 256

	// takeBatch is how many deliveries are claimed at once, and claim for how long: whoever dies
	// leaves them to the next after that. Nothing is begun that could not end before.
	takeBatch = 512
	claim     = 2 * time.Minute

	// sendTimeout bounds one attempt.
	sendTimeout = 20 * time.Second

	// tidyInterval is how often old deliveries are removed and what waits is counted.
	tidyInterval = time.Minute
)

// batch is what is due to one recipient.
type batch struct {
	to      Recipient
	channel events.Channel
	rows    []Delivery
	until   time.Time // the end of the claim
}

// outcome is how the work at one batch ended.
type outcome struct {
	to      Recipient
	channel events.Channel
	err     error
}

// send sends what is due until ctx ends. A crash between sending something and noting it sends
// it again, with the same id.
func (n *Notices) send(ctx context.Context, t *worker.Term) error {
	if _, err := n.Positions.Begin(ctx, SendLoop, t.Fence(), 0); err != nil {
		return fmt.Errorf("begin to send: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan outcome)
	busy := map[Recipient]bool{}
	running := map[events.Channel]int{}
	var queue []batch
	defer func() {
		cancel()
		for _, b := range queue {
			delete(busy, b.to)
		}
		for range busy {
			<-done
		}
	}()
	tick := time.NewTicker(sendInterval)
	defer tick.Stop()
	var tidied time.Time
	for {
		queue = slices.DeleteFunc(queue, func(b batch) bool {
			if running[b.channel] >= parallel {
				return false
			}
			running[b.channel]++
			go func() { done <- outcome{b.to, b.channel, n.deliver(ctx, t, b)} }()
			return true
		})
		more := false
		if len(queue) < queued {
			taken, err := n.take(ctx, t, busy)
			if err != nil {
				return err
			}
			queue = append(queue, taken...)
			more = len(taken) > 0
		}
		if more {
			continue
		}
		if now := n.Now(); now.Sub(tidied) >= tidyInterval {
			if err := n.tidy(ctx, t, now); err != nil {
				return err
			}
			tidied = now
		}
		select {
		case <-ctx.Done():
			return nil
		case o := <-done:
			delete(busy, o.to)
			running[o.channel]--
			if o.err != nil && ctx.Err() == nil {
				return o.err
			}
		case <-tick.C:
		}
	}
}

// take claims what is due, by recipient, and counts those as busy.
func (n *Notices) take(ctx context.Context, t *worker.Term, busy map[Recipient]bool) ([]batch, error) {
	now := n.Now()
	names := make([]Recipient, 0, len(busy))
	for to := range busy {
		names = append(names, to)
	}
	rows, err := n.Outbox.Take(ctx, SendLoop, t.Fence(), now, now.Add(claim), names, takeBatch)
	if err != nil {
		return nil, err
	}
	var taken []batch
	at := map[Recipient]int{}
	for _, row := range rows {
		i, known := at[row.To]
		if !known {
			i = len(taken)
			at[row.To], busy[row.To] = i, true
			taken = append(taken, batch{to: row.To, channel: n.channelOf(row.To), until: now.Add(claim)})
		}
		taken[i].rows = append(taken[i].rows, row)
	}
	return taken, nil
}

// channelOf is what a recipient shares with others that may be slow together. Integrations are
// few and have one for all.
func (n *Notices) channelOf(to Recipient) events.Channel {
	id, person := to.User()
	if !person {
		return "integrations"
	}
	return ChosenBy(n.Rights.User(id)).Channel
}

// tidy removes what is old and no legal hold keeps, and says how late what waits is. Holds are
// those of the log: where it cannot be read nothing is removed.
func (n *Notices) tidy(ctx context.Context, t *worker.Term, now time.Time) error {
	held, _, err := command.Load[command.Holds](ctx, n.Log, events.HoldStream())
	if err != nil {
		return err
	}
	if _, err := n.Outbox.Sweep(ctx, now.Add(-Kept), held); err != nil {
		return err
	}
	_, late, err := n.Outbox.Depth(ctx, now)
	if err == nil {
		t.Lag(late)
	}
	return err
}

// way is how a recipient is reached: what sends, and whether several notices may be one message.
type way struct {
	sender Sender
	addr   Address
	joins  bool
}

// wayTo finds how somebody is reached. No sender is no way.
func (n *Notices) wayTo(ctx context.Context, to Recipient) (way, error) {
	if id, ok := to.Integration(); ok {
		if n.Integrations == nil {
			return way{}, nil
		}
		kind, addr, err := n.Integrations.Address(ctx, id)
		if errors.Is(err, ErrNoAddress) {
			return way{}, nil
		}
		return way{sender: n.senderOf(kind), addr: addr, joins: kind != events.IntegrationWebhook}, err
	}
	id, _ := to.User()
	switch channel := ChosenBy(n.Rights.User(id)).Channel; channel {
	case events.ChannelEmail:
		if n.Mail == nil {
			return way{}, nil
		}
		email, err := n.People.Email(ctx, id)
		if err != nil || email == "" {
			return way{}, err
		}
		return way{sender: n.Mail, addr: Address{Email: email}, joins: true}, nil
	case events.ChannelSlack, events.ChannelTeams:
		if n.Integrations == nil {
			return way{}, nil
		}
		addr, err := n.Integrations.Personal(ctx, id)
		if errors.Is(err, ErrNoAddress) {
			return way{}, nil
		}
		if channel == events.ChannelSlack {
			return way{sender: n.Slack, addr: addr, joins: true}, err
		}
		return way{sender: n.Teams, addr: addr, joins: true}, err
	}
	return way{}, nil
}

func (n *Notices) senderOf(kind events.IntegrationKind) Sender {
	switch kind {
	case events.IntegrationWebhook:
		return n.Hook
	case events.IntegrationSlack:
		return n.Slack
	case events.IntegrationTeams:
		return n.Teams
	}
	return nil
}

// close clears what was opened for an attempt.
func (a Address) close() {
	a.URL.Zero()
	for _, key := range a.SigningKeys {
		key.Zero()
	}
}

// bury records that somebody was not told. Its command follows from the delivery and from when it
// was due, which stays until the outbox has it noted: it is recorded once for each time that it
// was given up.
func (n *Notices) bury(ctx context.Context, d Delivery, attempts int, code events.DeliveryCode) error {
	meta := command.Meta{
		Command: events.DeriveCommandID("abandoned", string(d.ID), d.Due.UTC().Format(time.RFC3339Nano)),
		Actor:   events.SystemActor("worker"), Time: n.Now(),
	}
	var err error
	if id, ok := d.To.Integration(); ok {
		_, err = command.Execute(ctx, n.Log, events.IntegrationStream(id), meta, func(taken) ([]events.Fact, error) {
			return []events.Fact{events.DeliveryAbandoned{Delivery: d.ID, Notice: d.Kind, Code: code, Attempts: attempts}}, nil
		})
	} else {
		id, _ := d.To.User()
		_, err = command.Execute(ctx, n.Log, events.UserStream(id), meta, func(u command.User) ([]events.Fact, error) {
			return u.AbandonNotice(meta, events.NoticeAbandoned{Delivery: d.ID, Notice: d.Kind, Channel: ChosenBy(u).Channel, Code: code, Attempts: attempts})
		})
	}
	if err != nil {
		return fmt.Errorf("record that %s was given up: %w", d.ID, err)
	}
	return nil
}

// taken is a history of which only the commands matter: nothing in it can forbid to say that its
// integration was not told.
type taken map[events.CommandID]bool

// Evolve implements [command.State].
func (t taken) Evolve(e events.Event) taken {
	if t == nil {
		t = taken{}
	}
	t[e.Command] = true
	return t
}

// Took implements [command.State].
func (t taken) Took(id events.CommandID) bool { return t[id] }
