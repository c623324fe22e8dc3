package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/window"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

const (
	// viewPatience is how long a query waits for the views.
	viewPatience = 2 * time.Second

	// callPatience bounds a call that is no stream and no export, so that a part that hangs becomes
	// an answer before the caller gives up.
	callPatience = 8 * time.Second
)

// call is one call on its way through: who, what, and from where.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	route   Route
	id      string // of this call, in the server's log and in problems
	actor   events.Actor
	person  store.Person       // zero on public routes
	session events.SessionID   // likewise, and of a machine
	found   store.Session      // likewise, with the key that signs its calls, if it has one
	token   store.MachineToken // of a machine, which has no session
	powers  *policy.Powers     // likewise: what the caller may do
	taken   bool               // the body was read
	body    []byte
	command events.CommandID
	bearer  secret.Value // of the session; empty on public routes, and of a machine
	cookie  bool         // the token came in a cookie: a browser sends it, whoever wants it to
	now     time.Time
}

// reply is what a handler answers: a JSON body, or raw bytes of another type, or
// nothing because it has written everything itself.
type reply struct {
	status      int
	body        any
	raw         []byte
	contentType string
	seq         events.Seq // of a command's outcome
	etag        string
	written     bool
	location    string // of a redirect
}

func (c *call) ctx() context.Context { return c.r.Context() }

func (c *call) param(name string) string { return mux.Vars(c.r)[name] }

// meta is the command's circumstance. Whoever acts is the owner of the session or the token.
func (c *call) meta() command.Meta {
	return command.Meta{Command: c.command, Actor: c.actor, Time: c.now}
}

// guard is what stands before every handler, in this order: the limit of the address,
// session and its signature, the limit of the person, permission, body, a fresh second factor
// where the governance wants one, idempotency.
func (a *API) guard(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = a.enter(r, route)
		if !route.live() && !long(r) {
			ctx, cancel := context.WithTimeout(r.Context(), callPatience)
			defer cancel()
			r = r.WithContext(ctx)
		}
		c := &call{w: w, r: r, route: route, id: callID(r.Context()), actor: events.Anonymous}
		err := a.admit(c, route)
		c.now = a.Now() // not before: a caller may take long to send a body
		var answer reply
		if err == nil {
			err = a.stepUpFor(c, route)
		}
		if err == nil {
			answer, err = a.once(c, route)
		}
		if err != nil {
			a.fail(c, route, err)
			return
		}
		a.write(c, answer)
	})
}

// admit checks everything that does not depend on the handler.
func (a *API) admit(c *call, route Route) error {
	if err := a.limit(c, window.CallsOfAddress, a.network(c.r), route.cost()); err != nil {
		return err
	}
	if route.Permission != public {
		if err := a.authenticate(c); err != nil {
			return err
		}
		if c.cookie {
			if err := c.byWhom(); err != nil {
				return err
			}
		}
		if c.cookie && route.Method != http.MethodGet {
			if err := c.askedByPage(); err != nil {
				return err
			}
		}
		if c.found.Key != (seal.VerifyKey{}) {
			if err := c.read(route); err != nil {
				if route.Method != http.MethodPost {
					return errSignature // no query has a body
				}
				return err
			}
			if err := a.verify(c, c.found.Key); err != nil {
				return err
			}
		}
		// Only now: who has the token and not the key uses nothing up, and does not keep a
		// session open.
		if err := a.limit(c, window.CallsOfPerson, string(c.actor), route.cost()); err != nil {
			return err
		}
		if !route.idle() {
			if err := a.touch(c); err != nil {
				return err
			}
		}
		if err := a.weigh(c); err != nil {
			return err
		}
	}
	if route.Method == http.MethodPost && !c.taken {
		if err := c.read(route); err != nil {
			return err
		}
		if route.Permission != public { // a body may be long on its way, and the caller be out by now
			if err := a.authenticateAgain(c); err != nil {
				return err
			}
			return a.fresh(c)
		}
	}
	if route.Method == http.MethodGet && route.Permission != public {
		return a.freshEnough(c)
	}
	return nil
}

// touch says that the session or the token of the caller is used.
func (a *API) touch(c *call) error {
	if c.session == "" {
		return a.MachineTokens.Touch(c.ctx(), c.token)
	}
	return a.Sessions.Touch(c.ctx(), c.found)
}

// authenticate finds the session of the bearer token, or of a browser's cookie where there is no
// such header, or the machine that it is of.
func (a *API) authenticate(c *call) error {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if len(c.r.Header.Values("Authorization")) == 0 {
		scheme, token, c.cookie = "Bearer", cookieOf(c.r, sessionCookie), true
	}
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return errNotSignedIn
	}
	if store.IsToken(token) && !c.cookie { // a machine has no browser
		return a.authenticateMachine(c, token)
	}
	c.bearer = secret.New([]byte(token))
	return c.isOf(a.lookUp(c, c.bearer))
}

