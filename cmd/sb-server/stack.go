package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	natsgo "github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"secretsbridge/accounts"
	"secretsbridge/circumstances"
	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/gateway"
	"secretsbridge/gitops"
	"secretsbridge/gitops/argocd"
	"secretsbridge/integrations"
	"secretsbridge/internal/build"
	"secretsbridge/internal/erase"
	"secretsbridge/internal/trace/otlp"
	"secretsbridge/internal/window"
	"secretsbridge/inventory"
	"secretsbridge/ledger"
	"secretsbridge/nats"
	"secretsbridge/notices"
	"secretsbridge/projections"
	"secretsbridge/rights"
	"secretsbridge/store"
	"secretsbridge/worker"
)

// catchUpTimeout bounds the first fold after a start; a million commits take less.
const catchUpTimeout = 5 * time.Minute

// stack is a control plane, assembled.
type stack struct {
	settings settings
	log      *slog.Logger
	keys     keys

	ground   ground
	database *database
	pool     *pgxpool.Pool
	broker   broker
	core     *natsgo.Conn
	streams  *nats.Streams
	store    *nats.Store
	jobs     *nats.Jobs
	marks    *nats.Marks
	windows  *nats.Windows
	presence *nats.Presence
	leases   *nats.Leases
	caches   *nats.Caches

	facts   command.Log // store, with what is counted of it
	figures *figures
	tracer  *otlp.Tracer // nil: nobody traces

	progress      *projections.Progress
	ledger        *ledger.Keeper
	witnesses     *witnesses
	custody       *custody.Custody
	inventory     *inventory.Inventory
	gateway       *gateway.Gateway
	worker        *worker.Worker
	rights        *rights.Register
	circumstances *circumstances.Register
	accounts      *accounts.Accounts

	integrations *integrations.Integrations
	argocd       *argocd.Reader // nil unless rollouts are watched
	comparer     *comparer
	watcher      *gitops.Watcher // likewise
	rows         *store.Rows
	denouncer    *accounts.Denouncer
	people       store.People
	contacts     *notices.Contacts // of people, for notices
	sessions     store.Sessions

	bundles  bundleTurns
	alarm    sync.Once   // says what is wrong with the log
	draining atomic.Bool // nobody new is to come
}

// openStack starts everything that others connect to and proves that the log is what
// it must be. The caller closes it.
func openStack(ctx context.Context, s settings, log *slog.Logger, g ground) (_ *stack, err error) {
	st := &stack{settings: s, log: log, ground: g, figures: newFigures()}
	defer func() {
		if err != nil {
			raise(log, err)
			st.close()
		}
	}()
	if st.tracer, err = otlp.Open(ctx, "sb-server", build.Version(), log); err != nil {
		return nil, err
	}
	if st.database, err = openDatabase(ctx, s, log); err != nil {
		return nil, err
	}
	st.pool = st.database.pool
	if st.keys, err = openKeyring(ctx, s, st.database, log, g.fresh); err != nil {
		return nil, err
	}
	if err = st.openRows(ctx); err != nil {
		return nil, err
	}
	st.people, st.sessions = store.People{Pool: st.pool, Rows: st.rows}, store.Sessions{Pool: st.pool, Rows: st.rows, Rotated: store.RotatedBy(spent{st})}
	st.contacts = &notices.Contacts{People: st.people, Now: time.Now}
	st.progress = projections.NewProgress(st.pool)
	if err = st.openNATS(ctx); err != nil {
		return nil, err
	}
	begun, err := st.keys.signing.settle(ctx, st.store)
	if err != nil {
		return nil, err
	}
	if begun {
		log.Warn("a rotation of the signing key was begun and does not count yet: `sb-server signing rotate` finishes it")
	}
	if err = st.openLedger(ctx); err != nil {
		return nil, err
	}
	st.assemble()
	return st, nil
}

// openBroker connects to the operator's cluster, or starts the embedded hub. What it returns lets
// agents in.
func (st *stack) openBroker(ctx context.Context) (open func(), err error) {
	if st.settings.external() {
		return func() {}, st.openCluster(ctx)
	}
	// Agents may knock before the gateway is there; they try again after a second.
	var registry atomic.Pointer[nats.Registry]
	answer := nats.Registry(st.agentOf)
	config := nats.HubConfig{
		Authority: st.keys.links.authority, Dir: st.settings.path("nats"), Logger: st.log,
		Registry: func(ctx context.Context, account string) (nats.Agent, error) {
			if r := registry.Load(); r != nil {
				return (*r)(ctx, account)
			}
			return nats.Agent{}, nats.ErrUnknownAccount
		},
	}
	if st.ground.leafTLS != nil {
		config.LeafAddr, config.TLS = st.settings.LeafAddr, st.ground.leafTLS
	}
	hub, err := nats.StartHub(config)
	if err != nil {
		return nil, err
	}
	st.broker = hub
	return func() { registry.Store(&answer) }, nil
}

