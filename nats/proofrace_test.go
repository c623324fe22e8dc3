package nats

import (
	"context"
	"errors"
	"sync"
	"testing"

	"secretsbridge/command"
	"secretsbridge/events"
)

// TestWhatIsAppendedWhileTheServerAnswersIsNoAlarm proves the log again and again while many
// append: a commit that is acknowledged between the server's answer and its judgement is not
// missing.
func TestWhatIsAppendedWhileTheServerAnswersIsNoAlarm(t *testing.T) {
	r := newRig(t, 1)
	store := openStore(t, r.nc)
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	for range 8 {
		writers.Go(func() {
			stream := events.AccessStream(events.UserActor(events.NewUserID()))
			for ctx.Err() == nil {
				if _, err := store.Append(ctx, stream, events.AnySeq, denial(stream, "x")); err != nil && ctx.Err() == nil && !errors.Is(err, command.ErrOutcomeUnknown) {
					t.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	for range 300 {
		if err := r.streams.proveAll(t.Context(), store); err != nil {
			t.Fatalf("a log that grows: %v", err)
		}
	}
}
