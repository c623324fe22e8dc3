package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAMailServerIsWholeOrAbsent(t *testing.T) {
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	file := write("mail-canary-5e\n")
	tests := map[string]struct {
		change map[string]string
		want   string
	}{
		"all of it":                {nil, ""},
		"no host":                  {map[string]string{"SB_SMTP_HOST": ""}, "SB_SMTP_HOST is not"},
		"a host with a port":       {map[string]string{"SB_SMTP_HOST": "mx.example.org:25"}, "SB_SMTP_PORT"},
		"a URL":                    {map[string]string{"SB_SMTP_HOST": "smtp://mx.example.org"}, "a host alone"},
		"a port that is none":      {map[string]string{"SB_SMTP_PORT": "65536"}, "1 to 65535"},
		"a word for a port":        {map[string]string{"SB_SMTP_PORT": "smtp"}, "SB_SMTP_PORT"},
		"TLS of another name":      {map[string]string{"SB_SMTP_TLS": "ssl"}, "write starttls, implicit or none"},
		"from the first byte":      {map[string]string{"SB_SMTP_TLS": "implicit"}, ""},
		"a password in clear":      {map[string]string{"SB_SMTP_TLS": "none"}, "in clear"},
		"in clear, as developed":   {map[string]string{"SB_SMTP_TLS": "none", "SB_SMTP_USERNAME": "", "SB_SMTP_PASSWORD_FILE": ""}, ""},
		"in clear on this machine": {map[string]string{"SB_SMTP_TLS": "none", "SB_SMTP_HOST": "localhost"}, ""},
		"two passwords":            {map[string]string{"SB_SMTP_PASSWORD": "mail-canary-5e"}, "both set"},
		"no password":              {map[string]string{"SB_SMTP_PASSWORD_FILE": ""}, "its password is not"},
		"a password alone":         {map[string]string{"SB_SMTP_USERNAME": ""}, "SB_SMTP_USERNAME is not"},
		"a password elsewhere":     {map[string]string{"SB_SMTP_PASSWORD_FILE": file + "x"}, "SB_SMTP_PASSWORD_FILE"},
		"an empty password":        {map[string]string{"SB_SMTP_PASSWORD_FILE": write("\n")}, "holds no password"},
		"from nobody":              {map[string]string{"SB_SMTP_FROM": ""}, "SB_SMTP_FROM"},
		"from something else":      {map[string]string{"SB_SMTP_FROM": "bridge"}, "write an address"},
		"an authority elsewhere":   {map[string]string{"SB_SMTP_CA_FILE": file}, "holds none"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for variable, value := range map[string]string{
				"SB_SMTP_HOST": "mx.example.org", "SB_SMTP_USERNAME": "bridge", "SB_SMTP_PASSWORD_FILE": file, "SB_SMTP_FROM": "Secrets Bridge <bridge@example.org>",
			} {
				t.Setenv(variable, value)
			}
			for variable, value := range tt.change {
				t.Setenv(variable, value)
			}
			s, err := loadSettings()
			if tt.want == "" {
				sender, senderErr := s.mailSender()
				if err != nil || senderErr != nil || sender == nil {
					t.Errorf("%v, %v, %v", sender, err, senderErr)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestInProductionMailIsEncryptedOrStaysHere(t *testing.T) {
	s := settings{Profile: production, SMTP: smtpSettings{Host: "mx.example.org", From: "bridge@example.org", Security: "none"}}
	if err := s.validateSMTP(); err == nil || !strings.Contains(err.Error(), "starttls or implicit") {
		t.Errorf("%v", err)
	}
	s.SMTP.Host = "127.0.0.1"
	if err := s.validateSMTP(); err != nil {
		t.Errorf("%v", err)
	}
	if sender, err := (settings{}).mailSender(); sender != nil || err != nil {
		t.Errorf("without a host mail is sent by %v, %v", sender, err)
	}
}
