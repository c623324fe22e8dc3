package awskms_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/kms"
	"secretsbridge/kms/awskms"
	"secretsbridge/kms/kmstest"
	"secretsbridge/seal"
	"secretsbridge/test/servers/awsjson"
	fake "secretsbridge/test/servers/awskms"
	"secretsbridge/test/servers/faults"
)

// start serves a KMS and lets the standard chain of credentials find a way in.
func start(t testing.TB) *fake.Server {
	t.Helper()
	awsjson.SignIn(t)
	return fake.Start(t)
}

func configure(server *fake.Server) awskms.Config {
	return awskms.Config{
		Key: server.CreateKey(fake.Symmetric), MACKey: server.CreateKey(fake.HMAC), Endpoint: server.Address, Timeout: 4 * time.Second,
	}
}

func open(t testing.TB, cfg awskms.Config) *awskms.Keys {
	t.Helper()
	km, err := awskms.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return km
}

// moving is a key manager whose operator moves on to another key: a new configuration
// with the old key among the older ones, as after a restart of the server.
type moving struct {
	t      testing.TB
	server *fake.Server

	mu  sync.Mutex // guards what follows
	cfg awskms.Config
	now *awskms.Keys
}

func newMoving(t testing.TB, server *fake.Server) *moving {
	cfg := configure(server)
	return &moving{t: t, server: server, cfg: cfg, now: open(t, cfg)}
}

func (m *moving) keys() *awskms.Keys {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *moving) Rotate(ctx context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cfg.OldKeys = append([]string{m.cfg.Key}, m.cfg.OldKeys...)
	m.cfg.Key = m.server.CreateKey(fake.Symmetric)
	next, err := awskms.Open(ctx, m.cfg)
	if err == nil {
		m.now = next
	}
	return m.cfg.Key, err
}

func (m *moving) Wrap(ctx context.Context, key seal.DataKey, ec kms.EncryptionContext) (kms.Wrapped, error) {
	return m.keys().Wrap(ctx, key, ec)
}

func (m *moving) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	return m.keys().Unwrap(ctx, w, ec)
}

func (m *moving) FingerprintKey(ctx context.Context, label string) (seal.FingerprintKey, error) {
	return m.keys().FingerprintKey(ctx, label)
}

func (m *moving) Check(ctx context.Context) error { return m.keys().Check(ctx) }

func (m *moving) PrimaryKeyID(ctx context.Context) (string, error) { return m.keys().PrimaryKeyID(ctx) }

func TestContract(t *testing.T) {
	server := start(t)
	kmstest.Run(t, func(t *testing.T) kmstest.KeyManager { return newMoving(t, server) })
}

func TestFaults(t *testing.T) {
	awsjson.SignIn(t)
	with := func(change func(*fake.Server, *awskms.Config)) func(*testing.T) kms.KeyManager {
		return func(t *testing.T) kms.KeyManager {
			server := fake.Start(t)
			cfg := configure(server)
			change(server, &cfg)
			return open(t, cfg)
		}
	}
	kmstest.RunRemote(t, func(t *testing.T) kmstest.Remote {
		server := fake.Start(t)
		m := newMoving(t, server)
		return kmstest.Remote{
			KeyManager: m,
			Begin:      func(f kmstest.Fault) { server.Door.Set(faults.Fault(f)) },
			BeginOnce:  func(f kmstest.Fault) { server.Door.SetOnce(faults.Fault(f)) },
			Asked:      server.Door.Asked,
			Forbid: func(_ *testing.T, forbidden bool) {
				for _, operation := range []string{"Encrypt", "Decrypt"} {
					server.Deny(operation, m.cfg.Key, forbidden)
				}
				server.Deny("GenerateMac", m.cfg.MACKey, forbidden)
			},
			Retire: func(_ *testing.T, id string) { server.Disable(id) },
		}
	}, map[string]kmstest.Wrong{
		"a key that is not there":     {Open: with(func(_ *fake.Server, c *awskms.Config) { c.Key = c.Key[:len(c.Key)-12] + "000000000000" }), Want: kms.ErrUnknownKey},
		"a MAC key that is not there": {Open: with(func(_ *fake.Server, c *awskms.Config) { c.MACKey = c.MACKey[:len(c.MACKey)-12] + "000000000000" }), Want: kms.ErrUnknownKey},
		"a key that cannot wrap":      {Open: with(func(server *fake.Server, c *awskms.Config) { c.Key = server.CreateKey(fake.HMAC) }), Want: kms.ErrWrongKey},
		"a MAC key that wraps":        {Open: with(func(server *fake.Server, c *awskms.Config) { c.MACKey = server.CreateKey(fake.Symmetric) }), Want: kms.ErrWrongKey},
		"a disabled key":              {Open: with(func(server *fake.Server, c *awskms.Config) { server.Disable(c.Key) }), Want: kms.ErrRefused},
		"a key that will be deleted":  {Open: with(func(server *fake.Server, c *awskms.Config) { server.ScheduleDeletion(c.Key) }), Want: kms.ErrRefused},
		"a missing right to decrypt":  {Open: with(func(server *fake.Server, c *awskms.Config) { server.Deny("Decrypt", c.Key, true) }), Want: kms.ErrRefused},
		"nobody at the endpoint":      {Open: with(func(_ *fake.Server, c *awskms.Config) { c.Endpoint = "http://127.0.0.1:1" }), Want: kms.ErrUnavailable},
	})
}

