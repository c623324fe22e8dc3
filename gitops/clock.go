package gitops

import (
	"time"

	"secretsbridge/events"
)

// resolution is that of the times that a cluster tells: HTTP Date, refreshTime and
// creationTimestamp are whole seconds, and what they name happened within the second that
// begins then.
const resolution = time.Second

// Seen is what one look saw, and when it was made by the control plane's clock.
type Seen struct {
	events.Observation
	Asked    time.Time // the look began at or after it
	Answered time.Time // it was over
}

// SeenFrom is a look that an agent told of at a time. When it began follows from how long the
// agent says it took; what the message itself took is within [tellTime].
func SeenFrom(o events.Observation, told time.Time) Seen {
	took := min(max(time.Duration(o.TookMS)*time.Millisecond, 0), time.Minute)
	return Seen{Observation: o, Asked: told.Add(-took - tellTime), Answered: told}
}

// tellTime is what a message of an agent takes to the control plane at most: one that takes
// longer makes the new version be known a little later than it is proven.
const tellTime = 2 * time.Second

// Clock is how far a cluster's clock is ahead of the control plane's: somewhere from Low to High,
// which are negative where it is behind. The first answer of a look carries the cluster's time,
// to the second, at a moment between the beginning and the end of the look; each look narrows it.
//
// A clock that jumped, on either side, contradicts what was known. From then on the range only
// grows, so that what has to be later than a moment of before the jump is later by either
// reading. A jump between two moments with no look between them nobody sees.
type Clock struct {
	Known  bool          `json:"known,omitempty"`
	Jumped bool          `json:"jumped,omitempty"`
	Low    time.Duration `json:"low,omitempty"`
	High   time.Duration `json:"high,omitempty"`
}

func (c Clock) with(s Seen) Clock {
	low, high := s.At.Sub(s.Answered), s.At.Add(resolution).Sub(s.Asked)
	switch {
	case low > high:
		return c // it was over before it began: our own clock jumped in between
	case !c.Known:
		return Clock{Known: true, Low: low, High: high}
	case low > c.High || high < c.Low:
		return Clock{Known: true, Jumped: true, Low: min(c.Low, low), High: max(c.High, high)}
	case c.Jumped:
		return c
	}
	return Clock{Known: true, Low: max(c.Low, low), High: min(c.High, high)}
}

// latest is the latest that a moment of the control plane can be by the cluster's clock.
func (c Clock) latest(t time.Time) time.Time { return t.Add(c.High) }

// end is a moment by the cluster's clock at which the whole look was over.
func (s Seen) end() time.Time {
	return s.At.Add(resolution).Add(max(s.Answered.Sub(s.Asked), 0))
}
