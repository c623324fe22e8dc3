package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"secretsbridge/doctor"
	"secretsbridge/internal/build"
	"secretsbridge/internal/erase"
)

// settingsAreRight reads all settings by the code of `serve`.
func (x *examination) settingsAreRight(context.Context) doctor.Seen {
	if x.wrong != nil {
		return doctor.Fail("set what the sentence names: "+see("reference/configuration.md"), "%v", x.wrong)
	}
	return doctor.Fine("every setting can be read, and they fit together")
}

// elsewhere are variables that begin with SB_ and are of other programs of the product, which may run
// in the same environment.
var elsewhere = []string{"SB_SERVER", "SB_CA_FILE", "SB_SERVER_KEY", "SB_TOKEN", "SB_TOKEN_FILE", "SB_PROFILE_DIR", "SB_CONFIG_DIR"}

// settingsAreKnown finds names that nothing reads: what was meant by them has no effect.
func (x *examination) settingsAreKnown(context.Context) doctor.Seen {
	known := settingNames()
	var unknown []string
	for _, line := range x.environ {
		name, _, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, "SB_") || known[name] || strings.HasPrefix(name, "SB_AGENT_") || slices.Contains(elsewhere, name) || ofKubernetes.MatchString(name) {
			continue
		}
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	if len(unknown) > 0 {
		return doctor.Warn("correct or unset it: "+see("reference/configuration.md")+" lists all names", "nothing reads %s", doctor.Some(unknown))
	}
	return doctor.Fine("every variable that begins with SB_ is a setting")
}

// ofKubernetes are addresses of services that Kubernetes puts into every pod, where one is called sb.
var ofKubernetes = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?$`)

// settingNames are the names of all settings.
func settingNames() map[string]bool {
	all := map[string]bool{"SB_DEMO_FILL_VAULT": true}
	var walk func(reflect.Type)
	walk = func(in reflect.Type) {
		for i := range in.NumField() {
			f := in.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
			switch {
			case name != "" && name != "-":
				all[name] = true
			case name == "" && f.Type.Kind() == reflect.Struct:
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[settings]())
	return all
}

// profileFits warns where what is meant for trying out may be in earnest.
func (x *examination) profileFits(context.Context) doctor.Seen {
	s := x.settings
	if s.Profile == production {
		return doctor.Fine("SB_PROFILE is production")
	}
	host := hostOf(s.HTTPAddr)
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return doctor.Warn("set SB_PROFILE=production: "+see("how-to/production.md"),
			"SB_PROFILE is %s and SB_HTTP_ADDR is %s, which others reach: keys may lie in a file that opens every value", s.Profile, s.HTTPAddr)
	}
	return doctor.Fine("SB_PROFILE is %s, and this machine alone reaches it", s.Profile)
}

// binaryFits compares this binary with the server that runs, and with how it should be built.
func (x *examination) binaryFits(ctx context.Context) doctor.Seen {
	text := fmt.Sprintf("sb-server %s, %s, %s/%s", build.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if self, err := x.self.get(ctx); err == nil && self.Version != build.Version() {
		return doctor.Warn("restart the server, or look with its own binary: "+see("operations/upgrades.md"), "%s; the server that runs is %s", text, self.Version)
	}
	if !erase.Works && x.settings.Profile == production {
		return doctor.Warn("use a binary that was built with GOEXPERIMENT=runtimesecret, as make build does", "%s; values stay in its memory until that is used again", text)
	}
	return doctor.Fine("%s", text)
}

// stateless says that nothing that matters is in the data directory.
func (x *examination) stateless() bool { return x.settings.external() && x.settings.DatabaseURL != "" }

func (x *examination) dataFolder(context.Context) doctor.Seen {
	dir := x.settings.DataDir
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if x.stateless() {
			return doctor.None("%s is made at the start; nothing is kept in it", dir)
		}
		return doctor.Unsure("start the server once, or set SB_DATA_DIR to its folder", "%s is not there: nothing was ever started with it", dir)
	}
	if err := wholeDataDir(x.settings); err != nil {
		return doctor.Fail(see("operations/backup.md"), "%v", err)
	}
	return doctor.Folder(dir)
}

func (x *examination) dataKeys(context.Context) doctor.Seen {
	dir := x.settings.path("keys")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return doctor.None("there are no keys in the data directory")
	}
	return doctor.PrivateFiles(dir)
}

func (x *examination) dataSpace(context.Context) doctor.Seen {
	dir := x.settings.DataDir
	if _, err := os.Stat(dir); err != nil {
		return doctor.None("%s is not there", dir)
	}
	return doctor.Space(dir)
}

// apiCertificate reads the files as the server does, and compares them with how it is called.
func (x *examination) apiCertificate(context.Context) doctor.Seen {
	s := x.settings
	if s.TLSCertFile == "" {
		return doctor.None("the server makes its certificate itself at each start, by the CA in %s", s.DataDir)
	}
	p := doctor.Pair{Cert: s.TLSCertFile, Key: s.TLSKeyFile, Renew: "put a new certificate and its key in their place; nothing is restarted: " + see("operations/rotations.md")}
	if u, err := url.Parse(s.PublicURL); err == nil && u.Hostname() != "" {
		p.Names = append(p.Names, u.Hostname())
	}
	if !s.external() { // agents link with the same certificate
		p.CA = s.LeafCAFile
		for _, at := range s.LeafURLs {
			if u, err := url.Parse(at); err == nil && !slices.Contains(p.Names, u.Hostname()) {
				p.Names = append(p.Names, u.Hostname())
			}
		}
	}
	return p.Look(time.Now())
}

// authorities reads every file of CAs that a setting names.
func (x *examination) authorities(context.Context) doctor.Seen {
	s := x.settings
	looks := map[string]doctor.Seen{}
	var names []string
	for _, of := range [][2]string{
		{"SB_LEAF_CA_FILE", s.LeafCAFile}, {"SB_NATS_CA_FILE", s.NATS.CAFile}, {"SB_KMS_TRANSIT_CA_FILE", s.KMS.TransitCAFile},
		{"SB_OIDC_CA_FILE", s.OIDC.CAFile}, {"SB_SMTP_CA_FILE", s.SMTP.CAFile}, {"SB_AUDIT_SYSLOG_CA_FILE", s.Audit.SyslogCA},
		{"ca.pem", s.ownCA()},
	} {
		if of[1] == "" {
			continue
		}
		names = append(names, of[0])
		looks[of[0]] = doctor.Authorities(of[1], time.Now(), "put the CA of now into the file: "+see("operations/rotations.md"))
	}
	if len(names) == 0 {
		return doctor.None("no setting names a file of CAs: the system's are trusted")
	}
	return doctor.Worst(names, looks)
}

// ownCA is the path of the development CA, if it is used and was made.
func (s settings) ownCA() string {
	path := s.path("ca.pem")
	if _, err := os.Stat(path); err != nil || s.TLSCertFile != "" {
		return ""
	}
	return path
}
