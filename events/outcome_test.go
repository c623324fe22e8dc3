package events_test

import (
	"testing"

	"secretsbridge/events"
)

func TestEveryFactIsDoneOrDenied(t *testing.T) {
	t.Parallel()
	listed := map[string]int{}
	for _, outcome := range events.Outcomes {
		for _, typ := range events.TypesOf(outcome) {
			listed[typ]++
		}
	}
	for _, k := range events.Catalogue() {
		if listed[k.Type] != 1 {
			t.Errorf("%s is listed %d times; events/outcome.go says of each fact whether it was done or denied", k.Type, listed[k.Type])
		}
		delete(listed, k.Type)
	}
	for typ := range listed {
		t.Errorf("%s is no fact", typ)
	}
}
