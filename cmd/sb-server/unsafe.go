package main

import (
	"errors"
	"log/slog"

	"secretsbridge/command"
)

// exitUnsafe is the exit code of a server that raised an alarm of its log. Nobody should start it
// again before somebody has looked (docs/operations/alerts.md).
const exitUnsafe = 3

// exitCode is that of a server that ended with an error. A store that failed needs a start, and
// no more than that once there is space.
func exitCode(err error) int {
	if alarm, ok := command.AlarmOf(err); ok && alarm != command.LogStoreFailed {
		return exitUnsafe
	}
	return 1
}

// raise says in the server's log what is wrong with the history, if that is what err says.
func raise(log *slog.Logger, err error) {
	if !errors.Is(err, command.ErrLogUnsafe) {
		return
	}
	alarm, _ := command.AlarmOf(err)
	log.Error("nothing is written and nothing is let out any more, and the server stops: docs/operations/alerts.md says what to do", "alarm", string(alarm), "err", err)
}

// guarded halts the log if what ended says that it cannot be trusted. Whatever is under way is
// refused from then on.
func (st *stack) guarded(err error) error {
	if errors.Is(err, command.ErrLogUnsafe) {
		st.store.Halt(err)
		st.alarm.Do(func() { raise(st.log, st.store.Halted()) })
	}
	return err
}