// authenticateAgain is authenticate for a call that came in before. Its session may have another
// token by now.
func (a *API) authenticateAgain(c *call) error {
	if c.session == "" {
		return a.authenticate(c)
	}
	return c.isOf(a.Sessions.ByID(c.ctx(), c.session))
}

// isOf takes the session that was looked up.
func (c *call) isOf(found store.Session, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errSessionExpired
	}
	if err != nil {
		return err
	}
	c.found, c.person, c.session, c.actor = found, found.Person, found.ID, events.UserActor(found.Person.ID)
	return nil
}

// once does the call, unless an idempotency key says that it was done before.
func (a *API) once(c *call, route Route) (reply, error) {
	if route.Twice == none {
		c.command = events.NewCommandID()
		return route.handle(a, c)
	}
	key := c.r.Header.Get(api.HeaderIdempotencyKey)
	if err := checkKey(key); err != nil {
		return reply{}, err
	}
	where := c.r.Method + " " + c.r.URL.EscapedPath()
	// The body is part of it: where a mark is lost, another body must not be answered
	// with what became of the first.
	c.command = events.DeriveCommandID(string(c.actor), where, key, string(c.body))
	if route.Twice == single {
		return route.handle(a, c)
	}
	mark, before, err := a.Marks.Begin(c.ctx(), c.actor, key, sha256.Sum256([]byte(where+"\x00"+string(c.body))))
	switch {
	case errors.Is(err, ErrKeyReused):
		return reply{}, errKeyReused
	case errors.Is(err, ErrInFlight):
		return reply{}, errInFlight
	case err != nil:
		a.Logger.ErrorContext(c.ctx(), "idempotency mark cannot be set", "call", c.id, "err", err)
		return reply{}, errUnavailable // nothing was done yet
	case before != nil && before.Status == 0:
		return reply{}, errNotReplayable
	case before != nil:
		c.w.Header().Set(api.HeaderReplayed, "true")
		var done api.Done // every answer of a command has its sequence
		if err := json.Unmarshal(before.Body, &done); err != nil {
			return reply{}, err
		}
		return reply{status: before.Status, raw: before.Body, contentType: "application/json", seq: events.Seq(done.Seq)}, nil
	}
	answer, err := route.handle(a, c)
	// The outcome is in the log. Whether the mark can be kept changes nothing but the
	// speed of the next try, which finds its own command there.
	settle := context.WithoutCancel(c.ctx())
	switch {
	case errors.Is(err, command.ErrOutcomeUnknown):
		return reply{}, err // it may be done: until the mark ends, the key is for this call only
	case err != nil:
		return reply{}, errors.Join(err, a.quietly(mark.Abandon(settle)))
	}
	kept := Answer{Status: answer.status}
	if kept.Body, err = json.Marshal(answer.body); err != nil {
		return reply{}, err
	}
	if route.Twice == shown {
		kept = Answer{}
	}
	return answer, a.quietly(mark.Finish(settle, kept))
}

// quietly logs a fault that must not spoil an answer.
func (a *API) quietly(err error) error {
	if err != nil {
		a.Logger.Warn("idempotency mark was not kept", "err", err)
	}
	return nil
}

func checkKey(key string) error {
	if key == "" {
		return errKeyMissing
	}
	if len(key) > 128 {
		return errKeyInvalid
	}
	for _, b := range []byte(key) {
		if b < '!' || b > '~' {
			return errKeyInvalid
		}
	}
	return nil
}

// freshEnough waits until the views hold what this process last answered, and what the
// caller asks for.
func (a *API) freshEnough(c *call) error {
	at, err := a.asOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx(), viewPatience)
	defer cancel()
	err = a.Views.WaitFor(ctx, at)
	if errors.Is(err, projections.ErrBehind) && c.ctx().Err() == nil {
		return errViewBehind
	}
	return err
}

// asOf is the commit that a query must know.
func (a *API) asOf(c *call) (events.Seq, error) {
	at := events.Seq(a.newest.Load())
	if text := c.r.Header.Get(api.HeaderNotOlderThan); text != "" {
		asked, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, errParameter.because(api.HeaderNotOlderThan + " is no sequence")
		}
		at = max(at, events.Seq(asked))
	}
	return at, nil
}

func (a *API) write(c *call, answer reply) {
	if answer.written {
		return
	}
	header := c.w.Header()
	if answer.seq > 0 {
		a.saw(answer.seq)
		header.Set(api.HeaderSequence, strconv.FormatUint(uint64(answer.seq), 10))
	}
	if answer.location != "" {
		header.Set("Location", answer.location)
	}
	if answer.etag != "" {
		header.Set("ETag", answer.etag)
	}
	raw, contentType := answer.raw, answer.contentType
	if answer.body != nil {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(answer.body); err != nil {
			a.fail(c, Route{}, err)
			return
		}
		raw, contentType = buf.Bytes(), "application/json"
		defer clear(raw) // it may hold a value
	}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	c.w.WriteHeader(answer.status)
	_, _ = c.w.Write(raw) // a caller who has gone is nobody's fault
}
