package projections_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// Rules of ownership are told twice: by Postgres, which says whose all secrets are when rules
// change, and by [command.Ownership], which decides. Both say the same.
func TestPostgresAndTheDeciderSayTheSameOwners(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	views := projections.Views{Pool: db.App}
	for _, connection := range []events.ConnectionID{"c1", "c2"} {
		var secrets []events.SecretMetadata
		for n := range 12 {
			m := events.SecretMetadata{Ref: fmt.Sprintf("%s/%d", []string{"prod", "pr", "PROD"}[n%3], n), Labels: map[string]string{}}
			for i, name := range []string{"team", "tier"} {
				if value := []string{"", "a", "b"}[(n+i)%3]; n%(i+2) > 0 {
					m.Labels[name] = value
				}
			}
			secrets = append(secrets, m)
		}
		w.scanned(connection, 1, found(connection, secrets...))
	}
	version := 0
	rapid.Check(t, func(r *rapid.T) {
		pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(r, label) }
		rules := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) events.OwnershipRule {
			rule := events.OwnershipRule{Connection: events.ConnectionID(pick("connection", "", "", "c1")), Prefix: pick("prefix", "", "", "prod", "prod/", "prod/9")}
			rule.Labels = rapid.MapOfN(rapid.SampledFrom([]string{"team", "tier", "none"}), rapid.SampledFrom([]string{"", "a"}), 0, 2).Draw(r, "labels")
			switch pick("says", "text", "label", "environment") {
			case "text":
				rule.Owner = pick("owner", "first", "second")
			case "label":
				rule.OwnerLabel = pick("owner label", "team", "tier", "none")
			default:
				rule.Environment = "lab"
			}
			return rule
		}), 0, 4).Draw(r, "rules")
		version++
		w.append(events.SettingOwnership(), "user:u_1", events.OwnershipRulesSet{Version: version, Rules: rules})
		catchUp(t, db.App, log)
		page, err := views.Secrets(t.Context(), projections.SecretFilter{Limit: 100})
		if err != nil || len(page.Items) != 24 {
			r.Fatalf("%d secrets, %v", len(page.Items), err)
		}
		for _, s := range page.Items {
			if want := (command.Ownership{Rules: rules}).OwnerOf(s.Connection, s.Ref, s.Labels); s.Owner != want {
				r.Errorf("%s/%s %v: Postgres says %q, the decider %q", s.Connection, s.Ref, s.Labels, s.Owner, want)
			}
		}
	})
}
