package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/internal/endpoint"
	"secretsbridge/internal/singlecall"
)

const (
	// plainTime bounds one attempt of a call without values; singlecall has times of its own.
	plainTime = 20 * time.Second

	// maxValueAnswer and maxPlainAnswer bound what is read of an answer. A value has 65,536
	// bytes, each at most six in JSON. An entry of a list may have 50 tags of 384 characters.
	maxValueAnswer = 1 << 20
	maxPlainAnswer = 16 << 20

	// renewEarly is how long before their end credentials are renewed.
	renewEarly = time.Minute

	// sessionName is how sessions are called unless the configuration says otherwise.
	sessionName = "secretsbridge"
)

// connect builds the SDK's clients. The SDK tries each call once: [Provider.call] repeats.
func (p *Provider) connect(cfg Config) error {
	settings, err := load(cfg)
	if err != nil {
		return err
	}
	if settings.Region == "" {
		return errors.New("no region is given: set region, or AWS_REGION")
	}
	// With the authorities of AWS_CA_BUNDLE, if it is set.
	transport := settings.HTTPClient.(*awshttp.BuildableClient).GetTransport()
	trust := transport.TLSClientConfig
	plain := &http.Client{Transport: bounded{transport, maxPlainAnswer}, Timeout: plainTime, CheckRedirect: noRedirect}
	p.idle, p.region = transport.CloseIdleConnections, settings.Region

	if cfg.Role.ARN != "" {
		door := sts.NewFromConfig(settings, func(o *sts.Options) { o.HTTPClient = plain })
		if at := door.Options().BaseEndpoint; at != nil {
			if _, err := endpoint.Parse("the endpoint", *at); err != nil {
				return fmt.Errorf("sts: %w", err)
			}
		}
		settings.Credentials = sdk.NewCredentialsCache(assume(door, cfg.Role), early)
	}
	cache, ok := settings.Credentials.(*sdk.CredentialsCache)
	if !ok {
		return errors.New("there are no credentials: AWS's chain of environment, profile, web identity, container and instance is empty")
	}
	p.credentials = cache
	client := func(through sdk.HTTPClient) *secretsmanager.Client {
		return secretsmanager.NewFromConfig(settings, func(o *secretsmanager.Options) {
			o.HTTPClient = through
			if cfg.Endpoint != "" {
				o.BaseEndpoint = sdk.String(cfg.Endpoint)
			}
		})
	}
	p.plain, p.values = client(plain), client(single{bounded{singlecall.New(trust), maxValueAnswer}})
	// Also one from the environment (AWS_ENDPOINT_URL), which the SDK takes as it is.
	if at := p.plain.Options().BaseEndpoint; at != nil {
		if _, err := endpoint.Parse("the endpoint", *at); err != nil {
			return err
		}
	}
	return nil
}

// load reads the environment and the shared files, as the SDK does everywhere.
func load(cfg Config) (sdk.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(plainTime).WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })),
		config.WithLogger(logging.Nop{}), // it would write about connections past our log
		config.WithRetryer(func() sdk.Retryer { return sdk.NopRetryer{} }),
		config.WithCredentialsCacheOptions(early),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(cfg.Profile))
	}
	settings, err := config.LoadDefaultConfig(context.Background(), options...)
	var missing config.SharedConfigProfileNotExistError
	switch {
	case errors.As(err, &missing):
		return sdk.Config{}, fmt.Errorf("no shared configuration file of AWS has the profile %q", missing.Profile)
	case err != nil:
		return sdk.Config{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	return settings, nil
}

func assume(door *sts.Client, role Role) *stscreds.AssumeRoleProvider {
	return stscreds.NewAssumeRoleProvider(door, role.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName
		if role.SessionName != "" {
			o.RoleSessionName = role.SessionName
		}
		if role.ExternalID != "" {
			o.ExternalID = sdk.String(role.ExternalID)
		}
	})
}

// early renews credentials before they end; the jitter keeps many agents apart.
func early(o *sdk.CredentialsCacheOptions) {
	o.ExpiryWindow, o.ExpiryWindowJitterFrac = renewEarly, 0.5
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bounded reads no answer without bound.
type bounded struct {
	next http.RoundTripper
	max  int64
}

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(req)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, b.max)
	}
	return res, err
}

// single is a client of the SDK that follows nothing and keeps nothing.
type single struct{ http.RoundTripper }

func (s single) Do(req *http.Request) (*http.Response, error) { return s.RoundTrip(req) }
