package custody_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

// seeds are those of an installation, which two servers share.
type seeds struct {
	asked int
	away  bool
}

func (s *seeds) of(_ context.Context, epoch time.Time) ([]byte, error) {
	s.asked++
	if s.away {
		return nil, kms.ErrUnavailable
	}
	return append(bytes.Repeat([]byte{7}, 32), epoch.Format(time.RFC3339)...), nil
}

// sharing is a server of several, with a clock of its own.
func sharing(t *testing.T, s *seeds, now *time.Time) *custody.Custody {
	t.Helper()
	r := newRig(t)
	cfg := r.Config
	cfg.IntakeSeed, cfg.Now = s.of, func() time.Time { return *now }
	return custody.New(cfg)
}

// handedOut seals a sign-in to each key that a server hands out.
func handedOut(t *testing.T, c *custody.Custody) (boxes [][]byte, end time.Time) {
	t.Helper()
	said, err := c.Intake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var keys events.IntakeKeys
	if err := json.Unmarshal(said.IntakeKeys, &keys); err != nil {
		t.Fatal(err)
	}
	for _, text := range keys.Keys {
		to, err := seal.ParseRecipientPublic(text)
		if err != nil {
			t.Fatal(err)
		}
		box, err := seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, []byte(canary))
		if err != nil {
			t.Fatal(err)
		}
		boxes = append(boxes, box)
	}
	return boxes, keys.NotAfter
}

func TestServersTakeEachOthersIntakeKeys(t *testing.T) {
	s := &seeds{}
	here, there := noon.Add(20*time.Minute), noon.Add(20*time.Minute)
	one, two := sharing(t, s, &here), sharing(t, s, &there)
	opens := func(when string, c *custody.Custody, boxes [][]byte, want error) {
		t.Helper()
		if len(boxes) != 2 {
			t.Fatalf("%d keys are handed out", len(boxes))
		}
		for _, box := range boxes {
			if plain, err := c.OpenSignIn(t.Context(), box); !errors.Is(err, want) || want == nil && string(plain) != canary {
				t.Errorf("%s: %q, %v, want %v", when, plain, err, want)
			}
		}
	}
	boxes, end := handedOut(t, one)
	if want := noon.Add(custody.IntakeEnd); !end.Equal(want) {
		t.Errorf("they end %s, want %s", end, want)
	}
	opens("at the other server", two, boxes, nil)
	if s.asked != 2 {
		t.Errorf("seeds were asked for %d times", s.asked)
	}
	there = noon.Add(custody.IntakeEnd - time.Second)
	opens("in the overlap", two, boxes, nil)
	// One that began after the keys were handed out has them, too.
	opens("at a third server", sharing(t, s, &there), boxes, nil)
	there = noon.Add(custody.IntakeEnd)
	opens("after the end", two, boxes, custody.ErrIntakeKey)
	// A clock that runs ahead hands out what others take by then, and not long before.
	here = noon.Add(time.Hour)
	boxes, _ = handedOut(t, one)
	there = here.Add(-time.Minute)
	opens("a minute behind", two, boxes, nil)
	there = here.Add(-time.Minute - time.Second)
	opens("further behind", two, boxes, custody.ErrIntakeKey)
	// Without the key manager nothing is handed out, and what comes is refused as a fault.
	s.away = true
	here = noon.Add(5 * time.Hour)
	if _, err := one.Intake(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("intake in an outage: %v", err)
	}
	opens("in an outage", one, boxes, kms.ErrUnavailable)
}
