package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"secretsbridge/support/supporttest"
)

// TestABundleHoldsNoSecret makes one where nothing runs, with secrets in every setting that has one, in
// files, in addresses of all kinds, and in what is no setting.
func TestABundleHoldsNoSecret(t *testing.T) {
	const canary = "canary-5b1e7a"
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"SB_DATA_DIR": dir, "SB_HTTP_ADDR": "127.0.0.1:1", "SB_DEMO_PASSWORD": canary, "SB_DATABSE_URL": canary,
		"SB_DATABASE_URL": "postgres://sb_app:" + canary + "@127.0.0.1:1/x?sslmode=disable", "SB_DATABASE_OWNER_URL": "host=127.0.0.1 port=1 password=" + canary,
		"SB_NATS_URL": "tls://u:" + canary + "@127.0.0.1:1", "SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": "http://u:" + canary + "@127.0.0.1:1",
		"SB_KMS_TRANSIT_KEY": "sb", "SB_KMS_TRANSIT_TOKEN_FILE": file, "SB_KMS_TRANSIT_ROLE_ID": canary,
		"SB_SMTP_HOST": "127.0.0.1", "SB_SMTP_PORT": "1", "SB_SMTP_FROM": "person-canary@example.org", "SB_SMTP_USERNAME": canary, "SB_SMTP_PASSWORD": canary,
		"SB_OIDC_ISSUER": "https://127.0.0.1:1", "SB_OIDC_CLIENT_ID": "x", "SB_OIDC_CLIENT_SECRET_FILE": file, "SB_PUBLIC_URL": "https://u:" + canary + "@bridge.example",
		"SB_AUDIT_TILES": "s3://key:" + canary + "@bucket/x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:" + canary + "@127.0.0.1:1", "VAULT_TOKEN": canary,
	} {
		t.Setenv(name, value)
	}
	x := newExamination(os.Environ())
	defer x.close()
	file0, err := x.bundle(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := supporttest.Unpack(t, file0)
	for _, name := range []string{"manifest.json", "versions.json", "settings.json", "doctor.json"} {
		if found[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	for name, text := range found {
		for form, secret := range map[string]string{
			"plain": canary, "hex": hex.EncodeToString([]byte(canary)), "base64": base64.StdEncoding.EncodeToString([]byte(canary)),
			"base64url": base64.RawURLEncoding.EncodeToString([]byte(canary)), "escaped": url.QueryEscape(canary), "an address": "person-canary@",
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has the canary, %s:\n%s", name, form, text)
			}
		}
	}
	var shown []settingShown
	if err := json.Unmarshal([]byte(found["settings.json"]), &shown); err != nil {
		t.Fatal(err)
	}
	of := map[string]settingShown{}
	for _, s := range shown {
		of[s.Name] = s
	}
	if s := of["SB_SMTP_PASSWORD"]; !s.Set || s.Value != "" || s.Note == "" {
		t.Errorf("%+v", s)
	}
	if s := of["SB_SMTP_HOST"]; s.Value != "127.0.0.1" {
		t.Errorf("%+v", s)
	}
	if s := of["SB_DATABSE_URL"]; s.Value != "" || s.Note == "" {
		t.Errorf("%+v", s)
	}
}

// TestEachSettingIsShownOrWithheldOnPurpose has whoever adds a setting that sounds like a secret
// decide about it.
func TestEachSettingIsShownOrWithheldOnPurpose(t *testing.T) {
	public := []string{ // names of keys at key managers, which are no keys; files, by their paths
		"SB_KMS_TRANSIT_KEY", "SB_KMS_TRANSIT_OLD_KEYS", "SB_KMS_TRANSIT_MAC_KEY", "SB_KMS_AWS_KEY", "SB_KMS_AWS_OLD_KEYS", "SB_KMS_AWS_MAC_KEY",
	}
	for name := range settingNames() {
		sounds := false
		for _, word := range []string{"PASSWORD", "SECRET", "TOKEN", "KEY", "DATABASE", "USERNAME", "ROLE_ID", "FROM"} {
			sounds = sounds || strings.Contains(name, word)
		}
		withheld := slices.Contains(secretSettings, name) || slices.Contains(withheldSettings, name)
		if sounds && !withheld && !slices.Contains(public, name) && !strings.HasSuffix(name, "_FILE") {
			t.Errorf("%s sounds like a secret: name it in secretSettings or withheldSettings, or here", name)
		}
	}
}
