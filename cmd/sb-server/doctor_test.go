package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/doctor"
	"secretsbridge/kms/local"
)

// TestTheDoctorsPageIsWhole compares docs/how-to/when-something-is-wrong.md with the checks.
func TestTheDoctorsPageIsWhole(t *testing.T) {
	page, err := os.ReadFile("../../docs/how-to/when-something-is-wrong.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## What is looked at\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var told, made []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `") {
			for _, m := range regexp.MustCompile("`([a-z.-]+)`").FindAllStringSubmatch(cells[1], -1) {
				told = append(told, m[1])
			}
		}
	}
	for _, c := range newExamination(nil).checks() {
		made = append(made, c.Name)
	}
	slices.Sort(told)
	slices.Sort(made)
	if diff := cmp.Diff(made, told); diff != "" {
		t.Errorf("checks (-made +on the page):\n%s", diff)
	}
}

// TestNoSecretOfTheEnvironmentIsTold has errors that repeat what they were given.
func TestNoSecretOfTheEnvironmentIsTold(t *testing.T) {
	const password, plain = `hush 5b1%"/`, "hush5b1plain"
	escaped := url.QueryEscape(password)
	environ := []string{
		"SB_DATABASE_URL=postgres://sb_app:" + escaped + "@db.example/x?sslpassword=hushkey5b1",
		"SB_DATABASE_OWNER_URL=host=db user=owner password='hushwords5b1'",
		"SB_NATS_URL=tls://one.example:4222,tls://user:" + plain + "@two.example:4222",
		"SB_SMTP_PASSWORD=" + password, "SB_DEMO_PASSWORD=hushdemo5b1", "VAULT_TOKEN=hvs.hush5b1",
		"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20hush5b1,x=hushheader5b1",
		"HTTPS_PROXY=http://proxy:hushproxy5b1,hush@proxy.example:3128",
	}
	x := newExamination(environ)
	var all strings.Builder
	for _, line := range environ {
		_, value, _ := strings.Cut(line, "=")
		fmt.Fprintf(&all, "it is %q and %s\n", value, value)
	}
	for _, alone := range []string{password, escaped, plain, "hushwords5b1", "hushdemo5b1", "hvs.hush5b1", "hushheader5b1", "hushproxy5b1,hush", "tls://somebody:hushother5b1@three.example"} {
		fmt.Fprintf(&all, "cannot parse %s here\n", alone)
	}
	hidden := x.hide(all.String())
	if strings.Contains(hidden, "hush") {
		t.Errorf("what is told has a secret:\n%s", hidden)
	}
	for _, kept := range []string{"one.example:4222", "@two.example", "db.example", "three.example", "it is", "cannot parse"} {
		if !strings.Contains(hidden, kept) {
			t.Errorf("%q is hidden as well:\n%s", kept, hidden)
		}
	}
}

