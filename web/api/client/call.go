package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"secretsbridge/web/api"
	"secretsbridge/web/signed"
)

const (
	// attempts is how often a call is made at most.
	attempts = 3

	// firstPause is before the second attempt; each further pause is twice as long.
	firstPause = 200 * time.Millisecond

	// maxPause is the longest Retry-After that is worth waiting for in a command that
	// somebody typed.
	maxPause = 5 * time.Second

	// pageSize is what one page of a list holds.
	pageSize = 100
)

// Item is one object of the API: as a Go value, and as the server sent it, which keeps
// fields that this client does not know.
type Item[T any] struct {
	Value T
	Raw   json.RawMessage
}

// Get asks a query.
func Get[T any](ctx context.Context, c *Client, path string, query url.Values) (Item[T], error) {
	return call[T](ctx, c, http.MethodGet, path, query, nil, again)
}

// Post gives a command. Its Idempotency-Key is fresh, and the same in every attempt.
func Post[T any](ctx context.Context, c *Client, path string, body any) (Item[T], error) {
	return call[T](ctx, c, http.MethodPost, path, nil, body, rand.Text())
}

// PostAs gives a command under a key of the caller's, so that the same command of another
// process is the same one.
func PostAs[T any](ctx context.Context, c *Client, path string, body any, key string) (Item[T], error) {
	return call[T](ctx, c, http.MethodPost, path, nil, body, key)
}

// SignOut ends the client's session. It is tried once.
func SignOut(ctx context.Context, c *Client) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, Path("sessions", "current"), nil, nil, once)
	return err
}

// List follows the pages of a list until it has limit items. It reports whether the list goes
// on behind them; there may be nothing there all the same.
func List[T any](ctx context.Context, c *Client, path string, query url.Values, limit int) (all []Item[T], more bool, err error) {
	all = []Item[T]{}
	more, err = each(ctx, c, path, query, limit, func(page []Item[T]) error {
		all = append(all, page...)
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return all, more, nil
}

// Each follows the pages of a list until limit items were visited, page by page. A page
// may be empty although others follow.
func Each[T any](ctx context.Context, c *Client, path string, query url.Values, limit int, visit func([]Item[T]) error) error {
	_, err := each(ctx, c, path, query, limit, visit)
	return err
}

func each[T any](ctx context.Context, c *Client, path string, query url.Values, limit int, visit func([]Item[T]) error) (more bool, err error) {
	asked := url.Values{}
	for name, values := range query {
		asked[name] = values
	}
	for cursor := ""; limit > 0; {
		asked.Set("limit", strconv.Itoa(min(limit, pageSize)))
		page, err := Get[api.Page[json.RawMessage]](ctx, c, path, asked)
		if err != nil {
			return false, err
		}
		items, err := itemsOf[T](page.Value.Items)
		if err != nil {
			return false, err
		}
		more = len(items) > limit || page.Value.Next != ""
		items = items[:min(len(items), limit)]
		if err := visit(items); err != nil {
			return false, err
		}
		limit -= len(items)
		if page.Value.Next == "" {
			return more, nil
		}
		if page.Value.Next == cursor {
			return false, fmt.Errorf("%w: the list does not go on", ErrAnswer)
		}
		cursor = page.Value.Next
		asked.Set("cursor", cursor)
	}
	return more, nil
}

// Whole asks for a list that has no pages.
func Whole[T any](ctx context.Context, c *Client, path string, query url.Values) ([]Item[T], error) {
	page, err := Get[api.Page[json.RawMessage]](ctx, c, path, query)
	if err != nil {
		return nil, err
	}
	return itemsOf[T](page.Value.Items)
}

func itemsOf[T any](raws []json.RawMessage) ([]Item[T], error) {
	items := make([]Item[T], len(raws))
	for i, raw := range raws {
		items[i].Raw = raw
		if err := json.Unmarshal(raw, &items[i].Value); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnswer, withoutText(err))
		}
	}
	return items, nil
}

// CSV asks for a list as comma-separated values (RFC 4180), all of it at once.
func CSV(ctx context.Context, c *Client, path string, query url.Values) ([]byte, error) {
	return exchange(ctx, c, csvAnswer, http.MethodGet, path, query, nil, again)
}

