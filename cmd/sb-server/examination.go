package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/internal/postgres"
	"secretsbridge/kms"
	"secretsbridge/nats"
	"secretsbridge/store"
)

// examination is one look of the doctor at everything that the environment names. What several checks
// need is opened once, by the first that asks.
type examination struct {
	environ  []string
	settings settings // as far as they could be read
	wrong    error    // what is wrong with them; nil: nothing
	secrets  secrets

	pool *shared[*pgxpool.Pool]
	keys *shared[*openedKeys]
	bus  *shared[*openedNATS]
	self *shared[*selfReport]
}

// openTime bounds opening each of what checks share.
const openTime = 8 * time.Second

func newExamination(environ []string) *examination {
	x := &examination{environ: environ, secrets: secretsOf(environ)}
	x.settings, x.wrong = readSettings()
	if x.wrong == nil {
		x.wrong = x.settings.validateServe()
	}
	x.pool, x.keys, x.bus, x.self = share(x.openPool), share(x.openKeys), share(x.openNATS), share(x.askServer)
	return x
}

func (x *examination) close() {
	if bus, err := x.bus.had(); err == nil && bus != nil {
		bus.close()
	}
	if keys, err := x.keys.had(); err == nil && keys != nil {
		closeKMS(keys.manager)
	}
	if pool, err := x.pool.had(); err == nil && pool != nil {
		pool.Close()
	}
}

// shared is what several checks need and one opens.
type shared[T any] struct {
	open  func(context.Context) (T, error)
	begin sync.Once
	done  chan struct{}

	value T
	err   error
}

func share[T any](open func(context.Context) (T, error)) *shared[T] {
	return &shared[T]{open: open, done: make(chan struct{})}
}

// get opens it at the first call, and waits for that at the others.
func (s *shared[T]) get(ctx context.Context) (T, error) {
	s.begin.Do(func() {
		// Not the first caller's context: others wait for the same.
		go func(ctx context.Context) {
			defer close(s.done)
			ctx, cancel := context.WithTimeout(ctx, openTime)
			defer cancel()
			s.value, s.err = s.open(ctx)
		}(context.WithoutCancel(ctx))
	})
	select {
	case <-s.done:
		return s.value, s.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// had is what get returned, and nothing where nobody asked or it is not there yet.
func (s *shared[T]) had() (T, error) {
	select {
	case <-s.done:
		return s.value, s.err
	default:
		var none T
		return none, nil
	}
}

// Why something was not looked at. [errElsewhere] is told by another check.
var (
	errElsewhere  = errors.New("it cannot be looked at")
	errNotRunning = errors.New("it is run by the server, and none runs here")
)

// quiet is for what is opened to be looked at: what it logs is told as a finding.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// openPool connects as the application's login: to the operator's Postgres, or to the private one
// that a running server started.
func (x *examination) openPool(ctx context.Context) (*pgxpool.Pool, error) {
	dsn := x.settings.DatabaseURL
	if dsn == "" {
		var err error
		if dsn, err = postgres.RunningDSN(x.settings.path("postgres")); err != nil {
			return nil, err
		}
		if dsn == "" {
			return nil, fmt.Errorf("the private Postgres in %s: %w", x.settings.path("postgres"), errNotRunning)
		}
	}
	return postgres.Open(ctx, dsn)
}

// openedKeys are the key manager and the keyring.
type openedKeys struct {
	manager kms.KeyManager
	ring    keyring
}

// openKeys opens the key manager as a server does, and makes nothing.
func (x *examination) openKeys(ctx context.Context) (*openedKeys, error) {
	s := x.settings
	if s.KMS.Backend == kmsLocal {
		if _, err := os.Stat(s.path("keys", "kms.json")); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no key was made yet: %w", errNotRunning)
		}
	}
	manager, err := s.backend(ctx, false, quiet())
	if err != nil {
		return nil, err
	}
	k := &openedKeys{manager: manager, ring: &keyFolder{dir: s.path("keys")}}
	if s.DatabaseURL != "" {
		pool, err := x.pool.get(ctx)
		if err != nil {
			k.ring = nil // what is in it cannot be looked at; the key manager can
			return k, nil
		}
		k.ring = store.Keyring{Pool: pool, Keys: manager, Now: time.Now}
	}
	return k, nil
}

// openedNATS is the operator's NATS.
type openedNATS struct {
	nodes        []nats.NodeSeen
	system, core *natsgo.Conn // nil: no node was reached
}

func (o *openedNATS) close() {
	for _, nc := range []*natsgo.Conn{o.system, o.core} {
		if nc != nil {
			nc.Close()
		}
	}
}

// openNATS connects to each node.
func (x *examination) openNATS(ctx context.Context) (*openedNATS, error) {
	keys, err := x.keys.get(ctx)
	if err != nil || keys.ring == nil {
		return nil, fmt.Errorf("the keys that NATS trusts are not reached: %w, see kms.reach and postgres.reach", errElsewhere)
	}
	authority, err := openAuthority(ctx, keys.ring)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoAuthority
	}
	if err != nil {
		return nil, fmt.Errorf("the keys that NATS trusts do not open: %w, see keys.ring", errElsewhere)
	}
	config, err := x.settings.clusterConfig(authority)
	if err != nil {
		return nil, err
	}
	config.Logger = quiet()
	o := &openedNATS{}
	o.nodes, o.system, o.core = nats.ExamineNodes(config)
	return o, nil
}
