package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"secretsbridge/events"
)

// Heartbeats come as the control plane asks for them, within these bounds.
const (
	defaultBeat  = 10 * time.Second
	shortestBeat = time.Second
	longestBeat  = time.Minute
	beatTimeout  = 5 * time.Second
)

// toleratedSkew is how far the two clocks may be apart before the log says so. Tickets
// live for minutes and envelopes for longer.
const toleratedSkew = 30 * time.Second

// Pauses between tries to renew credentials. They live for hours, and half of that is
// left when the first try is made.
const (
	renewPause        = 5 * time.Second
	longestRenewPause = 5 * time.Minute
)

// Credential is a user JWT with the time at which it was got, so that its half life
// can be told.
type Credential struct {
	events.Credentials
	Issued time.Time
}

// halfLife is when a credential is to be renewed.
func (c Credential) halfLife() time.Time { return c.Issued.Add(c.Expires.Sub(c.Issued) / 2) }

// pulse is what the background duties know.
type pulse struct {
	changed chan struct{} // takes one notice that suites did
	renew   chan struct{} // takes one notice that credentials are to be renewed

	mu         sync.Mutex // guards what follows
	heard      time.Time  // the control plane's clock in the last answer; proves that we are alive
	again      bool       // the last answer asked for another beat at once
	takes      bool       // the control plane takes reports of calls
	suites     []string   // of HPKE keys that it takes, the preferred one first
	credential Credential
	answered   time.Time     // the last heartbeat
	skew       time.Duration // the control plane's clock less ours
}

// beat reports until ctx ends.
func (a *Agent) beat(ctx context.Context) {
	for {
		next, err := a.beatOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			a.Logger.Debug("a heartbeat is not answered", "err", err)
		}
		if sleep(ctx, next) != nil {
			return
		}
	}
}

func (a *Agent) beatOnce(ctx context.Context) (next time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	asked := time.Now()
	a.pulse.mu.Lock()
	heard, takes := a.pulse.heard, a.pulse.takes
	a.pulse.mu.Unlock()
	var calls []events.ProviderCalls
	if takes {
		calls = a.Connections.calls.take()
	}
	reply, err := call[events.HeartbeatReply](ctx, a, events.ServiceHeartbeat, events.Heartbeat{
		Heard: heard, Version: a.Version, Running: a.jobs.inHand(), Connections: a.Connections.Names(), Calls: calls,
	})
	if err != nil || reply.Again {
		a.Connections.calls.back(calls)
	}
	if err != nil {
		if refusedWith(err) == "message_malformed" && len(calls) > 0 { // an older server, beside a newer one
			a.pulse.mu.Lock()
			a.pulse.takes = false
			a.pulse.mu.Unlock()
			return jitter(shortestBeat), err
		}
		if refusedWith(err) != "" {
			a.Logger.Error("the control plane does not take this agent", "err", err)
			return longestBeat, err
		}
		return jitter(shortestBeat), err
	}
	now := time.Now()
	skew := reply.Time.Sub(asked.Add(now.Sub(asked) / 2)).Round(time.Second)
	a.pulse.mu.Lock()
	before := a.pulse.skew
	a.pulse.skew, a.pulse.heard, a.pulse.takes = skew, reply.Time, reply.TakesCalls
	if !reply.Again {
		a.pulse.answered = now
	}
	twice := reply.Again && a.pulse.again // its servers' clocks differ: no haste
	a.pulse.again = reply.Again
	changed := !slices.Equal(a.pulse.suites, reply.Suites)
	a.pulse.suites = reply.Suites
	a.pulse.mu.Unlock()
	if changed {
		select {
		case a.pulse.changed <- struct{}{}:
		default: // a notice is there
		}
	}
	if reply.Renew {
		select {
		case a.pulse.renew <- struct{}{}:
		default: // a notice is there
		}
	}
	if skew.Abs() > toleratedSkew && before.Abs() <= toleratedSkew {
		a.Logger.Warn("this host's clock differs from the control plane's; set it right", "skew", skew)
	}
	switch {
	case twice:
		return shortestBeat, nil
	case reply.Again:
		return 0, nil // it was told the time, and can prove now that it lives
	}
	if reply.NextSeconds <= 0 {
		return defaultBeat, nil
	}
	return min(max(time.Duration(reply.NextSeconds)*time.Second, shortestBeat), longestBeat), nil
}

// suites returns the suites that the control plane takes, nil until it was heard.
func (a *Agent) suites() []string {
	a.pulse.mu.Lock()
	defer a.pulse.mu.Unlock()
	return a.pulse.suites
}

// renewCredential renews at half life, or when it is told to, until ctx ends. While it fails the old one works
// on, and after its end the link is refused: an operator must enrol the agent again.
func (a *Agent) renewCredential(ctx context.Context) {
	pause := renewPause
	for {
		a.pulse.mu.Lock()
		due := a.pulse.credential.halfLife()
		a.pulse.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-a.pulse.renew:
		case <-time.After(max(time.Until(due), 0)):
		}
		err := a.renewOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = renewPause
			continue
		}
		a.Logger.Warn("credentials are not renewed; it is tried again", "after", pause, "err", err)
		if sleep(ctx, jitter(pause)) != nil {
			return
		}
		pause = min(2*pause, longestRenewPause)
	}
}

func (a *Agent) renewOnce(ctx context.Context) error {
	got, err := call[events.Credentials](ctx, a, events.ServiceRenew, events.RenewCredentials{})
	if err != nil {
		return err
	}
	fresh := Credential{Credentials: got, Issued: time.Now().UTC()}
	if fresh.UserJWT == "" || !fresh.Issued.Before(fresh.Expires) {
		return fmt.Errorf("call %s: the new credentials have ended already; compare the clocks", events.ServiceRenew)
	}
	if err := a.Renewed(ctx, fresh); err != nil {
		return fmt.Errorf("keep new credentials: %w", err)
	}
	a.pulse.mu.Lock()
	a.pulse.credential = fresh
	a.pulse.mu.Unlock()
	a.Logger.Info("credentials are renewed", "expires", fresh.Expires)
	return nil
}
