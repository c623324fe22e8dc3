package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	found "github.com/pb33f/libopenapi-validator/errors"
)

// CheckResponse holds one call against the text: status, headers and body of the
// response; for a problem, that its code is one of the operation's and has the status
// of the table; for a success, that the request was one that the text allows. What the
// server refuses may break the text, what it accepts may not.
//
// A request with a body needs its GetBody, as http.NewRequest sets it.
func (c *Contract) CheckResponse(req *http.Request, resp *http.Response, body []byte) error {
	if err := c.check(flat(req), resp, body); err != nil {
		return fmt.Errorf("%s %s, %d: %w", req.Method, req.URL.Path, resp.StatusCode, err)
	}
	return nil
}

func (c *Contract) check(req *http.Request, resp *http.Response, body []byte) error {
	op, ok := c.find(req)
	if !ok {
		op = Operation{Codes: []string{"not_found", "method_not_allowed"}}
		if resp.StatusCode < 400 {
			return errors.New("the contract has no such operation")
		}
		return c.checkProblem(op, resp, body)
	}
	whole := body
	if media(resp) == linesType { // the validator takes it for one text of JSON
		whole, _ = json.Marshal(string(body))
	}
	replay := *resp
	replay.Body = io.NopCloser(bytes.NewReader(whole))
	asked, err := again(req)
	if err != nil {
		return err
	}
	if ok, faults := c.validator.ValidateHttpResponse(asked, &replay); !ok {
		return fmt.Errorf("response: %w", join(faults))
	}
	switch {
	case resp.StatusCode >= 400:
		return c.checkProblem(op, resp, body)
	case resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified:
		if len(body) > 0 {
			return errors.New("a body follows where there can be none")
		}
	case media(resp) == "text/event-stream":
		if err := c.checkStream(body); err != nil {
			return err
		}
	case media(resp) == linesType:
		if err := c.checkLines(op, body); err != nil {
			return err
		}
	}
	if ok, faults := c.validator.ValidateHttpRequestSync(asked); !ok && !refusedByPage(resp) {
		return fmt.Errorf("a request that breaks the contract was accepted: %w", join(faults))
	}
	return nil
}

// refusedByPage reports whether a browser is sent to the page where people sign in, to be told
// that its call was none.
func refusedByPage(resp *http.Response) bool {
	return resp.StatusCode == http.StatusSeeOther && resp.Header.Get("Location") == "/sign-in?problem=parameter_invalid"
}

// tiles begins the one path whose parameter has slashes, which OpenAPI cannot say.
const tiles = "/audit/log/tile/"

// flat makes one segment of such a parameter.
func flat(req *http.Request) *http.Request {
	before, tile, found := strings.Cut(req.URL.EscapedPath(), tiles)
	if !found {
		return req
	}
	req = req.Clone(req.Context())
	req.URL.Path, req.URL.RawPath = before+tiles+strings.ReplaceAll(tile, "/", "-"), ""
	return req
}

// find returns the operation of a request. A path without parameters wins.
func (c *Contract) find(req *http.Request) (Operation, bool) {
	path, ok := strings.CutPrefix(req.URL.EscapedPath(), c.prefix)
	if !ok {
		return Operation{}, false
	}
	var best Operation
	for _, op := range c.operations {
		if op.Method == req.Method && fits(op.Path, path) && (best.Path == "" || strings.Count(op.Path, "{") < strings.Count(best.Path, "{")) {
			best = op
		}
	}
	return best, best.Path != ""
}

func fits(template, path string) bool {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, have, func(w, h string) bool {
		return w == h || strings.HasPrefix(w, "{") && h != ""
	})
}

// again is the request as it was sent.
func again(req *http.Request) (*http.Request, error) {
	sent := req.Clone(req.Context())
	switch {
	case req.GetBody != nil:
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("read the request again: %w", err)
		}
		sent.Body = body
	case req.Body != nil && req.Body != http.NoBody:
		return nil, errors.New("the body of the request cannot be read again: set its GetBody")
	}
	return sent, nil
}

// checkProblem compares a problem with the table and the operation's codes.
func (c *Contract) checkProblem(op Operation, resp *http.Response, body []byte) error {
	if got := media(resp); got != "application/problem+json" {
		return fmt.Errorf("an error of type %q, not application/problem+json", got)
	}
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("read the problem: %w", err)
	}
	listed, ok := c.problem(p.Code)
	switch {
	case !ok:
		return fmt.Errorf("x-problems has no code %q", p.Code)
	case !slices.Contains(op.Codes, p.Code):
		return fmt.Errorf("the operation does not list the code %q", p.Code)
	case resp.StatusCode != listed.Status || p.Status != listed.Status:
		return fmt.Errorf("code %q has the status %d; the body says %d", p.Code, listed.Status, p.Status)
	case p.Type != "about:blank#"+p.Code || p.Title != http.StatusText(p.Status) || p.Detail == "":
		return fmt.Errorf("type %q, title %q or detail %q do not fit code %q", p.Type, p.Title, p.Detail, p.Code)
	case resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") == "":
		return errors.New("a 401 without WWW-Authenticate (RFC 9110, section 15.5.2)")
	}
	return nil
}

func media(resp *http.Response) string {
	name, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return name
}

// join tells what the validator found, with the place in the text or in the body.
func join(faults []*found.ValidationError) error {
	var all []error
	for _, f := range faults {
		if len(f.SchemaValidationErrors) == 0 {
			all = append(all, fmt.Errorf("%s: %s", f.Message, f.Reason))
		}
		for _, s := range f.SchemaValidationErrors {
			all = append(all, fmt.Errorf("%s: %s at %q", f.Message, s.Reason, s.FieldPath))
		}
	}
	return errors.Join(all...)
}
