// Package awssts is AWS STS as far as the SDK's chain of credentials needs it, in memory
// and on loopback, for tests: AssumeRole, whose signature it verifies, and
// AssumeRoleWithWebIdentity. It speaks the AWS query protocol.
package awssts

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/test/servers/awsjson"
)

// Server is a running fake.
type Server struct {
	Address string

	callers *awsjson.Callers

	mu       sync.Mutex
	life     time.Duration
	external map[string]string // by role that may be assumed: the id that it wants
	tokens   map[string]string // by role: the web identity that may have it
	issued   []aws.Credentials
	names    []string // of the sessions
	failing  bool
}

// Start serves until t ends. Who may sign is in callers, and so is whom it lets in.
func Start(t testing.TB, callers *awsjson.Callers) *Server {
	t.Helper()
	s := &Server{callers: callers, life: time.Hour, external: map[string]string{}, tokens: map[string]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.Address = server.URL
	return s
}

// AllowRole lets every caller assume a role that knows the external id; "" wants none.
func (s *Server) AllowRole(arn, externalID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.external[arn] = externalID
}

// AllowToken lets whoever has a token assume a role.
func (s *Server) AllowToken(arn, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[arn] = token
}

// SetLife is how long sessions live from now on.
func (s *Server) SetLife(life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = life
}

// Fail has every call answer 503, or no more.
func (s *Server) Fail(failing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = failing
}

// Issued are the sessions so far and how they were called.
func (s *Server) Issued() ([]aws.Credentials, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]aws.Credentials{}, s.issued...), append([]string{}, s.names...)
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	in, err := url.ParseQuery(string(body))
	if err != nil {
		refuse(w, http.StatusBadRequest, "MalformedQueryString")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable")
		return
	}
	role := in.Get("RoleArn")
	switch in.Get("Action") {
	case "AssumeRole":
		if _, f := s.callers.Verify(r, body, "sts", awsjson.Region); f != nil {
			refuse(w, http.StatusForbidden, "InvalidClientTokenId")
			return
		}
		if external, ok := s.external[role]; !ok || external != in.Get("ExternalId") {
			refuse(w, http.StatusForbidden, "AccessDenied")
			return
		}
	case "AssumeRoleWithWebIdentity":
		if token := s.tokens[role]; token == "" || token != in.Get("WebIdentityToken") {
			refuse(w, http.StatusBadRequest, "InvalidIdentityToken")
			return
		}
	default:
		refuse(w, http.StatusBadRequest, "InvalidAction")
		return
	}
	s.names = append(s.names, in.Get("RoleSessionName"))
	s.answer(w, in.Get("Action"))
}

// answer issues a session.
func (s *Server) answer(w http.ResponseWriter, action string) {
	n := len(s.issued) + 1
	who := aws.Credentials{
		AccessKeyID: fmt.Sprintf("ASIAEXAMPLE%04d", n), SecretAccessKey: "session-secret-" + awsjson.NewUUID(), SessionToken: "session-token-" + awsjson.NewUUID(),
		Expires: time.Now().Add(s.life).UTC(),
	}
	s.issued = append(s.issued, who)
	s.callers.Let(who)
	w.Header().Set("Content-Type", "text/xml")
	_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials>`+
		`<AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>%[3]s</SecretAccessKey><SessionToken>%[4]s</SessionToken><Expiration>%[5]s</Expiration>`+
		`</Credentials></%[1]sResult><ResponseMetadata><RequestId>%[6]s</RequestId></ResponseMetadata></%[1]sResponse>`,
		action, who.AccessKeyID, who.SecretAccessKey, who.SessionToken, who.Expires.Format(time.RFC3339), awsjson.NewUUID())
}

// RefusedWords are in the message of every refusal: no caller may repeat them.
const RefusedWords = "refused-words-91cd3f"

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		code, RefusedWords, awsjson.NewUUID())
}