// TestTheReportHoldsNoSecret runs the doctor with secrets in settings and in files, against servers
// that are not there.
func TestTheReportHoldsNoSecret(t *testing.T) {
	const canary = "canary-5b1e7a"
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"SB_DATA_DIR": dir, "SB_HTTP_ADDR": "127.0.0.1:1", "SB_DEMO_PASSWORD": canary,
		"SB_DATABASE_URL": "postgres://sb_app:" + canary + "@127.0.0.1:1/x?sslmode=disable", "SB_NATS_URL": "tls://u:" + canary + "@127.0.0.1:1",
		"SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": "http://127.0.0.1:1", "SB_KMS_TRANSIT_KEY": "sb", "SB_KMS_TRANSIT_TOKEN_FILE": file,
		"SB_SMTP_HOST": "127.0.0.1", "SB_SMTP_PORT": "1", "SB_SMTP_FROM": "a@example.org", "SB_SMTP_USERNAME": "u", "SB_SMTP_PASSWORD": canary,
		"SB_OIDC_ISSUER": "https://u:" + canary + "@127.0.0.1:1", "SB_OIDC_CLIENT_ID": "x", "SB_OIDC_CLIENT_SECRET_FILE": file, "SB_PUBLIC_URL": "https://u:" + canary + "@bridge.example",
		"SB_AUDIT_TILES": "s3://key:" + canary + "@bucket/x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:" + canary + "@127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	x := newExamination(os.Environ())
	defer x.close()
	report := x.exam().Look(t.Context(), x.checks())
	var text strings.Builder
	if err := report.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	for form, secret := range map[string]string{
		"plain": canary, "hex": hex.EncodeToString([]byte(canary)), "base64": base64.StdEncoding.EncodeToString([]byte(canary)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(canary)), "reversed": reversed(canary),
	} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the report has the canary, %s:\n%s", form, &text)
		}
	}
	if report.Worst != doctor.Failed {
		t.Errorf("nothing of it fails:\n%s", &text)
	}
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// TestNamesThatNothingReads knows settings, other programs' variables and those of Kubernetes.
func TestNamesThatNothingReads(t *testing.T) {
	x := newExamination([]string{
		"SB_LEASE=1m", "SB_SMTP_PORT=25", "SB_AGENT_DIR=/x", "SB_TOKEN=x", "SB_DEMO_FILL_VAULT=1", "PATH=/bin", "SB_SERVICE_HOST=10.0.0.1", "SB_SERVER_SERVICE_PORT_HTTPS=1",
		"SB_SERVER_PORT_8443_TCP_ADDR=10.0.0.1", "SB_SERVER_PORT=tcp://10.0.0.1:8443",
	})
	if s := x.settingsAreKnown(t.Context()); s.State != doctor.OK {
		t.Errorf("%+v", s)
	}
	x = newExamination([]string{"SB_LEASES=1m", "SB_SMTP_PROT=25", "SB_DATABSE_URL=postgres://secret"})
	if s := x.settingsAreKnown(t.Context()); s.State != doctor.Warning || s.Text != "nothing reads SB_DATABSE_URL, SB_LEASES, SB_SMTP_PROT" {
		t.Errorf("%+v", s)
	}
}

// TestAllWrongSettingsAreNamed reads several that are wrong, of both kinds.
func TestAllWrongSettingsAreNamed(t *testing.T) {
	t.Setenv("SB_LEASE", "1ms")
	t.Setenv("SB_OPEN_REQUESTS", "0")
	_, err := loadSettings()
	if err == nil || !strings.Contains(err.Error(), "SB_LEASE is 1ms") || !strings.Contains(err.Error(), "SB_OPEN_REQUESTS is 0") {
		t.Errorf("out of range: %v", err)
	}
	t.Setenv("SB_LEASE", "soon")
	t.Setenv("SB_OPEN_REQUESTS", "many")
	_, err = loadSettings()
	if err == nil || !strings.Contains(err.Error(), "SB_LEASE is \"soon\"") || !strings.Contains(err.Error(), "SB_OPEN_REQUESTS is \"many\"") {
		t.Errorf("unreadable: %v", err)
	}
}

// TestAKeyOfAge has the local key manager's key be a day too old.
func TestAKeyOfAge(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys", "kms.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Create(local.Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SB_DATA_DIR", dir)
	look := func() doctor.Seen {
		x := newExamination(os.Environ())
		defer x.close()
		return x.kmsAge(t.Context())
	}
	if s := look(); s.State != doctor.OK {
		t.Errorf("%+v", s)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	doc["keys"].([]any)[0].(map[string]any)["created"] = time.Now().Add(-91 * 24 * time.Hour)
	if text, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := look(); s.State != doctor.Warning || !strings.Contains(s.Text, "91 days old") {
		t.Errorf("%+v", s)
	}
}

func TestVersionsAreCompared(t *testing.T) {
	for version, old := range map[string]bool{"2.15.0": false, "2.15.2": false, "2.16.0-RC.1": false, "3.0.0": false, "2.14.9": true, "1.99.0": true, "2": true, "": true, "v2.15.1": false} {
		if got := below(version, leastNATS); got != old {
			t.Errorf("%s: %t", version, got)
		}
	}
}
