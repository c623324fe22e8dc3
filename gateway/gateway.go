// Package gateway answers agents: enrolment over HTTPS, and the agent services over
// the leaf link. Who asks is the account that the NATS server authenticated; what it
// may do follows from its own history and from the job it holds.
package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

// heartbeatSeconds is how often an agent reports. Three may be lost before it counts
// as silent (package worker).
const heartbeatSeconds = 10

// denialsPerMinute is how many denials of one agent become facts.
const denialsPerMinute = 60

// Credentials makes and ends what agents link with. Package nats has it.
type Credentials interface {
	NewAccount() (account string, err error)
	Issue(account string, cluster events.ClusterID, userKey string) (events.Credentials, error)
	// Current is from when on credentials are signed by the key of now; zero if it is the first.
	// Those issued before are to be renewed.
	Current() time.Time
	// Admit makes an account known to whatever agents link to, before its first use.
	Admit(ctx context.Context, account string, cluster events.ClusterID, userKey string) error
	Cut(ctx context.Context, account string) error // drops the link at once, for good
}

// Presence remembers when an agent was last heard. Package nats has it.
type Presence interface {
	// Beat notes that an agent was heard now, if heard, which it was told by this
	// control plane, is later than in any heartbeat noted before. It reports whether it
	// was.
	Beat(ctx context.Context, agent events.AgentID, heard time.Time) (fresh bool, err error)
}

// Directory finds an agent by its account. Package projections has it.
type Directory interface {
	AgentByAccount(ctx context.Context, account string) (events.AgentID, error)
}

// Clusters makes the queue that all agents of a cluster pull from. Package nats has it.
type Clusters interface {
	EnsureCluster(ctx context.Context, cluster events.ClusterID) error
}

// Link is what an agent is told about where to connect.
type Link struct {
	URLs []string
	CA   string // PEM
}

// Figures counts what is no fact.
type Figures interface {
	// Answered says how a call of an agent went: code is empty, or that of the refusal or fault.
	Answered(service events.Service, code string, took time.Duration)

	// Called takes what an agent reports of its providers, which is valid ([events.ValidCalls]).
	Called(calls []events.ProviderCalls)

	// Uncounted says that an agent reported what cannot be.
	Uncounted()
}

// Config is what a gateway works with. Every field is needed but those that say what nil means.
type Config struct {
	Log         command.Log
	Custody     *custody.Custody
	Inventory   Inventory
	Rollouts    Rollouts     // nil: nothing is watched
	Figures     Figures      // nil: nobody counts
	Tracer      trace.Tracer // nil: nobody traces
	Ledger      Ledger       // nil: the log is not shown, and agents do no jobs
	Credentials Credentials
	Presence    Presence
	Directory   Directory
	Clusters    Clusters
	Link        func() Link
	Signing     Signing
	Suites      []seal.Suite // of agents' keys that are taken; the first is preferred
	Logger      *slog.Logger
	Now         func() time.Time
}

// Signing is the control plane's signing key and how it came to be.
type Signing struct {
	Key    seal.SigningKey
	Serial int                         // of the key; the first is 1
	Chain  []events.SignedKeyStatement // from the first key on, in order; none where it was never rotated
}

// Gateway is safe for concurrent use.
type Gateway struct {
	Config

	// accounts holds whose account is whose, as far as this process has met them, also
	// those of agents that the view may not show yet: account → events.AgentID. An
	// account is made for one agent and stays its own, so nothing in it gets old;
	// whether the agent may still act is asked of its history each time.
	accounts sync.Map

	// denials bounds the recorded denials of each agent: events.AgentID →
	// *rate.Limiter. There are as many as agents.
	denials sync.Map
}

// New makes a gateway.
func New(cfg Config) *Gateway { return &Gateway{Config: cfg} }

