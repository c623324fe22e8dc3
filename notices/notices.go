package notices

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker"
)

// The loops of this room.
const (
	FanOutLoop   worker.LoopName = "notices-fan-out"
	ExpiringLoop worker.LoopName = "notices-expiring"
	SendLoop     worker.LoopName = "notices-send"
)

// Kept is how long the outbox remembers what it told.
const Kept = 30 * 24 * time.Hour

// Integration is one that is told, as facts have it.
type Integration struct {
	ID       events.IntegrationID
	Kind     events.IntegrationKind
	Notices  []events.NoticeKind // none is all
	Projects []string            // none is all
}

// hears reports whether it is told of something.
func (i Integration) hears(t told) bool {
	if d, ok := t.event.Fact.(events.DeliveryAbandoned); ok && d.Delivery != "" && t.event.Stream == events.IntegrationStream(i.ID) {
		return false // of its own silence it cannot be told
	}
	return (len(i.Notices) == 0 || slices.Contains(i.Notices, t.kind)) &&
		(len(i.Projects) == 0 || slices.Contains(i.Projects, t.request.Submitted.Place.Project))
}

// Integrations know which integrations there are, and where they lie.
type Integrations interface {
	// Told are those that are told and not disabled, as of a commit at least.
	Told(ctx context.Context, at events.Seq) ([]Integration, error)

	// Address opens the address of one for one attempt. Errors: [ErrNoAddress].
	Address(ctx context.Context, id events.IntegrationID) (events.IntegrationKind, Address, error)

	// Personal opens somebody's own address for one attempt. Errors: [ErrNoAddress].
	Personal(ctx context.Context, id events.UserID) (Address, error)
}

// Ends finds what ends soon. Package projections has it.
type Ends interface {
	// Ending are requests that reach an end of theirs after one time, or at it and after one
	// place, and at or before another time. The soonest come first.
	Ending(ctx context.Context, after time.Time, place events.Seq, before time.Time, limit int) ([]Ending, error)
}

// Ending is a request with its end, as a view has it.
type Ending struct {
	Request events.RequestID
	Place   events.Seq // among those with the same end
	End     time.Time
	Since   time.Time // when the way there began, or before
}

// Config is what notices work with. Every field is needed, but Integrations and the senders: where
// one of those is nil nobody is told that way.
type Config struct {
	Log          command.Log
	Feed         command.Feed
	Positions    worker.Positions
	Rights       Rights
	People       People
	Outbox       Outbox
	Integrations Integrations
	Ends         Ends

	Mail, Slack, Teams, Hook Sender

	// URL is where people find the server: the beginning of every link, without a slash.
	URL string

	Logger *slog.Logger
	Now    func() time.Time
}

// Notices tell people and integrations what happened.
type Notices struct {
	Config
	composer composer
	endings  endings
}

// New makes it. Whoever runs its loops has it tell.
func New(cfg Config) *Notices {
	return &Notices{Config: cfg, composer: composer{
		log: cfg.Log, feed: cfg.Feed, rights: cfg.Rights, people: cfg.People, base: cfg.URL, now: cfg.Now,
	}}
}

// integrations are those that are told, as of a commit at least.
func (n *Notices) integrations(ctx context.Context, at events.Seq) ([]Integration, error) {
	if n.Integrations == nil {
		return nil, nil
	}
	all, err := n.Integrations.Told(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("which integrations are told: %w", err)
	}
	return all, nil
}

// Loops are what a worker runs for it.
func (n *Notices) Loops() []worker.Loop {
	return []worker.Loop{
		{Name: FanOutLoop, Run: worker.Fold(n.Feed, n.Positions, FanOutLoop, n.fanOut)},
		{Name: ExpiringLoop, Run: worker.Every(endingInterval, n.tellEnding)},
		{Name: SendLoop, Run: n.send},
	}
}
