package policy

import (
	"slices"
	"time"

	"secretsbridge/events"
)

// freshness is how long the proof of a second factor counts unless settings say otherwise.
const freshness = 5 * time.Minute

// Settings are those of the installation; without any, the zero ones.
func (g *Governance) Settings() events.Settings {
	settings, _ := g.Objects[events.Installation].Spec.(events.Settings)
	return settings
}

// StepUp reports whether every use of a permission needs a fresh second factor.
func (g *Governance) StepUp(p Permission) bool {
	return slices.Contains(g.Settings().StepUp, string(p))
}

// Freshness is how long ago a second factor was proved at most, where one is needed.
func (g *Governance) Freshness() time.Duration {
	if seconds := g.Settings().FreshSeconds; seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return freshness
}
