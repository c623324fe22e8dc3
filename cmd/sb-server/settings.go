package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"secretsbridge/events"
	"secretsbridge/identity/factors"
	"secretsbridge/internal/trace"
	"secretsbridge/ledger/s3"
	"secretsbridge/seal"
)

// settings come from the environment; docs/reference/configuration.md lists them.
type settings struct {
	Profile      string        `env:"SB_PROFILE" envDefault:"development"`
	DataDir      string        `env:"SB_DATA_DIR" envDefault:".data"`
	HTTPAddr     string        `env:"SB_HTTP_ADDR" envDefault:"127.0.0.1:8443"`
	OpsAddr      string        `env:"SB_OPS_ADDR" envDefault:"127.0.0.1:0"`
	LeafAddr     string        `env:"SB_LEAF_ADDR"` // empty: a free loopback port, kept for the next start
	DemoPassword string        `env:"SB_DEMO_PASSWORD"`
	LogLevel     slog.Level    `env:"SB_LOG_LEVEL" envDefault:"INFO"`
	LogFormat    string        `env:"SB_LOG_FORMAT" envDefault:"text"`
	PendingTTL   time.Duration `env:"SB_PENDING_TTL" envDefault:"24h"`
	ApprovalTTL  time.Duration `env:"SB_APPROVAL_TTL" envDefault:"1h"`
	RevealTTL    time.Duration `env:"SB_REVEAL_TTL" envDefault:"15m"`
	Lease        time.Duration `env:"SB_LEASE" envDefault:"30s"`
	LookEach     time.Duration `env:"SB_LOOK_EACH" envDefault:"1m"`

	CompareEach time.Duration `env:"SB_AUDIT_COMPARE_EACH" envDefault:"15m"` // 0: never by itself

	GitOps       bool          `env:"SB_GITOPS_ENABLED"`
	WorkerGitOps bool          `env:"SB_WORKER_GITOPS_ENABLED"`
	GitOpsEach   time.Duration `env:"SB_GITOPS_EACH" envDefault:"15s"`
	GitOpsLimit  time.Duration `env:"SB_GITOPS_LIMIT" envDefault:"30m"`

	DatabaseURL      string `env:"SB_DATABASE_URL"`       // of the application's login; empty: a private Postgres
	DatabaseOwnerURL string `env:"SB_DATABASE_OWNER_URL"` // of the login that owns the schemas

	NATS       natsSettings
	LeafURLs   []string `env:"SB_LEAF_URLS"`    // what agents are told; empty: where the embedded NATS listens
	LeafCAFile string   `env:"SB_LEAF_CA_FILE"` // what agents are told to trust

	TLSCertFile string        `env:"SB_TLS_CERT_FILE"`
	TLSKeyFile  string        `env:"SB_TLS_KEY_FILE"`
	DrainDelay  time.Duration `env:"SB_DRAIN_DELAY" envDefault:"5s"`

	PublicURL string `env:"SB_PUBLIC_URL"` // empty: https:// and HTTPAddr

	OpenRequests int `env:"SB_OPEN_REQUESTS" envDefault:"200"`

	CallsPerPerson  int      `env:"SB_CALLS_PER_PERSON" envDefault:"600"`
	CallsPerAddress int      `env:"SB_CALLS_PER_ADDRESS" envDefault:"1200"`
	ProxyNames      []string `env:"SB_TRUSTED_PROXIES"`

	EgressNames []string       `env:"SB_EGRESS_ALLOW"`
	Egress      []netip.Prefix `env:"-"` // of EgressNames

	WitnessPolicy string        `env:"SB_WITNESS_POLICY"` // path; empty: no outside witnesses
	ScrubEach     time.Duration `env:"SB_AUDIT_SCRUB_EACH" envDefault:"10m"`
	Tiles         string        `env:"SB_AUDIT_TILES"` // a folder, or s3://BUCKET/PREFIX; empty: tiles are served only

	Reapprove  events.Reapprove `env:"SB_PATCH_REAPPROVE" envDefault:"touched_keys"`
	KMS        kmsSettings
	OIDC       oidcSettings
	SMTP       smtpSettings
	Audit      auditSettings
	SuiteNames []string `env:"SB_HPKE_SUITES" envDefault:"xwing,x25519"`

	Suites  []seal.Suite   `env:"-"` // of SuiteNames
	Proxies []netip.Prefix `env:"-"` // of ProxyNames

	RPID      string         `env:"SB_WEBAUTHN_RP_ID"`
	RPOrigins []string       `env:"SB_WEBAUTHN_ORIGINS"`
	Party     *factors.Party `env:"-"` // of both
}

