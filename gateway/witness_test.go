package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"secretsbridge/command"
	"secretsbridge/events"
)

// shower is a ledger that shows one checkpoint.
type shower struct {
	by   events.AgentID
	key  []byte
	said events.AskCheckpoint
	err  error
}

func (s *shower) Show(_ context.Context, by events.AgentID, key []byte, m events.AskCheckpoint) (events.ShownCheckpoint, error) {
	s.by, s.key, s.said = by, key, m
	return events.ShownCheckpoint{Checkpoint: "c", Keys: []string{"k"}}, s.err
}

func TestTheLogIsShownToWhoAsksUnderTheKeyOfItsEnrolment(t *testing.T) {
	r := newRig(t)
	one, other := r.enrol(t, "demo"), r.enrol(t, "demo")
	if _, refusal := call[events.ShownCheckpoint](t, r, one.Account, events.ServiceWitness, events.AskCheckpoint{}); refusal == nil || refusal.Code != "log_not_shown" {
		t.Errorf("without a ledger: %v", refusal)
	}
	s := &shower{}
	r.Ledger = s
	for _, agent := range []events.Enrolment{one, other} {
		ask := events.AskCheckpoint{Size: 3, Seen: "seen", Cosignature: "line"}
		got, refusal := call[events.ShownCheckpoint](t, r, agent.Account, events.ServiceWitness, ask)
		if refusal != nil || got.Checkpoint != "c" || s.said != ask {
			t.Fatalf("%+v, %v", got, refusal)
		}
		if s.by != agent.Agent || !bytes.Equal(s.key, r.agents[agent.Account].Public().Bytes()) {
			t.Errorf("it was asked for %s under key %x", s.by, s.key)
		}
	}
	for name, c := range map[string]struct {
		err   error
		code  string
		retry bool
	}{
		"not now":           {fmt.Errorf("nothing is signed: %w", command.ErrLogAway), "unavailable", true},
		"never":             {&command.Rejection{Code: "cosignature_refused"}, "cosignature_refused", false},
		"the log is unsafe": {command.LogTruncated, "internal", true},
	} {
		s.err = c.err
		if _, refusal := call[events.ShownCheckpoint](t, r, one.Account, events.ServiceWitness, events.AskCheckpoint{}); refusal == nil || refusal.Code != c.code || refusal.Retry != c.retry {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	if denials := r.denials(t); len(denials) != 1 || denials[0] != "cosignature_refused" {
		t.Errorf("on record are %v", denials)
	}
}
