package command_test

import (
	"errors"
	"testing"

	"secretsbridge/command"
	"secretsbridge/events"
)

func TestAHistoryHangsTogether(t *testing.T) {
	commit := func(seq, after events.Seq, id events.CommandID) events.Recorded {
		return events.Recorded{Seq: seq, After: after, Events: []events.Event{{Command: id}}}
	}
	long := []events.Recorded{commit(1, 0, "a")}
	for i := events.Seq(2); i < 20; i++ {
		long = append(long, commit(i, i-1, events.CommandID(rune('a'+i))))
	}
	for name, test := range map[string]struct {
		history []events.Recorded
		want    error
	}{
		"nothing":                       {nil, nil},
		"one after the other":           {[]events.Recorded{commit(3, 0, "a"), commit(7, 3, "b"), commit(9, events.AnySeq, "c"), commit(10, 9, "d")}, nil},
		"a long one":                    {long, nil},
		"the beginning is missing":      {[]events.Recorded{commit(7, 3, "b")}, command.LogDamaged},
		"one is missing":                {[]events.Recorded{commit(3, 0, "a"), commit(9, 7, "c")}, command.LogDamaged},
		"the beginning again":           {[]events.Recorded{commit(3, 0, "a"), commit(7, 0, "b")}, command.LogReplayed},
		"behind another":                {[]events.Recorded{commit(3, 0, "a"), commit(7, 3, "b"), commit(9, 3, "c")}, command.LogReplayed},
		"a command twice":               {[]events.Recorded{commit(3, 0, "a"), commit(7, events.AnySeq, "a")}, command.LogReplayed},
		"a command twice, far apart":    {append(long[:19:19], commit(20, events.AnySeq, "a")), command.LogReplayed},
		"a command twice, at the end":   {append(long[:19:19], commit(20, events.AnySeq, "z"), commit(21, events.AnySeq, "z")), command.LogReplayed},
		"a long one behind another one": {append(long[:19:19], commit(20, 5, "z")), command.LogReplayed},
	} {
		for _, fresh := range []int{0, max(0, len(test.history)-1)} {
			if fresh > 0 && name == "the beginning is missing" {
				continue
			}
			if err := command.Chained(test.history, fresh); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("%s, from %d: %v, want %v", name, fresh, err, test.want)
			}
		}
	}
}
