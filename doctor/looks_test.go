package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"secretsbridge/doctor"
)

// TestClocksAreJudgedByWhatIsCertain has clocks that are off, and some of which nobody knows enough.
func TestClocksAreJudgedByWhatIsCertain(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		said time.Time
		took time.Duration
		unit time.Duration
		want doctor.State
		says string
	}{
		"right":                       {now.Add(5 * time.Millisecond), 10 * time.Millisecond, 0, doctor.OK, "+0.000 s ± 0.005 s"},
		"in whole seconds":            {now.Add(-time.Second), 10 * time.Millisecond, time.Second, doctor.OK, "± 0.505 s"},
		"ahead by three seconds":      {now.Add(3 * time.Second), 10 * time.Millisecond, 0, doctor.Warning, "+2.995 s"},
		"behind by three seconds":     {now.Add(-3 * time.Second), 10 * time.Millisecond, 0, doctor.Warning, "-3.005 s"},
		"behind by a minute":          {now.Add(-time.Minute), 10 * time.Millisecond, 0, doctor.Failed, "clocks within 30s"},
		"ahead by an hour":            {now.Add(time.Hour), 10 * time.Millisecond, 0, doctor.Failed, "+3599.995 s"},
		"known within ten seconds":    {now.Add(4 * time.Second), 10 * time.Second, 0, doctor.OK, "± 5.000 s"},
		"off by more than is unknown": {now.Add(-time.Minute), 10 * time.Second, 0, doctor.Failed, "± 5.000 s"},
	} {
		s := doctor.Judge([]string{"it"}, map[string]doctor.Offset{"it": doctor.Heard(c.said, now, now.Add(c.took), c.unit)})
		if s.State != c.want || !strings.Contains(s.Text, c.says) || (s.State != doctor.OK) != (s.Next != "") {
			t.Errorf("%s: %+v, want %s and %q", name, s, c.want, c.says)
		}
	}
	s := doctor.Judge([]string{"a", "b"}, map[string]doctor.Offset{
		"a": doctor.Heard(now.Add(time.Second), now, now, 0), "b": doctor.Heard(now.Add(-time.Second), now, now, 0),
	})
	if !strings.Contains(s.Text, "a +1.000 s ± 0.000 s, b -1.000 s ± 0.000 s; among each other about 2.000 s") {
		t.Errorf("%+v", s)
	}
}

func TestServersTellTheTime(t *testing.T) {
	at := func(offset time.Duration) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			if offset >= 0 {
				w.Header().Set("Date", time.Now().Add(offset).UTC().Format(http.TimeFormat))
			}
			w.WriteHeader(http.StatusNotFound)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for offset, least := range map[time.Duration]time.Duration{0: 0, time.Hour: 59 * time.Minute} {
		got, err := doctor.HTTPClock(t.Context(), http.DefaultClient, at(offset))
		if err != nil || got.AtLeast() < least || got.AtLeast() > offset {
			t.Errorf("%s: %s, %v", offset, got, err)
		}
	}
	if _, err := doctor.HTTPClock(t.Context(), http.DefaultClient, at(-1)); err == nil {
		t.Error("an answer without a time tells it")
	}
}

