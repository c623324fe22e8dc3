package custody

import (
	"testing"
	"time"
)

func TestIntakeKeysDoNotOutliveTheirEnd(t *testing.T) {
	var i intake
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	if _, err := i.at(noon); err != nil {
		t.Fatal(err)
	}
	if _, err := i.at(noon.Add(intakeLife)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		kept  int
	}{
		{intakeLife + intakeOverlap - 1, 2 * len(intakeSuites)},
		{intakeLife + intakeOverlap, len(intakeSuites)},
		{2*intakeLife + intakeOverlap, 0},
	} {
		i.forget(noon.Add(c.after))
		if kept := len(i.current.keys) + len(i.before.keys); kept != c.kept {
			t.Errorf("after %v there are %d keys, want %d", c.after, kept, c.kept)
		}
	}
}
