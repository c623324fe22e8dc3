package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"secretsbridge/events"
)

// opsTimeout bounds one look at whether the server can work.
const opsTimeout = 2 * time.Second

// errDraining says that the server was told to stop.
var errDraining = errors.New("this server stops")

// serveOps answers the operator's probes on a port of their own: /healthz says that the
// process lives, /readyz that it can do its work now, and /metrics what it does.
func (st *stack) serveOps(ctx context.Context) error {
	listener, err := net.Listen("tcp", st.settings.OpsAddr)
	if err != nil {
		return fmt.Errorf("%w: set SB_OPS_ADDR to a free address", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), opsTimeout)
		defer cancel()
		if err := st.ready(ctx); err != nil {
			st.log.Warn("not ready", "err", err)
			http.Error(w, "not ready: the log of this server says why", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", st.measures().handler())
	st.log.Info("/healthz, /readyz and /metrics are served", "addr", listener.Addr().String())
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: opsTimeout, WriteTimeout: 3 * opsTimeout}
	return serve(ctx, srv, func(srv *http.Server) error { return srv.Serve(listener) })
}

// ready reports what keeps this server from working: Postgres, the log, its settings or
// its store, or views and registers that do not follow.
func (st *stack) ready(ctx context.Context) error {
	if st.draining.Load() {
		return errDraining
	}
	if err := st.pool.Ping(ctx); err != nil {
		return err
	}
	if err := st.streams.Prove(ctx); err != nil {
		return err
	}
	last, err := st.store.Last(ctx)
	if err != nil {
		return err
	}
	for _, wait := range []func(context.Context, events.Seq) error{st.progress.WaitFor, st.rights.WaitFor, st.circumstances.WaitFor} {
		if err := wait(ctx, last); err != nil {
			return err
		}
	}
	return nil
}
