package vault_test

import (
	"context"
	"iter"
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

// List gives the suite its own prefix back.
func (b behind) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) {
		for page, err := range b.Provider.List(ctx, from) {
			for i := range page.Secrets {
				page.Secrets[i].Ref = "suite" + strings.TrimPrefix(page.Secrets[i].Ref, b.mount)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}
