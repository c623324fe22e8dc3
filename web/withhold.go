package web

import (
	"encoding/json"
	"fmt"
	"slices"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// Whoever proposes a value and is told that it would change nothing has learnt the value
// that is there, without any approval. So requesters, and whoever filled values in, see the
// effects of a patch once it is approved, and fingerprints are for those who may read the
// audit. A machine may be anybody's other hand: it sees no effect before, and nor does whoever
// issued a token of the machine that proposes.

// withheld reports whether the caller must not learn yet what a patch would do.
func (a *API) withheld(c *call, r projections.Request) bool {
	proposes := r.Requester == c.person.ID || r.Fill != nil && r.Fill.By == c.person.ID ||
		c.session == "" || slices.Contains(a.behind(r.Requester), c.person.ID)
	return proposes && r.ApprovedAt == nil
}

// withholdEffects takes the effects out of a request that is shown.
func (a *API) withholdEffects(c *call, r projections.Request, shown *api.Request) {
	if shown.Patch == nil || !a.withheld(c, r) {
		return
	}
	withholdEffects(shown)
}

func withholdEffects(shown *api.Request) {
	if shown.Patch == nil {
		return
	}
	shown.Patch.EffectsWithheld = true
	for i := range shown.Patch.Changes {
		shown.Patch.Changes[i].Effect = ""
	}
}

// withholdFacts takes fingerprints and effects out of the history of a patch.
func (a *API) withholdFacts(c *call, r projections.Request, found []projections.AuditEvent) error {
	if r.Patch == nil || c.may(policy.AuditRead, policy.Spot{}) {
		return nil
	}
	for i, e := range found {
		fact, err := events.DecodeFact(e.Type, e.Data)
		if err != nil {
			return fmt.Errorf("history of %s: %w", r.ID, err)
		}
		switch f := fact.(type) {
		case events.RequestSubmitted:
			for k := range f.Changes {
				f.Changes[k].Fingerprint = ""
			}
			fact = f
		case events.ValuesProvided:
			for k := range f.Changes {
				f.Changes[k].Fingerprint = ""
			}
			fact = f
		case events.PatchCompared:
			for k := range f.Keys {
				f.Keys[k].Before = ""
				if a.withheld(c, r) {
					f.Keys[k].Effect = ""
				}
			}
			fact = f
		default:
			continue
		}
		if found[i].Data, err = json.Marshal(fact); err != nil {
			return fmt.Errorf("history of %s: %w", r.ID, err)
		}
	}
	return nil
}
