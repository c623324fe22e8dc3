package web

import (
	"time"

	"secretsbridge/events"
)

// defaultFreshness is how long a proof of a second factor counts, unless the settings of the
// installation say another time.
const defaultFreshness = 5 * time.Minute

// provenNow refuses a call whose caller has not proven a second factor a moment ago, where the
// workflow of a request asks for one.
func (a *API) provenNow(c *call) error {
	within := defaultFreshness
	object := c.powers.Governance().Objects[events.ObjectRef{Kind: events.KindSettings, Name: "installation"}]
	if settings, ok := object.Spec.(events.Settings); ok && settings.FreshSeconds > 0 {
		within = time.Duration(settings.FreshSeconds) * time.Second
	}
	return a.requireStepUp(c, within)
}
