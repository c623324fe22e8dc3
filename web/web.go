// Package web is the HTTP API. It turns calls into commands and queries, and answers
// into JSON; openapi.yaml is the contract, and package api has its shapes in Go.
//
// Who acts comes from the session alone. One table lists every route with its
// permission; what is not in it does not exist. Every denial becomes a fact before it
// is answered, and where it cannot, the answer is 503.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"secretsbridge/circumstances"
	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/gateway"
	"secretsbridge/identity/factors"
	"secretsbridge/internal/secret"
	"secretsbridge/internal/trace"
	"secretsbridge/inventory"
	"secretsbridge/ledger"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/seal"
	"secretsbridge/store"
)

// What [Marks.Begin] refuses.
var (
	ErrKeyReused = errors.New("the idempotency key was used for another call")
	ErrInFlight  = errors.New("the same call is still being answered")
)

// Views answers queries. Package projections has it.
type Views interface {
	WaitFor(ctx context.Context, seq events.Seq) error
	Watch(ctx context.Context, stream events.Stream) <-chan events.Seq
	Changed(after events.Seq) (kinds []events.Aggregate, upto events.Seq, more <-chan struct{})
	Position(ctx context.Context) (projections.Position, error)
	Requests(ctx context.Context, filter projections.RequestFilter) (projections.Page[projections.Request], error)
	Request(ctx context.Context, id events.RequestID) (projections.Request, error)
	RequestAsOf(ctx context.Context, id events.RequestID, at events.Seq) (projections.Request, error)
	CommitAt(ctx context.Context, t time.Time) (events.Seq, error)
	TimeOf(ctx context.Context, seq events.Seq) (time.Time, error)
	DecidedBy(ctx context.Context, who events.UserID, filter projections.RequestFilter) (projections.Page[projections.Request], error)
	UsualWait(ctx context.Context, workflow string) (median time.Duration, of int, err error)
	Openable(ctx context.Context, ids []events.RequestID) ([]projections.Envelope, error)
	History(ctx context.Context, id events.RequestID) ([]projections.AuditEvent, error)
	Connections(ctx context.Context, filter projections.ConnectionFilter) (projections.Page[projections.Connection], error)
	Connection(ctx context.Context, name events.ConnectionID) (projections.Connection, error)
	Agents(ctx context.Context, filter projections.AgentFilter) (projections.Page[projections.Agent], error)
	Agent(ctx context.Context, id events.AgentID) (projections.Agent, error)
	CountAgents(ctx context.Context) (online, enrolled int, err error)
	Audit(ctx context.Context, filter projections.AuditFilter) (projections.Page[projections.AuditEvent], error)
	ExportAudit(ctx context.Context, filter projections.AuditFilter) (projections.Page[projections.AuditEvent], error)
	CountAudit(ctx context.Context, filter projections.AuditFilter, by projections.AuditFacet) (projections.AuditCounts, error)
	AuditHistogram(ctx context.Context, filter projections.AuditFilter) (projections.AuditHistogram, error)
	Jobs(ctx context.Context, filter projections.JobFilter) (projections.Page[projections.Job], error)
	Job(ctx context.Context, id events.JobID) (projections.Job, error)
	Secrets(ctx context.Context, filter projections.SecretFilter) (projections.Page[projections.Secret], error)
	Secret(ctx context.Context, id events.SecretID) (projections.Secret, error)
	SecretAsOf(ctx context.Context, id events.SecretID, at events.Seq) (projections.Secret, error)
	SecretStandings(ctx context.Context, ids []events.SecretID) (map[events.SecretID]projections.Standing, error)
	CountSecrets(ctx context.Context, filter projections.SecretFilter) (projections.Count, error)
	LabelFacets(ctx context.Context, filter projections.FacetFilter) ([]projections.Facet, error)
	StaleSecrets(ctx context.Context, filter projections.SecretFilter) (projections.Page[projections.Secret], error)
	UnownedSecrets(ctx context.Context, filter projections.SecretFilter) (projections.Page[projections.Secret], error)
	OutOfBand(ctx context.Context, filter projections.SecretFilter) (projections.Page[projections.SecretChange], error)
	Integrations(ctx context.Context, filter projections.IntegrationFilter) (projections.Page[projections.Integration], error)
	Integration(ctx context.Context, name events.IntegrationID) (projections.Integration, error)
	CountIntegrations(ctx context.Context) (int, error)
	MappingsOf(ctx context.Context, name events.IntegrationID, cursor string, limit int) (projections.Page[projections.Mapping], error)
	OwnershipRules(ctx context.Context) (version int, rules []events.OwnershipRule, seq events.Seq, err error)
}

