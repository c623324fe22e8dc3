package mail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/notices"
	"secretsbridge/notices/mail"

	"github.com/emersion/go-smtp"
)

func TestAMessageArrives(t *testing.T) {
	for name, how := range map[string]mail.Security{"by STARTTLS": mail.StartTLS, "by TLS from the first byte": mail.Implicit, "in clear, on this machine": mail.InClear} {
		t.Run(name, func(t *testing.T) {
			box := &inbox{}
			if err := sender(t, run(t, box, how, how == mail.StartTLS)).Send(t.Context(), notices.Address{Email: to}, message()); err != nil {
				t.Fatal(err)
			}
			parsed, err := netmail.ReadMessage(bytes.NewReader(box.only(t)))
			if err != nil || box.to[0] != to {
				t.Fatalf("%v, to %v", err, box.to)
			}
			for header, want := range map[string]string{
				"Message-Id": "<n_0a1b2c@example.org>", "Date": "Fri, 27 Nov 2026 12:00:00 +0000", "Auto-Submitted": "auto-generated",
				"From": `"Secrets Bridge" <bridge@example.org>`, "To": "<" + to + ">",
			} {
				if got := parsed.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
			if err != nil || subject != message().Subject {
				t.Errorf("the subject is %q, %v", subject, err)
			}
			for kind, body := range parts(t, parsed) {
				for _, want := range []string{"Ana López asks", "the database is down. 🔥", "https://bridge.example.org/requests/r_1"} {
					if !strings.Contains(body, want) {
						t.Errorf("%s has no %q:\n%s", kind, want, body)
					}
				}
			}
		})
	}
}

// parts are the bodies of a message by their kinds: text and HTML.
func parts(t *testing.T, m *netmail.Message) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	found := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part) // which undoes quoted-printable
		if err != nil {
			t.Fatal(err)
		}
		found[part.Header.Get("Content-Type")] = string(body)
	}
	if len(found) != 2 {
		t.Fatalf("%d parts", len(found))
	}
	return found
}

