package command

import (
	"fmt"
	"slices"

	"secretsbridge/events"
)

// scanned is how many new commits are looked for among the old ones one by one. A set of all
// commands is made for more.
const scanned = 4

// Chained checks that a history hangs together from its commit number fresh on, those before
// being checked: a commit that was to follow another stands next behind it, and no command
// decided twice. The error is [LogReplayed], or [LogDamaged] where a commit that
// another was to follow is not there.
func Chained(history []events.Recorded, fresh int) error {
	var taken map[events.CommandID]events.Seq
	if len(history)-fresh > scanned {
		taken = make(map[events.CommandID]events.Seq, len(history))
		for _, c := range history[:fresh] {
			taken[c.Events[0].Command] = c.Seq
		}
	}
	for i := fresh; i < len(history); i++ {
		c, before := history[i], events.Seq(0)
		if i > 0 {
			before = history[i-1].Seq
		}
		if c.After != events.AnySeq && c.After > before {
			return fmt.Errorf("%w: commit %d of %s stands behind %d and was written to stand behind %d, which is missing", LogDamaged, c.Seq, c.Stream, before, c.After)
		}
		if c.After != events.AnySeq && c.After < before {
			return fmt.Errorf("%w: commit %d of %s stands behind %d and was written to stand behind %d", LogReplayed, c.Seq, c.Stream, before, c.After)
		}
		id := c.Events[0].Command
		first, twice := taken[id]
		if taken != nil {
			taken[id] = c.Seq
		} else if at := slices.IndexFunc(history[:i], func(o events.Recorded) bool { return o.Events[0].Command == id }); at >= 0 {
			first, twice = history[at].Seq, true
		}
		if twice {
			return fmt.Errorf("%w: commits %d and %d of %s are both of command %s", LogReplayed, first, c.Seq, c.Stream, id)
		}
	}
	return nil
}