// People are those who can sign in. Package store has it.
type People interface {
	Verify(ctx context.Context, email string, password secret.Value, network string) (store.Person, error)
	Names(ctx context.Context, ids []events.UserID) (map[events.UserID]string, error)

	// Current refuses a password that was verified and is not the newest that the log knows, with
	// [store.ErrWrongPassword].
	Current(ctx context.Context, verified store.Person, newest events.CommandID) error

	// ByEmail returns a person or [store.ErrNotFound]. Case plays no part.
	ByEmail(ctx context.Context, email string) (store.Person, error)
}

// Rights know who may do what. Package rights has it.
type Rights interface {
	// Fresh waits until all counts that the log holds now, WaitFor until a commit does.
	// Errors: [rights.ErrBehind], and what is wrong with the log.
	Fresh(ctx context.Context) error
	WaitFor(ctx context.Context, seq events.Seq) error

	User(id events.UserID) command.User
	Powers(id events.UserID) *policy.Powers
	Delegators(to events.UserID, now time.Time) []events.UserID // for whom somebody may vote at a time

	Users() []command.User
	Governance() *policy.Governance

	Ended(id events.SessionID) bool // of a session, on record
}

// Circumstances are what is looked at of a request besides rights, as the log tells it. Package
// circumstances has them.
type Circumstances interface {
	// Fresh waits until all counts that the log holds now. Errors: [circumstances.ErrBehind], and
	// what is wrong with the log.
	Fresh(ctx context.Context) error

	Secret(ctx context.Context, connection events.ConnectionID, ref string) (circumstances.Secret, error)
	Open(requester events.UserID) int // requests that have not ended
	OverdueReviews(requester events.UserID, now time.Time) int
}

// Sessions are the open sessions. Package store has it.
type Sessions interface {
	Open(ctx context.Context, person events.UserID, key seal.VerifyKey) (store.Session, secret.Value, error)
	Lookup(ctx context.Context, token secret.Value) (store.Session, error)
	ByID(ctx context.Context, id events.SessionID) (store.Session, error)
	Touch(ctx context.Context, session store.Session) error                  // it is used
	Revoke(ctx context.Context, id events.SessionID) error                   // without a fact: one of which nobody was told
	End(ctx context.Context, id events.SessionID, record func() error) error // with its fact, or not at all

	// Of browsers: see web/browser.go.
	OpenBrowser(ctx context.Context, person events.UserID) (store.Session, secret.Value, error)
	Renew(ctx context.Context, session store.Session, token secret.Value, record func() error) (secret.Value, error)

	Bury(ctx context.Context, id events.SessionID) error // of which the end is on record, and the row there

	StepUp(ctx context.Context, id events.SessionID, kind events.FactorKind, at time.Time) error
	List(ctx context.Context, person events.UserID) ([]store.Session, error) // that are open
}

// Once marks something as used for a time, on all servers, and reports false where it was used
// before. Package nats has it.
type Once interface {
	Take(ctx context.Context, what string, remember time.Duration) (bool, error)
}

// Marks remembers answers by idempotency key. Package nats has it.
type Marks interface {
	// Begin marks a call, or returns the answer it got before. Errors: ErrKeyReused,
	// ErrInFlight.
	Begin(ctx context.Context, actor events.Actor, key string, call [32]byte) (Mark, *Answer, error)
}

