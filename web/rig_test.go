package web_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/accounts"
	"secretsbridge/circumstances"
	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/gateway"
	"secretsbridge/identity/factors/factorstest"
	"secretsbridge/integrations"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/window"
	"secretsbridge/internal/window/windowtest"
	"secretsbridge/inventory"
	"secretsbridge/inventory/inventorytest"
	"secretsbridge/kms"
	"secretsbridge/kms/local"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/rights"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/web"
	"secretsbridge/web/contract"
)

var cluster = postgrestest.Cluster{Prepare: func(ctx context.Context, owner *pgx.Conn) error {
	return errors.Join(store.Migrate(ctx, owner), projections.Migrate(ctx, owner), inhabit(ctx, owner))
}}

// The people of every rig, who are signed in since noon.
var developer, other, approver, second, admin person

// rowKey is what all rows of tests have their MACs under.
var rowKey = make([]byte, 32)

// vouching are the MACs of rows of people that are made before any rig.
var vouching = rowsTelling(func(_ context.Context, d store.Denounced) { panic(d) })

func rowsTelling(told func(context.Context, store.Denounced)) *store.Rows {
	rows, err := store.NewRows(rowKey, told)
	if err != nil {
		panic(err)
	}
	return rows
}

// inhabit makes them, once for all databases: a password costs time.
func inhabit(ctx context.Context, owner *pgx.Conn) error {
	pool, err := pgxpool.New(ctx, owner.Config().ConnString())
	if err != nil {
		return err
	}
	defer pool.Close()
	noon := func() time.Time { return commandtest.Noon }
	for who, role := range map[*person]string{
		&developer: policy.RoleDeveloper, &other: policy.RoleDeveloper,
		&approver: policy.RoleApprover, &second: policy.RoleApprover, &admin: policy.RoleAdmin,
	} {
		if *who, err = join(ctx, store.People{Pool: pool, Rows: vouching, Now: noon}, store.Sessions{Pool: pool, Rows: vouching, Now: noon}, string(role)); err != nil {
			return err
		}
	}
	return nil
}

// join makes somebody and signs them in. Their roles are facts of a rig's log.
func join(ctx context.Context, people store.People, sessions store.Sessions, roles ...string) (person, error) {
	name := string(events.NewUserID())[2:10]
	made, err := people.Create(ctx, store.Person{Email: name + "@example.org", Name: "Name " + name}, secret.New([]byte(password)))
	if err != nil {
		return person{}, err
	}
	_, token, err := sessions.Open(ctx, made.ID, seal.VerifyKey{})
	return person{made, string(token.Expose()), roles}, err
}

func TestMain(m *testing.M) {
	// Tests wait for disks and clocks more than they compute.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(cluster.Main(m))
}

var text = sync.OnceValues(func() (*contract.Contract, error) { return contract.Load(web.Contract) })

const password = "correct horse battery"

// Ends of what is submitted in a rig.
const (
	pendingTTL  = time.Hour
	approvalTTL = 30 * time.Minute
	revealTTL   = 5 * time.Minute
)

// rig is a control plane behind HTTPS, with a log in memory and without NATS. All else
// is real.
type rig struct {
	t      testing.TB
	url    string
	client *http.Client
	api    *web.API

	log       *commandtest.Memory
	fault     atomic.Pointer[func(events.Stream, []events.Event) commandtest.Fault]
	db        *postgrestest.DB
	pool      *pgxpool.Pool
	away      atomic.Bool                                           // Postgres cannot be reached
	support   atomic.Pointer[func(context.Context) ([]byte, error)] // nil: a bundle is made
	marks     *marks
	limits    *windowtest.Memory
	spent     factorstest.Spent
	keys      *keys
	gateway   *gateway.Gateway
	inventory *inventory.Inventory
	links     *links
	denouncer *accounts.Denouncer
	macs      *store.Rows
	people    store.People
	sessions  store.Sessions
	rights    *rights.Register
	accounts  *accounts.Accounts
	signer    seal.SigningKey
	reader    seal.RecipientKey // of whoever reveals
	clock     *clock
	logged    *buffer
	contract  *contract.Contract
	unfollow  func()

	vault      *integrations.Integrations
	deliveries deliveries
	ledger     *signedLog

	developer, other, approver, second, admin person

	mu   sync.Mutex
	seen []answer // every answer of the server
}

