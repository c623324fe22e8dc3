package web

import (
	"fmt"
	"net/http"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// showOwnership answers "not modified" to who has the newest rules.
func (a *API) showOwnership(c *call) (reply, error) {
	version, rules, seq, err := a.Views.OwnershipRules(c.ctx())
	if err != nil {
		return reply{}, err
	}
	shown := api.Ownership{Version: version, Rules: make([]api.OwnershipRule, 0, len(rules)), Seq: uint64(seq)}
	all := c.may(policy.OwnershipManage, policy.Spot{}) // who changes them sends back what they read
	for _, r := range rules {
		if r.Connection != "" && !all && !c.touches(policy.SecretList, r.Connection) {
			continue
		}
		shown.Rules = append(shown.Rules, api.OwnershipRule{
			Connection: string(r.Connection), Prefix: r.Prefix, Labels: r.Labels,
			Owner: r.Owner, OwnerLabel: r.OwnerLabel, Environment: r.Environment, EnvironmentLabel: r.EnvironmentLabel,
		})
	}
	return c.unlessSeen(fmt.Sprintf(`"%d-%d"`, version, len(shown.Rules)), shown), nil
}

// setOwnership replaces all rules, on top of the version that the caller has read.
func (a *API) setOwnership(c *call) (reply, error) {
	var m struct {
		Version *int                 `json:"version"`
		Rules   *[]api.OwnershipRule `json:"rules"`
		Seq     uint64               `json:"seq"` // of what was read, sent back as it came
	}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if m.Version == nil || m.Rules == nil {
		return reply{}, errBodyMalformed.because("say the version that the rules are based on, and all rules")
	}
	rules := make([]events.OwnershipRule, 0, len(*m.Rules))
	for _, r := range *m.Rules {
		rule := events.OwnershipRule{
			Connection: events.ConnectionID(r.Connection), Prefix: r.Prefix,
			Owner: r.Owner, OwnerLabel: r.OwnerLabel, Environment: r.Environment, EnvironmentLabel: r.EnvironmentLabel,
		}
		if len(r.Labels) > 0 {
			rule.Labels = r.Labels // none and no labels are the same rule
		}
		rules = append(rules, rule)
	}
	meta := c.meta()
	done, err := command.Execute(c.ctx(), a.Log, events.SettingOwnership(), meta, func(o command.Ownership) ([]events.Fact, error) {
		return o.Set(meta, *m.Version, rules)
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: done.Seq, body: api.Done{Seq: uint64(done.Seq)}}, nil
}
