// Package gcp is a provider over Google Cloud's Secret Manager: one project, or one location
// of a project for regional secrets.
//
// A ref is the id of a secret, without folders. The bundle is the JSON object in the payload
// of its latest version; the version is that version's number. Secret Manager has no
// compare-and-set for versions: see fence.go for what stands in its place.
//
// Google's SDK speaks over REST here and not over gRPC: all of a call then happens in the
// caller's goroutine, over package singlecall, so that package erase reaches what a value
// leaves behind (decisions 0075 and 0100).
package gcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"golang.org/x/time/rate"

	"secretsbridge/agent"
	"secretsbridge/internal/endpoint"
	"secretsbridge/internal/singlecall"
	"secretsbridge/internal/turns"
)

const (
	// callTime bounds a read, a write and one call of a list, with their retries, where the
	// caller's context does not end earlier.
	callTime = 30 * time.Second

	// maxPayload is how many bytes a version may have: "Quotas and limits", 64 KiB.
	maxPayload = 64 << 10

	// defaultRequests is half of what Google grants to all callers of a project together
	// ("Quotas and limits": 600 reads and 600 writes a minute), so that others have the
	// other half.
	defaultRequests = 300

	// maxRequests is where the setting ends; access to values has a quota of 90,000.
	maxRequests = 90_000
)

// Config says which project, as whom, and what of it requests may ask for.
type Config struct {
	// Project is the id or the number of the project.
	Project string

	// Location makes it the regional secrets of that location, such as "europe-west3", which
	// have an endpoint of their own; "" means the global secrets of the project.
	Location string

	// Endpoint takes the place of Google's own address, for Private Service Connect:
	// https://HOST[:PORT]. Plain http is taken for a loopback host only.
	Endpoint string

	// Allow is what requests may ask for.
	Allow agent.AllowList

	Auth Auth

	// ReplicaLocations and KMSKey are for secrets that are created here: where the values
	// of global secrets lie, Google chooses unless set; and a key of Cloud KMS (its
	// resource name) that encrypts them in place of Google's own. A key goes with one
	// replica location at most, because each location needs a key of its own.
	ReplicaLocations []string
	KMSKey           string

	// RequestsPerMinute is how many reads, and how many writes, of metadata and secrets this
	// provider sends in a minute at most; 0 means 300. Access to values is not counted.
	RequestsPerMinute int

	// ListsNoVersions leaves versions and times of change out of lists, which saves one
	// call a secret.
	ListsNoVersions bool

	// Log gets sign-ins, without tokens; nil logs nothing.
	Log *slog.Logger
}

// Provider reads and writes secrets of one project.
type Provider struct {
	sdk      *secretmanager.Client
	session  *session
	endpoint string // https://HOST
	parent   string // projects/PROJECT or projects/PROJECT/locations/LOCATION
	config   Config

	reads, writes *rate.Limiter // of this process; Google counts them apart
	writers       turns.Turns[string]
}

var _ agent.Provider = (*Provider)(nil)

var (
	// projects are ids (6 to 30 characters, older ones with a domain before a colon) and numbers.
	projects = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{0,61}$`)

	// locations are such as europe-west3.
	locations = regexp.MustCompile(`^[a-z][a-z0-9-]{1,61}$`)

	// keys are the resource names of Cloud KMS.
	keys = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`)

	// accounts are e-mails of service accounts.
	accounts = regexp.MustCompile(`^[a-z0-9._-]+@[a-z0-9.-]+$`)
)

// Open checks the configuration and returns a provider. It does not talk to Google: the
// first call does, so an agent starts also while Google cannot be reached.
func Open(cfg Config) (*Provider, error) {
	p, err := open(cfg, singlecall.New(nil))
	if err != nil {
		return nil, fmt.Errorf("configure the gcp provider: %w", err)
	}
	return p, nil
}

