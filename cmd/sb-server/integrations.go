package main

import (
	"context"
	"time"

	"secretsbridge/worker"
)

// sweepEach is how long after its end a secret of an integration is still stored, at most, while
// the server works. It opens for nobody from its end on.
const sweepEach = time.Minute

// sweepIntegrations destroys secrets of integrations that have ended.
func (st *stack) sweepIntegrations() worker.Loop {
	return worker.Loop{Name: "integration-secrets", Run: worker.Every(sweepEach, func(ctx context.Context, t *worker.Term) error {
		n, err := st.integrations.Sweep(ctx)
		t.Handled(n)
		return err
	})}
}
