package nats

import (
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

// The server remembers whom each request of an agent is answered to, for as long as the
// export's threshold, and sets no bound. These are ours (decision 0037).
const (
	// maxUnanswered is how many requests of one agent may be without an answer. An
	// honest one has a pull, a few calls and their acknowledgements open.
	maxUnanswered = 1024

	// forgivenEach is how often one unanswered request is forgiven: answers get lost
	// where a link breaks, and the server says nothing to some acknowledgements.
	forgivenEach = 100 * time.Millisecond

	// floodPoll is how often the number of remembered requests is looked at, and
	// calmOpen and calmOpenEach how many of them are no reason to ask whose they are.
	floodPoll    = 50 * time.Millisecond
	calmOpen     = 2 * maxUnanswered
	calmOpenEach = 8 // more of them for each link

	// floodPause is how long an agent that went too far stays out: until all that it
	// left is forgotten, because the server may notice twice as late as it should.
	floodPause = 2 * longestThreshold
)

// flood watches what agents leave unanswered. One goroutine owns it.
type flood struct {
	hub   *Hub
	open  map[string]unanswered // by account
	out   map[string]time.Time  // accounts that are out, and until when
	pause time.Duration
}

// unanswered is the requests of one account less the answers to it.
type unanswered struct {
	net  int64 // as counted by the server, since the account came
	debt int64 // what is not forgiven
	seen time.Time
}

// after returns the account's state when its net count is read again. An account that
// was not seen before owes all of its net count.
func (u unanswered) after(net int64, now time.Time) unanswered {
	debt := u.debt + net - u.net
	if !u.seen.IsZero() {
		debt -= int64(now.Sub(u.seen) / forgivenEach)
	}
	return unanswered{net: net, debt: max(debt, 0), seen: now}
}

// watchFlood runs until stop is closed.
func (h *Hub) watchFlood(srv *server.Server, stop <-chan struct{}) {
	f := &flood{hub: h, open: map[string]unanswered{}, out: map[string]time.Time{}, pause: h.config.floodPause}
	if f.pause == 0 {
		f.pause = floodPause
	}
	tick := time.NewTicker(floodPoll)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			f.look(srv, now)
		}
	}
}

func (f *flood) look(srv *server.Server, now time.Time) {
	for account, until := range f.out {
		if now.After(until) {
			delete(f.out, account)
			f.hub.letIn(srv, account)
		}
	}
	core, err := srv.LookupAccount(f.hub.config.Authority.corePub)
	if err != nil || core.NumPendingAllResponses() < calmOpen+calmOpenEach*srv.NumLeafNodes() {
		return
	}
	stats, err := srv.AccountStatz(nil)
	if err != nil {
		return
	}
	linked := make(map[string]unanswered, len(stats.Accounts))
	for _, s := range stats.Accounts {
		if s.LeafNodes == 0 {
			continue
		}
		u := f.open[s.Account].after(s.Received.Msgs-s.Sent.Msgs, now)
		if u.debt > maxUnanswered {
			f.hub.keepOut(srv, s.Account)
			f.hub.config.Logger.Warn("an agent asks without waiting for answers, and is kept out for a while",
				"account", s.Account, "unanswered", u.debt, "pause", f.pause)
			f.out[s.Account] = now.Add(f.pause)
			u.debt = 0
		}
		linked[s.Account] = u
	}
	for account, u := range f.open { // gone, but it may be back
		if _, ok := linked[account]; !ok && now.Sub(u.seen) < f.pause {
			linked[account] = u
		}
	}
	f.open = linked
}

// keepOut ends an account's links and lets none in.
func (h *Hub) keepOut(srv *server.Server, account string) {
	h.setLinks(srv, account, 0)
	leafs, err := srv.Leafz(&server.LeafzOptions{Account: account})
	if err != nil {
		return
	}
	for _, leaf := range leafs.Leafs {
		_ = srv.DisconnectClientByID(leaf.ID) // or it has just gone by itself
	}
}

func (h *Hub) letIn(srv *server.Server, account string) { h.setLinks(srv, account, agentLinks) }

// setLinks changes how many links an account may hold. One that was revoked meanwhile,
// or is not known any more, stays as it is.
func (h *Hub) setLinks(srv *server.Server, account string, links int64) {
	known, err := srv.LookupAccount(account)
	if err != nil {
		return
	}
	signed, err := h.resolve(account)
	if err != nil {
		h.config.Logger.Warn("an agent's account could not be changed", "account", account, "err", err)
		return
	}
	claims, err := jwt.DecodeAccountClaims(signed)
	if err != nil {
		return
	}
	claims.Limits.LeafNodeConn = links
	h.claims.Lock() // not between the look and the change of Revoke
	defer h.claims.Unlock()
	h.mu.Lock()
	revoked := h.revoked[account]
	h.mu.Unlock()
	if !revoked {
		srv.UpdateAccountClaims(known, claims)
	}
}
