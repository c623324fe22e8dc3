package web

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Attempts to sign in, and to enrol an agent. A person types a password a few times; a
// machine that guesses tries for ever. What each costs is Argon2's affair (package
// store); these bound how many there are.
const (
	perAddress = 30 // in a burst, and a minute
	perAccount = 10

	// maxTracked bounds the memory: beyond it, idle entries are forgotten, and if
	// there is none, everybody new has to wait.
	maxTracked = 20_000
)

// limits counts attempts by address and by account.
type limits struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, buckets: map[string]*rate.Limiter{}}
}

// take counts one attempt of key, of burst many a minute, and returns how long to wait
// if that is too much.
func (l *limits) take(key string, burst int) (wait time.Duration) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		if len(l.buckets) >= maxTracked && !l.forget(now) {
			return time.Minute
		}
		b = rate.NewLimiter(rate.Limit(float64(burst)/60), burst)
		l.buckets[key] = b
	}
	reserved := b.ReserveN(now, 1)
	if wait = reserved.DelayFrom(now); wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}

// forget drops buckets that are full again: they say nothing.
func (l *limits) forget(now time.Time) bool {
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(b.Burst()) {
			delete(l.buckets, key)
		}
	}
	return len(l.buckets) < maxTracked
}

// limited refuses an attempt that comes too early.
func (a *API) limited(w http.ResponseWriter, key string, burst int) error {
	wait := a.signIns.take(key, burst)
	if wait == 0 {
		return nil
	}
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", seconds)
	w.Header().Set("RateLimit-Policy", strconv.Itoa(burst)+";w=60")
	w.Header().Set("RateLimit", "limit="+strconv.Itoa(burst)+", remaining=0, reset="+seconds)
	return errTooMany
}
