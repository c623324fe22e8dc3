package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"secretsbridge/kms"
	"secretsbridge/test/servers/awsjson"
	fake "secretsbridge/test/servers/awskms"
)

func TestKMSSettingsSayWhatToWrite(t *testing.T) {
	const key = "arn:aws:kms:eu-west-1:111122223333:key/1"
	tests := map[string]struct {
		env  map[string]string
		want string // "" for fine
	}{
		"nothing":               {nil, ""},
		"no such profile":       {map[string]string{"SB_PROFILE": "prod"}, "write development or production"},
		"no such backend":       {map[string]string{"SB_KMS": "vault"}, "write local, vault-transit or aws-kms"},
		"local in production":   {map[string]string{"SB_PROFILE": "production"}, "write SB_KMS=vault-transit or SB_KMS=aws-kms"},
		"another's settings":    {map[string]string{"SB_KMS_TRANSIT_ADDR": "https://v"}, "write SB_KMS=vault-transit"},
		"AWS's settings":        {map[string]string{"SB_KMS_AWS_KEY": key}, "write SB_KMS=aws-kms"},
		"no address":            {map[string]string{"SB_KMS": "vault-transit", "SB_KMS_TRANSIT_KEY": "k"}, "SB_KMS_TRANSIT_ADDR is not set"},
		"no key":                {map[string]string{"SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": "https://v"}, "SB_KMS_TRANSIT_KEY is not set"},
		"no way in":             {map[string]string{"SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": "https://v", "SB_KMS_TRANSIT_KEY": "k"}, "write SB_KMS_TRANSIT_TOKEN_FILE"},
		"half a role":           {map[string]string{"SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": "https://v", "SB_KMS_TRANSIT_KEY": "k", "SB_KMS_TRANSIT_ROLE_ID": "r", "SB_KMS_TRANSIT_TOKEN_FILE": "/t"}, "not both"},
		"an AppRole":            {map[string]string{"SB_PROFILE": "production", "SB_KMS": "vault-transit", "SB_KMS_TRANSIT_ADDR": "https://v", "SB_KMS_TRANSIT_KEY": "k", "SB_KMS_TRANSIT_ROLE_ID": "r", "SB_KMS_TRANSIT_SECRET_ID_FILE": "/s"}, ""},
		"AWS without a MAC key": {map[string]string{"SB_KMS": "aws-kms", "SB_KMS_AWS_KEY": key}, "SB_KMS_AWS_MAC_KEY is not set"},
		"AWS":                   {map[string]string{"SB_PROFILE": "production", "SB_KMS": "aws-kms", "SB_KMS_AWS_KEY": key, "SB_KMS_AWS_MAC_KEY": key + "2"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			_, err := loadSettings()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// startKMS opens the key manager as a start of the server does.
func startKMS(t *testing.T, dir string, fresh bool, k kmsSettings) (kms.KeyManager, error) {
	t.Helper()
	s := settings{DataDir: dir, Profile: development, KMS: k}
	if err := os.MkdirAll(s.path("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	km, _, err := openKMS(context.Background(), s, fresh, func(kms.KeyManager) keyring { return folderOf(s.path("keys")) })
	if err == nil {
		t.Cleanup(func() { closeKMS(km) })
	}
	return km, err
}

func TestAStartFindsLocalKeysThatOpenNothingOfBefore(t *testing.T) {
	dir := t.TempDir()
	ours := kmsSettings{Backend: kmsLocal}
	for _, fresh := range []bool{true, false} {
		if _, err := startKMS(t, dir, fresh, ours); err != nil {
			t.Fatal(err)
		}
	}
	other := t.TempDir()
	if _, err := startKMS(t, other, true, ours); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other+"/keys/kms.json", dir+"/keys/kms.json"); err != nil {
		t.Fatal(err)
	}
	_, err := startKMS(t, dir, false, ours)
	if err == nil || !strings.Contains(err.Error(), "bring that key back") {
		t.Errorf("start with other keys: %v", err)
	}
	if info, err := os.Stat(dir + "/keys/kms-probe.json"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the probe: %v, %v", info, err)
	}
}

func TestAStartFindsAConfigurationThatOpensNothingOfBefore(t *testing.T) {
	awsjson.SignIn(t)
	server := fake.Start(t)
	first := kmsSettings{Backend: kmsAWS, AWSKey: server.CreateKey(fake.Symmetric), AWSMACKey: server.CreateKey(fake.HMAC), AWSEndpoint: server.Address}
	dir := t.TempDir()
	if _, err := startKMS(t, dir, true, first); err != nil {
		t.Fatal(err)
	}
	second := first
	second.AWSKey = server.CreateKey(fake.Symmetric)
	if _, err := startKMS(t, dir, false, second); err == nil || !strings.Contains(err.Error(), first.AWSKey) || !strings.Contains(err.Error(), "old keys") {
		t.Errorf("start with another key: %v", err)
	}
	second.AWSOldKeys = []string{first.AWSKey}
	if _, err := startKMS(t, dir, false, second); err != nil {
		t.Errorf("start with the old key among the old ones: %v", err)
	}
	third := second
	third.AWSMACKey = server.CreateKey(fake.HMAC)
	if _, err := startKMS(t, dir, false, third); err == nil || !strings.Contains(err.Error(), "MAC key is another one") {
		t.Errorf("start with another MAC key: %v", err)
	}
	server.Disable(first.AWSKey)
	if _, err := startKMS(t, dir, false, second); err == nil || !strings.Contains(err.Error(), "bring that key back") {
		t.Errorf("start with the old key disabled: %v", err)
	}
	server.Disable(second.AWSKey)
	if _, err := startKMS(t, dir, false, second); err == nil || !strings.Contains(err.Error(), "key manager aws-kms cannot serve") {
		t.Errorf("start with a disabled key: %v", err)
	}
	if _, err := startKMS(t, dir, false, kmsSettings{Backend: kmsLocal}); err == nil {
		t.Error("a start without the key file made new keys beside old data")
	}
}