// Mark is the right to answer one call. Exactly one of both ends it.
type Mark interface {
	Finish(ctx context.Context, a Answer) error
	Abandon(ctx context.Context) error
}

// Answer is what is repeated. Status 0 marks one that held something shown once.
type Answer struct {
	Status int
	Body   []byte
}

// Custody takes values in and reveals them, sealed both ways. Package custody has it.
type Custody interface {
	Intake(ctx context.Context) (events.SignedIntakeKeys, error)
	OpenSignIn(ctx context.Context, sealed []byte) ([]byte, error)
	Propose(ctx context.Context, p custody.Proposal) ([]events.Change, error)
	Reveal(ctx context.Context, meta command.Meta, request events.RequestID, envelope events.EnvelopeID, recipient string) (custody.Revealed, error)
}

// Fleet manages agents. Package gateway has it.
type Fleet interface {
	Invite(ctx context.Context, meta command.Meta, name string, cluster events.ClusterID, life time.Duration) (gateway.Invitation, error)
	Enrol(ctx context.Context, m events.Enrol) (events.Enrolment, error)
	Revoke(ctx context.Context, meta command.Meta, id events.AgentID, reason string) (events.Seq, error)
}

// Cosignatures are what witnesses said of the log. Package store has them.
type Cosignatures interface {
	// Vouched is the newest that each of the witnesses cosigned, by its name.
	Vouched(ctx context.Context, witnesses []string) (map[string]ledger.Cosigned, error)
}

// Inventory opens and ends jobs that no request stands behind. Package inventory has it.
type Inventory interface {
	Queue(ctx context.Context, meta command.Meta, connection events.ConnectionID, op events.Operation) (command.Decision[command.Job], error)
	QueueKeys(ctx context.Context, meta command.Meta, connection events.ConnectionID, ref string) (command.Decision[command.Job], error)
	Cancel(ctx context.Context, meta command.Meta, id events.JobID, reason string) (command.Decision[command.Job], error)
}

// Scans knows how far jobs came, and what they met. Package store has it.
type Scans interface {
	// Get returns the checkpoint of a job, or [inventory.ErrNoScan].
	Get(ctx context.Context, job events.JobID) (inventory.Checkpoint, error)

	// Names returns the names of a secret's keys while they are kept, or
	// [inventory.ErrNoScan].
	Names(ctx context.Context, job events.JobID, now time.Time) ([]string, error)

	// Bounds are those of areas (package projections); nil is everywhere.
	//
	// Duplicates returns values that several secrets share, in the order of their groups,
	// after one.
	Duplicates(ctx context.Context, bounds []string, after string, limit, most int) ([]store.Twins, error)

	// Coverage says which connections have fingerprints that count, of which key.
	Coverage(ctx context.Context) ([]store.Covered, error)

	// PlaceOf names a group without its fingerprint, and GroupAt finds it again, or returns
	// [store.ErrNoGroup].
	PlaceOf(ctx context.Context, group string, bounds []string) (string, error)
	GroupAt(ctx context.Context, place string, bounds []string) (string, error)
}

