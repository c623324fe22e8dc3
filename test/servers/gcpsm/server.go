// Package gcpsm is Google Cloud's Secret Manager as far as the product needs it, in memory
// and on loopback, for tests.
//
// Its state is behind Google's own server interface (secretmanagerpb). It is served over
// gRPC, to be held against recordings of the real service in ../truth, and over REST with
// JSON as Google transcodes it, which is what the product speaks. Beside it are what gives
// tokens: the endpoints for keys of service accounts, for workload identity federation and
// for impersonation, and a metadata server. No independent server of Secret Manager can be
// run by others, so what neither recordings nor Google's reference tell is ours.
package gcpsm

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"secretsbridge/test/servers/faults"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// The project, by its id and by its number, which is what Google answers with.
const (
	Project = "bridge-tests"
	Number  = 892942638129
)

// Server is a running fake. Its methods are what an administrator of the project does.
type Server struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer

	Address string // http://127.0.0.1:PORT, of everything that speaks HTTP

	project string
	number  int64

	// Before, if set, runs before each call with the name of its method and how many calls of
	// that method there were, this one included. Set it before the first call.
	Before func(method string, n int)

	// Skip is how many numbers each new version leaves out, and Lie changes checksums.
	// TokenLife is how long tokens live.
	Skip      int64
	Lie       bool
	TokenLife time.Duration

	faults.Plan[Fault]

	mu      sync.Mutex
	secrets map[string]*secret // by projects/NUMBER[/locations/L]/secrets/ID
	calls   map[string]int     // by method
	denied  map[string]bool    // methods
	last    int64              // microseconds of the last change; makes etags unique
	tokens  tokens
}

// Start serves until t ends.
func Start(t testing.TB) *Server { return StartIn(t, Project, Number) }

// StartIn is [Start] for another project.
func StartIn(t testing.TB, project string, number int64) *Server {
	t.Helper()
	s := &Server{
		project: project, number: number, TokenLife: time.Hour,
		secrets: map[string]*secret{}, calls: map[string]int{}, denied: map[string]bool{}, tokens: newTokens(),
	}
	server := httptest.NewServer(s.routes())
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.Address = server.URL
	return s
}

// GRPC serves the same state over gRPC until t ends and returns a connection to it.
// Nobody signs in there.
func (s *Server) GRPC(t testing.TB) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, s)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Deny takes the right to call a method away, or gives it back.
func (s *Server) Deny(method string, denied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[method] = denied
}

// Calls is how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// enter counts a call and runs Before.
func (s *Server) enter(method string) {
	s.mu.Lock()
	s.calls[method]++
	n := s.calls[method]
	s.mu.Unlock()
	if s.Before != nil {
		s.Before(method, n)
	}
}

func (s *Server) parentNumber() string { return "projects/" + strconv.FormatInt(s.number, 10) }

// routes are those of Google's hosts, all on one.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.exchangeAssertion)
	mux.HandleFunc("POST /v1/token", s.exchangeSubject)
	mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{call}", s.impersonate)
	mux.HandleFunc("GET /computeMetadata/v1/", s.metadata)
	mux.HandleFunc("/v1/", s.serveAPI)
	return mux
}
