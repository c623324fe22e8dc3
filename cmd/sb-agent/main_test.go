package main

import (
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// token is what the scripts enrol with. No output may hold it.
const token = "sbe_a_00000000000000000000000000.canary-token"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sb-agent": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"control-plane": serveControlPlane,
			"stranger-ca": func(ts *testscript.TestScript, _ bool, args []string) {
				ca, _ := selfSigned(t)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), ca, 0o600))
			},
		},
		Setup: func(e *testscript.Env) error {
			return os.WriteFile(filepath.Join(e.WorkDir, "token"), []byte(token+"\n"), 0o600)
		},
	})
}

// serveControlPlane starts one that enrols, and sets SERVER and writes ca.pem. The
// argument says how it behaves.
func serveControlPlane(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: control-plane BEHAVIOUR")
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question events.Enrol
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&question); err != nil || r.Method != http.MethodPost || r.URL.Path != enrolPath ||
			question.Token != token || !strings.HasPrefix(question.UserKey, "U") || r.Header.Get("Idempotency-Key") == "" {
			http.Error(w, "no enrolment", http.StatusTeapot)
			return
		}
		if _, err := seal.ParseRecipientPublic(question.BoxKey); err != nil {
			http.Error(w, "no key", http.StatusTeapot)
			return
		}
		if _, err := seal.ParseVerifyKey(question.SignKey); err != nil {
			http.Error(w, "no signing key", http.StatusTeapot)
			return
		}
		switch args[0] {
		case "enrols":
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(enrolmentFor(certificate(server)))
		case "refuses":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"code":"enrolment_token_refused","detail":"ask an operator for a new one"}`))
		case "redirects":
			http.Redirect(w, r, "https://elsewhere.invalid/", http.StatusTemporaryRedirect)
		case "mumbles":
			_, _ = w.Write([]byte("hello"))
		case "forgets":
			_, _ = w.Write([]byte("{}"))
		case "hangs-up":
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.(interface{ NetConn() net.Conn }).NetConn().Close()
		}
	})
	server.StartTLS()
	ts.Defer(server.Close)
	ts.Setenv("SERVER", server.URL)
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), certificate(server), 0o600))
}

func certificate(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func enrolmentFor(ca []byte) events.Enrolment {
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		panic(err)
	}
	return events.Enrolment{
		Agent: "a_00000000000000000000000000", Name: "demo", Cluster: "local", Account: "AACCOUNT",
		LeafURLs: []string{"tls://127.0.0.1:1"}, CA: string(ca), SigningKey: signer.Public().String(), Serial: 1, Suites: []string{"xwing"},
		Credential: events.Credentials{UserJWT: "jwt", Expires: time.Now().Add(time.Hour)},
	}
}
