// Package argocd looks at applications of Argo CD, over its REST API, and changes nothing there:
// what it calls by can only GET (package egress), and no call asks for a refresh, which Argo CD
// would write down.
//
// A look is one GET of the application and one of its resource tree. Manifests of what could use a
// secret, and of ExternalSecrets, are read when they are new or changed, and those of ExternalSecrets
// that bring the secret each time, so a look at what stands still is three GETs. A Secret is never
// asked for: of it only what the tree says is known, which is its name and resourceVersion.
package argocd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/internal/secret"
)

// Bounds of one look. What has more is [events.RolloutTooLarge].
const (
	lookTime     = 10 * time.Second
	maxAnswer    = 16 << 20 // bytes, unpacked: an application with 20,000 resources has about 10 MB
	maxNodes     = 20_000   // of a tree
	maxManifests = 400      // of an application, that are looked into
	maxParents   = 16       // from a pod to what made it
	maxNames     = 200      // Secrets of a workload, or keys of an ExternalSecret
)

// What is kept between looks.
const (
	keptManifests   = 20_000 // of 1,000 applications with 20 workloads each; about 10 MB
	keptClients     = 128    // Argo CDs, each with its connections
	keptConnections = 32     // to each; as many looks as are made at the same time, and more
	atOnce          = 4      // manifests of one look that are read at the same time
)

// ErrDisabled says that there is no such Argo CD to look at: it was disabled or removed.
var ErrDisabled = errors.New("the integration is disabled or removed")

// Endpoints says how an Argo CD is reached.
type Endpoints interface {
	// Endpoint returns how an integration is reached, all of it as of one moment. Errors:
	// [ErrDisabled].
	Endpoint(ctx context.Context, id events.IntegrationID) (Endpoint, error)
}

// Endpoint is one Argo CD.
type Endpoint struct {
	Settings events.IntegrationSettings
	Token    int // version of the token that is for these settings, and no other
}

// Tokens opens the token that it is asked with. Package integrations has it.
type Tokens interface {
	// OpenVersion returns the secret if it is of that version. Whoever asks clears it.
	OpenVersion(ctx context.Context, id events.IntegrationID, what events.IntegrationSecret, version int) (secret.Value, error)
}

// Config is what a reader is made of.
type Config struct {
	Endpoints Endpoints
	Tokens    Tokens

	// Allow are networks beside the internet and an organisation's own that an Argo CD may be
	// in, such as this host.
	Allow []netip.Prefix

	// Log is told why an Argo CD cannot be looked at; nil is nobody.
	Log *slog.Logger
}

// Reader looks at applications. It is safe for concurrent use.
type Reader struct {
	cfg     Config
	clients *lru.Cache[clientKey, *client]
	kept    *lru.Cache[keptKey, object]
}

var (
	_ gitops.Reader = (*Reader)(nil)
	_ gitops.Lister = (*Reader)(nil)
	_ gitops.Finder = (*Reader)(nil)
)

// New returns a reader that has looked at nothing yet.
func New(cfg Config) *Reader {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	clients, _ := lru.NewWithEvict(keptClients, func(_ clientKey, c *client) { c.http.CloseIdleConnections() })
	kept, _ := lru.New[keptKey, object](keptManifests) // errors are of sizes below 1
	return &Reader{cfg: cfg, clients: clients, kept: kept}
}

// Observe implements [gitops.Reader].
func (r *Reader) Observe(ctx context.Context, integration events.IntegrationID, looks []gitops.Look) []events.Observation {
	if len(looks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	seen := make([]events.Observation, len(looks))
	at, err := r.observe(ctx, integration, looks, seen)
	if err != nil {
		for i := range seen {
			seen[i] = events.Observation{At: at, Problem: r.explain(ctx, integration, err)}
		}
	}
	return seen
}

// observe fills seen. At is zero unless Argo CD answered.
func (r *Reader) observe(ctx context.Context, integration events.IntegrationID, looks []gitops.Look, seen []events.Observation) (at time.Time, err error) {
	s, err := r.open(ctx, integration)
	if err != nil {
		return time.Time{}, err
	}
	defer s.close()
	target := looks[0].Watch.Target
	name := appName{cmp.Or(target.Namespace, s.settings.Namespace), target.Name}
	app, at, err := s.application(ctx, name)
	if err != nil {
		return at, err
	}
	tree, err := s.tree(ctx, name)
	if err != nil {
		return at, err
	}
	v := &view{session: s, name: name, app: app, tree: tree, kept: r.kept}
	if err := v.readExternals(ctx, looks); err != nil {
		return at, err
	}
	for i, look := range looks {
		seen[i] = app.observation(at)
		if err := v.look(ctx, look, &seen[i]); err != nil {
			seen[i] = events.Observation{At: at, Problem: r.explain(ctx, integration, err)}
		}
	}
	return at, nil
}

// session is one look at one Argo CD, with its token.
type session struct {
	*client
	id       events.IntegrationID
	settings events.IntegrationSettings
	token    secret.Value
}

// open finds an Argo CD and opens its token.
func (r *Reader) open(ctx context.Context, id events.IntegrationID) (*session, error) {
	at, err := r.cfg.Endpoints.Endpoint(ctx, id)
	if errors.Is(err, ErrDisabled) {
		return nil, problem(events.RolloutDisabled, err)
	}
	if err != nil {
		return nil, problem(events.RolloutUnreachable, fmt.Errorf("find %s: %w", id, err))
	}
	client, err := r.client(at.Settings)
	if err != nil {
		return nil, err
	}
	token, err := r.cfg.Tokens.OpenVersion(ctx, id, events.IntegrationToken, at.Token)
	if err != nil {
		return nil, problem(events.RolloutUnreachable, fmt.Errorf("open the token of %s: %w", id, err))
	}
	if len(token.Expose()) == 0 {
		return nil, problem(events.RolloutUnauthorized, fmt.Errorf("%s has no token", id))
	}
	return &session{client: client, id: id, settings: at.Settings, token: token}, nil
}

// close clears the token.
func (s *session) close() { s.token.Zero() }

// explain is what of an error goes into an observation; its words go to the log.
func (r *Reader) explain(ctx context.Context, id events.IntegrationID, err error) events.RolloutProblem {
	p := problemOf(err)
	r.cfg.Log.DebugContext(ctx, "an argo cd could not be looked at", "integration", id, "problem", p, "err", err)
	return p
}
