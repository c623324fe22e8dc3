package production

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/hashicorp/vault/api"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/doctor"
	"secretsbridge/events"
	"secretsbridge/internal/postgres"
	"secretsbridge/nats/subject"
	"secretsbridge/support/supporttest"
)

// examined runs the doctor with the environment of a server and more, and returns its findings by
// name. The exit code must be that of the worst.
func (r *Rig) examined(t *testing.T, server int, env ...string) map[string]doctor.Finding {
	t.Helper()
	if r.settling.IsZero() {
		r.settling = time.Now().Add(loadPatience)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(r.Bin, "sb-server"), "doctor", "--json")
	cmd.Env = append(append(clean(os.Environ()), r.env[server]...), env...)
	out, err := cmd.Output()
	var report doctor.Report
	if json.Unmarshal(out, &report) != nil || report.Format != doctor.Format {
		t.Fatalf("the doctor says %s, %v", out, err)
	}
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
		if len(exit.Stderr) > 0 {
			t.Errorf("it says beside the report: %s", exit.Stderr)
		}
	}
	want := map[doctor.State]int{doctor.OK: 0, doctor.Failed: doctor.ExitFailed, doctor.Warning: doctor.ExitDoubtful, doctor.Unknown: doctor.ExitDoubtful}[report.Worst]
	if code != want {
		t.Errorf("the worst is %s, and the exit code %d, want %d", report.Worst, code, want)
	}
	for _, secret := range []string{r.Postgres.Password(), r.Vault.RootToken, strings.TrimSpace(read(t, r.path("vault-token"))), SecretValue, Password} {
		if strings.Contains(string(out), secret) {
			t.Errorf("the report has a secret: %s", out)
		}
	}
	found := map[string]doctor.Finding{}
	for _, f := range report.Findings {
		found[f.Check] = f
	}
	if streams := found["nats.streams"]; strings.Contains(streams.Seen, "replicas are behind") && time.Now().Before(r.settling) {
		time.Sleep(500 * time.Millisecond) // nodes that came back a moment ago
		return r.examined(t, server, env...)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// expect compares some findings. What is not named must be well, unless it follows: a check that could
// not be made because of another one says so.
func expect(t *testing.T, found map[string]doctor.Finding, want map[string]doctor.State, says ...string) {
	t.Helper()
	text := ""
	for name, state := range want {
		f := found[name]
		if text += f.Seen + "\n"; f.State != state {
			t.Errorf("%s is %s, want %s: %s", name, f.State, state, f.Seen)
		}
		if state == doctor.Failed && f.Next == "" {
			t.Errorf("%s says no next step", name)
		}
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("nothing says %q:\n%s", s, text)
		}
	}
	for name, f := range found {
		follows := f.State == doctor.Unknown && strings.Contains(f.Seen+f.Next, "see ")
		if _, named := want[name]; !named && f.State != doctor.OK && f.State != doctor.NotApplicable && !follows {
			t.Errorf("%s is %s: %s", name, f.State, f.Seen)
		}
	}
}

