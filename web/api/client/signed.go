package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"secretsbridge/seal"
	"secretsbridge/web/api"
	"secretsbridge/web/signed"
)

// Altered says that an answer is not what the server said to this call: somebody on the
// way changed the answer or the call. Nothing of the answer is in it.
type Altered struct {
	Command bool // the call was one, and whether it was done is not known
	Err     error
}

func (e *Altered) Error() string {
	text := "the server did not sign this answer to this call: somebody on the way may have changed one of them"
	if errors.Is(e.Err, ErrServerChanged) {
		text = ErrServerChanged.Error()
	}
	if e.Command {
		text += "; whether the command was done is not known"
	}
	return text
}

func (e *Altered) Unwrap() error { return e.Err }

var (
	// errGateway stands for what something before the server says in its place. It is no
	// answer, and none of it is repeated.
	errGateway = errors.New("something before the server answers that it is not there")

	// errDoubt refuses a true answer of the server to a call that it could not check.
	errDoubt = errors.New("the server could not check the call")
)

// What a call may send, in bytes: a submit has sealed values.
const (
	maxBody       = 64 << 10
	maxSubmitBody = 1 << 20
)

// signs reports whether calls are signed and answers must be.
func (c *Client) signs() bool { return c.key.Public() != seal.VerifyKey{} }

// Clock is how far the server's clock is ahead of ours, as far as that is known.
func (c *Client) Clock() time.Duration { return time.Duration(c.clock.Load()) }

func (c *Client) now() time.Time { return time.Now().Add(c.Clock()) }

// believe checks who signed an answer, and whether it tells what became of this call.
func (c *Client) believe(to signed.Request, resp *http.Response, body []byte) error {
	command := to.Method != http.MethodGet
	if !signed.Signed(resp.Header) && gateway(resp.StatusCode) {
		return &Unreachable{Server: c.base.Host, Err: errGateway}
	}
	server := c.pinned.Load()
	if server == nil {
		return &Altered{command, errors.New("the server's key is not known")}
	}
	said, err := signed.CheckAnswer(signed.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, To: to}, *server)
	switch {
	case errors.Is(err, signed.ErrKey):
		return &Altered{command, ErrServerChanged}
	case err != nil:
		return &Altered{command, err}
	}
	c.proven.Store(true)
	var p api.Problem
	if resp.StatusCode >= 400 && json.Unmarshal(body, &p) != nil {
		return &Altered{command, ErrAnswer}
	}
	if p.Code == codeExpired {
		c.clock.Store(int64(said.Created.Sub(time.Now()).Round(time.Second)))
	}
	if p.Code == codeUsed || !said.Checked && !conclusive(to, resp.StatusCode, p.Code) {
		return &Altered{command, errDoubt}
	}
	return nil
}

// Codes of refused signatures.
const (
	codeExpired = "signature_expired"
	codeUsed    = "signature_used" // it came before, and that was not us
)

// conclusive reports whether an answer holds for the call that was meant, although the
// server could not check the call that came: what came may be an altered copy, and the
// other may still arrive. Method, path and token that came are in the answer's signature,
// so these are ours. Too many calls are no reason: altered copies count, too. What a
// sign-in came to does not matter, because nobody else can use its session.
func conclusive(to signed.Request, status int, code string) bool {
	switch code {
	case "session_expired", "not_signed_in", "not_found", "method_not_allowed", "intake_key_unknown", codeExpired:
		return true
	case "body_too_large":
		if to.Target == target(Path("requests"), nil) {
			return len(to.Body) > maxSubmitBody
		}
		return len(to.Body) > maxBody
	case "too_many_requests":
		return to.Method == http.MethodGet || to.Target == target(Path("sessions"), nil) || to.Target == target(Path("sessions", "redeem"), nil)
	case "sso_not_configured":
		return to.Target == target(Path("sessions", "redeem"), nil)
	}
	return status >= 500 // which promises nothing
}

// gateway reports whether a status is what proxies say when they reach nobody.
func gateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// unsigned is what is left of an error of a call that came before there was a key to check
// the answer with: what happened, and none of its words.
func (c *Client) unsigned(err error) error {
	var refused *Refused
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.Problem.Status == http.StatusTooManyRequests:
		return &Refused{Problem: api.Problem{
			Status: refused.Problem.Status, Code: "too_many_requests", Detail: "too many attempts; wait a minute",
		}, RetryAfter: refused.RetryAfter}
	case refused.Problem.Status >= 500:
		return &Unreachable{Server: c.base.Host, Err: errGateway}
	}
	return &Altered{false, ErrAnswer}
}
