package vault

import (
	"context"
	"iter"

	"secretsbridge/agent"
)

// List implements [agent.Provider].
func (p *Provider) List(context.Context, agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) { yield(agent.Page{}, agent.ErrUnavailable) }
}
