package nats

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/nats/subject"
)

// Bounds of the agent services. An agent works on few jobs, so one that has more calls
// open than perAccount is broken or hostile, and must not slow the others down.
const (
	maxCalls    = 256
	perAccount  = 16
	callTimeout = 15 * time.Second
	maxReply    = 1<<20 - 4096 // a message, less its headers
)

// Answerer knows what to say to agents, and signs it. Package gateway has it.
type Answerer interface {
	// Serve answers a call. It must always reply. ctx is within the span that the caller says
	// that it is within ([subject.Traceparent]), which nobody has checked.
	Serve(ctx context.Context, account string, service events.Service, request []byte) (reply []byte)

	// Refuse answers a call that is not looked at.
	Refuse(account string, service events.Service, request []byte, refusal *events.ServiceError) (reply []byte)
}

// Services answers agents on agent.<account>.<service>. Several servers may; each call
// goes to one of them.
type Services struct {
	nc      *natsgo.Conn
	version string
	log     *slog.Logger

	mu      sync.Mutex
	open    map[string]int // calls by account
	running sync.WaitGroup // all of them; grows only while not stopping
	stopped bool
}

// NewServices makes the hub side of the agent services. version is the control
// plane's own, as "1.2.3". A nil logger discards.
func NewServices(nc *natsgo.Conn, version string, log *slog.Logger) *Services {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Services{nc: nc, version: version, log: log, open: map[string]int{}}
}

// Serve answers calls until ctx ends, and returns when the last one is answered. The
// account is what the NATS server authenticated: the importer of a subject cannot
// choose its token, and a call that could show another subject is dropped. The ctx of an
// answer ends after 15 s.
func (s *Services) Serve(ctx context.Context, by Answerer) error {
	slots := make(chan struct{}, maxCalls)
	handler := func(r micro.Request) {
		account, service, ok := subject.ParseService(r.Subject())
		switch {
		case !subject.ImportedReply(r.Reply()):
			// Whose call this is cannot be known, and an answer could be misused.
			s.log.Warn("a call with a forged reply was dropped", "subject", r.Subject())
			return
		case !ok || !slices.Contains(events.Services(), service):
			s.refuse(r, by, events.ServiceError{Code: "unknown_service", Detail: "this server has no such service"})
			return
		case !s.enter(account):
			s.refuse(r, by, events.ServiceError{Code: "too_many_calls", Detail: "this agent has too many calls open, or the server stops; try again in a moment", Retry: true})
			return
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; s.leave(account) }()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
			defer cancel()
			ctx = trace.Within(ctx, nil, events.Traceparent(r.Headers().Get(subject.Traceparent)))
			reply := by.Serve(ctx, account, service, r.Data())
			if len(reply) > maxReply {
				s.log.Error("a reply is too long for a message", "service", service, "bytes", len(reply))
				s.refuse(r, by, events.ServiceError{Code: "internal", Detail: "the answer is too long"})
				return
			}
			if err := r.Respond(reply); err != nil {
				s.log.Warn("an agent could not be answered", "service", service, "err", err)
			}
		}()
	}
	service, err := micro.AddService(s.nc, micro.Config{
		Name: "agent-services", Version: s.version, Description: "what agents may ask of the control plane",
		ErrorHandler: func(_ micro.Service, err *micro.NATSError) {
			s.log.Error("agent services report a fault", "err", err)
		},
	})
	if err != nil {
		return fmt.Errorf("serve agents: %w", err)
	}
	if err := service.AddEndpoint("call", micro.HandlerFunc(handler), micro.WithEndpointSubject(subject.AllServices)); err != nil {
		_ = service.Stop()
		return fmt.Errorf("serve agents: %w", err)
	}
	<-ctx.Done()
	err = service.Stop()
	s.mu.Lock()
	s.stopped = true // what still arrives is asked to come again, to another server
	s.mu.Unlock()
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("stop serving agents: %w", err)
	}
	return ctx.Err()
}

func (s *Services) enter(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.open[account] >= perAccount {
		return false
	}
	s.open[account]++
	s.running.Add(1)
	return true
}

func (s *Services) leave(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[account]--; s.open[account] == 0 {
		delete(s.open, account)
	}
	s.running.Done()
}

func (s *Services) refuse(r micro.Request, by Answerer, refusal events.ServiceError) {
	account, service, _ := subject.ParseService(r.Subject())
	if err := r.Respond(by.Refuse(account, service, r.Data(), &refusal)); err != nil {
		s.log.Warn("an agent could not be answered", "err", err)
	}
}
