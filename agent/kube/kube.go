// Package kube reads from the API of the agent's own cluster how a change is rolled out: plain
// Kubernetes, and what Flux makes of it. It asks with GET alone, in the namespaces that are
// allowed, and never for the data of a Secret.
package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// lookTime bounds one look with all its calls. Looks come each 15 s, and a ticket lasts 30.
const lookTime = 12 * time.Second

// Config is how the API is reached. Token may be nil where Trust has a client certificate; the
// other fields are needed.
type Config struct {
	Server     *url.URL
	Trust      *tls.Config            // of the server, and perhaps the client's certificate
	Token      func() (string, error) // asked before each look: a service account's token is replaced on disk each hour
	Namespaces []string               // that may be read; none is none
	Logger     *slog.Logger
}

// Reader looks at rollouts. It is safe for concurrent use, and implements [agent.Observer].
type Reader struct {
	cfg  Config
	http *http.Client

	denials denials

	mu    sync.Mutex
	last  State
	noted map[string]string // why the last look at a target saw nothing
}

// State is what an operator on the agent's host may know.
type State struct {
	Server     string                `json:"server"`
	Namespaces []string              `json:"namespaces"`
	Looked     time.Time             `json:"looked,omitzero"`   // when the last look ended
	Problem    events.RolloutProblem `json:"problem,omitempty"` // of the last look
	Cause      string                `json:"cause,omitempty"`   // likewise, in a sentence
}

// New checks the configuration. It calls nobody.
func New(cfg Config) (*Reader, error) {
	switch {
	case cfg.Server == nil || cfg.Trust == nil || cfg.Logger == nil:
		return nil, errors.New("read the cluster: server, trust and logger are needed")
	case cfg.Server.Scheme != "https":
		return nil, errors.New("read the cluster: the server must be https")
	case cfg.Token == nil && len(cfg.Trust.Certificates) == 0:
		return nil, errors.New("read the cluster: a token or a client certificate is needed")
	}
	for _, name := range cfg.Namespaces {
		if !events.KubernetesName(name, events.MaxNamespace) {
			return nil, fmt.Errorf("read the cluster: %q is no name of a namespace; patterns are not taken", name)
		}
	}
	names := slices.Clone(cfg.Namespaces)
	slices.Sort(names)
	cfg.Namespaces = slices.Compact(names)
	transport := &http.Transport{
		TLSClientConfig: cfg.Trust, ForceAttemptHTTP2: true, Proxy: nil, // the cluster is next door: no proxy of the environment
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: lookTime,
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 2, MaxConnsPerHost: 4, IdleConnTimeout: time.Minute,
	}
	return &Reader{
		cfg: cfg, noted: map[string]string{}, last: State{Server: cfg.Server.Host, Namespaces: cfg.Namespaces},
		http: &http.Client{
			Transport:     guard{next: transport, server: cfg.Server},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// State returns how the last look went.
func (r *Reader) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Observe implements [agent.Observer].
func (r *Reader) Observe(ctx context.Context, look agent.Look) events.Observation {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	c := &client{base: r.cfg.Server, http: r.http, allowed: r.cfg.Namespaces, denials: &r.denials}
	seen, err := c.observe(ctx, r.cfg.Token, look)
	seen.At = c.at
	if seen.At.IsZero() {
		seen.At = time.Now().UTC() // nobody answered, so there is only this clock
	}
	if err == nil {
		err = bounded(seen)
	}
	if err != nil {
		seen = events.Observation{At: seen.At, Problem: problemOf(err)}
	}
	r.note(look, seen.Problem, err)
	return seen
}

func (c *client) observe(ctx context.Context, token func() (string, error), look agent.Look) (events.Observation, error) {
	if token != nil {
		var err error
		if c.token, err = token(); err != nil {
			return events.Observation{}, &problem{events.RolloutUnauthorized, "the token cannot be read: " + err.Error()}
		}
	}
	switch {
	case look.Kind == events.IntegrationKubernetes && look.Target.Kind == "Namespace":
		return c.namespace(ctx, look)
	case look.Kind == events.IntegrationFlux && look.Target.Kind == "Kustomization":
		return c.kustomization(ctx, look)
	case look.Kind == events.IntegrationFlux && look.Target.Kind == "HelmRelease":
		return c.helmRelease(ctx, look)
	}
	return events.Observation{}, &problem{events.RolloutNotFound, "this agent cannot look at such a target"}
}

// bounded refuses what no observation has room for.
func bounded(o events.Observation) error {
	pods := 0
	for _, w := range o.Workloads {
		pods += len(w.Pods)
	}
	if len(o.Secrets) > events.MaxObservedSecrets || len(o.Workloads) > events.MaxObservedWorkloads || pods > events.MaxObservedPods {
		return tooLarge("what uses the secret")
	}
	return nil
}

// maxNoted bounds the targets whose problems are remembered.
const maxNoted = 500

// note logs a problem of a target once, and not at each look, until it is another or over.
func (r *Reader) note(look agent.Look, what events.RolloutProblem, err error) {
	target, cause := look.Target.Kind+"/"+look.Target.Namespace+"/"+look.Target.Name, ""
	if err != nil {
		cause = err.Error()
	}
	r.mu.Lock()
	r.last.Looked, r.last.Problem, r.last.Cause = time.Now().UTC(), what, cause
	before := r.noted[target]
	if len(r.noted) >= maxNoted {
		clear(r.noted) // then some are logged once more
	}
	if r.noted[target] = cause; cause == "" {
		delete(r.noted, target)
	}
	r.mu.Unlock()
	switch {
	case cause == before:
	case err != nil:
		r.cfg.Logger.Warn("a rollout cannot be looked at", "target", target, "problem", what, "err", cause)
	default:
		r.cfg.Logger.Info("a rollout can be looked at again", "target", target)
	}
}
