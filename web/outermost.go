package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/signed"
)

type callKey struct{}

// callID is the id that this server gave to a call.
func callID(ctx context.Context) string {
	id, _ := ctx.Value(callKey{}).(string)
	return id
}

// outermost gives every call an id, sets the headers that hold for all answers, has those
// to signed calls signed, and turns a panic into a problem without detail.
func (a *API) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, began := string(events.NewCorrelationID()), time.Now()
		seen := &watched{ResponseWriter: w}
		w, r = seen, r.WithContext(context.WithValue(context.WithValue(r.Context(), callKey{}, id), watchedKey{}, seen))
		defer func() { a.leave(r, seen, id, began) }()
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Strict-Transport-Security", "max-age=31536000")
		aborted := false
		if signed.Signed(r.Header) {
			s := &signing{ResponseWriter: w, api: a, to: targetOf(r)}
			w, r = s, r.WithContext(context.WithValue(r.Context(), signingKey{}, s))
			defer func() {
				if !aborted {
					s.finish()
				}
			}()
		}
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				aborted = true
				panic(p)
			default:
				// Not the panic's own text: it may hold what a caller sent.
				a.Logger.Error("a handler panicked", "call", id, "stack", string(debug.Stack()))
				seen.code = errInternal.Code
				writeProblem(w, id, errInternal)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// passing are the classes of Postgres' errors that a restart or a failover brings, and
// that pass: connection, resources, operator (PostgreSQL documentation, appendix A).
var passing = []string{"08", "53", "57"}

// unreachable reports whether Postgres or NATS could not be reached: a matter of time,
// not a defect.
func unreachable(err error) bool {
	var network *net.OpError
	var sql interface{ SQLState() string } // of Postgres: whose errors they are is the store's affair
	if errors.As(err, &sql) {
		return slices.Contains(passing, sql.SQLState()[:min(2, len(sql.SQLState()))])
	}
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ENOENT)
}
