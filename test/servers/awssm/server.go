// Package awssm is AWS Secrets Manager as far as the product needs it, in memory and on
// loopback, for tests.
//
// It speaks AWS JSON 1.1, verifies each signature (SigV4) with the SDK's own signer, and
// behaves as AWS's API reference says where callers could be surprised: see the
// operations. What it answers is held against recordings of the real service and against
// AWS's own model of it in ../truth.
package awssm

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"secretsbridge/test/servers/awsjson"
	"secretsbridge/test/servers/faults"
)

// Account and Region are those of every secret unless a test says otherwise.
const (
	Account = awsjson.Account
	Region  = awsjson.Region
)

// Server is a running fake. Its methods are what an administrator of the account does.
type Server struct {
	Address string          // http://127.0.0.1:PORT
	Callers awsjson.Callers // who may sign

	faults.Plan[Fault]

	account, region string
	ended           chan struct{} // closed when the test ends: silent calls go

	mu      sync.Mutex
	secrets map[string]*secret
	order   []*secret       // the same, as they were made; nil: to be made again
	made    int             // counts the secrets there were
	lists   int             // a token of another generation of lists has expired
	denied  map[string]bool // by operation
	locked  bool            // nobody may use the KMS key
	calls   map[string]int  // by operation, as they came
}

// Start serves until t ends.
func Start(t testing.TB) *Server { return StartIn(t, Account, Region) }

// StartIn is [Start] for another account and region.
func StartIn(t testing.TB, account, region string) *Server {
	t.Helper()
	s := &Server{
		account: account, region: region, ended: make(chan struct{}), secrets: map[string]*secret{}, denied: map[string]bool{},
		calls: map[string]int{},
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		close(s.ended)
		server.CloseClientConnections()
		server.Close()
	})
	s.Address = server.URL
	return s
}

// Environment is what the SDK's standard chain needs to sign as somebody that the fake
// knows, and to ask nobody else.
func Environment() map[string]string { return awsjson.Environment() }

// Deny takes the right to an operation away, or gives it back.
func (s *Server) Deny(operation string, denied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[operation] = denied
}

// LockKey takes the right to use the KMS key of the secrets away, or gives it back.
func (s *Server) LockKey(locked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locked = locked
}

// ExpireLists has the tokens of all lists end.
func (s *Server) ExpireLists() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
}

// MakeReplica has a secret be the replica of one in another region.
func (s *Server) MakeReplica(name string) {
	s.change(name, func(one *secret) { one.primary = "us-east-1" })
}

// SetRotation turns the rotation of a secret on or off.
func (s *Server) SetRotation(name string, on bool) {
	s.change(name, func(one *secret) { one.rotation = on })
}

// SetTag puts a tag on a secret, also one that AWS keeps for itself.
func (s *Server) SetTag(name, key, value string) {
	s.change(name, func(one *secret) { one.tags[key] = value })
}

// Seed puts a secret in place whose name nobody may create, such as that of a service.
func (s *Server) Seed(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(name).put(awsjson.NewUUID(), content{text: value}, []string{current})
}

// SetARN gives a secret the ARN of a recording.
func (s *Server) SetARN(name, arn string) { s.change(name, func(one *secret) { one.arn = arn }) }

// Forget ends a secret that was deleted by force, which AWS does some seconds later.
func (s *Server) Forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.secrets, name)
	s.order = nil
}

// Calls is how often an operation was asked for.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// Stages are the versions that have staging labels, with them in order.
func (s *Server) Stages(name string) map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.secrets[name]; one != nil {
		return one.stages()
	}
	return nil
}

func (s *Server) change(name string, f func(*secret)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.secrets[name]
	if one == nil {
		panic("no such secret: " + name)
	}
	f(one)
}

func (s *Server) add(name string) *secret {
	s.made++
	now := time.Now()
	one := &secret{
		name: name, arn: fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", s.region, s.account, name, suffix()),
		number: s.made, created: now, changed: now, tags: map[string]string{}, labels: map[string]string{},
	}
	s.secrets[name] = one
	s.order = nil
	return one
}

type failure = awsjson.Failure

// fail is an error answer as Secrets Manager writes it.
func fail(kind, message string) *failure {
	return &failure{Type: kind, Message: message, Capital: true}
}

const (
	service = "secretsmanager" // what Secrets Manager calls itself in the protocol

	maxRequest = 1 << 20
)

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return
	}
	operation, f := awsjson.Operation(r, service)
	run, known := operations[operation]
	if f != nil || !known {
		fail("UnknownOperationException", "").Write(w)
		return
	}
	fault := s.meet(operation)
	if !s.comes(w, r, fault) {
		return
	}
	out, f := s.run(operation, run, r, body)
	if fault == Lost {
		panic(http.ErrAbortHandler)
	}
	awsjson.Reply(w, out, f)
}

func (s *Server) run(operation string, run func(*Server, []byte) (any, *failure), r *http.Request, body []byte) (any, *failure) {
	if _, f := s.Callers.Verify(r, body, service, s.region); f != nil {
		return nil, f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.denied[operation] {
		return nil, fail("AccessDeniedException", fmt.Sprintf(
			"User: arn:aws:iam::%s:user/test is not authorized to perform: secretsmanager:%s because no identity-based policy allows the secretsmanager:%s action",
			s.account, operation, operation))
	}
	return run(s, body)
}

// Operations are the names of all operations that the fake has.
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }
