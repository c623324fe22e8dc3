package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"secretsbridge/notices"
	"secretsbridge/notices/internal/plain"
)

// What of a message is written, in characters.
const (
	maxSubject = 200
	maxText    = 500
	maxDetail  = 2000
)

// idForm is what the left side of a Message-ID is made of here (RFC 5322, section 3.6.4).
var idForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// compose writes a message as it goes over the wire: lines that end in CRLF and are short.
func (s *Sender) compose(to string, m notices.Message) ([]byte, error) {
	if !idForm.MatchString(string(m.ID)) {
		return nil, fmt.Errorf("the message has no id")
	}
	var out, body bytes.Buffer
	parts := multipart.NewWriter(&body)
	shown := show(m)
	for _, part := range []struct {
		kind string
		draw func(io.Writer, content) error
	}{{"text/plain; charset=utf-8", text}, {"text/html; charset=utf-8", html}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {part.kind}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, err
		}
		quoted := quotedprintable.NewWriter(w)
		if err := part.draw(quoted, shown); err != nil {
			return nil, fmt.Errorf("write the message: %w", err)
		}
		if err := quoted.Close(); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	header := func(name, value string) { fmt.Fprintf(&out, "%s: %s\r\n", name, value) }
	header("Date", s.cfg.Now().UTC().Format(time.RFC1123Z))
	header("From", s.cfg.From.String())
	header("To", "<"+to+">")
	header("Subject", subject(shown.Subject))
	header("Message-ID", "<"+string(m.ID)+"@"+s.domain+">")
	if shown.Link != "" && m.Kind != notices.KindDigest {
		thread := sha256.Sum256([]byte(shown.Link))
		parent := "<about-" + hex.EncodeToString(thread[:12]) + "@" + s.domain + ">" // of no message: those about one request have it in common
		header("In-Reply-To", parent)
		header("References", parent)
	}
	header("Auto-Submitted", "auto-generated") // RFC 3834: nobody's holiday answers it
	header("X-Auto-Response-Suppress", "All")  // likewise, for Exchange
	header("MIME-Version", "1.0")
	header("Content-Type", "multipart/alternative; boundary="+parts.Boundary())
	out.WriteString("\r\n")
	out.Write(body.Bytes())
	return out.Bytes(), nil
}

// subject encodes what is not ASCII (RFC 2047), and folds between the words that this makes. What
// only looks encoded is parted, or it would be read as something else.
func subject(s string) string {
	s = strings.ReplaceAll(s, "=?", "= ?")
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

// content is a message as it is written.
type content struct {
	Subject string
	Lines   []notices.Line
	Link    string
}

func show(m notices.Message) content {
	c := content{Subject: plain.Text(m.Subject, maxSubject), Link: plain.Link(m.Link)}
	for i, l := range m.Lines {
		if i > notices.MaxLines {
			break
		}
		line := notices.Line{Text: plain.Text(l.Text, maxText), Detail: plain.Text(l.Detail, maxDetail), Link: plain.Link(l.Link)}
		if len(m.Lines) == 1 || line.Link == c.Link {
			line.Link = "" // it stands below
		}
		c.Lines = append(c.Lines, line)
	}
	return c
}

// why ends each message.
const why = "Secrets Bridge sent this. What you are told, and when, is up to you: open it and look under Notices. Nothing is decided by answering."

func text(w io.Writer, c content) error {
	var b strings.Builder
	for _, l := range c.Lines {
		for _, one := range []string{l.Text, l.Detail, l.Link} {
			if one != "" {
				b.WriteString(one + "\r\n")
			}
		}
		b.WriteString("\r\n")
	}
	if c.Link != "" {
		b.WriteString("Open it in Secrets Bridge:\r\n" + c.Link + "\r\n\r\n")
	}
	b.WriteString("-- \r\n" + why + "\r\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// page has no image, no style sheet and no script, so that opening a message tells nobody anything.
// Package template escapes what it is given.
var page = template.Must(template.New("mail").Parse(`<!doctype html>
<html><head><meta charset="utf-8"><title>{{.Subject}}</title></head>
<body style="font-family:sans-serif;line-height:1.5">
{{range .Lines}}<p>{{.Text}}{{if .Detail}}<br><span style="color:#555">{{.Detail}}</span>{{end}}{{if .Link}}<br><a href="{{.Link}}">Open</a>{{end}}</p>
{{end}}{{if .Link}}<p><a href="{{.Link}}">Open in Secrets Bridge</a></p>
{{end}}<p style="color:#555;font-size:smaller">` + why + `</p>
</body></html>
`))

func html(w io.Writer, c content) error { return page.Execute(w, c) }
