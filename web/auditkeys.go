package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/web/api"
)

// logKeys answers with who signs checkpoints, and with a policy that is ready for use.
func (a *API) logKeys(c *call) (reply, error) {
	q, err := c.query()
	if err != nil {
		return reply{}, err
	}
	known, err := a.Ledger.Keys(c.ctx())
	if err != nil {
		return reply{}, err
	}
	slices.SortFunc(known.Witnesses, func(x, y LogWitness) int {
		return cmp.Or(cmp.Compare(witnessKind(x), witnessKind(y)), strings.Compare(x.Name, y.Name))
	})
	shown := api.LogKeys{Origin: known.Origin, Keys: []api.LogKey{}, Witnesses: []api.LogWitness{}, Policy: policyText(known)}
	for _, k := range known.Keys {
		key := api.LogKey{Key: k.Key}
		if !k.Until.IsZero() {
			key.Until = &k.Until
		}
		shown.Keys = append(shown.Keys, key)
	}
	for _, w := range known.Witnesses {
		shown.Witnesses = append(shown.Witnesses, api.LogWitness{Name: w.Name, Kind: witnessKind(w), Key: w.Key})
	}
	return reply{status: http.StatusOK, body: shown}, a.reads(c, events.ReadingProofs, q)
}

func witnessKind(w LogWitness) string {
	if w.Agent {
		return api.KindAgent
	}
	return api.KindWitness
}

// policyText is the policy that is offered. Witnesses from outside count where there are any, and more
// than half of them must agree: then no two halves can be told two histories, and one may be down. Where
// there are none, one agent is enough: agents come and go, and belong to the same operator, so they
// show that the log was not rewritten behind their backs, and not that nobody wanted to.
func policyText(known LogKeys) string {
	var outside, agents []transparency.Witness
	for _, w := range known.Witnesses {
		if w.Agent {
			agents = append(agents, w.Witness)
		} else {
			outside = append(outside, w.Witness)
		}
	}
	key := known.Keys[0].Key
	switch {
	case len(outside) > 0:
		return transparency.PolicyText(key, outside, len(outside)/2+1)
	case len(agents) > 0:
		return transparency.PolicyText(key, agents, 1)
	}
	return transparency.PolicyText(key, nil, 0)
}
