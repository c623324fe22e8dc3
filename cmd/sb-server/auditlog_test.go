package main

import (
	"crypto/ed25519"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/transparency"
)

// TestTheKeysOfAgentsThatCosign: an auditor is told of outside witnesses by the policy, and of the
// agents that cosigned by the keys that the log has of them, as long as they may do so.
func TestTheKeysOfAgentsThatCosign(t *testing.T) {
	t.Parallel()
	ctx, db, log := t.Context(), cluster.New(t), &commandtest.Memory{}
	kept := store.Checkpoints{Pool: db.App}
	if err := kept.Begin(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := kept.Keep(ctx, 1, ledger.Checkpoint{Tree: tlog.Tree{N: 9}, Signed: []byte("signed"), At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	record := func(agent events.AgentID, facts ...events.Fact) {
		t.Helper()
		meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: time.Now()}
		if _, err := command.Record(ctx, log, events.AgentStream(agent), meta, facts...); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{}
	enrol := func(counts bool, then ...events.Fact) events.AgentID {
		t.Helper()
		agent := events.NewAgentID()
		key, err := seal.GenerateSigningKey()
		if err != nil {
			t.Fatal(err)
		}
		record(agent, events.EnrolmentTokenIssued{Agent: agent, Cluster: "demo"}, events.AgentEnrolled{Account: "A" + string(agent), SignKey: key.Public().String()})
		if len(then) > 0 {
			record(agent, then...)
		}
		if counts {
			if want[transparency.AgentWitness(agent)], err = transparency.AgentKey(agent, key.Public().Bytes()); err != nil {
				t.Fatal(err)
			}
		}
		return agent
	}
	for _, agent := range []events.AgentID{enrol(true, events.AgentConnected{}), enrol(true, events.AgentConnected{}, events.AgentLost{}), enrol(false, events.AgentRevoked{}), events.NewAgentID()} {
		if err := kept.Cosign(ctx, 9, transparency.AgentWitness(agent), "line\n"); err != nil {
			t.Fatal(err)
		}
	}
	enrol(false)                                                                  // which has cosigned nothing
	if err := kept.Cosign(ctx, 9, "witness.example/gone", "line\n"); err != nil { // and is in the policy no more
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := torchwood.NewCosignatureSigner("witness.example/w", private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := createCheckpointKeys(ctx, folderOf(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	keeper := ledger.New(ledger.Config{Witnesses: []ledger.Witness{{Name: "witness.example/w", Key: outside.Verifier().String()}}})
	got, err := auditLog{keeper, kept, keys, log}.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got.Origin != keys.origin() || len(got.Keys) != 1 || got.Keys[0].Key != keys.public()[0] {
		t.Errorf("of the log: %+v", got)
	}
	for i, w := range got.Witnesses {
		switch {
		case w.Agent != (i > 0):
			t.Errorf("witness %d: %+v", i, w)
		case i == 0 && w.Key != outside.Verifier().String():
			t.Errorf("the witness of the policy: %+v", w)
		case i > 0 && (w.Key == "" || want[w.Name] != w.Key):
			t.Errorf("%s has key %s, want %s", w.Name, w.Key, want[w.Name])
		}
		delete(want, w.Name)
	}
	if len(want) > 0 || len(got.Witnesses) != 3 {
		t.Errorf("of %d witnesses, these are missing: %v", len(got.Witnesses), want)
	}
}
