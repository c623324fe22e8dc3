package worker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// expiryInterval is how late it may be told that a link, a token, a delegation, a factor that was
// begun or an amendment reached its end. It opens nothing meanwhile: whoever asks looks at the clock.
const expiryInterval = 5 * time.Second

// Rights knows what was given to people and machines for a while. Package rights has it.
type Rights interface {
	Users() []command.User       // all that were ever added, in no order
	History() command.Governance // with its amendments
}

// Expiries is the loop that tells what of people, machines and the governance reached its end. It
// decides by their own histories, and its commands have ids that follow from these, so two holders
// tell it once. Of somebody who was erased there is nothing to tell.
func Expiries(log command.Log, rights Rights, now func() time.Time) Loop {
	return Loop{"expiries", Every(expiryInterval, func(ctx context.Context, t *Term) error {
		if err := endAmendments(ctx, t, log, rights, now()); err != nil {
			return err
		}
		return endGiven(ctx, t, log, rights, now())
	})}
}

// expiry is the circumstance of telling an end, at the position where a history stands.
func expiry(stream events.Stream, at events.Seq, now time.Time) command.Meta {
	id := events.DeriveCommandID("expired", stream.String(), strconv.FormatUint(uint64(at), 10))
	return command.Meta{Command: id, Actor: system, Time: now}
}

// endGiven tells of all whose rights say that something of theirs ended, in no order. One that fails
// holds up nobody, and is found by the next look.
func endGiven(ctx context.Context, t *Term, log command.Log, rights Rights, now time.Time) error {
	var tasks []command.Task[command.User]
	for _, user := range rights.Users() {
		if len(user.Ended(now)) == 0 {
			continue
		}
		stream := events.UserStream(user.ID)
		tasks = append(tasks, command.Task[command.User]{
			Stream: stream,
			Meta:   func(at events.Seq) command.Meta { return expiry(stream, at, now) },
			Decide: command.User.Expire,
		})
	}
	var told settled
	for some := range slices.Chunk(tasks, command.MaxTogether) {
		if settle(t, &told, some, command.ExecuteAll(ctx, log, some)); told.unsafe() {
			break
		}
		if err := t.Check(); err != nil {
			return err
		}
	}
	return told.err
}

func endAmendments(ctx context.Context, t *Term, log command.Log, rights Rights, now time.Time) error {
	if len(rights.History().Ended(now)) == 0 {
		return nil
	}
	stream := events.GovernanceStream()
	_, at, err := command.Load[command.Governance](ctx, log, stream)
	if err != nil {
		return err
	}
	meta := expiry(stream, at, now)
	done, err := command.Execute(ctx, log, stream, meta, func(g command.Governance) ([]events.Fact, error) { return g.Expire(meta) })
	if err != nil {
		t.Failed(1)
		return fmt.Errorf("amendments that ended: %w", err)
	}
	t.Handled(len(done.Events))
	return nil
}
