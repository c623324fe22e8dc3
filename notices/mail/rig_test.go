package mail_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
	"secretsbridge/notices/mail"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const (
	user     = "bridge"
	password = "canary-password-5e"
	to       = "ana.canary@example.org"
)

// inbox is a mail server in this process. It takes what comes, or says what it is told to.
type inbox struct {
	mu       sync.Mutex
	messages [][]byte
	to       []string

	mail, rcpt, data error  // instead of yes
	reading          func() // after the text and before the answer, if set
}

func (b *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{inbox: b}, nil }

func (b *inbox) only(t *testing.T) []byte {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) != 1 {
		t.Fatalf("%d messages arrived", len(b.messages))
	}
	return b.messages[0]
}

func (b *inbox) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.messages)
}

type session struct {
	inbox *inbox
	to    string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, name, word string) error {
		if name != user || word != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no: " + word} // as a server might say
		}
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error { return s.inbox.mail }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.inbox.rcpt
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.inbox.reading != nil {
		s.inbox.reading()
	}
	if s.inbox.data != nil {
		return s.inbox.data
	}
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	s.inbox.messages, s.inbox.to = append(s.inbox.messages, text), append(s.inbox.to, s.to)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// pair is a certificate for 127.0.0.1, and who trusts it.
func pair(t *testing.T) (*tls.Config, *tls.Config) {
	t.Helper()
	lender := httptest.NewTLSServer(nil)
	lender.Close()
	pool := x509.NewCertPool()
	pool.AddCert(lender.Certificate())
	return &tls.Config{Certificates: lender.TLS.Certificates}, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// run starts a server and returns how to send by it.
func run(t *testing.T, b *inbox, how mail.Security, offersTLS bool) mail.Config {
	t.Helper()
	own, trust := pair(t)
	server := smtp.NewServer(b)
	server.Domain, server.EnableSMTPUTF8, server.ErrorLog = "mx.test", true, quiet{}
	server.AllowInsecureAuth = true // so that it is up to us
	if offersTLS {
		server.TLSConfig = own
	}
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := open
	if how == mail.Implicit {
		listener = tls.NewListener(open, own)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return config(open, how, trust)
}

func config(open net.Listener, how mail.Security, trust *tls.Config) mail.Config {
	return mail.Config{
		Host: "127.0.0.1", Port: open.Addr().(*net.TCPAddr).Port, Security: how, Trust: trust, Username: user,
		Password: func() (secret.Value, error) { return secret.New([]byte(password)), nil },
		From:     netmail.Address{Name: "Secrets Bridge", Address: "bridge@example.org"},
		Now:      func() time.Time { return time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC) },
		Timeout:  5 * time.Second,
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// script is a server that says one line after each that it hears, and hangs up at the end. The
// first line is its greeting.
func script(t *testing.T, lines ...string) (net.Listener, func() []string) {
	t.Helper()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := open.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for _, line := range lines {
			if _, err := io.WriteString(conn, strings.ReplaceAll(line, "\n", "\r\n")+"\r\n"); err != nil {
				return
			}
			text, err := in.ReadString('\n')
			if err != nil {
				return
			}
			heard = append(heard, strings.TrimSpace(text))
		}
	}()
	t.Cleanup(func() { open.Close() })
	return open, func() []string {
		open.Close()
		<-done
		return heard
	}
}

func message() notices.Message {
	return notices.Message{
		ID: "n_0a1b2c", Kind: events.NoticeSubmitted, At: time.Date(2026, 11, 27, 11, 59, 0, 0, time.UTC),
		Subject: "Ana López asks to read file/prod/db/password",
		Lines:   []notices.Line{{Text: "Ana López asks to read file/prod/db/password", Detail: "OPS-12: the database is down. 🔥", Link: "https://bridge.example.org/requests/r_1"}},
		Link:    "https://bridge.example.org/requests/r_1",
	}
}

func sender(t *testing.T, cfg mail.Config) *mail.Sender {
	t.Helper()
	s, err := mail.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fails sends and returns what it came to, which must tell nothing.
func fails(t *testing.T, cfg mail.Config) *notices.Failure {
	t.Helper()
	err := sender(t, cfg).Send(t.Context(), notices.Address{Email: to}, message())
	var failure *notices.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("%v, want a failure", err)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error tells the address or the password: %v", err)
	}
	return failure
}