func TestMessagesAboutOneRequestStandTogether(t *testing.T) {
	box := &inbox{}
	s := sender(t, run(t, box, mail.StartTLS, true))
	other, digest, later := message(), message(), message()
	later.ID, other.ID, digest.ID = "n_2", "n_3", "n_4"
	other.Link, digest.Kind = "https://bridge.example.org/requests/r_2", notices.KindDigest
	var threads []string
	for _, m := range []notices.Message{message(), later, other, digest} {
		if err := s.Send(t.Context(), notices.Address{Email: to}, m); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range box.messages {
		parsed, err := netmail.ReadMessage(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		threads = append(threads, parsed.Header.Get("References"))
	}
	if threads[0] == "" || threads[0] != threads[1] || threads[0] == threads[2] || threads[3] != "" {
		t.Errorf("the threads are %q", threads)
	}
}

func TestNoTextBecomesAHeaderOrMarkup(t *testing.T) {
	evil := "x\r\nBcc: canary@evil.example\r\n\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n<script>alert(1)</script><img src=https://evil.example/p.gif>\u202e\x00" +
		strings.Repeat("ä", 5000)
	m := message()
	m.Subject = "=?utf-8?q?=0D=0Aevil?= " + evil
	m.Lines = []notices.Line{{Text: evil, Detail: evil, Link: "javascript:alert(1)"}, {Text: ".", Link: `https://a.example/"onclick="x`}}
	for range 100 {
		m.Lines = append(m.Lines, notices.Line{Text: evil, Detail: evil})
	}
	box := &inbox{}
	if err := sender(t, run(t, box, mail.StartTLS, true)).Send(t.Context(), notices.Address{Email: to}, m); err != nil {
		t.Fatal(err)
	}
	raw := box.only(t)
	if len(raw) > 2<<20 {
		t.Errorf("it has %d bytes", len(raw))
	}
	for line := range bytes.Lines(raw) {
		if len(line) > 1000 { // RFC 5321, section 4.5.3.1.6, with its end
			t.Fatalf("a line has %d bytes: %.60s", len(line), line)
		}
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Header["Bcc"]) != 0 || len(parsed.Header) != 11 {
		t.Errorf("the headers are %v", parsed.Header)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if err != nil || strings.ContainsAny(subject, "\r\n\u202e\x00") || len([]rune(subject)) > 210 {
		t.Errorf("the subject is %q, %v", subject, err)
	}
	for kind, body := range parts(t, parsed) {
		if strings.ContainsAny(body, "\u202e\x00") || strings.Contains(body, "javascript:") || strings.Contains(body, "onclick") {
			t.Errorf("%s has what it must not", kind)
		}
		if strings.HasPrefix(kind, "text/html") && (strings.Contains(body, "<script") || strings.Contains(body, "<img") || strings.Contains(body, "http-equiv")) {
			t.Error("the page has markup of somebody's")
		}
		if strings.HasPrefix(kind, "text/plain") && strings.Contains(body, "\nBcc:") {
			t.Error("the text has somebody's lines")
		}
	}
}

func TestAddressesAreTakenAsTheyAreOrNotAtAll(t *testing.T) {
	box := &inbox{}
	s := sender(t, run(t, box, mail.StartTLS, true))
	for _, bad := range []string{"Ana <ana@example.org>", "ana@example.org\r\nRCPT TO:<x@example.org>", "ana", "a@b, c@d", "<ana@example.org>", "@example.org"} {
		var failure *notices.Failure
		if err := s.Send(t.Context(), notices.Address{Email: bad}, message()); !errors.As(err, &failure) || failure.Code != events.DeliveryRefused || failure.Retry {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var failure *notices.Failure
	if err := s.Send(t.Context(), notices.Address{}, message()); !errors.As(err, &failure) || failure.Code != events.DeliveryUnset || failure.Retry {
		t.Errorf("no address: %v", err)
	}
	if box.count() != 0 {
		t.Error("something was sent")
	}
	if err := s.Send(t.Context(), notices.Address{Email: "añá@example.org"}, message()); err != nil || box.to[0] != "añá@example.org" {
		t.Errorf("beyond ASCII: %v, %v", err, box.to)
	}
	for _, from := range []string{"", "bridge", "Bridge <bridge@example.org>", "bridge@example.org\r\nX: y"} {
		if _, err := mail.New(mail.Config{From: netmail.Address{Address: from}}); err == nil {
			t.Errorf("mail is sent from %q", from)
		}
	}
}

func TestNothingIsSentInClearInPlaceOfTLS(t *testing.T) {
	box := &inbox{}
	if f := fails(t, run(t, box, mail.StartTLS, false)); f.Code != events.DeliveryUntrusted || !f.Retry || !strings.Contains(f.Error(), "STARTTLS") {
		t.Errorf("no STARTTLS: %v", f)
	}
	cfg := run(t, box, mail.StartTLS, true)
	cfg.Trust = nil
	if f := fails(t, cfg); f.Code != events.DeliveryUntrusted || !f.Retry {
		t.Errorf("a certificate of nobody we know: %v", f)
	}
	cfg = run(t, box, mail.InClear, false)
	cfg.Security = mail.Implicit
	if f := fails(t, cfg); f.Code != events.DeliveryUntrusted || !f.Retry {
		t.Errorf("no TLS where there should be: %v", f)
	}
	open, heard := script(t, "220 mx.test", "250-mx.test\n250 STARTTLS", "220 go on\n235 2.7.0 you are in", "250 ok") // what follows in clear is of somebody in between
	_, trust := pair(t)
	if f := fails(t, config(open, mail.StartTLS, trust)); f.Code != events.DeliveryUntrusted && f.Code != events.DeliveryUnavailable {
		t.Errorf("answers in clear: %v", f)
	}
	for _, line := range heard() {
		if strings.Contains(line, "AUTH") || strings.Contains(line, "MAIL") {
			t.Errorf("it was told %q", line)
		}
	}
	if box.count() != 0 {
		t.Error("something was sent")
	}
}

func TestWhatTheServerSaysIsUnderstood(t *testing.T) {
	said := func(code int, class int) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, 1, 1}, Message: "about <" + to + ">"}
	}
	tests := map[string]struct {
		box   *inbox
		wrong bool // password
		code  events.DeliveryCode
		retry bool
		says  string
	}{
		"a wrong password":       {&inbox{}, true, events.DeliveryRefused, true, "535"},
		"the sender is refused":  {&inbox{mail: said(550, 5)}, false, events.DeliveryRefused, false, "550 5.1.1"},
		"nobody of that name":    {&inbox{rcpt: said(550, 5)}, false, events.DeliveryRefused, false, "550 5.1.1"},
		"greylisted":             {&inbox{rcpt: said(450, 4)}, false, events.DeliveryThrottled, true, "450 4.1.1"},
		"a full mailbox":         {&inbox{rcpt: said(452, 4)}, false, events.DeliveryThrottled, true, "452"},
		"going down":             {&inbox{mail: said(421, 4)}, false, events.DeliveryUnavailable, true, "421"},
		"spam, it thinks":        {&inbox{data: said(554, 5)}, false, events.DeliveryRefused, false, "554"},
		"not now, after reading": {&inbox{data: said(451, 4)}, false, events.DeliveryThrottled, true, "451"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := run(t, tt.box, mail.StartTLS, true)
			if tt.wrong {
				cfg.Username = "somebody"
			}
			if f := fails(t, cfg); f.Code != tt.code || f.Retry != tt.retry || !strings.Contains(f.Error(), tt.says) {
				t.Errorf("%v, retry %v; want %s, %v and %q", f, f.Retry, tt.code, tt.retry, tt.says)
			}
			if tt.box.count() != 0 {
				t.Error("it arrived all the same")
			}
		})
	}
}

func TestServersThatHangUpOrNeverAnswer(t *testing.T) {
	hello := []string{"220 mx.test", "250 mx.test"}
	tests := map[string]struct {
		lines []string
		code  events.DeliveryCode
		retry bool
	}{
		"at once":                {nil, events.DeliveryUnavailable, true},
		"after the greeting":     {hello[:1], events.DeliveryUnavailable, true},
		"not serving":            {[]string{"554 not you, " + to}, events.DeliveryRefused, true},
		"no mail server":         {[]string{"HTTP/1.1 400 Bad Request"}, events.DeliveryUnavailable, true},
		"before the text":        {append(hello, "250 ok", "250 ok"), events.DeliveryUnavailable, true},
		"in the middle of DATA":  {append(hello, "250 ok", "250 ok", "354 go on"), events.DeliveryTimeout, true},
		"not beyond ASCII there": {append(hello, "250 ok"), events.DeliveryUnavailable, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			open, heard := script(t, tt.lines...)
			if tt.lines == nil {
				heard()
			}
			cfg := config(open, mail.InClear, nil)
			cfg.Username = ""
			if f := fails(t, cfg); f.Code != tt.code || f.Retry != tt.retry {
				t.Errorf("%v, retry %v; want %s, %v", f, f.Retry, tt.code, tt.retry)
			}
		})
	}
	t.Run("no address beyond ASCII without SMTPUTF8", func(t *testing.T) {
		open, heard := script(t, hello...)
		cfg := config(open, mail.InClear, nil)
		cfg.Username = ""
		var failure *notices.Failure
		if err := sender(t, cfg).Send(t.Context(), notices.Address{Email: "añá@example.org"}, message()); !errors.As(err, &failure) || failure.Code != events.DeliveryRefused || failure.Retry {
			t.Errorf("%v", err)
		}
		if got := heard(); len(got) > 1 {
			t.Errorf("it was told %q", got)
		}
	})
}

