package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/worker"
)

func TestASinkThatIsSetUpWrongSaysWhatToWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const addr = "SB_AUDIT_SYSLOG_ADDR"
	for name, tt := range map[string]struct {
		set  map[string]string
		want string
	}{
		"an address without a port": {map[string]string{addr: "siem.example.org"}, "write host:port"},
		"a port alone":              {map[string]string{addr: ":6514"}, "write host:port"},
		"a port that is none":       {map[string]string{addr: "siem:99999"}, "write host:port"},
		"a format nobody has":       {map[string]string{addr: "siem:6514", "SB_AUDIT_SYSLOG_FORMAT": "leef"}, "write cef, ocsf or cloudevents"},
		"no address":                {map[string]string{"SB_AUDIT_SYSLOG_CA_FILE": file}, "SB_AUDIT_SYSLOG_ADDR is not"},
		"an authority that is none": {map[string]string{addr: "siem:6514", "SB_AUDIT_SYSLOG_CA_FILE": file}, "holds none"},
		"a certificate alone":       {map[string]string{addr: "siem:6514", "SB_AUDIT_SYSLOG_CERT_FILE": file}, "write both"},
		"a certificate that is none": {map[string]string{addr: "siem:6514", "SB_AUDIT_SYSLOG_CERT_FILE": file, "SB_AUDIT_SYSLOG_KEY_FILE": file},
			"SB_AUDIT_SYSLOG_CERT_FILE"},
		"messages too short":       {map[string]string{addr: "siem:6514", "SB_AUDIT_SYSLOG_MAX_BYTES": "2048"}, "choose 6144 to 1048576"},
		"a folder that is a file":  {map[string]string{"SB_AUDIT_EXPORT_DIR": file}, "SB_AUDIT_EXPORT_DIR"},
		"half a path":              {map[string]string{"SB_AUDIT_EXPORT_DIR": "audit"}, "write a whole path"},
		"a format without folder":  {map[string]string{"SB_AUDIT_EXPORT_FORMAT": "cef"}, "SB_AUDIT_EXPORT_DIR is not"},
		"a format for the folder ": {map[string]string{"SB_AUDIT_EXPORT_DIR": dir, "SB_AUDIT_EXPORT_FORMAT": "xml"}, "write cloudevents, ocsf or cef"},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range tt.set {
				t.Setenv(variable, value)
			}
			if _, err := loadSettings(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestSinksAreLoopsOfTheirOwn(t *testing.T) {
	names := func(set ...string) (all []worker.LoopName) {
		for i := 0; i < len(set); i += 2 {
			t.Setenv(set[i], set[i+1])
		}
		s, err := loadSettings()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range (&stack{settings: s}).openSinks() {
			all = append(all, l.Name)
		}
		return all
	}
	if got := names(); len(got) != 0 {
		t.Errorf("without settings there are %v", got)
	}
	got := names("SB_AUDIT_SYSLOG_ADDR", "siem.example.org:6514", "SB_AUDIT_EXPORT_DIR", filepath.Join(t.TempDir(), "audit"))
	if len(got) != 2 || got[0] != "audit-syslog" || got[1] != "audit-folder" || !got[0].Valid() || !got[1].Valid() {
		t.Errorf("loops: %v", got)
	}
}
