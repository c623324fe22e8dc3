package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// ErrNoKey says that a client was made without the key that a session needs.
var ErrNoKey = errors.New("a sign-in needs a key")

// SignIn opens a session of the client's key. E-mail and password leave this process
// sealed, together with the key, so nobody on the way reads the one or swaps the other. It
// is tried once: an attempt counts against the account.
func SignIn(ctx context.Context, c *Client, email string, password secret.Value) (Item[api.Session], error) {
	if !c.signs() {
		return Item[api.Session]{}, ErrNoKey
	}
	for attempt := 1; ; attempt++ {
		to, err := c.intake(ctx)
		if err != nil {
			return Item[api.Session]{}, err
		}
		text, err := json.Marshal(api.SealedSignIn{Email: email, Password: string(password.Expose()), Key: c.key.Public().String()})
		if err != nil {
			return Item[api.Session]{}, fmt.Errorf("encode the sign-in: %w", err)
		}
		sealed, err := seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, text)
		clear(text)
		if err != nil {
			return Item[api.Session]{}, err
		}
		opened, err := call[api.Session](ctx, c, http.MethodPost, Path("sessions"), nil, api.SignIn{Sealed: sealed}, once)
		var refusal *Refused
		if attempt == 1 && errors.As(err, &refusal) && refusal.Problem.Code == "intake_key_unknown" {
			continue // its keys changed in this moment, so nothing was tried
		}
		return opened, err
	}
}