func TestASlowServerIsNotWaitedFor(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cfg := config(silent, mail.InClear, nil)
	cfg.Timeout = 50 * time.Millisecond
	if f := fails(t, cfg); f.Code != events.DeliveryTimeout || !f.Retry {
		t.Errorf("no greeting: %v", f)
	}
	cfg.Security, cfg.Trust = mail.Implicit, nil
	if f := fails(t, cfg); f.Code != events.DeliveryTimeout || !f.Retry {
		t.Errorf("no handshake: %v", f)
	}

	reached, release := make(chan struct{}), make(chan struct{})
	box := &inbox{reading: func() { close(reached); <-release }}
	s := sender(t, run(t, box, mail.StartTLS, true))
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	var failure *notices.Failure
	if err := s.Send(ctx, notices.Address{Email: to}, message()); !errors.As(err, &failure) || failure.Code != events.DeliveryTimeout || !failure.Retry {
		t.Errorf("ended while the text was under way: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := s.Send(ctx, notices.Address{Email: to}, message()); !errors.As(err, &failure) || failure.Code != events.DeliveryInternal || !failure.Retry {
		t.Errorf("ended before: %v", err)
	}
}

func TestLoginIsUsedWhereThereIsNoPlain(t *testing.T) {
	open, heard := script(t, "220 mx.test", "250-mx.test\n250 AUTH LOGIN XOAUTH2", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 you are in", "550 no")
	if f := fails(t, config(open, mail.InClear, nil)); f.Code != events.DeliveryRefused || f.Retry {
		t.Errorf("%v", f)
	}
	if got := heard(); len(got) < 5 || got[1] != "AUTH LOGIN" || got[2] != "YnJpZGdl" || got[3] != "Y2FuYXJ5LXBhc3N3b3JkLTVl" || !strings.HasPrefix(got[4], "MAIL FROM") {
		t.Errorf("it was told %q", got)
	}
	open, heard = script(t, "220 mx.test", "250-mx.test\n250 AUTH XOAUTH2")
	if f := fails(t, config(open, mail.InClear, nil)); f.Code != events.DeliveryRefused || !f.Retry || !strings.Contains(f.Error(), "SB_SMTP_USERNAME") {
		t.Errorf("no way in: %v", f)
	}
	heard()
}
