package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/transparency"
	"secretsbridge/transparency/receipts"
	"secretsbridge/web/api"
)

// TestAnAgentVouchesForTheLogAndForItsWork takes what an auditor gets, and verifies with the
// agent's key from its enrolment that the agent cosigned the checkpoint and said what it did.
func TestAnAgentVouchesForTheLogAndForItsWork(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "developer", "approver", "admin")
	id := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "look at the receipt"))
	c.must(t, "approver", "approve", id)
	c.must(t, "developer", "request", "show", id, "--watch")

	var agent events.AgentID
	var enrolled events.AgentEnrolled
	if !c.factOf(t, "sb.agent.enrolled.v1", &enrolled, func(e api.Event) { agent = events.AgentID(strings.TrimPrefix(e.Stream, "agent/")) }) {
		t.Fatal("the audit lacks the agent's enrolment")
	}
	t.Run("for its work", func(t *testing.T) {
		var executed events.RequestExecuted
		if !c.factOf(t, "sb.request.executed.v1", &executed, func(api.Event) {}) {
			t.Fatal("the audit lacks the outcome")
		}
		said, err := receipts.Check(events.RequestStream(events.RequestID(id)), executed, enrolled)
		if err != nil || said == nil || !said.Done || len(said.Envelopes) != 1 {
			t.Errorf("the receipt says %+v, %v", said, err)
		}
	})
	t.Run("for the log", func(t *testing.T) {
		key, err := seal.ParseVerifyKey(enrolled.SignKey)
		if err != nil {
			t.Fatal(err)
		}
		witness, err := transparency.AgentKey(agent, key.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var found string
		eventually(t, time.Minute, "a checkpoint that the agent cosigned", func() bool {
			got := c.sb(t, "admin", "audit", "checkpoint", "--witnesses", "1")
			found = got.stdout
			return got.code == 0 && strings.Contains(found, "— "+transparency.AgentWitness(agent)+" ")
		})
		_, signatures, _ := strings.Cut(found, "\n\n")
		for line := range strings.Lines(signatures) {
			if strings.Contains(line, " agent/") {
				if at, err := transparency.OpenCosignature(found, line, witness); err != nil || time.Since(at) > time.Hour {
					t.Errorf("cosigned at %v, %v", at, err)
				}
			}
		}
		if shown := c.must(t, "admin", "agent", "show", string(agent)); !strings.Contains(shown, "Cosigned") {
			t.Errorf("the agent is shown as\n%s", shown)
		}
	})
}

// factOf reads the first fact of a type that the audit lists.
func (c *control) factOf(t *testing.T, kind string, into any, look func(api.Event)) bool {
	t.Helper()
	var listed []struct {
		api.Event
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(c.must(t, "admin", "audit", "list", "--output", "json", "--limit", "500")), &listed); err != nil {
		t.Fatal(err)
	}
	for _, e := range listed {
		if e.Type == kind {
			look(e.Event)
			if err := json.Unmarshal(e.Data, into); err != nil {
				t.Fatal(err)
			}
			return true
		}
	}
	return false
}