// TestARotationInsideKMSMovesNothing: the same ARN, and what is older still opens.
func TestARotationInsideKMSMovesNothing(t *testing.T) {
	server := start(t)
	cfg := configure(server)
	km := open(t, cfg)
	key, ec := seal.NewDataKey(), kms.EncryptionContext{"purpose": "test"}
	w, err := km.Wrap(t.Context(), key, ec)
	if err != nil {
		t.Fatal(err)
	}
	server.Rotate(cfg.Key)
	got, err := km.Unwrap(t.Context(), w, ec)
	if err != nil || string(got.Expose()) != string(key.Expose()) {
		t.Errorf("unwrap after a rotation: error %v, or another key", err)
	}
	if id, err := km.PrimaryKeyID(t.Context()); err != nil || id != w.KeyID {
		t.Errorf("the primary key is %s, %v", id, err)
	}
}

func TestASignatureThatIsWrongIsRefused(t *testing.T) {
	server := start(t)
	for name, env := range map[string][2]string{
		"another secret": {"AWS_SECRET_ACCESS_KEY", "no-such-secret"},
		"nobody we know": {"AWS_ACCESS_KEY_ID", "AKIDNOBODY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(env[0], env[1])
			if err := open(t, configure(server)).Check(t.Context()); !errors.Is(err, kms.ErrRefused) {
				t.Errorf("check: error = %v, want %v", err, kms.ErrRefused)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	server := start(t)
	tests := map[string]struct {
		change func(*awskms.Config)
		want   string
	}{
		"an alias":            {func(c *awskms.Config) { c.Key = "alias/secrets" }, "not an alias"},
		"an alias's ARN":      {func(c *awskms.Config) { c.Key = "arn:aws:kms:eu-west-1:111122223333:alias/secrets" }, "not an alias"},
		"no MAC key":          {func(c *awskms.Config) { c.MACKey = "" }, "write arn:aws:kms"},
		"one key for both":    {func(c *awskms.Config) { c.MACKey = c.Key }, "HMAC_256"},
		"keys of two regions": {func(c *awskms.Config) { c.OldKeys = []string{"arn:aws:kms:us-east-1:111122223333:key/1"} }, "one region"},
		"plain http":          {func(c *awskms.Config) { c.Endpoint = "http://kms.example.org" }, "must be https"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := configure(server)
			tt.change(&cfg)
			if _, err := awskms.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("open: %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("another region", func(t *testing.T) {
		t.Setenv("AWS_REGION", "us-east-1")
		if _, err := awskms.Open(t.Context(), configure(server)); err == nil || !strings.Contains(err.Error(), "set AWS_REGION=eu-west-1") {
			t.Errorf("open: %v", err)
		}
	})
	t.Run("plain http from the environment", func(t *testing.T) {
		t.Setenv("AWS_ENDPOINT_URL_KMS", "http://kms.example.org")
		cfg := configure(server)
		cfg.Endpoint = ""
		if _, err := awskms.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "must be https") {
			t.Errorf("open: %v", err)
		}
	})
}

func BenchmarkWrapAndUnwrap(b *testing.B) {
	server := start(b)
	kmstest.Bench(b, open(b, configure(server)))
}
