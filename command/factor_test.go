package command_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
)

func TestAFactorBeginsAndEndsOnce(t *testing.T) {
	enrolled := events.FactorEnrolled{Factor: "f_1", Kind: events.FactorTOTP}
	removed := events.FactorRemoved{Factor: "f_1", Kind: events.FactorTOTP, Cause: "owner"}
	tests := map[string]struct {
		given  []events.Fact
		enrol  []events.Fact
		remove []events.Fact
	}{
		"nothing was said of it":      {nil, []events.Fact{enrolled}, nil},
		"it is there":                 {[]events.Fact{enrolled}, nil, []events.Fact{removed}},
		"it was there":                {[]events.Fact{enrolled, removed}, []events.Fact{enrolled}, nil},
		"another one is there":        {[]events.Fact{events.FactorEnrolled{Factor: "f_2", Kind: events.FactorPasskey}}, []events.Fact{enrolled}, nil},
		"it stays when another goes":  {[]events.Fact{enrolled, events.FactorRemoved{Factor: "f_2"}}, nil, []events.Fact{removed}},
		"what others say is no story": {[]events.Fact{events.UserDisabled{}, enrolled, events.RecoveryCodesMade{Count: 10}}, nil, []events.Fact{removed}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s command.Factors
			for _, f := range tt.given {
				s = s.Evolve(events.Event{Command: events.NewCommandID(), Fact: f})
			}
			if diff := cmp.Diff(tt.enrol, s.Enrol("f_1", events.FactorTOTP)); diff != "" {
				t.Errorf("enrol (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.remove, s.Remove("f_1", events.FactorTOTP, "owner")); diff != "" {
				t.Errorf("remove (-want +got):\n%s", diff)
			}
		})
	}
}
