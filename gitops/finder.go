package gitops

import (
	"context"

	"secretsbridge/events"
)

// Use is a secret of some store that an application takes into the cluster.
type Use struct {
	Target events.RolloutTarget // with its Secret, as NAMESPACE/NAME
	Key    string               // the secret, in the words of the store; see [events.SameSecret]
}

// Finder finds which secrets applications take, for people who map them.
type Finder interface {
	// Uses returns at most limit of them, in the order of their applications, and whether
	// there are more. The problem says why there are none.
	Uses(ctx context.Context, integration events.IntegrationID, limit int) (all []Use, more bool, problem events.RolloutProblem)
}
