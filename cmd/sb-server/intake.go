package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"secretsbridge/custody"
)

// intakeSeed is what servers make their common intake keys of; nil where this one is alone. A seed
// needs both the key manager and what NATS keeps for the epoch, at random, and then forgets: after
// that nobody can make the keys again who has not kept it (decision 0142).
func (st *stack) intakeSeed() func(context.Context, time.Time) ([]byte, error) {
	if !st.settings.external() {
		return nil
	}
	return func(ctx context.Context, epoch time.Time) ([]byte, error) {
		var mine [32]byte
		_, _ = rand.Read(mine[:]) // never fails: crypto/rand, Go 1.24
		// As long as the keys are taken, and an hour more where a clock runs ahead.
		salt, err := st.marks.IntakeSalt(ctx, epoch, mine, custody.IntakeEnd+time.Hour)
		if err != nil {
			return nil, err
		}
		key, err := st.keys.wrapping.FingerprintKey(ctx, "intake "+epoch.UTC().Format(time.RFC3339))
		if err != nil {
			return nil, fmt.Errorf("derive the seed of intake keys: %w", err)
		}
		defer key.Zero()
		mac := hmac.New(sha256.New, key.Expose())
		mac.Write([]byte("secretsbridge intake seed v1\n"))
		mac.Write(salt[:])
		return mac.Sum(nil), nil
	}
}