// Config is what the API works with. Every field is needed but those that say what nil means.
type Config struct {
	Log           command.Log
	Views         Views
	People        People
	Sessions      Sessions
	Rights        Rights
	Circumstances Circumstances
	Marks         Marks
	Custody       Custody
	Fleet         Fleet

	Cosignatures Cosignatures // of agents
	Inventory    Inventory
	Scans        Scans
	Limits       Limits
	Factors      *factors.Keeper

	Integrations Integrations
	Deliveries   Deliveries

	Ledger Ledger
	Tree   Tree

	// GitOps is the watch of rollouts; nil: it is switched off, and no integration that is
	// looked at is taken.
	GitOps GitOps

	// Once has signatures count once on all servers; nil: there is no other.
	Once Once

	Accounts      Accounts
	Directory     Directory
	MachineTokens MachineTokens

	// Signer signs the answers to signed calls: the key that agents and clients pin.
	Signer seal.SigningKey

	// Ends of what is submitted from now on.
	PendingTTL, ApprovalTTL, RevealTTL time.Duration

	// Reapprove is when patches need their approvals again.
	Reapprove events.Reapprove

	// OpenRequests is how many requests of one person may be open, about: what the views
	// do not show yet is not counted.
	OpenRequests int

	// TrustedProxies say from whom they have a call; none is needed. All others are taken
	// for the callers themselves.
	TrustedProxies []netip.Prefix

	// Support makes a support bundle. [ErrSupportBusy] where one is made, or was just now.
	Support func(ctx context.Context) ([]byte, error)

	// Compare compares views and audit with the log, as [projections.Compare] does.
	Compare func(ctx context.Context, named func(projections.Difference) error) (projections.Comparison, error)

	Logger *slog.Logger
	Now    func() time.Time

	// SignOn is sign-in by an identity provider; nil: there is none.
	SignOn SignOn

	// Site is the web application with index.html at its root; nil: there is none.
	Site fs.FS

	// Notices are what people and integrations are told; Personal are people's own addresses, and
	// nil keeps none.
	Notices  Notices
	Personal Personal

	Installation Installation

	// Watch counts calls; nil: nobody does. Tracer traces them; nil: nobody does.
	Watch  Watch
	Tracer trace.Tracer
}

// API is the handler of all routes.
type API struct {
	Config
	http.Handler

	streams, exports, held places
	spa                    *spa // nil: there is none

	acts   []act // what people do with a request
	topics []topic

	started time.Time // no signature from before is taken
	nonces  nonces
	signIns signIns

	readings readings // of the audit

	newest  atomic.Uint64 // sequence of the newest command that this process answered
	drained chan struct{} // closed when the server stops
	drain   sync.Once

	heartbeat, writePatience time.Duration // of live streams
	look                     time.Duration // how often a running job is looked at
	pace                     time.Duration // between two messages about what changed
	exportRows               int           // how long a report may be as CSV
}

// New makes the API.
func New(cfg Config) *API {
	a := &API{
		Config: cfg, drained: make(chan struct{}), heartbeat: heartbeat, writePatience: writePatience, look: lookEach, pace: tellEach, exportRows: maxExportRows,
		streams: places{most: maxStreams}, exports: places{most: maxExports}, held: places{most: maxHeld},
	}
	a.started = cfg.Now().Truncate(time.Second) // signatures have whole seconds
	a.readings.begun = map[reading]*begun{}
	a.nonces.used, a.signIns.keys = map[events.SessionID]map[string]time.Time{}, map[seal.VerifyKey]time.Time{}
	if cfg.Site != nil {
		var err error
		if a.spa, err = loadSPA(cfg.Site); err != nil {
			cfg.Logger.Error("the web application cannot be read, and is not served", "err", err)
			a.spa = nil
		}
	}
	a.acts, a.topics = actsOn(Routes), topicsOf(Routes)
	a.Handler = a.router()
	return a
}

// Drain ends the live streams and the long answers, which would keep a server from shutting down. Their
// clients come back and resume.
func (a *API) Drain() { a.drain.Do(func() { close(a.drained) }) }

// Timeouts of the server. A reply may wait for the views and for the KMS.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// Server makes the HTTP server of an API.
func Server(a *API, config *tls.Config, log *slog.Logger) *http.Server {
	srv := &http.Server{
		Handler: a, TLSConfig: config, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
	}
	srv.RegisterOnShutdown(a.Drain)
	return srv
}

// saw remembers a sequence that a caller was told, so that the next query includes it.
func (a *API) saw(seq events.Seq) {
	for {
		at := a.newest.Load()
		if uint64(seq) <= at || a.newest.CompareAndSwap(at, uint64(seq)) {
			return
		}
	}
}