// Agent returns the agent that an account belongs to, as its history tells.
func (g *Gateway) Agent(ctx context.Context, account string) (command.Agent, error) {
	id, ok := g.accounts.Load(account)
	if !ok {
		found, err := g.Directory.AgentByAccount(ctx, account)
		if err != nil {
			return command.Agent{}, fmt.Errorf("agent of account %s: %w", account, err)
		}
		g.accounts.Store(account, found)
		id = found
	}
	agent, _, err := command.Load[command.Agent](ctx, g.Log, events.AgentStream(id.(events.AgentID)))
	if err != nil {
		return command.Agent{}, err
	}
	if agent.Enrolled.Account != account {
		return command.Agent{}, command.ErrAgentUnknown
	}
	return agent, nil
}

// Serve answers one call of an agent service: a request frame, with a reply frame. It
// never fails: a fault is a reply, too.
func (g *Gateway) Serve(ctx context.Context, account string, service events.Service, request []byte) []byte {
	began, said := time.Now(), trace.From(ctx).Traceparent()
	ctx = command.By(trace.Out(ctx), "agent."+named(service))
	agent, err := g.Agent(ctx, account)
	if err == nil && agent.State == events.AgentGone {
		err = command.ErrAgentRevoked
	}
	var result any
	if err == nil {
		result, err = g.serve(ctx, agent, service, request, said)
	}
	if err != nil {
		err = g.audit(ctx, agent, service, err)
		refusal := g.explain(agent, service, err)
		g.count(service, refusal.Code, began)
		return g.reply(account, service, request, events.ServiceReply[any]{Error: refusal})
	}
	g.count(service, "", began)
	return g.reply(account, service, request, events.ServiceReply[any]{Result: &result})
}

func (g *Gateway) serve(ctx context.Context, agent command.Agent, service events.Service, request []byte, said events.Traceparent) (any, error) {
	opened, err := openRequest(agent, service, request)
	if err != nil {
		return nil, err
	}
	return g.dispatch(ctx, caller{agent, opened.ID(), request, span{g, service, said}}, service, opened.Body)
}

func (g *Gateway) dispatch(ctx context.Context, by caller, service events.Service, body []byte) (any, error) {
	switch service {
	case events.ServiceHeartbeat:
		return answer(ctx, by, body, g.heartbeat)
	case events.ServiceRenew:
		return answer(ctx, by, body, g.renew)
	case events.ServiceStart:
		return answer(ctx, by, body, g.start)
	case events.ServiceDataKey:
		return answer(ctx, by, body, g.dataKey)
	case events.ServiceHandOver:
		return answer(ctx, by, body, g.handOver)
	case events.ServiceComplete:
		return answer(ctx, by, body, g.complete)
	case events.ServiceFail:
		return answer(ctx, by, body, g.fail)
	case events.ServiceRotate:
		return answer(ctx, by, body, g.rotate)
	case events.ServiceRetire:
		return answer(ctx, by, body, g.retire)
	case events.ServiceTrust:
		return answer(ctx, by, body, g.trust)
	case events.ServiceFingerprint:
		return answer(ctx, by, body, g.fingerprint)
	case events.ServiceCompare:
		return answer(ctx, by, body, g.compare)
	case events.ServiceFetch:
		return answer(ctx, by, body, g.fetch)
	case events.ServiceTake:
		return answer(ctx, by, body, g.take)
	case events.ServicePage:
		return answer(ctx, by, body, g.page)
	case events.ServicePrints:
		return answer(ctx, by, body, g.prints)
	case events.ServiceFinish:
		return answer(ctx, by, body, g.finish)
	case events.ServiceAbandon:
		return answer(ctx, by, body, g.abandon)
	case events.ServiceObserved:
		return answer(ctx, by, body, g.observed)
	case events.ServiceWitness:
		return answer(ctx, by, body, g.witness)
	}
	return nil, &command.Rejection{Code: "service_unknown", Detail: "this control plane has no such agent service"}
}

