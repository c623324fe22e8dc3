package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"secretsbridge/backup"
	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/socket"
	"secretsbridge/kms"
	"secretsbridge/store"
)

// operator is who acts on the server's own host: through the control socket, or with a
// command on its data directory. Whoever may open these may act.
var operator = events.SystemActor("operator")

// recordTimeout bounds recording how a rewrap ended after it was stopped.
const recordTimeout = 5 * time.Second

// control answers `sb-server kms` and `sb-server person` while the server runs.
type control struct {
	settings kmsSettings
	keys     kms.KeyManager
	rows     store.Envelopes
	log      command.Log
	logger   *slog.Logger
	ring     keyring // has the probe, which moves with everything else

	invite     func(context.Context, guest) (guestLink, error)
	endFactors func(context.Context, string) (endedFactors, error)

	examine func(context.Context) selfReport
	support func(context.Context) ([]byte, error)

	backUp func(context.Context, io.Writer, backup.Recipients) (backup.Manifest, error)

	rewrapping sync.Mutex // held by the one rewrap that runs
	backingUp  sync.Mutex // likewise of backups
	bundling   sync.Mutex // likewise of support bundles
}

func (st *stack) control() *control {
	return &control{
		settings: st.settings.KMS, keys: st.keys.wrapping, rows: store.Envelopes{Pool: st.pool}, log: st.store,
		logger: st.log, ring: st.keys.ring, invite: st.invite, endFactors: st.endFactorsOf, backUp: st.backUp, examine: st.examineSelf, support: st.supportBundle,
	}
}

func controlPath(s settings) string { return s.path("control", "sb.sock") }

// serve serves until ctx ends. The folder is the user's own, so that nobody comes
// in between making the socket and closing it to others; the caller holds the lock of
// the data directory, so that a socket which is there was left behind.
func (c *control) serve(ctx context.Context, path string) error {
	listener, err := listenControl(path)
	if err != nil {
		return fmt.Errorf("open the control socket: %w", err)
	}
	defer os.Remove(path)
	return c.serveOn(ctx, listener)
}

// serveOn answers until ctx ends, and closes the listener.
func (c *control) serveOn(ctx context.Context, listener net.Listener) error {
	srv := &http.Server{
		Handler: c.routes(), ReadHeaderTimeout: opsTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx }, // a rewrap ends with the server
	}
	return serve(ctx, srv, func(srv *http.Server) error { return srv.Serve(listener) })
}

func listenControl(path string) (*net.UnixListener, error) {
	dir := filepath.Dir(path)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o700)); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var listener *net.UnixListener
	err := socket.At(path, func(short string) (err error) {
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // by the short name, which has ended
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /kms", c.status)
	mux.HandleFunc("POST /kms/rotate", c.rotate)
	mux.HandleFunc("POST /kms/rewrap", c.rewrap)
	mux.HandleFunc("POST /people/invite", c.invitePerson)
	mux.HandleFunc("POST /people/end-factors", c.endPersonFactors)
	mux.HandleFunc("POST /backup", c.backup)
	mux.HandleFunc("GET /support/bundle", c.supportBundle)
	mux.HandleFunc("GET /doctor", func(w http.ResponseWriter, r *http.Request) {
		report := c.examine(r.Context())
		say(w, http.StatusOK, controlAnswer{Self: &report})
	})
	return mux
}

// kmsStatus is how the key manager stands.
type kmsStatus struct {
	Backend   string         `json:"backend"`
	Primary   string         `json:"primary"`
	Envelopes map[string]int `json:"envelopes"` // stored now, by the key that wraps their data keys
}

func (c *control) status(w http.ResponseWriter, r *http.Request) {
	primary, err := c.keys.PrimaryKeyID(r.Context())
	if err != nil {
		say(w, http.StatusBadGateway, controlAnswer{Error: err.Error()})
		return
	}
	counts, err := c.rows.CountByKey(r.Context())
	if err != nil {
		say(w, http.StatusInternalServerError, controlAnswer{Error: err.Error()})
		return
	}
	say(w, http.StatusOK, controlAnswer{Status: &kmsStatus{Backend: c.settings.Backend, Primary: primary, Envelopes: counts}})
}

func (c *control) rotate(w http.ResponseWriter, r *http.Request) {
	local, ok := c.keys.(interface {
		Rotate(context.Context) (string, error)
	})
	if !ok {
		say(w, http.StatusConflict, controlAnswer{Error: c.settings.howToRotate()})
		return
	}
	id, err := local.Rotate(r.Context())
	if err != nil {
		say(w, http.StatusInternalServerError, controlAnswer{Error: err.Error()})
		return
	}
	c.logger.Info("wrapping key rotated", "key", id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), recordTimeout)
	defer cancel()
	if err := c.record(ctx, events.KMSKeyRotated{KMSKey: id}); err != nil {
		say(w, http.StatusServiceUnavailable, controlAnswer{Error: id + " wraps from now on, and that is not in the audit: " + err.Error()})
		return
	}
	say(w, http.StatusOK, controlAnswer{Rotated: id})
}

