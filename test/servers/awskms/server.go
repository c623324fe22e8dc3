// Package awskms is AWS KMS as far as the product needs it, in memory and on loopback,
// for tests.
//
// It speaks AWS JSON 1.1, verifies each signature (SigV4) with the SDK's own signer, and
// behaves as KMS does where callers could be surprised: see the operations. What it
// answers is held against recordings of the real service and against AWS's own model of
// it in ../truth.
package awskms

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/test/servers/awsjson"
	"secretsbridge/test/servers/faults"
)

// Account and Region are those of every key unless a seed says otherwise.
const (
	Account = awsjson.Account
	Region  = awsjson.Region
)

// What callers sign with.
const (
	AccessKey = awsjson.AccessKey
	SecretKey = awsjson.SecretKey
)

// Server is a running fake. Its methods are what an administrator of the account does.
type Server struct {
	Address string       // http://127.0.0.1:PORT
	Door    *faults.Door // before it, for faults

	account, region string
	callers         awsjson.Callers

	mu      sync.Mutex
	keys    []*key
	aliases []Alias
	denied  map[string]bool // by "Operation ARN"
	calls   map[string]int  // by operation, as they were let in
}

// Alias is another name of a key, or of none yet.
type Alias struct {
	Name             string // alias/…
	KeyID            string
	Created, Updated float64 // epochs; 0: AWS's own alias that nobody used
}

// Start serves until t ends.
func Start(t testing.TB) *Server { return StartIn(t, Account, Region) }

// StartIn is [Start] for another account and region.
func StartIn(t testing.TB, account, region string) *Server {
	t.Helper()
	s := &Server{account: account, region: region, denied: map[string]bool{}, calls: map[string]int{}}
	s.Door = faults.New(s, func(w http.ResponseWriter, _ *http.Request) {
		fail("ThrottlingException", "Rate exceeded").Write(w)
	})
	server := httptest.NewServer(s.Door)
	t.Cleanup(func() {
		s.Door.Set(faults.None)
		server.CloseClientConnections()
		server.Close()
	})
	s.Address = server.URL
	return s
}

// CreateKey makes a key and returns its ARN.
func (s *Server) CreateKey(spec Spec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create(awsjson.NewUUID(), spec).arn
}

// Seed puts a symmetric key of a recording in place: its id, and the id of its material
// in hexadecimal.
func (s *Server) Seed(id, materialID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, err := hex.DecodeString(materialID)
	if err != nil || len(raw) != 32 {
		return fmt.Errorf("%q is no id of key material", materialID)
	}
	k := s.create(id, Symmetric)
	k.material[0].id = [32]byte(raw)
	return nil
}

// SeedAlias puts an alias in place.
func (s *Server) SeedAlias(a Alias) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases = append(s.aliases, a)
}

// Rotate gives a key new material under the same ARN.
func (s *Server) Rotate(arn string) {
	s.change(arn, func(k *key) { k.material = append(k.material, newMaterial()) })
}

// Disable and Enable switch a key.
func (s *Server) Disable(arn string) { s.change(arn, func(k *key) { k.disabled = true }) }
func (s *Server) Enable(arn string) {
	s.change(arn, func(k *key) { k.disabled, k.deletion = false, time.Time{} })
}

// ScheduleDeletion has a key wait for its end.
func (s *Server) ScheduleDeletion(arn string) {
	s.change(arn, func(k *key) { k.deletion = time.Now().Add(7 * 24 * time.Hour) })
}

// Deny takes a right away, or gives it back.
func (s *Server) Deny(operation, arn string, denied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[operation+" "+arn] = denied
}

// Calls is how often an operation was let in.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

func (s *Server) change(arn string, f func(*key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.arn == arn {
			f(k)
			return
		}
	}
	panic("no such key: " + arn)
}

func (s *Server) create(id string, spec Spec) *key {
	k := &key{id: id, arn: s.arn("key/" + id), spec: spec, created: time.Now(), material: []material{newMaterial()}}
	s.keys = append(s.keys, k)
	return k
}

func (s *Server) arn(resource string) string {
	return "arn:aws:kms:" + s.region + ":" + s.account + ":" + resource
}

type failure = awsjson.Failure

// fail is an error answer: status 400 but for faults of KMS itself.
func fail(kind, message string) *failure {
	f := awsjson.Fail(kind, message)
	if kind == "KMSInternalException" || kind == "DependencyTimeoutException" {
		f.Status = http.StatusInternalServerError
	}
	return f
}

const (
	service    = "TrentService" // what KMS calls itself in the protocol
	maxRequest = 1 << 20
)

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return
	}
	if _, f := s.callers.Verify(r, body, "kms", s.region); f != nil {
		f.Write(w)
		return
	}
	operation, f := awsjson.Operation(r, service)
	run, known := operations[operation]
	if f != nil || !known {
		fail("UnknownOperationException", "").Write(w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	out, f := run(s, body)
	awsjson.Reply(w, out, f)
}

// Operations are the names of all operations that the fake has.
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }

// find resolves what KMS takes for a key: id, ARN, alias name, alias ARN.
func (s *Server) find(operation, name string) (*key, *failure) {
	if name == "" {
		return nil, validation("keyId", "Member must not be null")
	}
	plain := strings.TrimPrefix(name, s.arn(""))
	for _, a := range s.aliases {
		if a.Name == plain && a.KeyID != "" {
			plain = a.KeyID
		}
	}
	plain = strings.TrimPrefix(plain, "key/")
	for _, k := range s.keys {
		if k.id != plain {
			continue
		}
		if s.denied[operation+" "+k.arn] {
			return nil, fail("AccessDeniedException", fmt.Sprintf(
				"User: arn:aws:iam::%s:user/test is not authorized to perform: kms:%s on resource: %s because no identity-based policy allows the kms:%s action",
				s.account, operation, k.arn, operation))
		}
		return k, nil
	}
	switch {
	case strings.HasPrefix(plain, "alias/"):
		return nil, fail("NotFoundException", "Alias "+s.arn(plain)+" is not found.")
	case strings.HasPrefix(name, "arn:") && !strings.HasPrefix(name, s.arn("")):
		return nil, fail("NotFoundException", "Invalid arn "+s.region)
	}
	return nil, fail("NotFoundException", "Key '"+s.arn("key/"+plain)+"' does not exist")
}

func validation(member, constraint string) *failure { return awsjson.Validation(member, constraint) }

func request[T any](body []byte) (T, *failure) { return awsjson.Request[T](body) }
