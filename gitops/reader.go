// Package gitops watches how a written patch is rolled out: what has to be looked at, what proves
// that a change is live, and the loops that look. The judge is pure; what looks is a [Reader],
// one for each kind of integration that the worker asks, and agents for the others.
package gitops

import (
	"context"
	"time"

	"secretsbridge/events"
)

// About is the secret that a look is about.
type About struct {
	Provider events.ProviderKind
	Ref      string
	Version  string    // the provider's, that is to be live; empty before the write
	Written  time.Time // by the control plane's clock; zero before the write
}

// Look is one watch and the secret it is about. Before the write the watch has no number.
type Look struct {
	Watch events.Watch
	About About
}

// Reader looks at applications. It changes nothing there.
type Reader interface {
	// Observe looks at one application once, for all watches of it: they have the same target but
	// for its Secret, and may be about different secrets. It answers one observation for each, in
	// their order, and never an error: what went wrong is the observation's Problem.
	//
	// At is the HTTP Date of the first answer of the look, so that all else was seen at or after it.
	// A look without one is [events.RolloutMalformed]. Pods are those that are not over, with those
	// that are being terminated. An ExternalSecret that pins another version than About.Version
	// brings it, and is left out. Health is left empty where it may not be read: while sync is
	// Unknown, or a ComparisonError stands.
	Observe(ctx context.Context, integration events.IntegrationID, looks []Look) []events.Observation
}

// Application is one that an integration has.
type Application struct {
	Target  events.RolloutTarget
	Project string // of Argo CD
	Sync    string
	Health  string
}

// Lister lists them, for people who choose.
type Lister interface {
	// Applications returns at most limit of them, in the order of their namespaces and names, and
	// whether there are more. The problem says why there are none.
	Applications(ctx context.Context, integration events.IntegrationID, limit int) (all []Application, more bool, problem events.RolloutProblem)
}