// File asks for one JSON document that may be long, such as evidence, exactly as it is sent.
func File(ctx context.Context, c *Client, path string, query url.Values) ([]byte, error) {
	return exchange(ctx, c, fileAnswer, http.MethodGet, path, query, nil, again)
}

// Lines asks for what comes as one JSON object a line, all of it at once. Every line is whole.
func Lines(ctx context.Context, c *Client, path string, query url.Values) ([][]byte, error) {
	return lines(ctx, c, linesAnswer, path, query)
}

// TextLines is likewise for lines that are no JSON.
func TextLines(ctx context.Context, c *Client, path string, query url.Values) ([][]byte, error) {
	return lines(ctx, c, recordsAnswer, path, query)
}

// Compare has the server compare views and audit with the log. It is asked once.
func Compare(ctx context.Context, c *Client) ([][]byte, error) {
	return split(exchange(ctx, c, comparedAnswer, http.MethodPost, Path("audit", "compare"), nil, nil, once))
}

// SupportBundle has the server make one, as a compressed tar. It is asked once: each is a fact.
func SupportBundle(ctx context.Context, c *Client) ([]byte, error) {
	return exchange(ctx, c, bundleAnswer, http.MethodGet, Path("support", "bundle"), nil, nil, once)
}

func lines(ctx context.Context, c *Client, want form, path string, query url.Values) ([][]byte, error) {
	return split(exchange(ctx, c, want, http.MethodGet, path, query, nil, again))
}

func split(text []byte, err error) ([][]byte, error) {
	if err != nil || len(text) == 0 {
		return nil, err
	}
	text, whole := bytes.CutSuffix(text, []byte("\n"))
	if !whole {
		return nil, fmt.Errorf("%w: it breaks off", ErrAnswer)
	}
	return bytes.Split(text, []byte("\n")), nil
}

// How often a call may be made: a command has its Idempotency-Key instead.
const (
	once  = ""
	again = "again"
)

// form is what an answer has to be.
type form struct {
	kind string        // of its content
	most int64         // bytes
	time time.Duration // from the dial to its last byte
}

var (
	jsonAnswer  = form{"application/json", maxAnswer, callTimeout}
	csvAnswer   = form{"text/csv", maxReport, reportTimeout}
	fileAnswer  = form{"application/json", maxReport, reportTimeout}
	linesAnswer = form{"application/x-ndjson", maxReport, reportTimeout}

	recordsAnswer  = form{"text/plain", maxReport, reportTimeout} // that are no JSON
	comparedAnswer = form{"application/x-ndjson", maxReport, compareTimeout}
	bundleAnswer   = form{"application/gzip", maxReport, reportTimeout}
)

// call makes one call whose answer is JSON.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any, repeat string) (Item[T], error) {
	raw, err := exchange(ctx, c, jsonAnswer, method, path, query, body, repeat)
	item := Item[T]{Raw: raw}
	if err != nil || len(raw) == 0 {
		return item, err
	}
	if err := json.Unmarshal(raw, &item.Value); err != nil {
		return Item[T]{}, fmt.Errorf("%w: %w", ErrAnswer, withoutText(err))
	}
	return item, nil
}

