package main

import (
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someConnection = "connections:\n  file:\n    provider: file\n    dir: d\n    identity_file: i\n    allow: [a]\n"

func TestTheFingerprintKeyIsReadFromItsFile(t *testing.T) {
	const canary = "fingerprint-key-canary-4d7e/91+q"
	good := base64.StdEncoding.EncodeToString([]byte(canary))
	path := write(t, someConnection+"fingerprint_key_file: fingerprint.key\n")
	key := filepath.Join(filepath.Dir(path), "fingerprint.key")
	load := func() (settings, error) { return loadConfig(path, slog.New(slog.DiscardHandler)) }
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "fingerprint_key_file") {
		t.Errorf("a file that is not there: %v", err)
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"as it is made":         {good + "\n", 0o600, ""},
		"for reading alone":     {good, 0o400, ""},
		"for the group as well": {good, 0o640, "run chmod 600"},
		"for others as well":    {good, 0o602, "run chmod 600"},
		"empty":                 {"", 0o600, "exactly one fingerprint key"},
		"two keys":              {good + "\n" + good + "\n", 0o600, "exactly one fingerprint key"},
		"half a key":            {good[:20], 0o600, "exactly one fingerprint key"},
		"much more":             {strings.Repeat(good, 100), 0o600, "exactly one fingerprint key"},
		"no base64":             {canary, 0o600, "exactly one fingerprint key"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(key)
			if err := os.WriteFile(key, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(key, c.mode); err != nil {
				t.Fatal(err)
			}
			s, err := load()
			switch {
			case c.want == "" && (err != nil || s.fingerprintKey.IsZero()):
				t.Errorf("it is not read: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want it to contain %q", err, c.want)
			case err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), good[:12])):
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

func TestWithoutAFileThereIsNoFingerprintKey(t *testing.T) {
	s, err := loadConfig(write(t, someConnection), slog.New(slog.DiscardHandler))
	if err != nil || !s.fingerprintKey.IsZero() {
		t.Errorf("there is one, or %v", err)
	}
}
