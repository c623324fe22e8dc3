package gcp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"google.golang.org/api/option"
)

// silent takes what Google's libraries would log. Without a logger of ours they make one
// where GOOGLE_SDK_GO_LOGGING_LEVEL says so, and it prints bodies and tokens.
var silent = slog.New(slog.DiscardHandler)

// connect returns the SDK's client for an endpoint, whose calls all go through door. It is
// never closed: that frees nothing, and would have calls that are under way meet nil.
func connect(endpoint string, door http.RoundTripper) (*secretmanager.Client, error) {
	sdk, err := secretmanager.NewRESTClient(context.Background(),
		option.WithEndpoint(endpoint), // over GOOGLE_API_USE_MTLS_ENDPOINT, too
		option.WithUniverseDomain(googleapis),
		option.WithHTTPClient(client(door)), // so no certificates, proxies, credentials or instruments of its own
		option.WithLogger(silent),
	)
	if err != nil {
		return nil, errors.New("google's library does not start")
	}
	// Its own retries, which go on for a minute, its time limits, and what
	// GOOGLE_SDK_GO_EXPERIMENTAL_TRACING and its like add.
	*sdk.CallOptions = secretmanager.CallOptions{}
	return sdk, nil
}

// client follows no redirects: they would take tokens and values elsewhere.
func client(door http.RoundTripper) *http.Client {
	return &http.Client{Transport: door, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// within has calls end with ctx that the SDK makes without one, which are those of lists.
type within struct {
	ctx  context.Context
	next http.RoundTripper
}

func (w within) RoundTrip(req *http.Request) (*http.Response, error) {
	return w.next.RoundTrip(req.WithContext(w.ctx))
}

// checkEnvironment refuses what would have Google's libraries start a program, or ask
// somebody with the agent's token, in a goroutine of their own, where it may be used.
func checkEnvironment() error {
	for _, name := range []string{"GOOGLE_API_USE_CLIENT_CERTIFICATE", "GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED"} {
		if set := strings.ToLower(os.Getenv(name)); set == "true" || set == "1" {
			return errors.New(name + " is not supported: unset it")
		}
	}
	return nil
}
