package web

import (
	"net/http"
	"net/netip"
	"time"
)

// Statuses is the table of codes.
var Statuses = statuses

// Denials and Unproven are the codes of refusals that become facts.
var Denials, Unproven = denials, unproven

// NeedsKey reports whether a route needs an Idempotency-Key.
func (r Route) NeedsKey() bool { return r.Twice != none }

// MaxBody is how many bytes a body of the route may have.
func (r Route) MaxBody() int64 { return r.maxBody() }

// TakesForm reports whether a route takes a form in place of JSON.
func (r Route) TakesForm() bool { return r.form() }

// SetHeartbeat makes live streams look at their session that often.
func (a *API) SetHeartbeat(every time.Duration) { a.heartbeat = every }

// SetWritePatience bounds how long a reader of a live stream may take.
func (a *API) SetWritePatience(d time.Duration) { a.writePatience = d }

// SetLook makes streams look at running jobs that often.
func (a *API) SetLook(every time.Duration) { a.look = every }

// SetPace makes live streams tell of changes that often at most.
func (a *API) SetPace(every time.Duration) { a.pace = every }

// SetStreams bounds how much one person may follow.
func (a *API) SetStreams(n int) { a.streams.most = n }

// SetExportRows bounds reports as CSV.
func (a *API) SetExportRows(n int) { a.exportRows = n }

// Remembered is how many signatures are remembered.
func (a *API) Remembered() (n int) {
	a.nonces.mu.Lock()
	defer a.nonces.mu.Unlock()
	for _, mine := range a.nonces.used {
		n += len(mine)
	}
	return n
}

// Placed reports whether a route's permission is held in scopes.
func (r Route) Placed() bool { return r.Reach == placed }

// NetworkOf is whom a call's address belongs to.
func NetworkOf(r *http.Request, proxies []netip.Prefix) string {
	return (&API{Config: Config{TrustedProxies: proxies}}).network(r)
}