func (st *stack) openNATS(ctx context.Context) error {
	open, err := st.openBroker(ctx)
	if err != nil {
		return err
	}
	if err := st.provision(ctx); err != nil {
		return err
	}
	if st.core, err = st.broker.Connect("sb-server"); err != nil {
		return err
	}
	if st.streams, err = nats.NewStreams(st.core, st.replicas(), st.broker.Durability, st.log); err != nil {
		return err
	}
	if err := st.streams.Prove(ctx); err != nil {
		return err
	}
	writer, err := st.openWriter(ctx)
	if err != nil {
		return err
	}
	if st.store, err = nats.OpenStore(ctx, st.core, writer); err != nil {
		return err
	}
	if st.jobs, err = nats.OpenJobs(st.core, st.keys.links.authority, st.settings.Lease, st.log); err != nil {
		return err
	}
	if st.marks, err = nats.OpenMarks(ctx, st.core); err != nil {
		return err
	}
	if st.presence, err = nats.OpenPresence(ctx, st.core); err != nil {
		return err
	}
	if st.leases, err = nats.OpenLeases(ctx, st.core); err != nil {
		return err
	}
	if st.caches, err = nats.OpenCaches(ctx, st.core); err != nil {
		return err
	}
	// An embedded hub is reached from nowhere else: whoever held a lease is dead. In a cluster
	// another server holds it.
	if !st.settings.external() {
		if err := st.leases.Vacate(ctx); err != nil {
			return err
		}
	}
	if err := st.openWindows(ctx); err != nil {
		return err
	}
	open()
	return nil
}

// windowsLabel is what the key of rate windows is derived for. No connection has such a
// name, so it is no key of fingerprints.
const windowsLabel = "rate windows"

// openWindows derives the key that hides who is counted from the key manager, which all
// servers of an installation share and NATS does not hold.
func (st *stack) openWindows(ctx context.Context) error {
	key, err := st.keys.wrapping.FingerprintKey(ctx, windowsLabel)
	if err != nil {
		return fmt.Errorf("derive the key of rate windows: %w", err)
	}
	st.windows, err = nats.OpenWindows(ctx, nats.WindowsConfig{
		Conn: st.core, Key: key.Expose(), Now: time.Now,
		Rates: window.Rates{Person: st.settings.CallsPerPerson, Address: st.settings.CallsPerAddress},
	})
	return err
}

// replicas is how many servers hold each stream.
func (st *stack) replicas() int {
	if st.settings.external() {
		return st.settings.NATS.Replicas
	}
	return 1
}

// provision creates missing streams with rights that the running system has not.
func (st *stack) provision(ctx context.Context) error {
	nc, err := st.broker.ConnectProvisioner("sb-server provision")
	if err != nil {
		return err
	}
	defer nc.Close()
	streams, err := nats.NewStreams(nc, st.replicas(), st.broker.Durability, st.log)
	if err != nil {
		return err
	}
	if st.keys.writerFrom > 0 { // there was a log
		if err := streams.Require(ctx); err != nil {
			return err
		}
	}
	return streams.Provision(ctx)
}

func (st *stack) assemble() {
	st.facts = countedLog{st.store, st.figures}
	st.custody = custody.New(custody.Config{
		Log: st.facts, Keys: st.keyManager(), Envelopes: store.Envelopes{Pool: st.pool},
		Signer: st.keys.signing.key, Logger: st.log, Now: time.Now, IntakeSeed: st.intakeSeed(),
	})
	credentials := nats.NewCredentials(st.keys.links.authority, st.broker, 0)
	views := views{pool: st.pool, progress: st.progress}
	st.circumstances = circumstances.New(st.facts, st.store)
	st.inventory = inventory.New(inventory.Config{
		Log: st.facts, Feed: st.store, Views: known{views}, Told: st.circumstances, Scans: store.Scans{Pool: st.pool}, Logger: st.log, Now: time.Now,
	})
	st.integrations = &integrations.Integrations{
		Log: st.facts, Store: store.IntegrationSecrets{Pool: st.pool}, Keys: st.keyManager(), Now: time.Now,
	}
	var rollouts gateway.Rollouts
	var loops []worker.Loop
	if st.settings.GitOps {
		st.argocd = argocd.New(argocd.Config{Endpoints: rolloutViews{views}, Tokens: st.integrations, Allow: st.settings.Egress, Log: st.log})
		st.watcher = st.openWatcher()
		rollouts, loops = st.watcher, st.rolloutLoops()
	}
	st.witnesses = st.openWitnesses()
	st.gateway = gateway.New(gateway.Config{
		Ledger: st.witnesses,
		Log:    st.facts, Custody: st.custody, Inventory: st.inventory, Credentials: credentials, Presence: st.presence, Figures: agentFigures{st.figures}, Tracer: st.tracer.Port(),
		Directory: views, Clusters: st.jobs, Rollouts: rollouts, Suites: st.settings.Suites, Logger: st.log, Now: time.Now,
		Signing: gateway.Signing{Key: st.keys.signing.key, Serial: st.keys.signing.doc.Serial, Chain: st.keys.signing.doc.Chain},
		Link:    func() gateway.Link { return gateway.Link{URLs: st.leafURLs(), CA: st.ground.leafCA} },
	})
	st.rights = rights.New(st.facts, st.store, projections.Users{Pool: st.pool})
	st.accounts = st.openAccounts()
	st.comparer = st.openComparer()
	st.worker = worker.New(worker.Config{
		Log: st.facts, Feed: st.store, Views: views, Jobs: queue{st.jobs}, Custody: st.custody, Inventory: st.inventory,
		Sessions: ended{st.sessions}, Presence: st.presence, Links: credentials, Signer: st.keys.signing.key, Logger: st.log, Now: time.Now,
		Tracer: st.tracer.Port(), LookEach: st.settings.LookEach, Leases: st.leases, Positions: store.Loops{Pool: st.pool},
		Loops: slices.Concat(loops, st.openNotices().Loops(), st.ledger.Loops(), st.openSinks(), st.comparer.loops(st.settings.CompareEach), []worker.Loop{
			st.sweepIntegrations(), worker.Expiries(st.facts, st.rights, time.Now),
		}),
	})
}