func loadSettings() (settings, error) {
	s, err := readSettings()
	if err != nil {
		return settings{}, err
	}
	return s, nil
}

// readSettings is loadSettings that returns beside its error what could be read all the same. The
// error names every setting that is wrong, one a line.
func readSettings() (settings, error) {
	s, err := env.ParseAs[settings]()
	if err != nil { // what was not read has no value that could be judged
		return s, explainSettings(err)
	}
	var wrong []error
	refuse := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	take := func(err error) { wrong = append(wrong, err) } // nil is no error
	s.DataDir, err = filepath.Abs(s.DataDir)
	take(err)
	s.Suites, err = parseSuites(s.SuiteNames)
	take(err)
	s.Proxies, err = parseNetworks("SB_TRUSTED_PROXIES", "your proxies", s.ProxyNames)
	take(err)
	s.Egress, err = parseNetworks("SB_EGRESS_ALLOW", "what may be called although it is not of the internet", s.EgressNames)
	take(err)
	s.Party, err = s.relyingParty()
	take(err)
	if s.LogFormat != "text" && s.LogFormat != "json" {
		refuse("SB_LOG_FORMAT is %q: write text or json", s.LogFormat)
	}
	switch s.Reapprove {
	case events.ReapproveNever, events.ReapproveTouched, events.ReapproveAnyChange:
	default:
		refuse("SB_PATCH_REAPPROVE is %q: write never, touched_keys or any_change", s.Reapprove)
	}
	if s.WorkerGitOps && !s.GitOps {
		refuse("SB_WORKER_GITOPS_ENABLED is true and SB_GITOPS_ENABLED is not: the worker only watches what the server lets people map")
	}
	take(checkPublicURL(s.PublicURL))
	for _, n := range []struct {
		name             string
		value, low, high int
	}{
		{"SB_OPEN_REQUESTS", s.OpenRequests, 1, 10_000},
		{"SB_CALLS_PER_PERSON", s.CallsPerPerson, 60, 100_000},
		{"SB_CALLS_PER_ADDRESS", s.CallsPerAddress, 60, 1_000_000},
	} {
		if n.value < n.low || n.value > n.high {
			refuse("%s is %d: choose %d to %d", n.name, n.value, n.low, n.high)
		}
	}
	for _, d := range []struct {
		name      string
		value     time.Duration
		low, high time.Duration
	}{
		{"SB_DRAIN_DELAY", s.DrainDelay, 0, time.Minute},
		{"SB_PENDING_TTL", s.PendingTTL, time.Second, 30 * 24 * time.Hour},
		{"SB_APPROVAL_TTL", s.ApprovalTTL, time.Second, 7 * 24 * time.Hour},
		{"SB_REVEAL_TTL", s.RevealTTL, time.Second, 24 * time.Hour},
		{"SB_LEASE", s.Lease, time.Second, 10 * time.Minute},
		{"SB_LOOK_EACH", s.LookEach, time.Second, time.Hour},
		{"SB_GITOPS_EACH", s.GitOpsEach, 5 * time.Second, 5 * time.Minute},
		{"SB_GITOPS_LIMIT", s.GitOpsLimit, time.Minute, 24 * time.Hour},
	} {
		if d.value < d.low || d.value > d.high {
			refuse("%s is %s: choose %s to %s", d.name, d.value, d.low, d.high)
		}
	}
	if strings.HasPrefix(s.Tiles, s3.Scheme) {
		if _, err := s3.Parse(s.Tiles); err != nil {
			refuse("SB_AUDIT_TILES: %w", err)
		}
	} else if s.Tiles != "" && !filepath.IsAbs(s.Tiles) {
		refuse("SB_AUDIT_TILES is %q: write the whole path of a folder, beginning with /, or s3://BUCKET/PREFIX", s.Tiles)
	}
	if d := s.ScrubEach; d != 0 && (d < time.Minute || d > 7*24*time.Hour) {
		refuse("SB_AUDIT_SCRUB_EACH is %s: choose 1m0s to 168h0m0s, or 0 for never", d)
	}
	if d := s.CompareEach; d != 0 && (d < time.Minute || d > 24*time.Hour) {
		refuse("SB_AUDIT_COMPARE_EACH is %s: choose %s to %s, or 0 for never", d, time.Minute, 24*time.Hour)
	}
	return s, errors.Join(append(wrong, s.validateKMS(), s.validateNATS(), s.validateOIDC(), s.validateSMTP(), s.validateAudit())...)
}

