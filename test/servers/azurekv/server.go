// Package azurekv is Azure Key Vault's secrets, and the place where its callers sign in, as
// far as the product needs them: in memory, on loopback, for tests.
//
// It speaks the REST API of api-version 7.3 and later and does not look at the version.
// What it answers is held against Microsoft's recordings of the real service in ../truth.
package azurekv

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/test/servers/faults"
)

// Fault is what the vault does instead of answering. Signing in is not affected.
type Fault string

// The faults. A lost answer is that of a call that stores a secret; others pass.
const (
	NoFault   Fault = ""
	Throttled Fault = "throttled" // 429, come again in RetryAfter
	Busy      Fault = "busy"      // 503
	Forbidden Fault = "forbidden" // 403 by the vault's roles
	Failing   Fault = "failing"   // 500
	Reset     Fault = "reset"     // no answer
	Garbage   Fault = "garbage"   // 200, and nothing of Key Vault's
	Redirect  Fault = "redirect"  // 302 to another host
	Lost      Fault = "lost"      // the secret is stored and there is no answer
	Unsigned  Fault = "unsigned"  // 401 whatever the token
)

// Call is one call as the vault takes it, before it does it.
type Call struct {
	Op   string // "get", "set", "versions", "list", "update", "delete", …
	Name string // "" of a list
	N    int    // how many calls of this Op there were, this one included
}

// Server is a running fake. Its methods are what an administrator of the vault does.
type Server struct {
	URL    string // of the vault, and of the authority that signs in
	CAFile string // PEM

	// RetryAfter is what a throttled call is told; "" is not told at all.
	RetryAfter string

	// Before, if set, runs before each call that was let in, and may call the methods.
	Before func(Call)

	// EmptyPages has a list answer every other page without secrets.
	EmptyPages bool

	// PageSize is how many items a page has where the caller wants more; 0 means 25.
	PageSize int

	// Lag is how many lists of versions after a write do not show it.
	Lag int

	// NextLink, if set, changes where a list says it goes on.
	NextLink func(link string) string

	faults.Plan[Fault]
	signIn

	mu      sync.Mutex
	held    bool
	now     func() time.Time
	ids     []string           // of the next versions
	stale   string             // version that is shown as the current one
	stales  int                // how often, still
	secrets map[string]*secret // by name in upper case, as the vault has them
	deleted map[string]*secret
	calls   map[string]int
	pages   int
	plan    []int    // sizes of the next pages
	lists   int      // of versions
	seen    []string // what was asked, without bodies
}

// Start serves until t ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{now: time.Now, secrets: map[string]*secret{}, deleted: map[string]*secret{}, calls: map[string]int{}}
	server := httptest.NewTLSServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.URL = server.URL
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signIn.start(s.URL)
	return s
}

// Hold keeps deletions and recoveries from taking effect for those who ask, as they do for
// some seconds at Azure, until it is ended.
func (s *Server) Hold(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
}

// Clock replaces the vault's clock.
func (s *Server) Clock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// NextVersion names the next version that is not named yet.
func (s *Server) NextVersion(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
}

// PlanPages gives the next pages of lists their sizes, as far as there are items; all but
// the last say that the list goes on.
func (s *Server) PlanPages(sizes ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = sizes
}

// Stale has the next calls for a current version get this one: times of them.
func (s *Server) Stale(id string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale, s.stales = id, times
}

// Calls is how many calls of an operation were let in.
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Seen are methods and addresses of all that the vault was asked.
func (s *Server) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

const maxRequest = 1 << 20

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/secrets") && !strings.HasPrefix(r.URL.Path, "/deletedsecrets") {
		s.signIn.serve(w, r, body)
		return
	}
	s.mu.Lock()
	s.seen = append(s.seen, r.Method+" "+r.URL.String())
	s.mu.Unlock()
	fault := s.Meet(r.Method, func(f Fault) bool { return f != Lost || r.Method == http.MethodPut }) // only what stores can be lost
	if s.spoil(w, fault) {
		return
	}
	if fault == Unsigned || !s.signIn.known(r.Header.Get("Authorization")) {
		w.Header().Set("WWW-Authenticate", s.signIn.challenge())
		message := "AKV10000: Request is missing a Bearer or PoP token."
		if r.Header.Get("Authorization") != "" {
			message = "AKV10022: Invalid token."
		}
		fail(http.StatusUnauthorized, "Unauthorized", message, "").write(w)
		return
	}
	c, run := s.route(r)
	if run == nil {
		fail(http.StatusNotFound, "NotFound", "Resource not found.", "").write(w)
		return
	}
	s.mu.Lock()
	s.calls[c.Op]++
	c.N = s.calls[c.Op]
	s.mu.Unlock()
	if s.Before != nil {
		s.Before(c)
	}
	s.mu.Lock()
	out, f := run(s, c.Name, r, body)
	s.mu.Unlock()
	switch {
	case fault == Lost:
		panic(http.ErrAbortHandler)
	case f != nil:
		f.write(w)
	case out == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(w, http.StatusOK, out)
	}
}

// spoil answers for faults that keep the call from the vault.
func (s *Server) spoil(w http.ResponseWriter, fault Fault) bool {
	words := s.Words()
	switch fault {
	case Throttled:
		if s.RetryAfter != "" {
			w.Header().Set("Retry-After", s.RetryAfter)
		}
		fail(http.StatusTooManyRequests, "Throttled", "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"+words, "").write(w)
	case Busy:
		fail(http.StatusServiceUnavailable, "ServiceUnavailable", "The service is not available."+words, "").write(w)
	case Forbidden:
		fail(http.StatusForbidden, "Forbidden", "Caller is not authorized to perform action on resource."+words, "ForbiddenByRbac").write(w)
	case Failing:
		fail(http.StatusInternalServerError, "InternalServerError", "An internal error occurred."+words, "").write(w)
	case Garbage:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>welcome"+words+"</html>")
	case Redirect:
		w.Header().Set("Location", "https://localhost:1/")
		w.WriteHeader(http.StatusFound)
	case Reset:
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

// failure is an error answer.
type failure struct {
	status  int
	code    string
	message string
	inner   string
}

func fail(status int, code, message, inner string) *failure {
	return &failure{status: status, code: code, message: message, inner: inner}
}

func (f *failure) write(w http.ResponseWriter) {
	said := map[string]any{"code": f.code, "message": f.message}
	if f.inner != "" {
		said["innererror"] = map[string]any{"code": f.inner}
	}
	answer(w, f.status, map[string]any{"error": said})
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
