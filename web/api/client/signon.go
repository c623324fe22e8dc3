package client

import (
	"context"
	"net/url"
	"strconv"

	"secretsbridge/internal/secret"
	"secretsbridge/web/api"
)

// SignOnURL is what a browser opens to sign in by the identity provider for a command line that
// listens on a port, and keeps the verifier of the challenge (RFC 7636, S256).
func SignOnURL(c *Client, port int, challenge string) string {
	query := url.Values{"cli_port": {strconv.Itoa(port)}, "code_challenge": {challenge}}
	return c.Server() + target(Path("auth", "oidc", "start"), query)
}

// RedeemCode trades the code that the browser brought for a session of the client's key. Code and
// verifier leave this process sealed, together with the key, which signs the call. It is tried
// once: a code counts once.
func RedeemCode(ctx context.Context, c *Client, code, verifier secret.Value) (Item[api.Session], error) {
	if !c.signs() {
		return Item[api.Session]{}, ErrNoKey
	}
	return sealing[api.Session](ctx, c, Path("sessions", "redeem"), once, func(sealed []byte) any { return api.RedeemCode{Sealed: sealed} }, api.SealedCode{
		Code: string(code.Expose()), Verifier: string(verifier.Expose()), Key: c.key.Public().String(),
	})
}
