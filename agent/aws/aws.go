// Package aws is a provider over AWS Secrets Manager.
//
// A ref is the name of a secret in one account and region. Credentials come from the
// SDK's standard chain on the agent's own host; [Config] holds none.
//
// Calls that carry values go one by one over package singlecall, in the caller's
// goroutine; all others over connections that are kept. The SDK has values in strings,
// which cannot be cleared: package erase, in which an agent's jobs run, overwrites them.
package aws

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/time/rate"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
)

const (
	// callTime bounds one call of the provider, its retries included, where the caller's
	// context does not end earlier.
	callTime = 30 * time.Second

	// defaultRate is half of the lowest quota of an account and region that applies here:
	// 50 writes a second (AWS Secrets Manager User Guide, quotas). The other half is for
	// everybody else.
	defaultRate = 25

	// maxRate is AWS's own quota of GetSecretValue: more would limit nothing.
	maxRate = 10_000

	// checkName is asked for by Check. Whether there is such a secret does not matter.
	checkName = "secretsbridge/check"
)

// Config says which account and region, as whom, and what of it requests may ask for.
type Config struct {
	// Region is where the secrets are, such as "eu-west-1"; "" means that of the SDK's
	// chain (AWS_REGION, the profile).
	Region string

	// Profile is one of the shared configuration files of the host; "" means that of the
	// chain (AWS_PROFILE, "default").
	Profile string

	// Endpoint replaces AWS's, such as that of a VPC endpoint: https, or http to a
	// loopback host. "" means AWS's own for the region.
	Endpoint string

	Role Role

	// RequestsPerSecond bounds what this provider asks of AWS, all operations together;
	// 0 means 25.
	RequestsPerSecond float64

	// Allow is what requests may ask for.
	Allow agent.AllowList
}

// Role is assumed with the credentials of the chain. The zero Role assumes none.
type Role struct {
	ARN         string
	ExternalID  string // as the role's trust policy wants it; "" sends none
	SessionName string // appears in CloudTrail; "" means "secretsbridge"
}

// Provider reads and writes secrets of one account and region.
type Provider struct {
	values *secretsmanager.Client // for what carries values
	plain  *secretsmanager.Client // for all else
	region string
	allow  agent.AllowList

	credentials *sdk.CredentialsCache
	limit       *rate.Limiter
	idle        func() // closes connections that nobody uses
	closed      atomic.Bool
}

var _ agent.Provider = (*Provider)(nil)

// Open checks the configuration and returns a provider. It does not talk to AWS: the
// first call does, so an agent starts also while AWS is away.
func Open(cfg Config) (*Provider, error) {
	p, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure the aws-secrets-manager provider: %w", err)
	}
	return p, nil
}

func open(cfg Config) (*Provider, error) {
	if err := cfg.Role.validate(); err != nil {
		return nil, err
	}
	limit := cfg.RequestsPerSecond
	switch {
	case limit == 0:
		limit = defaultRate
	case !(limit > 0 && limit <= maxRate): // also what is no number
		return nil, fmt.Errorf("requests_per_second must be above 0 and at most %d", maxRate)
	}
	p := &Provider{allow: cfg.Allow, limit: rate.NewLimiter(rate.Limit(limit), int(math.Ceil(limit)))}
	if err := p.connect(cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// sessionNames is what AssumeRole takes (AWS STS API Reference).
var sessionNames = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func (r Role) validate() error {
	if r.ARN == "" {
		if r.ExternalID != "" || r.SessionName != "" {
			return errors.New("external_id and session_name go with assume_role_arn, which is missing")
		}
		return nil
	}
	name, err := arn.Parse(r.ARN)
	if err != nil || name.Service != "iam" || len(name.Resource) < len("role/x") || name.Resource[:len("role/")] != "role/" {
		return errors.New("assume_role_arn is no ARN of a role: write arn:aws:iam::ACCOUNT:role/NAME")
	}
	if r.SessionName != "" && !sessionNames.MatchString(r.SessionName) {
		return errors.New("session_name must be 2 to 64 of A-Z, a-z, 0-9 and _+=,.@-")
	}
	return nil
}

// names are those that AWS takes (API Reference, CreateSecret). None can be mistaken for
// an ARN, which has colons, so also a name that ends in "-" and six characters is looked
// up as it is.
var names = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)

// locate is the name of a secret. It refuses what is not opened.
func (p *Provider) locate(ref agent.Ref) (string, error) {
	if err := p.allow.Check(ref); err != nil {
		return "", err
	}
	if !names.MatchString(ref.String()) {
		return "", fmt.Errorf("%w: AWS has names of A-Z, a-z, 0-9 and /_+=.@- only", agent.ErrInvalidRef)
	}
	return ref.String(), nil
}

// Check implements [agent.Provider]: AWS answers and accepts the credentials. Whether
// they open a secret shows only when it is asked for.
func (p *Provider) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := p.describe(ctx, checkName)
	if err != nil && !errors.Is(err, agent.ErrNotFound) && !errors.Is(err, agent.ErrForbidden) {
		return fmt.Errorf("check aws secrets manager: %w", err)
	}
	return nil
}

// Close implements [agent.Provider].
func (p *Provider) Close() error {
	p.closed.Store(true)
	p.credentials.Invalidate()
	p.idle()
	return nil
}
