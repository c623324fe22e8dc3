package gcp

import (
	"net/http"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
)

// OpenOver is Open with calls made by carrier, which tests point at a fake in the place of
// Google's hosts.
func OpenOver(cfg Config, carrier http.RoundTripper) (*Provider, error) { return open(cfg, carrier) }

// Options are those that the SDK adds to each call, by method.
func (p *Provider) Options() secretmanager.CallOptions { return *p.sdk.CallOptions }
