package argocd

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/egress"
)

// client is how one Argo CD is called. It keeps connections and holds no token.
type client struct {
	http *http.Client
	base *url.URL
}

// clientKey is what makes a client another one.
type clientKey struct{ address, ca string }

// client returns the one that goes with the settings.
func (r *Reader) client(settings events.IntegrationSettings) (*client, error) {
	key := clientKey{settings.Address, settings.CA}
	if c, ok := r.clients.Get(key); ok {
		return c, nil
	}
	base, err := egress.Target("the address of Argo CD", settings.Address)
	if err != nil {
		return nil, problem(events.RolloutUnreachable, err)
	}
	policy := egress.Policy{Allow: r.cfg.Allow, Private: true, Timeout: lookTime, MaxBody: maxAnswer, Idle: keptConnections}
	if settings.CA != "" {
		policy.CA = x509.NewCertPool()
		if !policy.CA.AppendCertsFromPEM([]byte(settings.CA)) {
			return nil, problem(events.RolloutUntrusted, errors.New("the pinned certificate authority is no PEM certificate"))
		}
	}
	c := &client{http: egress.Client(policy), base: base}
	c.http.Transport = egress.ReadOnly(c.http.Transport)
	if before, had, _ := r.clients.PeekOrAdd(key, c); had {
		return before, nil // somebody was quicker
	}
	return c, nil
}

// get asks for a path below the API and has the answer read: one document of JSON, to its end. The
// time is the one at which Argo CD answered, by its clock.
func (s *session) get(ctx context.Context, path []string, query url.Values, read func(*json.Decoder) error) (time.Time, error) {
	at := s.base.JoinPath(append([]string{"api", "v1"}, path...)...)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return time.Time{}, malformed("the address of Argo CD cannot be called")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+string(s.token.Expose()))
	res, err := egress.Do(s.http, req)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = res.Body.Close() }()
	date, dated := http.ParseTime(res.Header.Get("Date"))
	date = date.UTC()
	if res.StatusCode != http.StatusOK {
		drain(res.Body)
		return date, problem(problemOfStatus(res.StatusCode), &statusError{res.StatusCode})
	}
	if dated != nil {
		return time.Time{}, malformed("an answer of Argo CD has no date")
	}
	if !isJSON(res.Header.Get("Content-Type")) {
		return date, malformed("an answer of Argo CD is no JSON")
	}
	err = read(json.NewDecoder(res.Body))
	if ctx.Err() != nil {
		return date, ctx.Err() // what came by then may look cut off
	}
	if err != nil {
		return date, unread(s.base.Hostname(), err)
	}
	return date, nil
}

// drain reads the little that an error has to say, so that its connection can be used again.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 4<<10) }

// isJSON takes JSON in UTF-8, which is what Argo CD sends.
func isJSON(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// unread says why an answer could not be read, without a word of it.
func unread(host string, err error) error {
	var (
		f      *fault
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
		when   *time.ParseError
	)
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, egress.ErrTooLarge):
		return tooLarge("an answer of Argo CD is beyond 16 MiB")
	case errors.As(err, &syntax), errors.As(err, &kind), errors.As(err, &when), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return malformed("an answer of Argo CD is not what its API says")
	}
	return egress.Explain(host, err)
}

// ended checks that a document has nothing behind it.
func ended(d *json.Decoder) error {
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return malformed("an answer of Argo CD is more than one document")
	}
	return nil
}

// whole reads all of a document into v.
func whole(v any) func(*json.Decoder) error {
	return func(d *json.Decoder) error {
		if err := d.Decode(v); err != nil {
			return err
		}
		return ended(d)
	}
}
