package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// Redeem sets a password by the token of a link. Both leave this process sealed, together with
// the client's key, which signs the call and is good for nothing afterwards. It is tried once:
// a link works once.
func Redeem(ctx context.Context, c *Client, token, password secret.Value) (Item[api.Done], error) {
	if !c.signs() {
		return Item[api.Done]{}, ErrNoKey
	}
	return sealing[api.Done](ctx, c, Path("links", "redeem"), once, func(sealed []byte) any { return api.Redeem{Sealed: sealed} }, api.SealedRedeem{
		Token: string(token.Expose()), Password: string(password.Expose()), Key: c.key.Public().String(),
	})
}

// ChangePassword sets another password of whoever is signed in. Both passwords leave this
// process sealed.
func ChangePassword(ctx context.Context, c *Client, old, password secret.Value) (Item[api.Done], error) {
	return sealing[api.Done](ctx, c, Path("me", "password"), rand.Text(), func(sealed []byte) any { return api.ChangePassword{Sealed: sealed} }, api.SealedPassword{
		Old: string(old.Expose()), Password: string(password.Expose()),
	})
}

// sealing posts what is sealed to an intake key like a sign-in. It asks for the key once more
// where the server's keys changed in this moment, so that nothing was tried.
func sealing[T any](ctx context.Context, c *Client, path, repeat string, body func(sealed []byte) any, what any) (Item[T], error) {
	text, err := json.Marshal(what)
	if err != nil {
		return Item[T]{}, fmt.Errorf("encode a password: %w", err)
	}
	defer clear(text)
	for attempt := 1; ; attempt++ {
		to, err := c.intake(ctx)
		if err != nil {
			return Item[T]{}, err
		}
		sealed, err := seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, text)
		if err != nil {
			return Item[T]{}, err
		}
		done, err := call[T](ctx, c, http.MethodPost, path, nil, body(sealed), repeat)
		var refusal *Refused
		if attempt == 1 && errors.As(err, &refusal) && refusal.Problem.Code == "intake_key_unknown" {
			continue
		}
		return done, err
	}
}
