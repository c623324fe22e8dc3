package events

import "time"

// Place is where a secret lies in the tenancy, by its binding. The zero place is one that
// nothing binds.
type Place struct {
	Project     string          `json:"project,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Kind        EnvironmentKind `json:"environment_kind,omitempty"`
	Team        string          `json:"team,omitempty"`  // of the project
	Owner       string          `json:"owner,omitempty"` // of the secret, as the inventory had it
}

// Fill says that another team provides the values of a patch, until Until, exclusive.
type Fill struct {
	Team  string    `json:"team"`
	Until time.Time `json:"until"`
}

// ValuesProvided says that somebody of the other team filled the values in. Changes are
// those of the request, in their order, with their envelopes.
type ValuesProvided struct {
	By      UserID   `json:"by"`
	Changes []Change `json:"changes"`
	Comment string   `json:"comment,omitempty"`
}

// ValuesRefused ends a request: the other team does not provide the values.
type ValuesRefused struct {
	By      UserID `json:"by"`
	Comment string `json:"comment"`
}

// StepReminded says that the approvers of an open step are to be reminded.
type StepReminded struct {
	Step   StepID `json:"step"`
	Number int    `json:"number"` // from 1
}

// StepEscalated says that a step was open for too long: its fallback may vote too.
type StepEscalated struct {
	Step StepID `json:"step"`
}

// GlassBroken says that the requester did without approval, and why.
type GlassBroken struct {
	Reason      string    `json:"reason"` // the second one
	ReviewUntil time.Time `json:"review_until"`
}

// GlassReviewed says what others think of it.
type GlassReviewed struct {
	By      UserID        `json:"by"`
	Outcome ReviewOutcome `json:"outcome"`
	Comment string        `json:"comment"`
}

// ReviewOutcome is the result of a review.
type ReviewOutcome string

const (
	ReviewJustified   ReviewOutcome = "justified"
	ReviewUnjustified ReviewOutcome = "unjustified"
)

// ReviewOverdue says that nobody reviewed it in time. It stays to be reviewed.
type ReviewOverdue struct{}

func (ValuesProvided) fact() {}
func (ValuesRefused) fact()  {}
func (StepReminded) fact()   {}
func (StepEscalated) fact()  {}
func (GlassBroken) fact()    {}
func (GlassReviewed) fact()  {}
func (ReviewOverdue) fact()  {}
