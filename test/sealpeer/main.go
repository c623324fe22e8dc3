// Command sealpeer is the control plane's end of sealed values, for a test of the
// browser's end: that test runs it, and both talk by lines of JSON on standard input and
// output. First it says its intake keys; then it is told what was sealed to them and what
// to seal, and answers with what it opened and sealed.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// place is what a value is bound to, as the browser's end names it.
type place struct {
	Request    string    `json:"request"`
	Envelope   string    `json:"envelope"` // of a reveal, as the end
	Key        string    `json:"key"`
	Connection string    `json:"connection"`
	Ref        string    `json:"ref"`
	Me         string    `json:"me"`
	NotAfter   time.Time `json:"notAfter"`
}

func (p place) binding(d seal.Direction, key seal.RecipientPublic) seal.Binding {
	return seal.Binding{
		Direction: d, Request: p.Request, Envelope: p.Envelope, Key: p.Key, Connection: p.Connection, Ref: p.Ref,
		Agent: p.Me, AgentKey: key.ID(), NotAfter: p.NotAfter,
	}
}

// told is the one line that it reads.
type told struct {
	Proposals []struct {
		Intake int    `json:"intake"` // which of the intakes it is sealed to
		For    place  `json:"for"`
		Sealed []byte `json:"sealed"`
	} `json:"proposals"`
	Reveals []struct {
		Recipient seal.RecipientPublic `json:"recipient"`
		For       place                `json:"for"`
		Value     []byte               `json:"value"`
	} `json:"reveals"`
}

// opened says what a proposal held: the kind as its letter, and the value.
type opened struct {
	Kind  string `json:"kind"`
	Value []byte `json:"value"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("sealpeer: ")
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		return err
	}
	xwing, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		return err
	}
	x25519, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		return err
	}
	// As a server says them, and as one would that has no X-Wing.
	preferred := []seal.RecipientKey{xwing, x25519}
	out := json.NewEncoder(os.Stdout)
	var intakes []events.SignedIntakeKeys
	for _, keys := range [][]seal.RecipientKey{preferred, {x25519}} {
		said, err := intake(signer, keys)
		if err != nil {
			return err
		}
		intakes = append(intakes, said)
	}
	if err := out.Encode(map[string]any{"intakes": intakes}); err != nil {
		return err
	}

	var in told
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	answer := struct {
		Opened []opened `json:"opened"`
		Sealed [][]byte `json:"sealed"`
	}{}
	for i, p := range in.Proposals {
		key := preferred[p.Intake]
		entry, err := seal.OpenProposal(key, p.For.binding(seal.Propose, key.Public()), p.Sealed)
		if err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
		kind, value, err := seal.DecodeEntry(entry)
		if err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
		answer.Opened = append(answer.Opened, opened{string(rune(kind)), value})
	}
	for i, r := range in.Reveals {
		message, err := seal.SealValueMessage(r.Recipient, signer, r.For.binding(seal.Reveal, r.Recipient), r.Value)
		if err != nil {
			return fmt.Errorf("reveal %d: %w", i, err)
		}
		answer.Sealed = append(answer.Sealed, message)
	}
	return out.Encode(answer)
}

// intake signs keys as package custody does.
func intake(signer seal.SigningKey, keys []seal.RecipientKey) (events.SignedIntakeKeys, error) {
	said := events.IntakeKeys{NotAfter: time.Now().Add(time.Hour).UTC()}
	for _, key := range keys {
		said.Keys = append(said.Keys, key.Public().String())
	}
	text, err := json.Marshal(said)
	if err != nil {
		return events.SignedIntakeKeys{}, err
	}
	return events.SignedIntakeKeys{
		IntakeKeys: text, SigningKey: signer.Public().String(), Signature: signer.Sign(events.IntakeDomain, text),
	}, nil
}
