package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/test/servers"
)

// TestSomebodySignsInByAProviderFromTheCommandLine takes the whole way with the real binaries and
// a real provider, and is logged out by it.
func TestSomebodySignsInByAProviderFromTheCommandLine(t *testing.T) {
	op, err := servers.StartOIDC()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(op.Stop)
	// The server takes a port of its own, so it is known by a name that the browser looks up itself.
	const public, clientSecret = "https://bridge.test", "<client-secret-5c0de1>"
	dir := t.TempDir()
	for name, text := range map[string]string{"secret": clientSecret + "\n", "ca.pem": op.CA} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := op.Register(servers.OIDCClient{ID: "bridge", Secret: clientSecret, Redirect: []string{public + "/api/v1/auth/oidc/callback"}}); err != nil {
		t.Fatal(err)
	}
	ann := servers.OIDCPerson{Subject: "ann-1", Username: "ann", Password: "<password-of-ann>", Email: "ann@members.example", Verified: true, Name: "Ann Member", Groups: []string{"cn=nobody"}}
	if err := op.Know(ann); err != nil {
		t.Fatal(err)
	}
	c := start(t, "SB_OIDC_ISSUER="+op.Issuer, "SB_OIDC_CLIENT_ID=bridge", "SB_OIDC_CLIENT_SECRET_FILE="+filepath.Join(dir, "secret"),
		"SB_OIDC_CA_FILE="+filepath.Join(dir, "ca.pem"), "SB_PUBLIC_URL="+public)

	tokens := filepath.Join(dir, "token")
	sb := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, "sb"), args...)
		cmd.Env = append(clean(os.Environ()), "SB_SERVER="+c.url, "SB_CA_FILE="+c.ca(), "SB_TOKEN_FILE="+tokens)
		return cmd
	}
	login := sb("login", "--sso", "--no-browser")
	var out bytes.Buffer
	login.Stdout = &out
	said, err := login.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := login.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	address := ""
	for address == "" && lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); strings.HasPrefix(text, "https://") {
			address = text
		}
	}
	page := browse(t, c, op, public, address, ann)
	rest, _ := io.ReadAll(said)
	if err := login.Wait(); err != nil || !strings.Contains(out.String(), "signed in as ann@members.example") || !strings.Contains(page, "Go back to the command line") {
		t.Fatalf("%v\n%s%s\nthe browser ends at %q", err, out.String(), rest, page)
	}
	if who, err := sb("whoami").CombinedOutput(); err != nil || !strings.Contains(string(who), "Ann Member") {
		t.Fatalf("%v: %s", err, who)
	}

	token, err := op.LogoutToken("bridge", servers.OIDCFault{Claims: map[string]any{"sub": ann.Subject}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.client.PostForm(c.url+"/api/v1/auth/oidc/backchannel", url.Values{"logout_token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the log-out token: %s", resp.Status)
	}
	if who, err := sb("whoami").CombinedOutput(); err == nil || !strings.Contains(string(who), "session_expired") {
		t.Errorf("still signed in: %s", who)
	}
	for _, canary := range []string{clientSecret, ann.Email, ann.Subject, ann.Name, token} {
		if strings.Contains(c.log(), canary) {
			t.Errorf("%q is in the server's log", canary)
		}
	}
}

// browse signs in with a browser, and returns the page that it ends at.
func browse(t *testing.T, c *control, op *servers.OIDCServer, public, address string, who servers.OIDCPerson) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := op.Roots()
	pem, err := os.ReadFile(c.ca())
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	browser := &http.Client{
		Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for range 20 {
		resp, err := browser.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK && strings.HasPrefix(address, op.Issuer) { // the provider's form
			form := url.Values{"id": {resp.Request.URL.Query().Get("authRequestID")}, "username": {who.Username}, "password": {who.Password}}
			if resp, err = browser.PostForm(op.Issuer+"/login/username", form); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		next, err := resp.Location()
		if err != nil {
			return string(body)
		}
		address = strings.Replace(next.String(), public, c.url, 1)
	}
	t.Fatal("the browser is sent round in circles")
	return ""
}