// agentOf answers the hub: which agent an account belongs to, and whether it may link.
func (st *stack) agentOf(ctx context.Context, account string) (nats.Agent, error) {
	agent, err := st.gateway.Agent(ctx, account)
	if err != nil {
		return nats.Agent{}, err
	}
	return nats.Agent{
		Account: account, Cluster: agent.Cluster, UserKey: agent.Enrolled.UserKey,
		Revoked: agent.State == events.AgentGone,
	}, nil
}

// run works until ctx ends or something makes it unsafe to go on. ready is called when
// the views hold everything, before anybody is let in; it serves until its ctx ends.
func (st *stack) run(ctx context.Context, ready func(context.Context) error) error {
	if !erase.Works {
		st.log.Warn("values stay in memory until it is used again: use a binary that was built with GOEXPERIMENT=runtimesecret, as make build does")
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return st.guarded(st.streams.Watch(ctx, st.store)) })
	group.Go(func() error { return st.guarded(st.ledger.Run(ctx)) })
	group.Go(func() error { return st.guarded(st.witnesses.watch(ctx)) })
	if cluster, ok := st.broker.(*nats.Cluster); ok {
		group.Go(func() error { return cluster.Run(ctx, st.agentOf, st.accountsOfAgents) })
	}
	group.Go(func() error { return st.progress.Run(ctx) })
	group.Go(func() error { return st.guarded(st.fold(ctx)) })
	group.Go(func() error { return st.guarded(st.followInMemory(ctx, "rights", st.rights.Run)) })
	group.Go(func() error { return st.guarded(st.followInMemory(ctx, "circumstances", st.circumstances.Run)) })
	group.Go(func() error { return followContacts(ctx, st.caches, st.contacts) })
	group.Go(func() error { erase.Run(ctx); return nil })
	group.Go(func() error { return st.followLinkKeys(ctx) })
	group.Go(func() error {
		if err := st.catchUp(ctx); err != nil {
			return st.guarded(err)
		}
		if err := st.settleRights(ctx); err != nil {
			return st.guarded(err)
		}
		inner, ctx := errgroup.WithContext(ctx)
		services := nats.NewServices(st.core, build.Version(), st.log)
		inner.Go(func() error { return services.Serve(ctx, st.gateway) })
		inner.Go(func() error { return st.guarded(st.worker.Run(ctx)) })
		inner.Go(func() error { return ready(ctx) })
		return inner.Wait()
	})
	err := group.Wait()
	if errors.Is(err, context.Canceled) && !errors.Is(err, command.ErrLogUnsafe) {
		return nil
	}
	return err
}

// fold keeps the views up to date. What is wrong with the log ends the server; what is
// wrong with Postgres is waited out.
func (st *stack) fold(ctx context.Context) error {
	follower := &projections.Follower{Pool: st.pool, Progress: st.progress, Log: st.log}
	for {
		err := follower.Run(ctx, st.store)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, command.ErrLogUnsafe) {
			return err
		}
		if newer := newerLog(err); newer != nil {
			return newer
		}
		st.log.Warn("views stand still and are tried again", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// catchUp waits until the log is proven to be the one that the views were folded from and that
// was signed, and until they hold all of it, and opens the queues of all known clusters.
func (st *stack) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	if err := st.ledger.Proven(ctx); err != nil {
		return err
	}
	last, err := st.store.Last(ctx)
	if err != nil {
		return err
	}
	if err := st.progress.WaitFor(ctx, last); err != nil {
		return err
	}
	clusters, err := views{pool: st.pool, progress: st.progress}.clusters(ctx)
	if err != nil {
		return err
	}
	for _, c := range clusters {
		if err := st.jobs.EnsureCluster(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// close stops everything, in the order that nobody talks to what is gone.
func (st *stack) close() {
	if st.core != nil {
		st.core.Close()
	}
	if st.broker != nil {
		st.broker.Shutdown()
	}
	if st.database != nil {
		st.database.close()
	}
	closeKMS(st.keys.wrapping)
	if err := st.tracer.Close(); err != nil {
		st.log.Warn("the last spans are lost", "err", err)
	}
}
