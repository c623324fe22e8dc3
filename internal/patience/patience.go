// Package patience says how long to wait before a call is made again, and waits.
package patience

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Pause is how long to wait after a call failed for the nth time, which begins at 1: twice as
// long each time, from first to most, less up to a half at random, so that many callers do not
// come back at once.
func Pause(first, most time.Duration, nth int) time.Duration {
	pause := min(first<<(nth-1), most)
	return pause/2 + rand.N(pause/2+1)
}

// RetryAfter reads the header of that name in its two forms (RFC 9110, section 10.2.3); 0 if
// there is none. It may be far longer than anybody wants to wait.
func RetryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// Wait waits. It returns early, and what ended the context, if that ends.
func Wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