// maxNetworks is how many networks a list may have: more is a list of callers.
const maxNetworks = 64

// parseNetworks reads networks, and addresses alone. One that holds every address would let each
// caller say who it is, or let everything be called.
func parseNetworks(variable, of string, names []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, name := range names {
		name = strings.TrimSpace(name)
		network, err := netip.ParsePrefix(name)
		if addr, alone := netip.ParseAddr(name); alone == nil {
			addr = addr.Unmap().WithZone("")
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil || network.Bits() == 0 || network.Addr().Is4In6() {
			return nil, fmt.Errorf("%s has %q: write networks or addresses of %s, such as 10.0.0.0/8 or 192.0.2.7, separated by commas", variable, name, of)
		}
		all = append(all, network.Masked())
	}
	if len(all) > maxNetworks {
		return nil, fmt.Errorf("%s has %d networks: write %d at most", variable, len(all), maxNetworks)
	}
	return all, nil
}

// explainSettings explains each of the errors of the library.
func explainSettings(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return explainSetting(err)
	}
	var explained []error
	for _, err := range all.Errors {
		explained = append(explained, explainSetting(err))
	}
	return errors.Join(explained...)
}

// explainSetting says which variable is wrong and what to write, where the library
// says which field of ours.
func explainSetting(err error) error {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	field, ok := fieldOf(reflect.TypeFor[settings](), parse.Name)
	if !ok {
		return err
	}
	form := "a value"
	switch parse.Type {
	case reflect.TypeFor[time.Duration]():
		form = "a duration such as 90s, 15m or 24h"
	case reflect.TypeFor[int]():
		form = "a whole number"
	case reflect.TypeFor[slog.Level]():
		form = "DEBUG, INFO, WARN or ERROR"
	}
	name := field.Tag.Get("env")
	return fmt.Errorf("%s is %q: write %s", name, os.Getenv(name), form)
}

// fieldOf finds a field of that name that the environment sets, in a struct or in one within it.
func fieldOf(in reflect.Type, name string) (reflect.StructField, bool) {
	for i := range in.NumField() {
		f := in.Field(i)
		if variable := f.Tag.Get("env"); f.Name == name && variable != "" && variable != "-" {
			return f, true
		}
		if f.Type.Kind() == reflect.Struct && f.Tag.Get("env") == "" {
			if found, ok := fieldOf(f.Type, name); ok {
				return found, true
			}
		}
	}
	return reflect.StructField{}, false
}

// external reports that NATS is the operator's cluster.
func (s settings) external() bool { return len(s.NATS.URLs) > 0 }

// local reports that the data directory holds what only one process may use.
func (s settings) local() bool { return !s.external() || s.DatabaseURL == "" }

func (s settings) path(elem ...string) string {
	return filepath.Join(append([]string{s.DataDir}, elem...)...)
}

func (s settings) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: s.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, options)
	if strings.EqualFold(s.LogFormat, "json") {
		handler = slog.NewJSONHandler(os.Stderr, options)
	}
	return slog.New(trace.Handler(logged.Handler(handler, options)))
}
