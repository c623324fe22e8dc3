package command

import "errors"

// Alarm names what is wrong with the log, for alert rules and for the pages that say what to
// do (docs/operations/alerts.md). Every one of them is [ErrLogUnsafe]: wrap the alarm, and say
// what was found.
type Alarm string

// The alarms.
const (
	LogReconfigured   Alarm = "log_reconfigured"    // a setting of the stream, or of its servers, is not what it must be
	LogTruncated      Alarm = "log_truncated"       // it ends before a commit that was there
	LogForked         Alarm = "log_forked"          // a commit, or the tree up to a checkpoint, is not the one that was there
	LogRecreated      Alarm = "log_recreated"       // the stream was deleted and made again while a server ran
	LogSequenceReused Alarm = "log_sequence_reused" // an append was given a sequence that another commit had
	LogDamaged        Alarm = "log_damaged"         // a commit is missing, or its bytes are no commit
	LogForeign        Alarm = "log_foreign_fact"    // a commit was not written by the control plane
	LogReplayed       Alarm = "log_replayed_fact"   // a commit of the control plane stands in the log twice, or in another place
	LogStoreFailed    Alarm = "log_store_failed"    // the store of a server no longer writes
)

// Alarms are all alarms.
var Alarms = []Alarm{
	LogReconfigured, LogTruncated, LogForked, LogRecreated, LogSequenceReused, LogDamaged, LogForeign, LogReplayed, LogStoreFailed,
}

var sentences = map[Alarm]string{
	LogReconfigured:   "the log's settings were changed",
	LogTruncated:      "the log was cut off",
	LogForked:         "the log has another past than before",
	LogRecreated:      "the log was deleted and made again",
	LogSequenceReused: "the log gave a sequence number away twice",
	LogDamaged:        "the log is damaged",
	LogForeign:        "the log holds what the control plane did not write",
	LogReplayed:       "the log holds a fact twice",
	LogStoreFailed:    "the log's store has failed",
}

// Error implements error.
func (a Alarm) Error() string {
	return ErrLogUnsafe.Error() + ": " + sentences[a] + " (" + string(a) + ")"
}

// Is makes every alarm [ErrLogUnsafe].
func (a Alarm) Is(target error) bool { return target == ErrLogUnsafe }

// AlarmOf is the alarm that an error raises, and false where it raises none.
func AlarmOf(err error) (Alarm, bool) {
	var a Alarm
	ok := errors.As(err, &a)
	return a, ok
}