// open is Open with calls made by carrier.
func open(cfg Config, carrier http.RoundTripper) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.RequestsPerMinute == 0 {
		cfg.RequestsPerMinute = defaultRequests
	}
	p := &Provider{config: cfg, parent: "projects/" + cfg.Project, session: newSession(cfg.Auth, carrier, cfg.Log)}
	p.endpoint = "https://secretmanager.googleapis.com"
	if cfg.Location != "" {
		p.endpoint = "https://secretmanager." + cfg.Location + ".rep.googleapis.com"
		p.parent += "/locations/" + cfg.Location
	}
	if cfg.Endpoint != "" {
		p.endpoint = strings.TrimSuffix(cfg.Endpoint, "/")
	}
	p.reads, p.writes = limiter(cfg.RequestsPerMinute), limiter(cfg.RequestsPerMinute)
	sdk, err := connect(p.endpoint, p.session)
	p.sdk = sdk
	return p, err
}

// limiter lets a tenth of a minute's calls through at once.
func limiter(perMinute int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(1, perMinute/10))
}

// Validate says what of the configuration cannot be. Open refuses the same.
func (c Config) Validate() error {
	switch {
	case c.Project == "":
		return errors.New("the project is missing")
	case !projects.MatchString(c.Project):
		return fmt.Errorf("the project %q is neither an id nor a number", c.Project)
	case c.Location != "" && !locations.MatchString(c.Location):
		return fmt.Errorf("the location %q is none", c.Location)
	case c.Location != "" && len(c.ReplicaLocations) > 0:
		return errors.New("regional secrets lie in their location: they have no replica locations")
	case c.KMSKey != "" && !keys.MatchString(c.KMSKey):
		return errors.New("the KMS key is no projects/…/locations/…/keyRings/…/cryptoKeys/…")
	case c.KMSKey != "" && len(c.ReplicaLocations) > 1:
		return errors.New("a KMS key goes with one replica location at most: each needs a key of its own")
	case c.Auth.Impersonate != "" && !accounts.MatchString(c.Auth.Impersonate):
		return errors.New("the service account to act as is no e-mail")
	case c.RequestsPerMinute < 0 || c.RequestsPerMinute > maxRequests:
		return fmt.Errorf("requests a minute must be 1 to %d", maxRequests)
	}
	for _, l := range c.ReplicaLocations {
		if !locations.MatchString(l) {
			return fmt.Errorf("the replica location %q is none", l)
		}
	}
	if c.Endpoint != "" {
		if err := checkEndpoint(c.Endpoint); err != nil {
			return err
		}
	}
	return checkEnvironment()
}

func checkEndpoint(text string) error {
	at, err := endpoint.Parse("the endpoint", text)
	if err == nil && strings.Trim(at.Path, "/") != "" {
		return errors.New("the endpoint is no https://HOST[:PORT]")
	}
	return err
}

// name is the resource name of a secret that requests may ask for.
func (p *Provider) name(ref agent.Ref) (string, error) {
	if err := p.config.Allow.Check(ref); err != nil {
		return "", err
	}
	if !isID(ref.String()) {
		return "", fmt.Errorf("%w: Secret Manager's ids are 1 to 255 of A-Z, a-z, 0-9, _ and -", agent.ErrInvalidRef)
	}
	return p.parent + "/secrets/" + ref.String(), nil
}

// isID reports whether Google takes text as the id of a secret (Secret Manager API,
// secrets.create).
func isID(text string) bool {
	const maxID = 255
	return text != "" && len(text) <= maxID && !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	})
}

// Check implements [agent.Provider]: Google answers and knows the agent. Whether roles open
// a secret shows only when it is asked for: an agent that may not list is fine here.
func (p *Provider) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := p.fetch(ctx, 1, "")
	var answered *fault
	if errors.As(err, &answered) && answered.kind == agent.ErrForbidden && answered.rights {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check secret manager: %w", err)
	}
	return nil
}

// Close implements [agent.Provider].
func (p *Provider) Close() error {
	p.session.close()
	return nil
}
