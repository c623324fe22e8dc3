package custody_test

import (
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// Two people of a team fill in values at once, and one of them is refused: what is written is
// the other's, whoever stored last.
func TestValuesOfWhoeverWasRefusedAreNeverWritten(t *testing.T) {
	for name, loserLast := range map[string]bool{"the loser stores last": true, "the loser stores first": false} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			winner := r.proposal(t)
			winner.Provided, winner.Changes = "c_winner", winner.Changes[:1]
			delete(winner.Sealed, "port")
			loser := winner
			loser.Provided = "c_loser"
			loser.Sealed = map[string][]byte{"password": sealed(t, r.intakeKey(t), seal.EntryText, "password", "what nobody may write")}
			propose := func(first bool) (changes []events.Change) {
				p := winner
				if first == loserLast {
					p = loser
				}
				changes, err := r.Propose(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				return changes
			}
			one, two := propose(false), propose(true)
			changes := one
			if !loserLast {
				changes = two
			}
			r.patchFacts(t,
				events.RequestSubmitted{
					Request: patchReq, Requester: "u_other", Operation: events.OperationPatch, Connection: "file", Cluster: "demo", Ref: "prod/db",
					Keys: []string{"password"}, Changes: winner.Changes, Fill: &events.Fill{Team: "payments", Until: noon.Add(time.Hour)},
					Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}, Reapprove: events.ReapproveNever},
					PendingUntil: noon.Add(time.Hour), ValuesUntil: winner.Until,
				},
				events.ValuesProvided{By: dev, Changes: changes},
				events.RequestApproved{Job: patchJob, Until: noon.Add(time.Hour)},
				events.JobStarted{Job: patchJob, Agent: "a_1", Attempt: 1},
				events.PatchCompared{Number: 1, Job: patchJob, Agent: "a_1", Exists: true, Version: "1", Keys: []events.Compared{{Key: "password", Effect: events.EffectChanged, Before: "hmac-sha256:old"}}},
				events.WriteBegun{Job: patchJob, Agent: "a_1", Attempt: 1, Version: "1"})
			got, err := r.fetch(t, "password")
			if err != nil {
				t.Fatal(err)
			}
			if value := r.open(t, "password", got); value != "s"+canary || got.Envelope != events.ProvidedOf("c_winner", "password") {
				t.Errorf("the agent of the patch opens another value, of %s", got.Envelope)
			}
		})
	}
}
