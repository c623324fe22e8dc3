package vault_test

import (
	"context"
	"strings"

	"secretsbridge/agent"
)

// at puts the provider's own mount in place of the suite's "suite".
func (b behind) at(ref agent.Ref) agent.Ref {
	rest, ok := strings.CutPrefix(ref.String(), "suite/")
	if !ok {
		return ref
	}
	moved, err := agent.ParseRef(b.mount + "/" + rest)
	if err != nil {
		panic(err)
	}
	return moved
}

func (b behind) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	return b.Provider.Read(ctx, b.at(ref))
}

func (b behind) Write(ctx context.Context, ref agent.Ref, v agent.Bundle, expect agent.Version) (agent.Version, error) {
	return b.Provider.Write(ctx, b.at(ref), v, expect)
}