// examines finds an installation well, and then what was spoilt in it, one thing after the other.
// Everything is as before at the end.
func (r *Rig) examines(t *testing.T) {
	states := func(pairs ...any) map[string]doctor.State {
		m := map[string]doctor.State{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1].(doctor.State)
		}
		return m
	}
	// The agent that comesAndGoes revoked stays away, and those that were killed come back.
	var found map[string]doctor.Finding
	for end := time.Now().Add(loadPatience); ; {
		if found = r.examined(t, 0); worst(found) == doctor.OK || time.Now().After(end) {
			break
		}
	}
	t.Run("all is well", func(t *testing.T) {
		expect(t, found, nil)
		for _, name := range []string{"postgres.login", "nats.streams", "kms.reach", "kms.probe", "keys.ring", "log.checkpoint", "log.views", "server.ready", "agents.heard", "clocks.nats", "clocks.kms", "clocks.postgres", "certificates.api"} {
			if found[name].State != doctor.OK {
				t.Errorf("%+v is not well", found[name])
			}
		}
		if seen := found["nats.servers"].Seen; strings.Count(seen, "node-") != 3 {
			t.Errorf("servers of NATS: %s", seen)
		}
	})
	t.Run("a support bundle has no secret", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "bundle.tar.gz")
		if said := r.Command(t, 0, "support", "bundle", path); !strings.Contains(said, "made by the server that runs") {
			t.Error(said)
		}
		r.harmless(t, path, everyDocument...)
		taken := func() (n int) {
			for stream, kinds := range r.Facts(t) {
				if stream.Aggregate == events.AggregateAccess {
					n += kinds["sb.access.support_bundle_taken.v1"]
				}
			}
			return n
		}
		if n := taken(); n != 1 {
			t.Errorf("%d facts of one bundle", n)
		}
		path = filepath.Join(t.TempDir(), "from-elsewhere.tar.gz")
		elsewhere := append(r.sbEnv("admin", 1), "SB_TOKEN_FILE="+filepath.Join(t.TempDir(), "token"))
		r.run(t, elsewhere, Password+"\n", "sb", "login", "--email", email("admin"), "--password-stdin")
		r.run(t, elsewhere, "", "sb", "support", "bundle", path)
		r.harmless(t, path, everyDocument...)
		if said, err := r.try(elsewhere, "", "sb", "support", "bundle", path+"2"); err == nil || !strings.Contains(err.Error()+said, "too_many_requests") {
			t.Errorf("another one at once: %v, %s", err, said)
		}
		if said, err := r.try(r.sbEnv("developer", 0), "", "sb", "support", "bundle", path+"3"); err == nil || !strings.Contains(err.Error()+said, "forbidden") {
			t.Errorf("a developer takes one: %v, %s", err, said)
		}
		if n := taken(); n != 2 {
			t.Errorf("%d facts of two bundles", n)
		}
	})
	closed := func() string { // a port where nobody listens
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}()
	stranger := httptest.NewTLSServer(http.NotFoundHandler()) // its certificate is of nobody's CA
	defer stranger.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}))
	defer slow.Close()
	absent, others := r.path("none"), r.otherKeys(t)
	for _, c := range []struct {
		name string
		env  []string
		want map[string]doctor.State
		says string
	}{
		{"a setting that is wrong", []string{"SB_LEASE=1ms", "SB_OPEN_REQUESTS=0"}, states("configuration.settings", doctor.Failed), "SB_OPEN_REQUESTS is 0"},
		{"a setting that is misspelt", []string{"SB_LEASES=1m"}, states("configuration.names", doctor.Warning), "nothing reads SB_LEASES"},
		{"a profile for trying out", []string{"SB_PROFILE=development", "SB_HTTP_ADDR=0.0.0.0:" + port(r.URLs[0])}, states("configuration.profile", doctor.Warning), "which others reach"},
		{"another name", []string{"SB_PUBLIC_URL=https://bridge.example"}, states("certificates.api", doctor.Failed), "bridge.example"},
		{"another CA for agents", []string{"SB_LEAF_CA_FILE=" + r.strangeCA(t)}, states("nats.certificates", doctor.Failed), "agents would not take it"},
		{"a CA that is none", []string{"SB_NATS_CA_FILE=" + r.path("agent.yaml")}, states("certificates.authorities", doctor.Failed, "nats.reach", doctor.Failed), "holds no certificate"},
		{"a port where nobody listens", []string{"SB_HTTP_ADDR=" + closed, "SB_OPS_ADDR=" + closed, "SB_WEBAUTHN_RP_ID=localhost"}, states("server.api", doctor.Failed, "server.ops", doctor.Failed), "does not answer"},
		{"another's password for Postgres", []string{"SB_DATABASE_URL=" + strings.Replace(r.Postgres.AppURL(), r.Postgres.Password(), "wrong-password-7c", 1)}, states("postgres.reach", doctor.Failed), "password authentication failed"},
		{"the owner's login", []string{"SB_DATABASE_URL=" + r.Postgres.OwnerURL()}, states("postgres.login", doctor.Failed, "postgres.audit", doctor.Failed), "CREATEROLE"},
		{"no NATS", []string{"SB_NATS_URL=tls://" + closed}, states("nats.reach", doctor.Failed), "not reached"},
		{"a NATS that is one too many", []string{"SB_NATS_URL=" + strings.Join(r.natsURLs(), ",") + ",tls://" + closed}, states("nats.reach", doctor.Warning), closed},
		{"more replicas", []string{"SB_NATS_REPLICAS=5"}, states("nats.streams", doctor.Failed, "nats.log", doctor.Failed), "num_replicas is 3 and must be 5"},
		{"no key manager", []string{"SB_KMS_TRANSIT_ADDR=http://" + closed}, states("kms.reach", doctor.Failed), "gives no answer"},
		{"a token for everything", []string{"SB_KMS_TRANSIT_TOKEN_FILE=" + r.rootToken(t)}, states("kms.reach", doctor.Failed), "may create keys"},
		{"another key for fingerprints", []string{"SB_KMS_TRANSIT_MAC_KEY=sb-other", "SB_KMS_TRANSIT_TOKEN_FILE=" + others}, states("kms.probe", doctor.Failed), "the MAC key is another one"},
		{"another key that wraps", []string{"SB_KMS_TRANSIT_KEY=sb-new", "SB_KMS_TRANSIT_MAC_KEY=sb-mac", "SB_KMS_TRANSIT_TOKEN_FILE=" + others}, states("kms.probe", doctor.Failed, "keys.ring", doctor.Failed, "kms.envelopes", doctor.Warning), "does not open"},
		{"a clock that is an hour behind", []string{"SB_KMS_TRANSIT_ADDR=" + slow.URL}, states("clocks.kms", doctor.Failed, "kms.reach", doctor.Failed), "vault-transit -3"},
		{"a witness that signs nothing", []string{"SB_WITNESS_POLICY=" + r.silentWitness(t)}, states("witnesses.outside", doctor.Warning), "silent.example"},
		{"no mail server", []string{"SB_SMTP_HOST=127.0.0.1", "SB_SMTP_PORT=" + port(closed), "SB_SMTP_FROM=bridge@example.org"}, states("outside.mail", doctor.Failed), "the mail server at"},
		{"no identity provider", []string{"SB_OIDC_ISSUER=https://" + closed, "SB_OIDC_CLIENT_ID=bridge", "SB_OIDC_CLIENT_SECRET_FILE=" + r.path("vault-token")}, states("outside.sign-on", doctor.Failed), "discovery"},
		{"a receiver of syslog that nobody knows", []string{"SB_AUDIT_SYSLOG_ADDR=" + stranger.Listener.Addr().String()}, states("outside.syslog", doctor.Failed), "certificate"},
		{"no collector of traces", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + closed}, states("outside.traces", doctor.Warning), "connection refused"},
		{"no certificate", []string{"SB_TLS_CERT_FILE=" + absent}, states("certificates.api", doctor.Failed), "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, r.examined(t, 0, c.env...), c.want, c.says) })
	}
	// What is done to Postgres by its superuser, and undone.
	app := postgres.AppRole
	for _, c := range []struct {
		name, do, undo string
		want           map[string]doctor.State
		says           string
	}{
		{"a login that may do everything", "ALTER ROLE " + app + " SUPERUSER", "ALTER ROLE " + app + " NOSUPERUSER", states("postgres.login", doctor.Failed, "postgres.audit", doctor.Failed), "SUPERUSER"},
		{"a login that makes tables", "GRANT CREATE ON SCHEMA audit TO " + app, "REVOKE CREATE ON SCHEMA audit FROM " + app, states("postgres.login", doctor.Failed), "may make objects in audit"},
		{"a login that changes the audit", "GRANT UPDATE ON audit.events TO " + app, "REVOKE UPDATE ON audit.events FROM " + app, states("postgres.audit", doctor.Failed), "UPDATE on events"},
		{"a trigger that is off", "ALTER TABLE audit.commits DISABLE TRIGGER commits_are_never_changed", "ALTER TABLE audit.commits ENABLE ALWAYS TRIGGER commits_are_never_changed", states("postgres.audit", doctor.Failed), "commits_are_never_changed"},
		{"commits that wait for no disk", "ALTER ROLE " + app + " SET synchronous_commit = off", "ALTER ROLE " + app + " RESET synchronous_commit", states("postgres.durability", doctor.Failed), "synchronous_commit off"},
		{"a login of few connections", "ALTER ROLE " + app + " CONNECTION LIMIT 1", "ALTER ROLE " + app + " CONNECTION LIMIT -1", states("postgres.reach", doctor.Failed), "too many connections"},
		{"a schema of a newer version", "UPDATE private.schema_version SET version = version + 1", "UPDATE private.schema_version SET version = version - 1", states("postgres.schema", doctor.Failed), "older than the schema"},
		{"an agent that is away", "UPDATE views.agents SET state = 'offline' WHERE name = 'agent-0'", "UPDATE views.agents SET state = 'online' WHERE name = 'agent-0'", states("agents.heard", doctor.Warning), "agent-0 of " + ClusterName},
		{"a notice that nobody takes", lateNotice, "DELETE FROM private.deliveries WHERE id = 'd_late'", states("outside.notices", doctor.Warning), "the oldest is due for 2h"},
		{"an agent that does not vouch", "CREATE TABLE public.spoilt AS SELECT id, connected_at FROM views.agents; UPDATE views.agents SET connected_at = now() - interval '1 hour'; DELETE FROM private.cosignatures",
			"UPDATE views.agents a SET connected_at = s.connected_at FROM public.spoilt s WHERE s.id = a.id; DROP TABLE public.spoilt", states("agents.witness", doctor.Warning), "agent-0 of " + ClusterName},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range r.Agents { // which would vouch again at once
				p.Signal(t, syscall.SIGSTOP)
				defer p.Signal(t, syscall.SIGCONT)
			}
			r.Postgres.Exec(t, postgres.Database, c.do)
			defer r.Postgres.Exec(t, postgres.Database, c.undo)
			expect(t, r.examined(t, 0), c.want, c.says)
		})
	}
	t.Run("a bucket that keeps things for less long", func(t *testing.T) {
		nc, err := r.Cluster(t).ConnectProvisioner("spoil")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), subject.JobsStream)
		if err != nil {
			t.Fatal(err)
		}
		config := stream.CachedInfo().Config
		spoilt := config
		spoilt.MaxAge = time.Hour
		if _, err := js.UpdateStream(t.Context(), spoilt); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := js.UpdateStream(t.Context(), config); err != nil {
				t.Error(err)
			}
		}()
		expect(t, r.examined(t, 0), states("nats.streams", doctor.Failed), "max_age is 1h0m0s and must be 0s")
	})
	t.Run("a folder that others may write to", func(t *testing.T) {
		dir := r.path("server-0")
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, info.Mode())
		expect(t, r.examined(t, 0), states("data.folder", doctor.Failed), "mode 0777")
	})
	t.Run("a key that others may read", func(t *testing.T) {
		dir := filepath.Join(r.path("server-0"), "keys")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.WriteFile(filepath.Join(dir, "signing.json"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		expect(t, r.examined(t, 0), states("data.keys", doctor.Failed), "signing.json (mode 0644)")
	})
	t.Run("a node of NATS that is away", func(t *testing.T) {
		r.Nodes[1].Stop(t)
		defer r.Nodes[1].Start(t)
		found := r.examined(t, 0)
		for end := time.Now().Add(loadPatience); found["nats.streams"].State == doctor.Unknown && time.Now().Before(end); {
			found = r.examined(t, 0) // streams that it led have no leader for a moment
		}
		expect(t, found, states("nats.reach", doctor.Warning, "nats.servers", doctor.Warning, "nats.streams", found["nats.streams"].State, "nats.certificates", doctor.Unknown,
			"agents.heard", found["agents.heard"].State), "2 of 3 servers of the cluster answer")
		if s := found["nats.streams"]; s.State != doctor.Warning && s.State != doctor.Failed {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a node of NATS that acknowledges too early", func(t *testing.T) {
		conf := filepath.Join(r.Operator, "node-3.conf")
		before := read(t, conf)
		r.Nodes[2].Stop(t)
		if err := os.WriteFile(conf, []byte(strings.Replace(before, "sync_interval: always", `sync_interval: "2m"`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Servers { // which end when they see it
			p.Stop(t)
		}
		r.Nodes[2].Start(t)
		found := r.examined(t, 0)
		r.Nodes[2].Stop(t)
		if err := os.WriteFile(conf, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		r.Nodes[2].Start(t)
		expect(t, found, states("nats.durability", doctor.Failed, "nats.log", doctor.Failed, "nats.streams", found["nats.streams"].State, "nats.servers", found["nats.servers"].State,
			"agents.heard", found["agents.heard"].State), "sync_interval is not always on node-3")
	})
	t.Run("a log that was cut off", func(t *testing.T) { // no server runs
		r.Postgres.Exec(t, postgres.Database, "INSERT INTO private.checkpoints (size, root, signed, signed_at) SELECT 1000000, root, signed, now() FROM private.checkpoints ORDER BY size DESC LIMIT 1")
		defer r.Postgres.Exec(t, postgres.Database, "DELETE FROM private.checkpoints WHERE size = 1000000")
		found := r.examined(t, 0)
		expect(t, found, states("log.checkpoint", doctor.Failed, "agents.heard", found["agents.heard"].State), "1000000 commits were signed")
		path := filepath.Join(t.TempDir(), "bundle.tar.gz")
		if said := r.Command(t, 0, "support", "bundle", path); !strings.Contains(said, "no server runs here") {
			t.Error(said)
		}
		r.harmless(t, path, "manifest.json", "versions.json", "settings.json", "doctor.json", "log-and-views.json", "agents.json", "streams.json")
		for _, name := range []string{"server.api", "server.ops", "server.ready"} {
			if found[name].State != doctor.NotApplicable {
				t.Errorf("no server runs: %+v", found[name])
			}
		}
	})
	t.Run("a login of fewer connections than a server takes", func(t *testing.T) {
		r.Postgres.Exec(t, postgres.Database, "ALTER ROLE "+app+" CONNECTION LIMIT 40")
		defer r.Postgres.Exec(t, postgres.Database, "ALTER ROLE "+app+" CONNECTION LIMIT -1")
		found := r.examined(t, 0, "SB_DATABASE_URL="+r.Postgres.AppURL()+"&pool_max_conns=50")
		expect(t, found, states("postgres.connections", doctor.Warning, "agents.heard", found["agents.heard"].State), "the login may have 40")
	})
	t.Run("values under an older key", func(t *testing.T) {
		if _, err := r.vaultRoot(t).Logical().WriteWithContext(t.Context(), "transit/keys/sb/rotate", nil); err != nil {
			t.Fatal(err)
		}
		found := r.examined(t, 0)
		expect(t, found, states("kms.envelopes", doctor.Warning, "agents.heard", found["agents.heard"].State), "with older ones")
	})
	t.Run("no Postgres", func(t *testing.T) {
		r.Postgres.Stop()
		defer func() {
			if err := r.Postgres.Start(); err != nil {
				t.Error(err)
			}
		}()
		found := r.examined(t, 0)
		expect(t, found, states("postgres.reach", doctor.Failed, "nats.reach", doctor.Unknown), "connection refused")
		if found["kms.reach"].State != doctor.OK || found["kms.probe"].State != doctor.Unknown {
			t.Errorf("the key manager by itself: %+v, %+v", found["kms.reach"], found["kms.probe"])
		}
	})
	for _, p := range r.Servers {
		p.Start(t)
	}
}

// lateNotice is the row of a notice that is due for two hours, and in the hands of a sender.
const lateNotice = `INSERT INTO private.deliveries (id, recipient, kind, event, seq, request, at, state, due_at, held, message, attempts, code, claimed_until)
	VALUES ('d_late', 'integration:none', 'request_waiting', 'e_late', 1, '', now(), 'waiting', now() - interval '2 hours', false, '', 0, '', now() + interval '1 hour')`

// everyDocument are the documents of a bundle that a server makes.
var everyDocument = []string{
	"manifest.json", "versions.json", "settings.json", "doctor.json", "log-and-views.json", "agents.json", "streams.json", "server.json", "metrics.txt", "log.jsonl",
	"goroutines.txt", "heap.txt",
}

// harmless unpacks a bundle, which must have all of these documents, and nothing in them that is
// nobody's business.
func (r *Rig) harmless(t *testing.T, path string, names ...string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	found := map[string]bool{}
	for document, text := range supporttest.Unpack(t, []byte(read(t, path))) {
		found[document] = len(text) > 0
		for what, secret := range map[string]string{
			"the password of Postgres": r.Postgres.Password(), "Vault's root token": r.Vault.RootToken, "the server's token": strings.TrimSpace(read(t, r.path("vault-token"))),
			"a value": SecretValue, "a person's password": Password, "an address of mail": email("developer"), "a path of a secret": "prod/db", "a reason": "load 0 of",
		} {
			for form, as := range map[string]string{
				"plain": secret, "hex": hex.EncodeToString([]byte(secret)), "base64": base64.StdEncoding.EncodeToString([]byte(secret)),
				"base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)), "escaped": url.QueryEscape(secret),
			} {
				if strings.Contains(text, as) {
					t.Errorf("%s has %s, %s", document, what, form)
				}
			}
		}
	}
	for _, name := range names {
		if !found[name] {
			t.Errorf("%s is missing or empty", name)
		}
	}
}

func worst(found map[string]doctor.Finding) doctor.State {
	for _, f := range found {
		if f.State != doctor.OK && f.State != doctor.NotApplicable {
			return f.State
		}
	}
	return doctor.OK
}

func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

// strangeCA is a file with the CA of nobody here.
func (r *Rig) strangeCA(t *testing.T) string {
	t.Helper()
	other := &Rig{Dir: t.TempDir()}
	other.certify(t)
	return other.CA
}

// rootToken is a file with the token that may do everything in Vault.
func (r *Rig) rootToken(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(r.Vault.RootToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// silentWitness is a policy with a witness that nobody asks.
func (r *Rig) silentWitness(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := torchwood.NewCosignatureSigner("silent.example", key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "policy")
	text := fmt.Sprintf("witness silent %s https://silent.example\nquorum silent\n", signer.Verifier())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// otherKeys makes other keys in Vault, and returns a file with a token that may use these and those of
// the rig.
func (r *Rig) otherKeys(t *testing.T) string {
	t.Helper()
	root := r.vaultRoot(t)
	write := func(path string, data map[string]any) *api.Secret {
		secret, err := root.Logical().WriteWithContext(t.Context(), path, data)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	write("transit/keys/sb-new", map[string]any{"type": "aes256-gcm96"})
	write("transit/keys/sb-other", map[string]any{"type": "hmac", "key_size": 32})
	write("sys/policies/acl/sb-others", map[string]any{"policy": `
		path "transit/encrypt/sb-new" { capabilities = ["update"] }
		path "transit/decrypt/sb-new" { capabilities = ["update"] }
		path "transit/keys/+"         { capabilities = ["read"] }
		path "transit/hmac/+"         { capabilities = ["update"] }`})
	token := write("auth/token/create", map[string]any{"policies": []string{"sb", "sb-others"}})
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token.Auth.ClientToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
