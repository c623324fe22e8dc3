package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/internal/window"
	"secretsbridge/seal"
)

func TestAWrongSettingSaysWhatToWrite(t *testing.T) {
	tests := map[string]struct{ name, value, want string }{
		"a bare number":       {"SB_REVEAL_TTL", "5", "write a duration"},
		"a level nobody has":  {"SB_LOG_LEVEL", "loud", "write DEBUG, INFO"},
		"a format nobody has": {"SB_LOG_FORMAT", "xml", "write text or json"},
		"too short":           {"SB_LEASE", "1ms", "choose 1s to 10m"},
		"tiles nowhere":       {"SB_AUDIT_TILES", "audit", "beginning with /, or s3://BUCKET/PREFIX"},
		"tiles in no bucket":  {"SB_AUDIT_TILES", "s3://key:secret@bucket/log", "without credentials"},
		"an unknown suite":    {"SB_HPKE_SUITES", "xwing,rsa", "write xwing,x25519"},
		"a suite twice":       {"SB_HPKE_SUITES", "xwing,xwing", "write xwing,x25519"},
		"too long":            {"SB_PENDING_TTL", "9999h", "choose 1s to 720h"},
		"too few calls":       {"SB_CALLS_PER_PERSON", "59", "choose 60 to 100000"},
		"too many calls":      {"SB_CALLS_PER_ADDRESS", "1000001", "choose 60 to 1000000"},
		"no number of calls":  {"SB_CALLS_PER_ADDRESS", "many", "write a whole number"},
		"no network":          {"SB_TRUSTED_PROXIES", "10.0.0.0/8,proxy.example", "proxy.example"},
		"every address":       {"SB_TRUSTED_PROXIES", "0.0.0.0/0", "such as 10.0.0.0/8"},
		"too many proxies":    {"SB_TRUSTED_PROXIES", strings.Repeat("10.0.0.1,", 64) + "10.0.0.1", "64 at most"},
		"everything called":   {"SB_EGRESS_ALLOW", "::/0", "write networks or addresses of what may be called"},
		"no network to call":  {"SB_EGRESS_ALLOW", "argocd.example", "argocd.example"},
		"a party with a port": {"SB_WEBAUTHN_RP_ID", "bridge.example.org:443", "relying party"},
		"a party by address":  {"SB_WEBAUTHN_RP_ID", "192.0.2.1", "relying party"},
		"an origin elsewhere": {"SB_WEBAUTHN_ORIGINS", "https://localhost:8443,https://evil.example", "is not of localhost"},
		"an origin in clear":  {"SB_WEBAUTHN_ORIGINS", "http://localhost.localhost", "is not https"},
		"an origin and more":  {"SB_WEBAUTHN_ORIGINS", "https://localhost/app", "scheme, host and port"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv(tt.name, tt.value)
			_, err := loadSettings()
			if err == nil || !strings.Contains(err.Error(), tt.name) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s and %q", err, tt.name, tt.want)
			}
		})
	}
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("SB_REVEAL_TTL", "90s")
	s, err := loadSettings()
	if err != nil || s.RevealTTL != 90*time.Second || s.PendingTTL != 24*time.Hour || len(s.Suites) != 2 || s.Suites[0] != seal.XWing {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestProxiesAreNetworksOrAddresses(t *testing.T) {
	t.Setenv("SB_TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.7,2001:db8::7")
	s, err := loadSettings()
	if want := "[10.0.0.0/8 192.0.2.7/32 2001:db8::7/128]"; err != nil || fmt.Sprint(s.Proxies) != want {
		t.Errorf("%v, %v, want %s", s.Proxies, err, want)
	}
	t.Setenv("SB_TRUSTED_PROXIES", "")
	if s, err = loadSettings(); err != nil || len(s.Proxies) != 0 || s.CallsPerPerson != window.DefaultRates.Person || s.CallsPerAddress != window.DefaultRates.Address {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestVaultSettingsAreWholeOrAbsent(t *testing.T) {
	const token = "hvs.canary"
	tests := map[string]struct {
		address, token string
		vault, fails   bool
	}{
		"none":        {"", "", false, false},
		"both":        {"http://127.0.0.1:8200", token, true, false},
		"no token":    {"http://127.0.0.1:8200", "", false, true},
		"not a URL":   {"garbage", token, false, true},
		"not a Vault": {"ftp://127.0.0.1", token, false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("VAULT_ADDR", tt.address)
			t.Setenv("VAULT_TOKEN", tt.token)
			v, err := vaultFromEnvironment()
			if (v != nil) != tt.vault || (err != nil) != tt.fails {
				t.Errorf("%+v, %v", v, err)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Error("the token is in the error")
			}
		})
	}
}

func TestAnIdentityProviderIsWholeOrAbsent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("<client-canary-3b>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := map[string]string{
		"SB_OIDC_ISSUER": "https://login.example.org", "SB_OIDC_CLIENT_ID": "bridge", "SB_OIDC_CLIENT_SECRET_FILE": file, "SB_PUBLIC_URL": "https://bridge.example.org",
	}
	tests := map[string]struct{ name, value, want string }{
		"all of it":          {"", "", ""},
		"no issuer":          {"SB_OIDC_ISSUER", "", "SB_OIDC_CLIENT_ID is set and SB_OIDC_ISSUER is not"},
		"no client":          {"SB_OIDC_CLIENT_ID", "", "SB_OIDC_CLIENT_ID is not"},
		"no secret":          {"SB_OIDC_CLIENT_SECRET_FILE", "", "SB_OIDC_CLIENT_SECRET_FILE is not"},
		"a secret elsewhere": {"SB_OIDC_CLIENT_SECRET_FILE", file + "x", "SB_OIDC_CLIENT_SECRET_FILE"},
		"an empty secret":    {"SB_OIDC_CLIENT_SECRET_FILE", empty, "holds no secret"},
		"no address of ours": {"SB_PUBLIC_URL", "", "SB_PUBLIC_URL is not"},
		"scopes without one": {"SB_OIDC_SCOPES", "email", "write openid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for variable, value := range whole {
				t.Setenv(variable, value)
			}
			if tt.name != "" {
				t.Setenv(tt.name, tt.value)
			}
			s, err := loadSettings()
			if tt.want == "" {
				client, secretErr := s.clientSecret()
				if err != nil || secretErr != nil || string(client.Expose()) != "<client-canary-3b>" || len(s.OIDC.Scopes) != 3 || s.OIDC.GroupsClaim != "groups" {
					t.Errorf("%+v, %v, %v", s.OIDC, err, secretErr)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	for variable, value := range map[string]string{"SB_OIDC_CA_FILE": file, "SB_OIDC_GROUPS_CLAIM": "roles"} {
		t.Run(variable+" alone", func(t *testing.T) {
			t.Setenv(variable, value)
			if _, err := loadSettings(); err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTheBannerCanBePasted(t *testing.T) {
	for path, want := range map[string]string{
		"/srv/data/ca.pem": "/srv/data/ca.pem",
		"/my data/ca.pem":  "'/my data/ca.pem'",
		"/it's/$(here)/ca": `'/it'\\''s/$(here)/ca'`,
	} {
		if got := quoted(path); got != strings.ReplaceAll(want, `\\`, `\`) {
			t.Errorf("quoted(%s) = %s", path, got)
		}
	}
	for addr, want := range map[string]string{"0.0.0.0:1": "127.0.0.1:1", "[::]:2": "127.0.0.1:2", "127.0.0.1:3": "127.0.0.1:3", "[::1]:4": "[::1]:4"} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := callable(tcp); got != want {
			t.Errorf("callable(%s) = %s, want %s", addr, got, want)
		}
	}
}

func TestPasskeysBelongToTheHostOfTheAPI(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8443": "https://localhost:8443", ":8443": "https://localhost:8443", "[::]:443": "https://localhost",
		"bridge.example.org:443": "https://bridge.example.org", "bridge.example.org:8443": "https://bridge.example.org:8443",
	} {
		s := settings{HTTPAddr: addr}
		party, err := s.relyingParty()
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if got := party.Origins(); len(got) != 1 || got[0] != want {
			t.Errorf("%s: passkeys are used at %v, want %s", addr, got, want)
		}
	}
}
