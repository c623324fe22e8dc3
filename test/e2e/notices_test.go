package e2e_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"secretsbridge/test/leaks"
	"secretsbridge/web/api"
)

// letter is an e-mail as its reader has it.
type letter struct {
	to, id, subject, text string
}

// mailbox is a mail server that can be switched off and on again at the same address.
type mailbox struct {
	t      *testing.T
	addr   string
	server *smtp.Server

	mu      sync.Mutex
	letters []letter
	raw     bytes.Buffer // all that came, decoded and not
}

func newMailbox(t *testing.T) *mailbox {
	m := &mailbox{t: t, addr: "127.0.0.1:0"}
	m.on()
	t.Cleanup(m.off)
	return m
}

func (m *mailbox) on() {
	m.t.Helper()
	listener, err := net.Listen("tcp", m.addr)
	if err != nil {
		m.t.Fatal(err)
	}
	m.addr = listener.Addr().String()
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{box: m}, nil }))
	m.server.Domain, m.server.ErrorLog = "mx.test", log.New(io.Discard, "", 0)
	go func(s *smtp.Server) { _ = s.Serve(listener) }(m.server)
}

// off refuses connections from now on.
func (m *mailbox) off() { _ = m.server.Close() }

// of are the letters to somebody about a request, as far as they came.
func (m *mailbox) of(who, request string) (found []letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.letters {
		if l.to == mailOf(who) && strings.Contains(l.text, request) {
			found = append(found, l)
		}
	}
	return found
}

type mailSession struct {
	box *mailbox
	to  string
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}
func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	got, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	var text []byte // of every part, as it is read
	for parts := multipart.NewReader(got.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		read, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		text = append(text, read...)
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.raw.Write(raw)
	s.box.raw.Write(text)
	s.box.letters = append(s.box.letters, letter{s.to, got.Header.Get("Message-ID"), subject, string(text)})
	return nil
}

// posted is a message as it came to a webhook.
type posted struct {
	header http.Header
	body   []byte
	kind   string // of the notice
	id     string // webhook-id
	about  string // the request
	hung   bool   // it was never answered
}

// listener is a webhook's receiver. While it is off it takes what comes and does not answer.
type listener struct {
	t      *testing.T
	server *httptest.Server

	mu   sync.Mutex
	got  []posted
	hang chan struct{} // closed when it is on again; nil while it is
}

func newListener(t *testing.T) *listener {
	l := &listener{t: t}
	l.server = httptest.NewUnstartedServer(l)
	l.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	l.server.StartTLS()
	t.Cleanup(func() { l.on(); l.server.Close() })
	return l
}

func (l *listener) off() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hang = make(chan struct{})
}

func (l *listener) on() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hang != nil {
		close(l.hang)
		l.hang = nil
	}
}