// person is somebody who is signed in.
type person struct {
	store.Person
	token string
	roles []string
}

// nobody is not signed in.
var nobody person

func newRig(t testing.TB, change ...func(*web.Config)) *rig {
	t.Helper()
	c, err := text()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		t: t, log: &commandtest.Memory{}, db: cluster.New(t), clock: &clock{now: commandtest.Noon}, logged: &buffer{},
		links: &links{}, contract: c, developer: developer, other: other, approver: approver, second: second, admin: admin,
	}
	r.log.OnAppend = func(s events.Stream, commit []events.Event) commandtest.Fault {
		if fault := r.fault.Load(); fault != nil {
			return (*fault)(s, commit)
		}
		return commandtest.Works
	}
	r.open()
	if r.reader, err = seal.GenerateRecipientKey(seal.X25519); err != nil {
		t.Fatal(err)
	}
	r.marks = &marks{now: r.clock.Now, all: map[string]*kept{}}
	r.limits = &windowtest.Memory{Rates: window.Rates{Person: 100_000, Address: 1_000_000}, Now: r.clock.Now} // tests call fast
	logger := slog.New(slog.NewTextHandler(r.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.denouncer = accounts.NewDenouncer(func() command.Log { return r.log }, logger, r.clock.Now)
	r.macs = rowsTelling(r.denouncer.Denounce)
	r.people = store.People{Pool: r.pool, Rows: r.macs, Now: r.clock.Now}
	r.sessions = store.Sessions{Pool: r.pool, Rows: r.macs, Now: r.clock.Now, Rotated: store.RotatedBy(&r.spent)}
	r.inventory = inventory.New(inventory.Config{
		Log: r.log, Feed: r.log, Views: inventorytest.Views{Log: r.log}, Told: r.circumstances(), Scans: store.Scans{Pool: r.pool}, Logger: logger, Now: r.clock.Now,
	})
	held := r.hold(logger)
	progress := r.follow()
	r.rights = r.register()
	cfg := web.Config{
		Circumstances: r.inventory.Told.(*circumstances.Register),
		Log:           r.log, Views: projections.Views{Pool: r.pool, Progress: progress}, People: r.people, Sessions: r.sessions, Rights: r.rights, Marks: r.marks, Limits: r.limits,
		Custody: held, Fleet: r.gateway, Cosignatures: store.Checkpoints{Pool: r.pool}, Inventory: r.inventory, Scans: store.Scans{Pool: r.pool}, Signer: r.signer, PendingTTL: pendingTTL, ApprovalTTL: approvalTTL, RevealTTL: revealTTL,
		Reapprove: events.ReapproveTouched, OpenRequests: 200, Factors: r.factors(logger),
		Logger: logger, Now: r.clock.Now,
		Support: func(ctx context.Context) ([]byte, error) {
			if make := r.support.Load(); make != nil {
				return (*make)(ctx)
			}
			return []byte("\x1f\x8b a bundle"), nil
		},
		Compare: func(ctx context.Context, named func(projections.Difference) error) (projections.Comparison, error) {
			return projections.Compare(ctx, r.db.Owner, r.log, named)
		},
		Installation: web.Installation{Version: "1.2.3+test", KeyManager: "local", Mail: true},
		Notices:      store.Deliveries{Pool: r.pool}, Personal: &personal{},
	}
	r.vault = &integrations.Integrations{Log: r.log, Store: store.IntegrationSecrets{Pool: r.pool}, Keys: r.keys, Now: r.clock.Now}
	cfg.Integrations, cfg.Deliveries = r.vault, &r.deliveries
	tokens := store.Tokens{Pool: r.pool, Rows: r.macs, Now: r.clock.Now}
	r.accounts = accounts.New(accounts.Config{
		Log: r.log, People: r.people, Links: store.Links{Pool: r.pool, Rows: r.macs, Now: r.clock.Now}, Tokens: tokens, Sessions: r.sessions, Rights: r.rights,
		URL: "https://secrets.example.org", Denounce: r.denouncer.Denounce, Logger: logger, Now: r.clock.Now,
	})
	cfg.Accounts, cfg.Directory, cfg.MachineTokens = r.accounts, r.people, tokens
	r.ledger = newSigned(t, r.log)
	cfg.Ledger, cfg.Tree = r.ledger, r.ledger
	for _, f := range change {
		f(&cfg)
	}
	r.api = web.New(cfg)
	r.serve()
	for _, p := range []person{developer, other, approver, second, admin} {
		r.admit(p)
	}
	r.settle(r.record(events.ConnectionStream("file"), events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"}))
	return r
}

// open makes a pool whose way to Postgres can be cut.
func (r *rig) open() {
	r.t.Helper()
	cfg, err := pgxpool.ParseConfig(r.db.AppDSN)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg.MaxConns = 8
	dial := cfg.ConnConfig.DialFunc
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if r.away.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return dial(ctx, network, addr)
	}
	if r.pool, err = pgxpool.NewWithConfig(context.Background(), cfg); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.pool.Close)
}

// hold makes the custody and the gateway.
func (r *rig) hold(logger *slog.Logger) *custody.Custody {
	r.t.Helper()
	var err error
	if r.signer, err = seal.GenerateSigningKey(); err != nil {
		r.t.Fatal(err)
	}
	made, err := local.Create(local.Config{Path: filepath.Join(r.t.TempDir(), "kms.json")})
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys = &keys{KeyManager: made}
	held := custody.New(custody.Config{
		Log: r.log, Keys: r.keys, Envelopes: store.Envelopes{Pool: r.pool}, Signer: r.signer, Logger: logger, Now: r.clock.Now,
	})
	r.gateway = gateway.New(gateway.Config{
		Log: r.log, Custody: held, Inventory: r.inventory, Credentials: r.links, Presence: r.links, Directory: r.links, Clusters: r.links,
		Link:    func() gateway.Link { return gateway.Link{URLs: []string{"tls://127.0.0.1:1"}, CA: "pem"} },
		Signing: gateway.Signing{Key: r.signer, Serial: 1}, Suites: []seal.Suite{seal.XWing, seal.X25519}, Logger: logger, Now: r.clock.Now,
	})
	return held
}

// follow folds the log into the views until the test ends or unfollow is called.
func (r *rig) follow() *projections.Progress {
	progress := projections.NewProgress(r.pool)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f := &projections.Follower{Pool: r.pool, Progress: progress}
		_ = f.Run(ctx, r.log) // a test that needs the views sees that they stand
	}()
	r.unfollow = func() { cancel(); <-done }
	r.t.Cleanup(r.unfollow)
	return progress
}

