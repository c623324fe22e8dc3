package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/erase"
)

// ErrUnknownConnection says that the agent's configuration has no such connection, or
// has it with another kind of provider.
var ErrUnknownConnection = errors.New("the agent is not configured for this connection")

// How often connections are looked at, and how long one look may take. A provider that
// could not be opened is tried again after reopenPause, which doubles up to the
// interval; a job does not wait for that.
const (
	checkInterval = time.Minute
	checkTimeout  = 10 * time.Second
	reopenPause   = time.Second
)

// Connection is one provider as the agent's configuration names it.
type Connection struct {
	Kind events.ProviderKind

	// Open makes the provider. It is called when it is first needed, and again after
	// a fault, never twice at a time.
	Open func() (Provider, error)
}

// Connections opens providers when they are needed, so that one which is away at
// start does not stop the others. It is safe for concurrent use.
type Connections struct {
	byName map[events.ConnectionID]*connection
	calls  *calls
	log    *slog.Logger
}

type connection struct {
	name events.ConnectionID
	Connection
	calls *calls

	mu       sync.Mutex // guards what follows; held while the provider is opened
	provider Provider
	pause    time.Duration
	retry    time.Time // not before
	err      error     // of the last try to open, or of the last check
	checked  time.Time // zero before the first
	logged   bool      // whether the log says that it does not work
	closed   bool
}

// NewConnections opens nothing yet.
func NewConnections(configured map[events.ConnectionID]Connection, log *slog.Logger) *Connections {
	c := &Connections{byName: make(map[events.ConnectionID]*connection, len(configured)), calls: newCalls(), log: log}
	for name, conn := range configured {
		c.byName[name] = &connection{name: name, Connection: conn, calls: c.calls}
	}
	return c
}

// Names returns the connections in ascending order.
func (c *Connections) Names() []events.ConnectionID { return slices.Sorted(maps.Keys(c.byName)) }

// Open returns the provider of a connection. Errors: [ErrUnknownConnection], or that of
// its Open, which wraps [ErrUnavailable] unless it says otherwise.
func (c *Connections) Open(name events.ConnectionID, kind events.ProviderKind) (Provider, error) {
	conn, ok := c.byName[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("open connection %q: %w", name, ErrUnknownConnection)
	case conn.Kind != kind:
		return nil, fmt.Errorf("open connection %q: %w: it is of kind %q here and of kind %q at the control plane",
			name, ErrUnknownConnection, conn.Kind, kind)
	}
	return conn.open(time.Now())
}

func (c *connection) open(now time.Time) (Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, fmt.Errorf("open connection %q: %w: the agent is stopping", c.name, ErrUnavailable)
	case c.provider != nil:
		return c.provider, nil
	case now.Before(c.retry):
		return nil, c.err
	}
	provider, err := c.Connection.Open()
	if err == nil {
		c.provider, c.err, c.pause = watched{provider, c.Kind, c.calls}, nil, 0
		return c.provider, nil
	}
	if !errors.Is(err, ErrSignIn) && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err) // an operator may still mend it
	}
	c.pause = min(max(reopenPause, 2*c.pause), checkInterval)
	c.retry, c.err = now.Add(c.pause), fmt.Errorf("open connection %q: %w", c.name, err)
	return nil, c.err
}

// watch checks every connection at once and then again and again, for the status and
// the log; a job never waits for it.
func (c *Connections) watch(ctx context.Context) {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		var checks sync.WaitGroup
		for _, conn := range c.byName {
			checks.Go(func() { conn.check(ctx, c.log) })
		}
		checks.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *connection) check(ctx context.Context, log *slog.Logger) {
	limited, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var err error
	// Libraries keep buffers of theirs, and jobs have values in them later: they are
	// overwritten only if they were made in here.
	erase.Do(func() {
		var provider Provider
		if provider, err = c.open(time.Now()); err == nil {
			err = provider.Check(limited)
		}
	})
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && !c.logged:
		log.Warn("a connection does not work", "connection", c.name, "err", err)
	case err == nil && (c.logged || c.checked.IsZero()):
		log.Info("a connection works", "connection", c.name)
	}
	c.err, c.checked, c.logged = err, time.Now(), err != nil
}

// Close closes every provider that was opened.
func (c *Connections) Close() error {
	var faults []error
	for _, conn := range c.byName {
		conn.mu.Lock()
		conn.closed = true
		if conn.provider != nil {
			faults = append(faults, conn.provider.Close())
			conn.provider = nil
		}
		conn.mu.Unlock()
	}
	return errors.Join(faults...)
}

// ConnectionStatus is how a connection was found at the last look.
type ConnectionStatus struct {
	Name     events.ConnectionID `json:"name"`
	Provider events.ProviderKind `json:"provider"`
	State    string              `json:"state"` // "works", "fails" or "unchecked"
	Checked  time.Time           `json:"checked,omitzero"`
	Error    string              `json:"error,omitempty"` // for operators of this host; holds no value
}

// Status returns all connections in ascending order of their names.
func (c *Connections) Status() []ConnectionStatus {
	all := make([]ConnectionStatus, 0, len(c.byName))
	for _, name := range c.Names() {
		all = append(all, c.byName[name].status())
	}
	return all
}

func (c *connection) status() ConnectionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := ConnectionStatus{Name: c.name, Provider: c.Kind, State: "unchecked", Checked: c.checked}
	switch {
	case c.err != nil:
		s.State, s.Error = "fails", c.err.Error()
	case !c.checked.IsZero():
		s.State = "works"
	}
	return s
}