// ServeHTTP implements [http.Handler].
func (l *listener) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	var m struct {
		Type string `json:"type"`
		Data struct {
			Request string `json:"request"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		l.t.Errorf("a message is no JSON: %v", err)
	}
	l.mu.Lock()
	hang := l.hang
	l.got = append(l.got, posted{
		header: r.Header, body: body, kind: strings.TrimSuffix(strings.TrimPrefix(m.Type, "sb.notice."), ".v1"), id: r.Header.Get("webhook-id"),
		about: m.Data.Request, hung: hang != nil,
	})
	l.mu.Unlock()
	if hang != nil {
		<-hang
		panic(http.ErrAbortHandler)
	}
}

func (l *listener) all() []posted {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

// told is the message of a kind about a request that was answered, if it came.
func (l *listener) told(kind, request string) (posted, bool) {
	all := l.all()
	i := slices.IndexFunc(all, func(p posted) bool { return p.kind == kind && p.about == request && !p.hung })
	if i < 0 {
		return posted{}, false
	}
	return all[i], true
}

// port is one of this machine that nobody listens at.
func port(t *testing.T) string {
	t.Helper()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	return taken.Addr().String()
}

const twoDecide = `kind: Workflow
name: two
spec:
  steps:
  - id: first
    approvals: 1
    from:
      people: [approver@demo.local]
  - id: second
    approvals: 1
    from:
      people: [bella@demo.local]
---
kind: Project
name: payments
spec:
  environments:
  - name: prod
    kind: prod
---
kind: Binding
name: payments
spec:
  connection: file
  prefix: prod/
  project: payments
  environment: prod
  operations: [read]
---
kind: Rule
name: two
spec:
  scope:
    project: payments
  effect: require
  workflow: two
`

// TestPeopleAndWebhooksAreTold takes one request to its end while all who are told listen, and
// another one while none of them does: they hear of it when they are back.
func TestPeopleAndWebhooksAreTold(t *testing.T) {
	t.Parallel()
	box, hook := newMailbox(t), newListener(t)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	host, at, err := net.SplitHostPort(box.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, "SB_HTTP_ADDR="+port(t), "SB_SMTP_HOST="+host, "SB_SMTP_PORT="+at, "SB_SMTP_TLS=none", "SB_SMTP_FROM=bridge@example.org",
		"SB_EGRESS_ALLOW=127.0.0.0/8", "SSL_CERT_FILE="+authority)
	c.login(t, "developer", "approver", "admin")
	c.join(t, "bella", "approver")
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(twoDecide), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(t, "admin", "apply", "-f", rules, "--yes")
	canaries := leaks.New()
	value := canaries.Value("password")
	bundle, err := json.Marshal(map[string]string{"password": value})
	if err != nil {
		t.Fatal(err)
	}
	c.put(t, "file/prod/canary", string(bundle))
	post := func(path string, body, into any) {
		t.Helper()
		if status, code := c.call("admin", "POST", path, newKey(), body, into); status/100 != 2 {
			t.Fatalf("POST %s: %d %s", path, status, code)
		}
	}
	var made api.CreatedIntegration
	post("/integrations", api.CreateIntegration{Name: "hook", Kind: "webhook", URL: hook.server.URL + "/in?key=canary"}, &made)
	const reason = "restore the backup of Monday"
	ask := func() string {
		return first(c.must(t, "developer", "request", "read", "file/prod/canary", "--key", "password", "--reason", reason))
	}
	toTheEnd := func(id string, between func()) {
		t.Helper()
		c.must(t, "approver", "approve", id)
		between()
		c.must(t, "bella", "approve", id)
		c.must(t, "developer", "request", "show", id, "--watch")
		if got := c.must(t, "developer", "reveal", id); got != value {
			t.Errorf("revealed is %q", got)
		}
	}
	verifies := func(p posted, keys ...string) {
		t.Helper()
		for i, key := range keys {
			w, err := standardwebhooks.NewWebhook(key)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Verify(p.body, p.header); err != nil {
				t.Errorf("%s by key %d: %v", p.kind, i, err)
			}
		}
	}

	id := ask()
	eventually(t, 20*time.Second, "the approver told", func() bool { return len(box.of("approver", id)) == 1 })
	asked := box.of("approver", id)[0]
	if asked.subject != "Dana Developer asks to read file/prod/canary/password" || !strings.Contains(asked.text, reason) {
		t.Errorf("the approver reads %q:\n%s", asked.subject, asked.text)
	}
	if link := c.linkIn(t, asked.text); link != strings.Replace(c.url, "127.0.0.1", "localhost", 1)+"/inbox?request="+id {
		t.Errorf("the link of %s at %s is %s", id, c.url, link)
	}
	toTheEnd(id, func() { // who decided already is not asked any more
		eventually(t, 20*time.Second, "the second to decide told", func() bool { return len(box.of("bella", id)) == 1 })
	})
	said := []string{" approved the request", " is approved", " is ready to be revealed", " revealed password"}
	eventually(t, 20*time.Second, "the requester told of everything", func() bool { return len(box.of("developer", id)) >= len(said) })
	for i, l := range box.of("developer", id) {
		if i >= len(said) || !strings.Contains(l.subject, said[i]) {
			t.Errorf("letter %d to the requester is %q", i, l.subject)
		}
	}
	eventually(t, 20*time.Second, "the second to decide told of everything", func() bool { return len(box.of("bella", id)) >= 2 })
	if l := box.of("bella", id); len(l) != 2 || !strings.Contains(l[0].subject, "it is for you now to decide") || !strings.Contains(l[1].subject, "revealed") {
		t.Errorf("who decided second reads %+v", l)
	}
	for _, kind := range []string{"submitted", "step_opened", "voted", "approved", "executed", "revealed"} {
		eventually(t, 20*time.Second, "the webhook told of "+kind, func() bool { _, ok := hook.told(kind, id); return ok })
		p, _ := hook.told(kind, id)
		verifies(p, made.SigningKey)
	}

	var rotated api.RotatedSecret
	post("/integrations/hook/rotate", api.RotateSecret{Secret: "signing_key"}, &rotated)
	if rotated.SigningKey == made.SigningKey {
		t.Error("the key is the one before")
	}
	box.off()
	hook.off()
	id = ask()
	toTheEnd(id, func() {}) // whom nobody can be told of it is of no concern to it
	eventually(t, 20*time.Second, "the webhook tried", func() bool {
		return slices.ContainsFunc(hook.all(), func(p posted) bool { return p.hung })
	})
	box.on()
	hook.on()
	for _, kind := range []string{"approved", "executed", "revealed"} {
		eventually(t, 30*time.Second, "the webhook told of "+kind+" when it is back", func() bool { _, ok := hook.told(kind, id); return ok })
		p, _ := hook.told(kind, id)
		verifies(p, rotated.SigningKey, made.SigningKey)
	}
	again := map[string]int{}
	for _, p := range hook.all() {
		again[p.id]++
	}
	hung := slices.IndexFunc(hook.all(), func(p posted) bool { return p.hung })
	if p := hook.all()[hung]; again[p.id] < 2 {
		t.Errorf("%s about %s was tried once, as %s", p.kind, p.about, p.id)
	}
	eventually(t, 30*time.Second, "the requester told when mail is back", func() bool { return len(box.of("developer", id)) > 0 })

	search := canaries.Search()
	everything := box.raw.Bytes()
	for _, p := range hook.all() {
		everything = append(everything, p.body...)
		everything = fmt.Appendln(everything, p.header)
	}
	for _, h := range search.Block("messages", 0, everything) {
		t.Errorf("a message holds the value: %+v", h)
	}
	if hits := search.Block("planted", 0, []byte(value)); len(hits) == 0 {
		t.Error("the search does not find what is there")
	}
	if strings.Contains(c.log(), "key=canary") || strings.Contains(c.log(), rotated.SigningKey) {
		t.Error("the log holds the address of the webhook, or its key")
	}
}

// linkIn is the link of a letter, which is a line of its own.
func (c *control) linkIn(t *testing.T, text string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "https://") {
			return line
		}
	}
	t.Fatalf("there is no link in:\n%s", text)
	return ""
}