// register follows the log until the test ends.
func (r *rig) register() *rights.Register {
	register := rights.New(r.log, r.log, projections.Users{Pool: r.pool})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = register.Run(ctx)
	}()
	r.t.Cleanup(func() { cancel(); <-done })
	return register
}

// circumstances follow the log until the test ends.
func (r *rig) circumstances() *circumstances.Register {
	register := circumstances.New(r.log, r.log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = register.Run(ctx)
	}()
	r.t.Cleanup(func() { cancel(); <-done })
	return register
}

// serve starts a server of the API as the product does, on a free port. Calls go to the
// newest one.
func (r *rig) serve(change ...func(*httptest.Server)) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = web.Server(r.api, nil, slog.New(slog.NewTextHandler(r.logged, nil)))
	for _, f := range change {
		f(server)
	}
	server.StartTLS()
	r.t.Cleanup(func() { r.api.Drain(); server.Close() })
	r.url, r.client = server.URL, server.Client()
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

func (r *rig) join(roles ...string) person {
	r.t.Helper()
	made, err := join(r.t.Context(), r.people, r.sessions, roles...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.admit(made)
	return made
}

// admit records that somebody may sign in, with their roles everywhere.
func (r *rig) admit(p person) {
	r.t.Helper()
	added := []events.Fact{events.UserAdded{User: p.ID, Kind: events.UserPerson}}
	for _, role := range p.roles {
		added = append(added, granted(events.Grant{Role: role}))
	}
	r.record(events.UserStream(p.ID), added...)
}

func granted(g events.Grant) events.GrantGiven {
	return events.GrantGiven{Grant: events.GrantOf(events.NewCommandID()), Role: g.Role, Scope: g.Scope}
}

// regrant takes all that somebody has and gives them grants instead. It acts at once, also on
// another server, which is what a test's next query looks at.
func (r *rig) regrant(who events.UserID, grants ...events.Grant) {
	r.t.Helper()
	had, _, err := command.Load[command.User](r.t.Context(), r.log, events.UserStream(who))
	if err != nil {
		r.t.Fatal(err)
	}
	var change []events.Fact
	for _, g := range had.Grants {
		change = append(change, events.GrantTaken{Grant: g.Grant})
	}
	for _, g := range grants {
		change = append(change, granted(g))
	}
	if len(change) > 0 {
		r.settle(r.record(events.UserStream(who), change...))
	}
}

// setRoles is regrant with roles that count everywhere.
func (r *rig) setRoles(who events.UserID, roles ...string) {
	r.t.Helper()
	var grants []events.Grant
	for _, role := range roles {
		grants = append(grants, events.Grant{Role: role})
	}
	r.regrant(who, grants...)
}

// settle waits until rights hold a fact.
func (r *rig) settle(seq events.Seq) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if err := r.rights.WaitFor(ctx, seq); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) session(id events.UserID) string {
	r.t.Helper()
	_, token, err := r.sessions.Open(r.t.Context(), id, seal.VerifyKey{})
	if err != nil {
		r.t.Fatal(err)
	}
	return string(token.Expose())
}

