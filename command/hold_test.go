package command_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
)

func holds(facts ...events.Fact) (h command.Holds) {
	for _, f := range facts {
		h = h.Evolve(events.Event{Command: events.NewCommandID(), Actor: "user:u_judge", Time: meta.Time, Fact: f})
	}
	return h
}

func TestAHoldFromItsReasonToItsEnd(t *testing.T) {
	all := events.LegalHoldPlaced{Hold: "h_all", Reason: "case 1"}
	ann := events.LegalHoldPlaced{Hold: "h_ann", User: "u_ann", Reason: "case 2"}
	var many []events.Fact
	for i := range command.MaxHolds {
		many = append(many, events.LegalHoldPlaced{Hold: events.HoldID(fmt.Sprint("h_", i)), User: "u_ann", Reason: "x"})
	}
	place := func(f events.LegalHoldPlaced, reason string) func(command.Holds) ([]events.Fact, error) {
		return func(h command.Holds) ([]events.Fact, error) {
			f.Reason = reason
			return h.Place(meta, f)
		}
	}
	lift := func(id events.HoldID, reason string) func(command.Holds) ([]events.Fact, error) {
		return func(h command.Holds) ([]events.Fact, error) { return h.Lift(meta, id, reason) }
	}
	lifted := events.LegalHoldLifted{Hold: "h_ann", Reason: "closed"}
	for _, tt := range []struct {
		name  string
		given []events.Fact
		when  func(command.Holds) ([]events.Fact, error)
		then  []events.Fact
		err   error
	}{
		{"of everybody", nil, place(all, " case 1\n"), []events.Fact{all}, nil},
		{"of one, beside that", []events.Fact{all}, place(ann, "case 2"), []events.Fact{ann}, nil},
		{"not without a reason", nil, place(all, " \n"), nil, command.ErrHoldReason},
		{"nor for one that nobody can read", nil, place(all, "case\x1b[2J"), nil, command.ErrHoldReason},
		{"nor for one that is no text", nil, place(all, "case \xff"), nil, command.ErrHoldReason},
		{"nor for a long one", nil, place(all, strings.Repeat("ä", command.MaxReason+1)), nil, command.ErrHoldReason},
		{"not more than there may be", many, place(ann, "case 2"), nil, command.ErrTooManyHolds},
		{"one that ends makes room", append(many, events.LegalHoldLifted{Hold: "h_7"}), place(ann, "case 2"), []events.Fact{ann}, nil},
		{"it ends", []events.Fact{all, ann}, lift("h_ann", "closed "), []events.Fact{lifted}, nil},
		{"with a reason", []events.Fact{all, ann}, lift("h_ann", ""), nil, command.ErrHoldReason},
		{"once", []events.Fact{all, ann, lifted}, lift("h_ann", "closed"), nil, command.ErrHoldUnknown},
		{"if it was there", []events.Fact{all}, lift("h_ann", "closed"), nil, command.ErrHoldUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(holds(tt.given...))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.then, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoIsHeld(t *testing.T) {
	all := events.LegalHoldPlaced{Hold: "h_all", Reason: "1"}
	ann := events.LegalHoldPlaced{Hold: "h_ann", User: "u_ann", Reason: "2"}
	again := events.LegalHoldPlaced{Hold: "h_again", User: "u_ann", Reason: "3"}
	lift := func(id events.HoldID) events.Fact { return events.LegalHoldLifted{Hold: id} }
	for _, tt := range []struct {
		given    []events.Fact
		ann, bob bool
		users    int
	}{
		{nil, false, false, 0},
		{[]events.Fact{ann}, true, false, 1},
		{[]events.Fact{ann, again}, true, false, 1},
		{[]events.Fact{ann, again, lift("h_ann")}, true, false, 1},
		{[]events.Fact{ann, all}, true, true, 1},
		{[]events.Fact{ann, all, lift("h_all")}, true, false, 1},
		{[]events.Fact{ann, all, lift("h_ann"), lift("h_all")}, false, false, 0},
	} {
		h := holds(tt.given...)
		if h.Keep("u_ann") != tt.ann || h.Keep("u_bob") != tt.bob || h.Everybody() != tt.bob || len(h.Users()) != tt.users {
			t.Errorf("%v: ann %v, bob %v, everybody %v, %v", tt.given, h.Keep("u_ann"), h.Keep("u_bob"), h.Everybody(), h.Users())
		}
	}
}
