package custody

import (
	"context"
	"fmt"
	"sync"
	"time"

	"secretsbridge/seal"
)

// intakeSlack is how much earlier than its epoch a key is taken: a server whose clock runs ahead
// hands it out by then.
const intakeSlack = time.Minute

// sharedIntake are intake keys that follow from a seed of their epoch, so that all servers take
// what one of them handed a key out for. Epochs are [intakeLife] long and begin with the hours of
// UTC.
type sharedIntake struct {
	seed func(ctx context.Context, epoch time.Time) ([]byte, error)

	mu     sync.Mutex // guards what follows, also while a seed is asked for
	epochs map[time.Time]intakeKeys
}

// of returns the keys of an epoch, by its beginning.
func (s *sharedIntake) of(ctx context.Context, epoch time.Time) (intakeKeys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.epochs[epoch]; ok {
		return found, nil
	}
	seed, err := s.seed(ctx, epoch)
	if err != nil {
		return intakeKeys{}, err
	}
	defer clear(seed)
	made := intakeKeys{made: epoch}
	for _, suite := range intakeSuites {
		key, err := seal.DeriveRecipientKey(suite, seed)
		if err != nil {
			return intakeKeys{}, err
		}
		made.keys = append(made.keys, key)
	}
	if s.epochs == nil {
		s.epochs = map[time.Time]intakeKeys{}
	}
	s.epochs[epoch] = made
	return made, nil
}

// taken are the epochs whose keys are taken now, the likeliest first.
func (s *sharedIntake) taken(now time.Time) []time.Time {
	current := now.UTC().Truncate(intakeLife)
	epochs := []time.Time{current}
	if now.Before(current.Add(intakeOverlap)) {
		epochs = append(epochs, current.Add(-intakeLife))
	}
	if next := current.Add(intakeLife); !now.Before(next.Add(-intakeSlack)) {
		epochs = append(epochs, next)
	}
	return epochs
}

// forget lets keys go that are not taken any more.
func (s *sharedIntake) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for epoch := range s.epochs {
		if !now.Before(epoch.Add(IntakeEnd)) {
			delete(s.epochs, epoch)
		}
	}
}

// open tries the keys that are taken now, one epoch after the other.
func (s *sharedIntake) open(ctx context.Context, now time.Time, try func(intakeKeys) ([]byte, bool, error)) ([]byte, error) {
	s.forget(now)
	for _, epoch := range s.taken(now) {
		keys, err := s.of(ctx, epoch)
		if err != nil {
			return nil, fmt.Errorf("intake keys: %w", err)
		}
		if plain, ours, err := try(keys); ours {
			return plain, err
		}
	}
	return nil, ErrIntakeKey
}
