package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"secretsbridge/web/api"
	"secretsbridge/web/signed"
)

const (
	// reconnectLimit is the longest pause between two attempts to open a stream again.
	reconnectLimit = 15 * time.Second

	// patience is how long a stream may stay away before following it is given up.
	patience = 10 * time.Minute

	maxEvent = 1 << 20 // bytes of one event
)

var (
	// ErrStop, returned by a visitor, ends following without an error.
	ErrStop = errors.New("stop")

	errSilent = errors.New("the stream fell silent")
	errEnded  = errors.New("the stream ended")
)

// Follower is told what happens to a stream.
type Follower struct {
	// Changed gets the request as it stands, and again after each change. What the stream
	// says only wakes the client: it is asked for. The error that it returns ends
	// following.
	Changed func(Item[api.Request]) error

	// Lost is told why the stream broke, before it is opened again. It may be nil.
	Lost func(error)
}

// Follow follows one request (WHATWG HTML, section 9.2, server-sent events) until the
// follower has had enough, ctx ends, the server refuses, or the stream was away for ten
// minutes. A stream that breaks is opened again, and goes on behind what was seen.
func Follow(ctx context.Context, c *Client, id string, f Follower) error {
	var last string
	broken := time.Time{}
	for attempt := 1; ; attempt++ {
		err := c.stream(ctx, id, &last, func(item Item[api.Request]) error {
			attempt, broken = 0, time.Time{}
			return f.Changed(item)
		})
		switch {
		case errors.Is(err, ErrStop):
			return nil
		case !passing(err):
			return err
		}
		if broken.IsZero() {
			broken = time.Now()
		}
		if time.Since(broken) > patience {
			return err
		}
		if f.Lost != nil {
			f.Lost(err)
		}
		if err := sleep(ctx, backoff(attempt+1, reconnectLimit)); err != nil {
			return err
		}
	}
}

// passing reports whether a stream may be opened again.
func passing(err error) bool {
	var unreachable *Unreachable
	var refused *Refused
	switch {
	case errors.As(err, &unreachable):
		return true
	case errors.As(err, &refused):
		return refused.Problem.Code == codeExpired || refused.Problem.Status >= 500 || refused.Problem.Status == http.StatusTooManyRequests
	}
	return false
}

// stream opens the stream once and reads it to its end, which is always an error.
func (c *Client) stream(ctx context.Context, id string, last *string, changed func(Item[api.Request]) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	to := signed.Request{Method: http.MethodGet, Target: target(Path("requests", id, "stream"), nil)}
	req, err := http.NewRequestWithContext(ctx, to.Method, c.base.String()+to.Target, nil)
	if err != nil {
		return fmt.Errorf("make the call: %w", err)
	}
	req.Header = c.header()
	req.Header.Set("Accept", "text/event-stream")
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	if seq := c.newest.Load(); seq > 0 {
		req.Header.Set(api.HeaderNotOlderThan, strconv.FormatUint(seq, 10))
	}
	if to.Header = req.Header; c.signs() {
		if err := signed.Sign(to, c.key, c.now()); err != nil {
			return fmt.Errorf("sign the call: %w", err)
		}
	}
	silence := time.AfterFunc(c.silence, func() { cancel(errSilent) })
	defer silence.Stop()
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxEvent))
		if err != nil {
			return c.unreachable(ctx, err)
		}
		if c.signs() {
			if err := c.believe(to, resp, body); err != nil {
				return err
			}
		}
		return refused(resp, body)
	}
	if !isJSON(resp.Header, "text/event-stream") {
		return fmt.Errorf("%w: it is no stream", ErrAnswer)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	var e event
	for lines.Scan() {
		silence.Reset(c.silence)
		if !e.take(lines.Bytes()) {
			continue
		}
		if e.kind == "request" && e.data {
			item, err := Get[api.Request](ctx, c, Path("requests", id), nil)
			if err != nil {
				return err
			}
			*last = strconv.FormatUint(item.Value.Seq, 10)
			if err := changed(item); err != nil {
				return err
			}
			silence.Reset(c.silence)
		}
		e = event{}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%w: an event has more than %d MiB", ErrAnswer, maxEvent>>20)
	case err != nil:
		return c.unreachable(ctx, err)
	}
	return c.unreachable(ctx, errEnded)
}

// event is one server-sent event while it is read. Only that it came counts: its id and
// its data are nobody's word.
type event struct {
	kind string
	data bool
}

// take reads one line and reports whether the event is whole. Lines with a colon at the
// start are heartbeats; unknown fields mean nothing.
func (e *event) take(line []byte) (whole bool) {
	if len(line) == 0 {
		return true
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		e.kind = string(value)
	case "data":
		e.data = true
	}
	return false
}
