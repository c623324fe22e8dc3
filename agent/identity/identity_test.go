package identity_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/identity"
	"secretsbridge/events"
	"secretsbridge/seal"
)

const seed = "SUATESTSEEDTHATIDENTITYDOESNOTREAD"

func enrolment(t *testing.T) events.Enrolment {
	t.Helper()
	server := httptest.NewTLSServer(nil) // for its certificate
	server.Close()
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return events.Enrolment{
		Agent: events.NewAgentID(), Name: "demo", Cluster: "local", Account: "AACCOUNT", LeafURLs: []string{"tls://localhost:7422"},
		CA:         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		SigningKey: signer.Public().String(), Serial: 1, Suites: []string{"xwing", "x25519"},
		Credential: events.Credentials{UserJWT: "jwt-1", Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
	}
}

func prepare(t *testing.T, dir string) (identity.Keys, seal.RecipientKey) {
	t.Helper()
	box, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := identity.Prepare(dir, []byte(seed), signKey(t), box)
	if err != nil {
		t.Fatal(err)
	}
	return keys, box
}

func signKey(t *testing.T) seal.SigningKey {
	t.Helper()
	key, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func current(id *identity.Identity) seal.RecipientPublic {
	key, _ := id.Keys().Current()
	return key.Public()
}

func enrolled(t *testing.T) (dir string, e events.Enrolment) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "agent")
	keys, _ := prepare(t, dir)
	e = enrolment(t)
	if err := keys.Accept(e, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir, e
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode().Perm())
		}
	}
	return names
}

func TestAnIdentityIsWhatWasEnrolled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "agent")
	keys, box := prepare(t, dir)
	e := enrolment(t)
	now := time.Now()
	if err := keys.Accept(e, now); err != nil {
		t.Fatal(err)
	}
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := events.Enrolment{
		Agent: id.Agent(), Name: id.Name(), Cluster: id.Cluster(), Account: id.Account(), LeafURLs: id.LeafURLs(),
		CA: string(id.CA()), SigningKey: id.TrustedKeys()[0].Key.String(), Serial: id.TrustedKeys()[0].Serial,
		Suites: e.Suites, Credential: id.Credential().Credentials,
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if string(id.UserSeed()) != seed || current(id) != box.Public() || id.SignKey().Public().ID() == "" || !id.Credential().Issued.Equal(now) {
		t.Error("the keys or the time are others")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v", info.Mode())
	}
	if n := len(files(t, dir)); n != 4 {
		t.Errorf("%d files", n)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", id, id, id, id); strings.Contains(text, seed) || !strings.Contains(text, string(e.Agent)) {
		t.Errorf("an identity prints as %s", text)
	}
}

func TestAnIdentityThatIsThereIsReplacedOnPurposeOnly(t *testing.T) {
	dir, e := enrolled(t)
	if err := identity.Free(dir, false); !errors.Is(err, identity.ErrExists) {
		t.Errorf("free: %v", err)
	}
	if err := identity.Free(dir, true); err != nil {
		t.Errorf("free to replace: %v", err)
	}
	if err := identity.Free(t.TempDir(), false); err != nil {
		t.Errorf("free where nothing is: %v", err)
	}

	keys, box := prepare(t, dir) // and here the enrolment might crash
	if id, err := identity.Load(dir); err != nil || id.Agent() != e.Agent || current(id) == box.Public() {
		t.Fatalf("before the answer the old identity holds: %v", err)
	}
	next := enrolment(t)
	if err := keys.Accept(next, time.Now()); err != nil {
		t.Fatal(err)
	}
	if id, err := identity.Load(dir); err != nil || id.Agent() != next.Agent || current(id) != box.Public() {
		t.Fatalf("after the answer the new identity holds: %v", err)
	}
	if names := files(t, dir); len(names) != 4 {
		t.Errorf("old keys are left: %q", names)
	}
}

