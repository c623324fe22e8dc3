package web

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// Watch is told how each call went. It counts, and changes nothing.
type Watch interface{ Answered(a Answered) }

// Answered is how one call went.
type Answered struct {
	Route  string // template of its path; [RouteSite] or [RouteNone] where it is none of the table
	Method string // one that a route has, or "other"
	Status int
	Code   string        // of the problem that was answered, as the caller saw it; empty if there was none
	Took   time.Duration // of a live stream or a long answer: as long as its caller listened
	Long   bool          // it is a live stream or a long answer
}

// What is called and is no route of the API.
const (
	RouteSite = "site" // the web application
	RouteNone = "none" // nothing is there
)

// watched is what is seen of a call on its way. One goroutine has it.
type watched struct {
	http.ResponseWriter
	status int
	route  string
	long   bool
	code   string
	span   trace.Span
}

type watchedKey struct{}

// watchedOf is what is seen of the call of a context.
func watchedOf(ctx context.Context) *watched {
	if w, ok := ctx.Value(watchedKey{}).(*watched); ok {
		return w
	}
	return &watched{} // nobody looks at it
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// enter notes the route of a call, on whose behalf commands are from here on, and begins its span.
// A caller's own traceparent is linked to and never continued: ids of traces are what whoever
// calls likes, and so would be what is recorded (decision 0144). A live stream has no span, as it
// would last for hours.
func (a *API) enter(r *http.Request, route Route) *http.Request {
	seen := watchedOf(r.Context())
	name := route.Method + " " + Prefix + route.Path
	seen.route, seen.long = Prefix+route.Path, route.live() || long(r)
	ctx := command.By(r.Context(), name)
	if a.Tracer == nil || route.live() {
		return r.WithContext(ctx)
	}
	ctx, seen.span = trace.Begin(ctx, a.Tracer, trace.Start{
		Name: name, Kind: trace.Server, Link: linked(r), Attrs: []trace.Attr{
			trace.Of(trace.Route, seen.route), trace.Of(trace.Method, route.Method),
		},
	})
	return r.WithContext(ctx)
}

// linked is the span that a caller says that it is within, if that is one that is recorded.
func linked(r *http.Request) events.Traceparent {
	said := r.Header.Values("Traceparent")
	if len(said) != 1 {
		return ""
	}
	if t := events.Traceparent(said[0]); t.Valid() && t.Sampled() {
		return t
	}
	return ""
}

// leave tells how a call went.
func (a *API) leave(r *http.Request, w *watched, id string, began time.Time) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	answered := Answered{Route: w.route, Method: r.Method, Status: w.status, Code: w.code, Took: time.Since(began), Long: w.long}
	if !slices.ContainsFunc(Routes, func(route Route) bool { return route.Method == r.Method }) {
		answered.Method = "other"
	}
	if w.route == "" {
		answered.Route = RouteSite
		if w.status >= 400 {
			answered.Route = RouteNone
		}
	}
	traced := ""
	if w.span != nil {
		traced = w.span.Traceparent().TraceID()
		w.span.Set(trace.Of(trace.Status, strconv.Itoa(w.status)))
		code := w.code
		if w.status < 500 { // a refusal is an answer (OpenTelemetry, HTTP spans: 4xx of a server is no error)
			code = ""
		}
		w.span.End(code)
	}
	if a.Watch != nil {
		a.Watch.Answered(answered)
	}
	if !a.Logger.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	log := a.Logger.With("call", id, "route", answered.Route, "method", answered.Method, "status", answered.Status, "took_ms", answered.Took.Milliseconds())
	if w.code != "" {
		log = log.With("code", w.code)
	}
	if traced != "" {
		log = log.With("trace", traced)
	}
	log.Debug("a call is answered")
}
