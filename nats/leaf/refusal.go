package leaf

import (
	"math/rand/v2"
	"time"
)

// How the link goes on after a refusal. It never gives up by itself: a control plane
// that has just started may refuse everyone until it has read its registry.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second

	// refusalsToBelieve is how many in a row are taken for an answer: about four seconds.
	refusalsToBelieve = 3
)

// State is how a link stands.
type State string

// States of a link.
const (
	Up      State = "up"
	Down    State = "down"    // the control plane is not reached
	Refused State = "refused" // it is reached, and does not take the agent's credentials
)

// State returns how the link stands now.
func (l *Link) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state.linked:
		return Up
	case l.refused:
		return Refused
	}
	return Down
}

// tries counts refusals. It belongs to the goroutine that watches the link.
type tries struct {
	refused int       // in a row
	resume  time.Time // when the next try is; zero if the server tries by itself
}

// look takes note of a refusal, and of the end of the pause that follows one. During
// the pause the local server has no remote to try.
func (l *Link) look(t *tries, linked bool) {
	switch {
	case linked:
		l.accepted(t)
	case !t.resume.IsZero():
		if time.Now().Before(t.resume) {
			return
		}
		t.resume = time.Time{}
		l.said.refused.Store(false)
		if err := l.setRemote(true); err != nil {
			l.config.Logger.Debug("the next try to link waits", "err", err)
			t.resume = time.Now().Add(firstPause)
		}
	case l.said.refused.Swap(false):
		t.refused++
		if t.refused == refusalsToBelieve {
			l.mu.Lock()
			l.refused = true
			l.mu.Unlock()
			l.config.Logger.Warn("the control plane refuses this agent's credentials: it was revoked, or its credentials ended " +
				"while it was away; enrol it again with --replace and a new token (it goes on trying)")
		}
		if err := l.setRemote(false); err != nil { // then it is tried each second
			l.config.Logger.Error("tries to link cannot be spaced out", "err", err)
			return
		}
		t.resume = time.Now().Add(pauseAfter(t.refused))
	}
}

func (l *Link) accepted(t *tries) {
	t.refused = 0
	l.mu.Lock()
	was := l.refused
	l.refused = false
	l.mu.Unlock()
	if was {
		l.config.Logger.Info("the control plane accepts this agent's credentials again")
	}
}

// pauseAfter returns how long to wait after so many refusals in a row, give or take a
// tenth: agents that were refused together do not come back together.
func pauseAfter(refused int) time.Duration {
	pause := longestPause
	if refused <= 5 {
		pause = min(firstPause<<(refused-1), longestPause)
	}
	return pause + time.Duration((rand.Float64()-0.5)*0.2*float64(pause))
}

// setRemote gives the local server the control plane to link to, or takes it away. The
// server can disable a remote, too, but not one whose credentials are a callback.
func (l *Link) setRemote(there bool) error {
	options, err := l.config.options()
	if err != nil {
		return err
	}
	if !there {
		options.LeafNode.Remotes = nil
	}
	return l.srv.ReloadOptions(options)
}
