package web

import (
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// Attempts to sign in, to enrol an agent, and to do what one may not. A person types a
// password a few times; a machine that guesses tries for ever. What each costs is
// Argon2's affair (package store); these bound how many there are, and how fast
// somebody can make the log grow with denials.
const (
	perAddress = 30 // in a burst, and a minute
	perAccount = 10
	perIntake  = 600 // many people may share an address, and each patch asks
	perDenied  = 60
	perKeyJobs = 60 // of one person; each reads a secret at its provider
	perProofs  = 20 // of second factors by one person, and what makes new ones; each leaves a fact

	// maxTracked bounds the memory of each kind: beyond it, the one unseen for longest
	// is forgotten, and begins anew.
	maxTracked = 20_000
)

// limits counts attempts of one kind by whoever makes them.
type limits struct {
	burst int
	now   func() time.Time

	mu      sync.Mutex
	buckets *simplelru.LRU[string, *rate.Limiter]
}

func newLimits(burst int, now func() time.Time) *limits {
	buckets, err := simplelru.NewLRU[string, *rate.Limiter](maxTracked, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &limits{burst: burst, now: now, buckets: buckets}
}

// take counts one attempt and returns how long to wait if that is too much.
func (l *limits) take(who string) (wait time.Duration) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.Get(who)
	if !ok {
		b = rate.NewLimiter(rate.Limit(float64(l.burst)/60), l.burst)
		l.buckets.Add(who, b)
	}
	reserved := b.ReserveN(now, 1)
	if wait = reserved.DelayFrom(now); wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}

// network is whom an address belongs to: an IPv4 address, or the /64 that one customer
// gets in IPv6.
func network(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Unmap().Is4() {
		return host
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}

// limited refuses an attempt that comes too early (draft-ietf-httpapi-ratelimit-headers,
// revision 10, for the headers).
func limited(w http.ResponseWriter, l *limits, who string) error {
	wait := l.take(who)
	if wait == 0 {
		return nil
	}
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", seconds)
	w.Header().Set("RateLimit-Policy", `"default";q=`+strconv.Itoa(l.burst)+";w=60")
	w.Header().Set("RateLimit", `"default";r=0;t=`+seconds)
	return errTooMany
}