// answer decodes strictly: unknown input is refused.
func answer[Q, R any](ctx context.Context, by caller, body []byte, handle func(context.Context, caller, Q) (R, error)) (any, error) {
	var q Q
	if !utf8.Valid(body) {
		return nil, errMalformed // the decoder would put other characters in its place
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return nil, errMalformed
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errMalformed
	}
	if m, ok := any(q).(events.JobMessage); ok {
		request, job := m.About()
		if !events.ValidID(string(request), "r_") || !events.ValidID(string(job), "j_") {
			return nil, errMalformed
		}
	}
	if m, ok := any(q).(events.JobOnly); ok && !events.ValidID(string(m.AboutJob()), "j_") {
		return nil, errMalformed
	}
	ctx, span := by.span.begin(ctx, by.ID, q)
	reply, err := handle(ctx, by, q)
	span.End(command.CodeOf(err))
	return reply, err
}

// errMalformed refuses what no agent of ours sends.
var errMalformed = &command.Rejection{Code: "message_malformed", Detail: "the message is not what this service takes"}

// explain turns an error into what an agent may know.
func (g *Gateway) explain(agent command.Agent, service events.Service, err error) *events.ServiceError {
	var rejection *command.Rejection
	switch {
	case errors.As(err, &rejection):
		// A key of the wrong suite is about to be rotated: the call may succeed then.
		later := service == events.ServiceDataKey && errors.Is(err, ErrSuiteRefused)
		return &events.ServiceError{Code: rejection.Code, Detail: rejection.Detail, Retry: later}
	case errors.Is(err, kms.ErrUnavailable), errors.Is(err, command.ErrNotStored), errors.Is(err, command.ErrLogAway), errors.Is(err, command.ErrOutcomeUnknown), errors.Is(err, command.ErrConflict),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		g.Logger.Warn("agent service could not answer", "agent", agent.ID, "service", service, "err", err)
		return &events.ServiceError{Code: "unavailable", Detail: "the control plane cannot do this now; try again", Retry: true}
	}
	g.Logger.Error("agent service failed", "agent", agent.ID, "service", service, "err", err)
	return &events.ServiceError{Code: "internal", Detail: "the control plane failed; its log says more", Retry: true}
}

// ordinary are refusals that honest agents meet: races, an answer that was lost, and a
// stored value that is no good.
var ordinary = []error{command.ErrJobOver, command.ErrAttemptStale, command.ErrRenewedAlready, command.ErrRotatedAlready, ErrSuiteRefused,
	command.ErrApprovalsVoided, command.ErrValuesHeld, custody.ErrValuesLost, custody.ErrEnvelopeBroken, ErrClusterClock, ErrNothingWatched, ErrLogNotKept}

// audit records refusals that no honest agent meets. Of one that goes on and on they
// are counted in the server's log only, so that it cannot make the facts grow for ever. It
// returns what is to be answered: where a denial cannot be recorded, nothing is said but that.
func (g *Gateway) audit(ctx context.Context, agent command.Agent, service events.Service, err error) error {
	var rejection *command.Rejection
	if !errors.As(err, &rejection) || slices.ContainsFunc(ordinary, func(o error) bool { return errors.Is(err, o) }) {
		return err
	}
	limit, _ := g.denials.LoadOrStore(agent.ID, rate.NewLimiter(rate.Every(time.Minute/denialsPerMinute), denialsPerMinute))
	if !limit.(*rate.Limiter).AllowN(g.Now(), 1) {
		g.Logger.Warn("denial is not recorded: there are too many of this agent", "agent", agent.ID, "service", service, "code", rejection.Code)
		return err
	}
	actor := events.AgentActor(agent.ID)
	if agent.ID == "" {
		actor = events.Anonymous
	}
	_, fault := command.Record(context.WithoutCancel(ctx), g.Log, events.AccessStream(actor), g.meta(actor, events.NewCommandID()),
		events.AccessDenied{Action: "agent." + string(service), Resource: "agent/" + string(agent.ID), Code: rejection.Code})
	if fault != nil {
		g.Logger.Error("denial is not recorded", "agent", agent.ID, "service", service, "err", fault)
		return fault
	}
	return err
}

func (g *Gateway) meta(actor events.Actor, id events.CommandID) command.Meta {
	return command.Meta{Command: id, Actor: actor, Time: g.Now()}
}
