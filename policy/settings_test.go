package policy_test

import (
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
)

func TestSettingsSayWhereAFreshFactorIsNeeded(t *testing.T) {
	none := policy.Compile(1, policy.Initial())
	if none.StepUp(policy.RequestApprove) || none.Freshness() != 5*time.Minute {
		t.Errorf("without settings: %v, %v", none.StepUp(policy.RequestApprove), none.Freshness())
	}
	o := events.Object{Kind: events.KindSettings, Name: "installation", Spec: events.Settings{StepUp: []string{"request.approve"}, FreshSeconds: 600}}
	some := policy.Compile(2, map[events.ObjectRef]events.Object{o.Ref(): o})
	if !some.StepUp(policy.RequestApprove) || some.StepUp(policy.RequestCreate) || some.Freshness() != 10*time.Minute {
		t.Errorf("with settings: %+v", some.Settings())
	}
}