// controlAnswer is one line of an answer; one of its fields is set. A rewrap has a line
// for each step, and its last one is Done or Error.
type controlAnswer struct {
	Status   *kmsStatus         `json:"status,omitempty"`
	Rotated  string             `json:"rotated,omitempty"`
	Progress *custody.Rewrapped `json:"progress,omitempty"`
	Done     *custody.Rewrapped `json:"done,omitempty"`
	Error    string             `json:"error,omitempty"`
	Link     *guestLink         `json:"link,omitempty"`
	Factors  *endedFactors      `json:"factors,omitempty"`
	Self     *selfReport        `json:"self,omitempty"`
}

func say(w http.ResponseWriter, status int, a controlAnswer) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // whoever asked may have gone
}

// rewrap runs for as long as the caller listens: one that goes away stops it, and so
// does the end of the server. What was moved stays moved.
func (c *control) rewrap(w http.ResponseWriter, r *http.Request) {
	if !c.rewrapping.TryLock() {
		say(w, http.StatusConflict, controlAnswer{Error: "a rewrap is running already: wait for it, or stop it where it was started"})
		return
	}
	defer c.rewrapping.Unlock()
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	begun := false
	done, err := custody.Rewrap(r.Context(), c.keys, c.rows, func(p custody.Rewrapped) error {
		if !begun {
			if err := c.record(r.Context(), events.RewrapStarted{KMSKey: p.Key, Total: p.Total}); err != nil {
				return err
			}
			begun = true
		}
		if err := lines.Encode(controlAnswer{Progress: &p}); err != nil {
			return err
		}
		return flush.Flush()
	})
	if err == nil && done.Failed == 0 {
		err = writeProbe(r.Context(), c.keys, c.ring)
	}
	if begun {
		err = errors.Join(err, c.finish(r.Context(), done, err))
	}
	if err != nil {
		c.logger.Warn("rewrap stopped", "key", done.Key, "moved", done.Moved, "total", done.Total, "err", err)
		_ = lines.Encode(controlAnswer{Error: err.Error()})
		return
	}
	c.logger.Info("rewrap finished", "key", done.Key, "moved", done.Moved, "skipped", done.Skipped, "failed", done.Failed)
	_ = lines.Encode(controlAnswer{Done: &done})
}

// finish records how a rewrap ended, also when its caller has gone.
func (c *control) finish(ctx context.Context, done custody.Rewrapped, stopped error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	outcome := events.RewrapComplete
	if stopped != nil {
		outcome = events.RewrapStopped
	}
	return c.record(ctx, events.RewrapFinished{
		KMSKey: done.Key, Outcome: outcome, Moved: done.Moved, Skipped: done.Skipped, Failed: done.Failed,
	})
}

func (c *control) record(ctx context.Context, fact events.Fact) error {
	meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: time.Now()}
	_, err := command.Record(ctx, c.log, events.SettingKMS(), meta, fact)
	return err
}