// TestCertificatesAreLookedAt spoils a certificate in every way that keeps people away.
func TestCertificatesAreLookedAt(t *testing.T) {
	now := time.Now()
	ca, caKey := issue(t, nil, nil, true, now.Add(-time.Hour), now.Add(1000*time.Hour*24))
	other, _ := issue(t, nil, nil, true, now.Add(-time.Hour), now.Add(time.Hour*24*1000))
	pair := func(from, until time.Time) (string, string) {
		cert, key := issue(t, ca, caKey, false, from, until)
		return writeCert(t, cert), writeKey(t, key)
	}
	good, goodKey := pair(now.Add(-time.Hour), now.Add(90*24*time.Hour))
	soon, soonKey := pair(now.Add(-80*24*time.Hour), now.Add(10*24*time.Hour))
	short, shortKey := pair(now.Add(-time.Hour), now.Add(12*time.Hour))
	shortEnds, shortEndsKey := pair(now.Add(-11*time.Hour), now.Add(time.Hour))
	past, pastKey := pair(now.Add(-48*time.Hour), now.Add(-time.Hour))
	later, laterKey := pair(now.Add(time.Hour), now.Add(48*time.Hour))
	caFile, otherFile := writeCert(t, ca), writeCert(t, other)
	for name, c := range map[string]struct {
		pair doctor.Pair
		want doctor.State
		says string
	}{
		"a good one":               {doctor.Pair{Cert: good, Key: goodKey, CA: caFile, Names: []string{"localhost"}}, doctor.OK, "good for 90 days"},
		"one that ends soon":       {doctor.Pair{Cert: soon, Key: soonKey, CA: caFile}, doctor.Warning, "ends in 10 days"},
		"one that is for hours":    {doctor.Pair{Cert: short, Key: shortKey, CA: caFile}, doctor.OK, "good for 12 hours"},
		"one of them at its end":   {doctor.Pair{Cert: shortEnds, Key: shortEndsKey, CA: caFile}, doctor.Warning, "ends in 1 hours"},
		"one that ended":           {doctor.Pair{Cert: past, Key: pastKey, CA: caFile}, doctor.Failed, "ended"},
		"one that did not begin":   {doctor.Pair{Cert: later, Key: laterKey, CA: caFile}, doctor.Failed, "begins"},
		"the key of another":       {doctor.Pair{Cert: good, Key: soonKey, CA: caFile}, doctor.Failed, "private key does not match"},
		"no key":                   {doctor.Pair{Cert: good, Key: goodKey + "x", CA: caFile}, doctor.Failed, "no such file"},
		"another CA":               {doctor.Pair{Cert: good, Key: goodKey, CA: otherFile}, doctor.Failed, "signed by unknown authority"},
		"another name":             {doctor.Pair{Cert: good, Key: goodKey, CA: caFile, Names: []string{"localhost", "bridge.example"}}, doctor.Failed, "bridge.example"},
		"a CA that is none":        {doctor.Pair{Cert: good, Key: goodKey, CA: goodKey}, doctor.Failed, "holds no certificate"},
		"a certificate that isn't": {doctor.Pair{Cert: goodKey, Key: goodKey}, doctor.Failed, "failed to find"},
	} {
		c.pair.Renew = "renew it"
		s := c.pair.Look(now)
		if s.State != c.want || !strings.Contains(s.Text, c.says) || (s.State != doctor.OK) != (s.Next == "renew it") {
			t.Errorf("%s: %+v, want %s and %q", name, s, c.want, c.says)
		}
	}
	ending, _ := issue(t, nil, nil, true, now.Add(-1000*24*time.Hour), now.Add(30*24*time.Hour))
	ended, _ := issue(t, nil, nil, true, now.Add(-1000*24*time.Hour), now.Add(-time.Hour))
	both := writeCert(t, ended, ca)
	for name, c := range map[string]struct {
		path string
		want doctor.State
		says string
	}{
		"a CA":                    {caFile, doctor.OK, "good for 1000 days"},
		"one that ends":           {writeCert(t, ending), doctor.Warning, "ends in 30 days"},
		"one that ended":          {writeCert(t, ended), doctor.Failed, "ended"},
		"one that ended, and one": {both, doctor.OK, "good for 1000 days"},
		"a server's certificate":  {good, doctor.Warning, "not the certificate of an authority"},
		"a key beside it":         {appended(t, caFile, goodKey), doctor.Failed, `"PRIVATE KEY"`},
		"nothing":                 {caFile + "x", doctor.Failed, "no such file"},
		"a file of another kind":  {write(t, []byte("none")), doctor.Failed, "holds no certificate"},
	} {
		if s := doctor.Authorities(c.path, now, "put it there"); s.State != c.want || !strings.Contains(s.Text, c.says) || (s.State != doctor.OK) != (s.Next != "") {
			t.Errorf("%s: %+v, want %s and %q", name, s, c.want, c.says)
		}
	}
}

func TestFilesAreLookedAt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := doctor.PrivateFiles(dir); s.State != doctor.OK {
		t.Errorf("%+v", s)
	}
	if err := os.MkdirAll(filepath.Join(dir, "nats"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nats", "core.nk"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if s := doctor.PrivateFiles(dir); s.State != doctor.Failed || !strings.Contains(s.Text, "core.nk (mode 0644)") || strings.Contains(s.Text, "a.key") {
		t.Errorf("%+v", s)
	}
	if s := doctor.Folder(dir); s.State != doctor.OK {
		t.Errorf("%+v", s)
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if s := doctor.Folder(dir); s.State != doctor.Failed || s.Next != "chmod go-w "+dir {
		t.Errorf("%+v", s)
	}
	if s := doctor.Folder(filepath.Join(dir, "a.key")); s.State != doctor.Failed {
		t.Errorf("a file: %+v", s)
	}
	if s := doctor.Folder(filepath.Join(dir, "none")); s.State != doctor.Failed {
		t.Errorf("nothing: %+v", s)
	}
	if s := doctor.Space(dir); !strings.Contains(s.Text, "GB are free") {
		t.Errorf("%+v", s)
	}
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("this test mounts a disk that is nearly full: run it as root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	}()
	if s := doctor.Space(small); s.State != doctor.Failed || !strings.Contains(s.Text, "0.0 of 0.0 GB") {
		t.Errorf("a full disk: %+v", s)
	}
	if s := doctor.Space(filepath.Join(dir, "none")); s.State != doctor.Unknown {
		t.Errorf("nothing: %+v", s)
	}
}

func issue(t *testing.T, ca *x509.Certificate, caKey *ecdsa.PrivateKey, authority bool, from, until time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "doctor " + serial.String()}, NotBefore: from, NotAfter: until,
		IsCA: authority, BasicConstraintsValid: true, DNSNames: []string{"localhost"},
	}
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func write(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeCert(t *testing.T, certs ...*x509.Certificate) string {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return write(t, text)
}

func writeKey(t *testing.T, key *ecdsa.PrivateKey) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func appended(t *testing.T, paths ...string) string {
	var all []byte
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return write(t, all)
}