func TestACrashBeforeTheAnswerLeavesRoomForAnotherTry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "agent")
	prepare(t, dir)
	if _, err := identity.Load(dir); !errors.Is(err, identity.ErrMissing) {
		t.Errorf("load: %v", err)
	}
	if err := identity.Free(dir, false); err != nil {
		t.Errorf("free: %v", err)
	}
	refused, _ := prepare(t, dir)
	refused.Discard()
	keys, _ := prepare(t, dir)
	if err := keys.Accept(enrolment(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	if names := files(t, dir); len(names) != 4 {
		t.Errorf("keys of the first try are left: %q", names)
	}
}

func TestAcceptRefusesAnAnswerThatNoAgentCanWorkWith(t *testing.T) {
	for name, change := range map[string]func(*events.Enrolment){
		"no agent":     func(e *events.Enrolment) { e.Agent = "x" },
		"no cluster":   func(e *events.Enrolment) { e.Cluster = "" },
		"no account":   func(e *events.Enrolment) { e.Account = "" },
		"no link":      func(e *events.Enrolment) { e.LeafURLs = nil },
		"no CA":        func(e *events.Enrolment) { e.CA = "PEM" },
		"no key":       func(e *events.Enrolment) { e.SigningKey = "ed25519:" },
		"no serial":    func(e *events.Enrolment) { e.Serial = 0 },
		"no jwt":       func(e *events.Enrolment) { e.Credential.UserJWT = "" },
		"no jwt's end": func(e *events.Enrolment) { e.Credential.Expires = time.Time{} },
	} {
		dir := t.TempDir()
		keys, _ := prepare(t, dir)
		e := enrolment(t)
		change(&e)
		if err := keys.Accept(e, time.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := identity.Load(dir); !errors.Is(err, identity.ErrMissing) {
			t.Errorf("%s: load: %v", name, err)
		}
	}
}

func TestLoadRefusesWhatOthersMayTouch(t *testing.T) {
	dir, _ := enrolled(t)
	for _, name := range files(t, dir) {
		path := filepath.Join(dir, name)
		for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o601} {
			chmod(t, path, mode)
			if _, err := identity.Load(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), seed) {
				t.Errorf("%s with mode %v: %v", name, mode, err)
			}
		}
		chmod(t, path, 0o600)
	}
	for _, mode := range []fs.FileMode{0o770, 0o707} {
		chmod(t, dir, mode)
		if _, err := identity.Load(dir); err == nil || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("directory with mode %v: %v", mode, err)
		}
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	dir, _ := enrolled(t)
	path := filepath.Join(dir, "identity.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"cut off":          good[:len(good)/2],
		"empty":            nil,
		"a field too many": bytes.Replace(good, []byte(`"name"`), []byte(`"nam"`), 1),
		"another format":   bytes.Replace(good, []byte(`"format": 2`), []byte(`"format": 3`), 1),
		"no serial":        bytes.Replace(good, []byte(`"serial": 1`), []byte(`"serial": 0`), 1),
		"an ended key":     bytes.Replace(good, []byte(`"serial": 1`), []byte(`"until": "2030-01-01T00:00:00Z", "serial": 1`), 1),
		"another box key":  bytes.Replace(good, []byte(`"id": "`), []byte(`"id": "0`), 1),
		"a path elsewhere": bytes.Replace(good, []byte(`"user-`), []byte(`"user-/../`), 1),
	} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Load(dir); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestARenewedCredentialSurvivesARestart(t *testing.T) {
	dir, e := enrolled(t)
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	fresh := agent.Credential{Credentials: events.Credentials{UserJWT: "jwt-2", Expires: e.Credential.Expires.Add(time.Hour)}, Issued: time.Now().UTC()}
	if err := id.Renew(fresh); err != nil {
		t.Fatal(err)
	}
	again, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]agent.Credential{"now": id.Credential(), "after a restart": again.Credential()} {
		if got.UserJWT != "jwt-2" || !got.Expires.Equal(fresh.Expires) || !got.Issued.Equal(fresh.Issued) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	files(t, dir)

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := id.Renew(agent.Credential{Credentials: events.Credentials{UserJWT: "jwt-3"}}); err == nil || id.Credential().UserJWT != "jwt-2" {
		t.Errorf("a credential that is not on disk is used: %v", err)
	}
}

func TestOneProcessRunsAnAgent(t *testing.T) {
	dir, _ := enrolled(t)
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := id.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := id.Lock(); !errors.Is(err, identity.ErrInUse) {
		t.Errorf("lock twice: %v", err)
	}
	unlock()
	if unlock, err = id.Lock(); err != nil {
		t.Errorf("lock after unlock: %v", err)
	}
	unlock()
}

func TestAnIdentityOfTheOldFormatSaysWhatToDo(t *testing.T) {
	dir, _ := enrolled(t)
	old := `{"format": 1, "agent": "a_00000000000000000000000000", "signing_key": "ed25519:x", "box_key_file": "box-1.key"}`
	if err := os.WriteFile(filepath.Join(dir, "identity.json"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Load(dir); !errors.Is(err, identity.ErrOld) || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("load: %v", err)
	}
}
