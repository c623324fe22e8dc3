package gcp

import "net/http"

// OpenOver is Open with calls made by carrier, which tests point at a fake in the place of
// Google's hosts.
func OpenOver(cfg Config, carrier http.RoundTripper) (*Provider, error) { return open(cfg, carrier) }
