package agent

import (
	"context"
	"fmt"
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
	mu         sync.Mutex // guards what follows
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
	reply, err := call[events.HeartbeatReply](ctx, a.Link, events.ServiceHeartbeat, events.Heartbeat{
		Version: a.Version, Running: a.jobs.inHand(), Connections: a.Connections.Names(),
	})
	if err != nil {
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
	a.pulse.answered, a.pulse.skew = now, skew
	a.pulse.mu.Unlock()
	if skew.Abs() > toleratedSkew && before.Abs() <= toleratedSkew {
		a.Logger.Warn("this host's clock differs from the control plane's; set it right", "skew", skew)
	}
	if reply.NextSeconds <= 0 {
		return defaultBeat, nil
	}
	return min(max(time.Duration(reply.NextSeconds)*time.Second, shortestBeat), longestBeat), nil
}

// renewCredential renews at half life until ctx ends. While it fails the old one works
// on, and after its end the link is refused: an operator must enrol the agent again.
func (a *Agent) renewCredential(ctx context.Context) {
	pause := renewPause
	for {
		a.pulse.mu.Lock()
		due := a.pulse.credential.halfLife()
		a.pulse.mu.Unlock()
		if sleep(ctx, max(time.Until(due), 0)) != nil {
			return
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
	got, err := call[events.Credentials](ctx, a.Link, events.ServiceRenew, events.RenewCredentials{})
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
