package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

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
	return open(ctx, c, Path("sessions"), api.SealedSignIn{Email: email, Password: string(password.Expose()), Key: c.key.Public().String()})
}

// SignOnURL is what a browser opens to sign in by the identity provider for a command line that
// listens on a port, and keeps the verifier of the challenge (RFC 7636, S256).
func SignOnURL(c *Client, port int, challenge string) string {
	query := url.Values{"cli_port": {strconv.Itoa(port)}, "code_challenge": {challenge}}
	return c.Server() + target(Path("auth", "oidc", "start"), query)
}

// Redeem trades the code that the browser brought for a session of the client's key. It is tried
// once: a code counts once.
func Redeem(ctx context.Context, c *Client, code, verifier secret.Value) (Item[api.Session], error) {
	return open(ctx, c, Path("sessions", "redeem"), api.SealedRedeem{
		Code: string(code.Expose()), Verifier: string(verifier.Expose()), Key: c.key.Public().String(),
	})
}

// open asks for a session with something that is sealed.
func open(ctx context.Context, c *Client, path string, inside any) (Item[api.Session], error) {
	if !c.signs() {
		return Item[api.Session]{}, ErrNoKey
	}
	for attempt := 1; ; attempt++ {
		to, err := c.intake(ctx)
		if err != nil {
			return Item[api.Session]{}, err
		}
		text, err := json.Marshal(inside)
		if err != nil {
			return Item[api.Session]{}, fmt.Errorf("encode the sign-in: %w", err)
		}
		sealed, err := seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, text)
		clear(text)
		if err != nil {
			return Item[api.Session]{}, err
		}
		// Both routes take what is sealed in the same field.
		opened, err := call[api.Session](ctx, c, http.MethodPost, path, nil, api.Redeem{Sealed: sealed}, once)
		var refusal *Refused
		if attempt == 1 && errors.As(err, &refusal) && refusal.Problem.Code == "intake_key_unknown" {
			continue // its keys changed in this moment, so nothing was tried
		}
		return opened, err
	}
}
