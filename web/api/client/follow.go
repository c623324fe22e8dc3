package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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
type Follower[T any] struct {
	// Changed gets the object as it stands, and again after changes; several in a moment
	// may be told as one. What the stream says only wakes the client: it is asked for.
	// The error that it returns ends following.
	Changed func(Item[T]) error

	// Lost is told why the stream broke, before it is opened again. It may be nil.
	Lost func(error)
}

// stream is what is followed: one object, and how the API tells of it.
type stream[T any] struct {
	path []string // of the object; its stream is below it
	kind string   // of the events that say that it changed
	seq  func(T) uint64
	rest time.Duration // between two questions about it
}

// progressRest is how long a job is left alone after it was asked for: one that goes
// through pages changes more often than anybody can read.
const progressRest = 250 * time.Millisecond

// Follow follows one request (WHATWG HTML, section 9.2, server-sent events) until the
// follower has had enough, ctx ends, the server refuses, or the stream was away for ten
// minutes. A stream that breaks is opened again, and goes on behind what was seen.
func Follow(ctx context.Context, c *Client, id string, f Follower[api.Request]) error {
	return follow(ctx, c, stream[api.Request]{
		path: []string{"requests", id}, kind: "request", seq: func(r api.Request) uint64 { return r.Seq },
	}, f)
}

// FollowJob follows one job likewise. Its progress changes it, too.
func FollowJob(ctx context.Context, c *Client, id string, f Follower[api.Job]) error {
	return follow(ctx, c, stream[api.Job]{
		path: []string{"jobs", id}, kind: "job", seq: func(j api.Job) uint64 { return j.Seq }, rest: progressRest,
	}, f)
}

func follow[T any](ctx context.Context, c *Client, s stream[T], f Follower[T]) error {
	var last string
	broken := time.Time{}
	for attempt := 1; ; attempt++ {
		err := s.read(ctx, c, &last, func(item Item[T]) error {
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

// read opens the stream once and reads it to its end, which is always an error.
func (s stream[T]) read(ctx context.Context, c *Client, last *string, changed func(Item[T]) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.silence, func() { cancel(errSilent) })
	defer silence.Stop()
	body, err := c.open(ctx, target(Path(append(slices.Clone(s.path), "stream")...), nil), *last)
	if err != nil {
		return err
	}
	woken, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { // ends with the body
		ended <- c.events(ctx, body, s.kind, func() { silence.Reset(c.silence) }, woken)
	}()
	defer func() {
		cancel(nil)
		_ = body.Close() // it was read from only
	}()
	for {
		select {
		case <-woken:
		case err := <-ended:
			select {
			case <-woken: // the last words of a stream that ended
				if told := s.tell(ctx, c, last, changed); told != nil {
					return told
				}
			default:
			}
			return err
		}
		if err := s.tell(ctx, c, last, changed); err != nil {
			return err
		}
		if err := sleep(ctx, s.rest); err != nil {
			return c.unreachable(ctx, err)
		}
	}
}

// tell asks for the object and passes it on.
func (s stream[T]) tell(ctx context.Context, c *Client, last *string, changed func(Item[T]) error) error {
	item, err := Get[T](ctx, c, Path(s.path...), nil)
	if err != nil {
		return err
	}
	*last = strconv.FormatUint(s.seq(item.Value), 10)
	return changed(item)
}

// open asks for a stream that goes on behind last.
func (c *Client) open(ctx context.Context, what, last string) (io.ReadCloser, error) {
	to := signed.Request{Method: http.MethodGet, Target: what}
	req, err := http.NewRequestWithContext(ctx, to.Method, c.base.String()+to.Target, nil)
	if err != nil {
		return nil, fmt.Errorf("make the call: %w", err)
	}
	req.Header = c.header()
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	if seq := c.newest.Load(); seq > 0 {
		req.Header.Set(api.HeaderNotOlderThan, strconv.FormatUint(seq, 10))
	}
	if to.Header = req.Header; c.signs() {
		if err := signed.Sign(to, c.key, c.now()); err != nil {
			return nil, fmt.Errorf("sign the call: %w", err)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode == http.StatusOK && isA(resp.Header, "text/event-stream") {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil, fmt.Errorf("%w: it is no stream", ErrAnswer)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxEvent))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if c.signs() {
		if err := c.believe(to, resp, body); err != nil {
			return nil, err
		}
	}
	return nil, refused(resp, body)
}

// events reads a stream to its end, which is always an error, and wakes whoever follows
// it for each event of a kind. Every line shows that the stream is alive.
func (c *Client) events(ctx context.Context, body io.Reader, kind string, alive func(), woken chan<- struct{}) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	var e event
	for lines.Scan() {
		alive()
		if !e.take(lines.Bytes()) {
			continue
		}
		if e.kind == kind && e.data {
			select {
			case woken <- struct{}{}:
			default: // it will ask anyway
			}
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