// exchange makes one call, and again if that does no harm: a query, or a command with an
// Idempotency-Key. Nil bytes are an answer without a body.
func exchange(ctx context.Context, c *Client, want form, method, path string, query url.Values, body any, repeat string) ([]byte, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("encode the call: %w", err)
		}
		defer clear(sent) // it may hold a password
	}
	header := c.header()
	header.Set("Accept", want.kind)
	if method == http.MethodPost && repeat != once {
		header.Set(api.HeaderIdempotencyKey, repeat)
	}
	if seq := c.newest.Load(); seq > 0 && method == http.MethodGet {
		header.Set(api.HeaderNotOlderThan, strconv.FormatUint(seq, 10))
	}
	late, asked := false, false
	for attempt := 1; ; attempt++ {
		raw, err := c.tell(ctx, want, method, target(path, query), header, sent)
		if err == nil {
			return raw, nil
		}
		var refused *Refused
		if !late && errors.As(err, &refused) && refused.Problem.Code == codeExpired {
			late = true // nothing was done, and the answer said what time it is
			continue
		}
		if !asked {
			proved, failed := c.proved(ctx, err)
			if failed != nil {
				return nil, failed
			}
			if asked = proved; proved {
				continue // nothing was done
			}
		}
		pause, worth := worthAnother(err, attempt)
		if repeat == once || !worth || attempt == attempts {
			return nil, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// tell makes one attempt. Before the first command of a client that signs, the server shows
// by the answer to a query who it is: what another server is told would be done there,
// although its answer is not taken.
func (c *Client) tell(ctx context.Context, want form, method, to string, header http.Header, body []byte) ([]byte, error) {
	if method != http.MethodGet && c.signs() && !c.proven.Load() {
		// Whatever else the answer says, the command will be told, too.
		if _, err := c.attempt(ctx, jsonAnswer, http.MethodGet, target(Path("me"), nil), c.header(), nil); !c.proven.Load() {
			return nil, err
		}
	}
	return c.attempt(ctx, want, method, to, header, body)
}

// attempt sends a call once and reads the whole answer. Nil bytes are an answer without
// a body.
func (c *Client) attempt(ctx context.Context, want form, method, target string, header http.Header, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, want.time, errSlow)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the call: %w", err)
	}
	req.Header = header.Clone()
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	to := signed.Request{Method: method, Target: target, Header: req.Header, Body: body}
	if c.signs() {
		if err := signed.Sign(to, c.key, c.now()); err != nil {
			return nil, fmt.Errorf("sign the call: %w", err)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, want.most+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, err)
	case int64(len(answer)) > want.most && c.signs():
		return nil, &Altered{method != http.MethodGet, ErrAnswer}
	case int64(len(answer)) > want.most:
		return nil, fmt.Errorf("%w: it has more than %d MiB", ErrAnswer, want.most>>20)
	}
	if c.signs() {
		if err := c.believe(to, resp, answer); err != nil {
			return nil, err
		}
	}
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, refused(resp, answer)
	}
	c.reached(resp.Header.Get(api.HeaderSequence))
	if resp.StatusCode == http.StatusNoContent {
		return nil, nil
	}
	if !isA(resp.Header, want.kind) {
		return nil, fmt.Errorf("%w: it is no %s; is this the address of a Secrets Bridge?", ErrAnswer, want.kind)
	}
	return answer, nil
}

func (c *Client) header() http.Header {
	header := http.Header{"Accept": {"application/json"}, "User-Agent": {c.agent}}
	if token := c.token.Expose(); len(token) > 0 {
		header.Set("Authorization", "Bearer "+string(token))
	}
	return header
}

// reached remembers the position of a command's outcome.
func (c *Client) reached(text string) {
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return // queries have none
	}
	for {
		known := c.newest.Load()
		if seq <= known || c.newest.CompareAndSwap(known, seq) {
			return
		}
	}
}

// worthAnother says how long to wait before the next attempt, and whether to make it.
func worthAnother(err error, attempt int) (time.Duration, bool) {
	pause := backoff(attempt, maxPause)
	switch e := err.(type) {
	case *Unreachable:
		return pause, true
	case *Refused:
		// 503 says "not now"; 409 with Retry-After says that the first call of this
		// key, whose answer was lost, is still being answered.
		if (e.Problem.Status == http.StatusServiceUnavailable || e.Problem.Status == http.StatusConflict) &&
			e.RetryAfter > 0 && e.RetryAfter <= maxPause {
			return max(pause, e.RetryAfter), true
		}
	}
	return 0, false
}

// backoff doubles from firstPause up to most; half of it is chance, so that many
// clients do not come back at the same moment.
func backoff(attempt int, most time.Duration) time.Duration {
	pause := min(most, time.Duration(float64(firstPause)*math.Pow(2, float64(min(attempt, 20)-1))))
	return pause/2 + mathrand.N(pause/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func isA(header http.Header, kind string) bool {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && media == kind
}
