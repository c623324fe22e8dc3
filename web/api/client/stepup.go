package client

import (
	"context"
	"errors"
)

// CodeStepUp is the code of a call that needs the proof of a second factor first.
const CodeStepUp = "step_up_required"

// WhenStepUp says what proves a second factor when a call needs one. It is asked once for each
// call, which is then made again, with the same Idempotency-Key; its error ends the call. Set it
// before the first call.
func (c *Client) WhenStepUp(prove func(context.Context) error) { c.prove = prove }

// proved reports whether a call that was refused is worth another attempt, because a second
// factor was proved. Proving makes calls, too, and none of those asks again.
func (c *Client) proved(ctx context.Context, refusal error) (bool, error) {
	var refused *Refused
	if c.prove == nil || !errors.As(refusal, &refused) || refused.Problem.Code != CodeStepUp || !c.proving.CompareAndSwap(false, true) {
		return false, nil
	}
	defer c.proving.Store(false)
	return true, c.prove(ctx)
}
