package events

import (
	"slices"
	"time"
)

// ProviderCalls are calls of one kind that an agent made to providers since its last heartbeat that
// counted. They are words of this vocabulary and numbers, so that whoever counts them learns no
// name, and no agent can make up a word.
type ProviderCalls struct {
	Provider  ProviderKind  `json:"provider"`
	Operation CallOperation `json:"operation"`
	Outcome   CallOutcome   `json:"outcome"`
	Took      []int         `json:"took"` // how many took how long: one for each of [CallBounds], and the longer ones
	SumMS     int64         `json:"sum_ms"`
}

// CallOperation is what a provider is asked for.
type CallOperation string

// What providers are asked for.
const (
	CallRead  CallOperation = "read"
	CallWrite CallOperation = "write"
	CallList  CallOperation = "list"  // one page
	CallCheck CallOperation = "check" // whether it is there
)

// CallOutcome is what a provider answered.
type CallOutcome string

// What providers answer.
const (
	CallOK          CallOutcome = "ok"
	CallNotFound    CallOutcome = "not_found"
	CallRefused     CallOutcome = "refused"     // the agent may not, or is not let in
	CallConflict    CallOutcome = "conflict"    // another version is there
	CallInvalid     CallOutcome = "invalid"     // what is there, or was to be written, is not taken
	CallUnavailable CallOutcome = "unavailable" // no answer, or one that passes
	CallEnded       CallOutcome = "ended"       // the agent did not wait for it
	CallFailed      CallOutcome = "failed"      // nothing of these
)

// The words that a report may have.
var (
	CallOperations = []CallOperation{CallRead, CallWrite, CallList, CallCheck}
	CallOutcomes   = []CallOutcome{CallOK, CallNotFound, CallRefused, CallConflict, CallInvalid, CallUnavailable, CallEnded, CallFailed}
)

// CallBounds are how long calls may take to be counted together. A job's call has 15 s.
var CallBounds = []time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 15 * time.Second,
}

// MaxCallsReported is how many calls of one kind one report may tell of: an agent has at most 12
// jobs at a time, and reports each 10 seconds, or after an outage of hours what it did meanwhile.
const MaxCallsReported = 100_000

// ValidCalls reports whether an agent may report this: known words, each combination once, and
// numbers that can be.
func ValidCalls(calls []ProviderCalls) bool {
	seen := make(map[[3]string]bool, len(calls))
	for _, c := range calls {
		key := [3]string{string(c.Provider), string(c.Operation), string(c.Outcome)}
		if seen[key] || !slices.Contains(ProviderKinds(), c.Provider) || !slices.Contains(CallOperations, c.Operation) || !slices.Contains(CallOutcomes, c.Outcome) || len(c.Took) != len(CallBounds)+1 {
			return false
		}
		seen[key] = true
		total := 0
		for _, n := range c.Took {
			if n < 0 || n > MaxCallsReported {
				return false
			}
			total += n
		}
		longest := int64(total) * time.Hour.Milliseconds()
		if total == 0 || total > MaxCallsReported || c.SumMS < 0 || c.SumMS > longest {
			return false
		}
	}
	return true
}
