package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// fuzzTicket returns a signer, an agent that trusts it, the JSON of a good ticket and a
// moment in its life: the same in each run, because each worker of the fuzzer is a
// process of its own, and would not believe what another one signed.
func fuzzTicket(f testing.TB) (seal.SigningKey, agent.Config, []byte, time.Time) {
	f.Helper()
	signer, err := seal.ParseSigningKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)
	raw, err := json.Marshal(ticketOf(func(k *events.Ticket) {
		k.Request = "r_0mqaya9s4f73mh3qpnwwjxa78w"
		k.Job, k.Issued, k.Until = events.JobOf(k.Request), now, now.Add(time.Hour)
	}))
	if err != nil {
		f.Fatal(err)
	}
	return signer, agent.Config{Cluster: cluster, Trust: &trust{keys: agent.TrustedKeys{{Serial: 1, Key: signer.Public()}}}}, raw, now
}

func signedTicket(t testing.TB, by seal.SigningKey, raw []byte) []byte {
	t.Helper()
	signed, err := json.Marshal(events.SignedTicket{Ticket: raw, Signer: by.Public().ID(), Signature: by.Sign(events.TicketDomain, raw)})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// FuzzSignedTicket: of whatever comes over the link, only what the control plane signed
// is believed.
func FuzzSignedTicket(f *testing.F) {
	signer, cfg, raw, now := fuzzTicket(f)
	signed, signature := signedTicket(f, signer, raw), signer.Sign(events.TicketDomain, raw)
	if _, err := agent.ReadTicket(cfg, signed, now); err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add(signed[:len(signed)/2])
	changed, err := json.Marshal(events.SignedTicket{
		Ticket: bytes.Replace(raw, []byte(`"ref":"a"`), []byte(`"ref":"b"`), 1),
		Signer: signer.Public().ID(), Signature: signature,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(changed)
	elsewhere, err := json.Marshal(events.SignedTicket{Ticket: raw, Signer: signer.Public().ID(), Signature: signer.Sign("elsewhere", raw)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(elsewhere)
	f.Add(bytes.Replace(signed, []byte(`"signer"`), []byte(`"SIGNER"`), 1))
	f.Add([]byte(`{"ticket":"e30=","signer":"","signature":null}`))
	f.Add([]byte(`[1]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := agent.ReadTicket(cfg, data, now)
		if err != nil {
			// All that was signed is a good ticket, so nothing else can be refused.
			if !errors.Is(err, agent.ErrForged) && !errors.Is(err, agent.ErrNotLearnt) || !reflect.DeepEqual(got, events.Ticket{}) {
				t.Errorf("refused with %v and %+v", err, got)
			}
			return
		}
		var believed events.SignedTicket
		if err := json.Unmarshal(data, &believed); err != nil || !bytes.Equal(believed.Ticket, raw) || !bytes.Equal(believed.Signature, signature) {
			t.Errorf("believed %q, which nobody signed", data)
		}
	})
}

// FuzzTicket signs whatever comes, so that the fuzzer reaches what lies behind the
// signature: a ticket that is taken is whole, ours and in time.
func FuzzTicket(f *testing.F) {
	signer, cfg, raw, now := fuzzTicket(f)
	f.Add(raw)
	f.Add(bytes.Replace(raw, []byte(cluster), []byte("elsewhere"), 1))
	f.Add(bytes.Replace(raw, []byte(`"read"`), []byte(`"shred"`), 1))
	f.Add(bytes.Replace(raw, []byte(`"r_`), []byte(`"R_`), 1))
	f.Add(bytes.Replace(raw, []byte(`"until":"20`), []byte(`"until":"19`), 1))
	f.Add(bytes.Replace(raw, []byte(`{`), []byte(`{"token":1,`), 1))
	alone := bytes.Replace(raw, []byte(`"request":"r_0mqaya9s4f73mh3qpnwwjxa78w"`), []byte(`"request":""`), 1)
	for _, op := range []string{"discover", "fingerprint", "keys", "compare", "patch", "observe"} {
		f.Add(bytes.Replace(raw, []byte(`"read"`), []byte(`"`+op+`"`), 1))
		f.Add(bytes.Replace(alone, []byte(`"read"`), []byte(`"`+op+`"`), 1))
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := agent.ReadTicket(cfg, signedTicket(t, signer, raw), now)
		if errors.Is(err, agent.ErrForged) {
			if !reflect.DeepEqual(got, events.Ticket{}) {
				t.Errorf("%q is not believed, and yet read as %+v", raw, got)
			}
			return
		}
		named, known := got.Job == events.JobOf(got.Request), got.Operation == events.OperationRead || got.Operation == events.OperationPatch
		switch {
		case got.Operation == events.OperationCompare:
			named, known = got.Job == events.ComparisonOf(got.Request), true
		case got.Operation == events.OperationObserve:
			named = got.Observe != nil && got.Job == events.ObservationOf(got.Request, got.Observe.Watch.Number)
			known = named && got.Observe.Watch.Cluster == cluster
		case got.Operation.Standalone():
			named, known = got.Request == "" && events.ValidID(string(got.Job), "j_"), true
		}
		if !named || !events.ValidID(string(got.Request), "r_") && !got.Operation.Standalone() {
			t.Errorf("%q names request %q and job %q", raw, got.Request, got.Job)
		}
		if ours := got.Cluster == cluster && known && now.Before(got.Until); ours != (err == nil) && !(ours && strings.Contains(err.Error(), "named like a credential")) {
			t.Errorf("%q: error = %v", raw, err)
		}
		if err != nil {
			if !errors.Is(err, agent.ErrNotForUs) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("write %+v: %v", got, err)
		}
		again, err := agent.ReadTicket(cfg, signedTicket(t, signer, written), now)
		if err != nil {
			t.Fatalf("read %q again: %v", written, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(written, twice) {
			t.Errorf("%q is written as %q, and then as %q, %v", raw, written, twice, err)
		}
	})
}