// record puts facts into the log, as some other process would.
func (r *rig) record(stream events.Stream, facts ...events.Fact) events.Seq {
	r.t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: r.clock.Now()}
	seq, err := command.Record(r.t.Context(), r.log, stream, meta, facts...)
	if err != nil {
		r.t.Fatal(err)
	}
	return seq
}

// breaks makes appends fail from now on; nil mends it.
func (r *rig) breaks(fault func(events.Stream, []events.Event) commandtest.Fault) {
	if fault == nil {
		r.fault.Store(nil)
		return
	}
	r.fault.Store(&fault)
}

// cut ends every connection to Postgres, and makes new ones impossible.
func (r *rig) cut() {
	r.t.Helper()
	r.away.Store(true)
	_, err := r.db.Owner.Exec(context.Background(), `
		SELECT pg_terminate_backend(pid)
		FROM   pg_stat_activity
		WHERE  datname = current_database()
		AND    pid <> pg_backend_pid()`)
	if err != nil {
		r.t.Fatal(err)
	}
}

// facts are all facts of one type that are in the log, with their circumstances.
func facts[F events.Fact](r *rig) (found []events.Event) {
	r.t.Helper()
	for _, c := range r.commits() {
		for _, e := range c.Events {
			if _, ok := e.Fact.(F); ok {
				found = append(found, e)
			}
		}
	}
	return found
}

func (r *rig) commits() (all []events.Recorded) {
	r.t.Helper()
	last, err := r.log.Last(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for seq := range last {
		c, err := r.log.At(context.Background(), seq+1)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// keys is a key manager that can be down.
type keys struct {
	kms.KeyManager
	down atomic.Bool
}

func (k *keys) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	if k.down.Load() {
		return seal.DataKey{}, kms.ErrUnavailable
	}
	return k.KeyManager.Unwrap(ctx, w, ec)
}

// links is everything that package nats does for a gateway.
type links struct {
	mu   sync.Mutex
	made int
	cut  []string
}

func (l *links) Admit(context.Context, string, events.ClusterID, string) error { return nil }

func (l *links) Current() time.Time { return time.Time{} }

func (l *links) NewAccount() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made++
	return "A" + strings.Repeat("1", l.made), nil
}

func (l *links) Issue(_ string, _ events.ClusterID, userKey string) (events.Credentials, error) {
	if !strings.HasPrefix(userKey, "U") {
		return events.Credentials{}, errors.New("not an nkey")
	}
	return events.Credentials{UserJWT: "jwt", Expires: commandtest.Noon.Add(time.Hour)}, nil
}

func (l *links) Cut(_ context.Context, account string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = append(l.cut, account)
	return nil
}

func (l *links) Beat(context.Context, events.AgentID, time.Time) (bool, error) { return true, nil }

func (l *links) AgentByAccount(context.Context, string) (events.AgentID, error) {
	return "", command.ErrAgentUnknown
}

func (l *links) EnsureCluster(context.Context, events.ClusterID) error { return nil }

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// buffer is a log that several goroutines write to.
type buffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// last is the newest commit of the log.
func (r *rig) last() events.Seq {
	r.t.Helper()
	last, err := r.log.Last(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return last
}
