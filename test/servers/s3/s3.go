// Package s3 is Amazon S3 as far as the export of a log needs it, in memory and on loopback, for
// tests: PutObject, GetObject, DeleteObject and ListObjectsV2 of one bucket, addressed by
// path, as the Amazon S3 API Reference describes them. It verifies each signature and checksum.
package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"secretsbridge/test/servers/awsjson"
	"secretsbridge/test/servers/faults"
)

// Fault is one way to misbehave.
type Fault string

// The faults.
const (
	None       Fault = ""
	Lost       Fault = "lost"       // does it, and closes the connection without an answer
	SlowDown   Fault = "slow down"  // 503
	Denied     Fault = "denied"     // 403
	Conflict   Fault = "conflict"   // 409, of two conditional writes at once
	CutAnswer  Fault = "cut answer" // closes in the middle of an object
	Elsewhere  Fault = "elsewhere"  // the bucket is in another region
	Overwrites Fault = "overwrites" // knows nothing of If-None-Match
)

// Server is a running fake.
type Server struct {
	Address string // http://127.0.0.1:PORT
	Bucket  string
	Callers awsjson.Callers // who may sign

	faults.Plan[Fault]

	mu      sync.Mutex
	objects map[string][]byte
	puts    map[string]int // how often an object was written
}

// Start serves a bucket until t ends.
func Start(t testing.TB, bucket string) *Server {
	t.Helper()
	s := &Server{Bucket: bucket, objects: map[string][]byte{}, puts: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.Address = server.URL
	return s
}

// Puts is how often an object was written.
func (s *Server) Puts(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts[key]
}

// Save writes the objects under a prefix into a folder, as somebody does who copies them.
func (s *Server) Save(prefix, dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, data := range s.objects {
		name, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	operation := r.Method
	if key == "" && r.URL.Query().Get("list-type") == "2" {
		operation = "LIST"
	}
	fault := s.Meet(operation, nil)
	sum := sha256.Sum256(body)
	switch {
	case r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]):
		fail(w, 400, "XAmzContentSHA256Mismatch")
		return
	case fault == SlowDown:
		fail(w, 503, "SlowDown")
		return
	case fault == Denied:
		fail(w, 403, "AccessDenied")
		return
	case fault == Elsewhere:
		fail(w, 301, "PermanentRedirect")
		return
	case fault == Conflict && r.Header.Get("If-None-Match") != "":
		fail(w, 409, "ConditionalRequestConflict")
		return
	}
	if _, f := s.Callers.Verify(r, body, "s3", awsjson.Region); f != nil {
		code := "SignatureDoesNotMatch"
		if f.Type == "UnrecognizedClientException" {
			code = "InvalidAccessKeyId"
		}
		fail(w, 403, code)
		return
	}
	if bucket != s.Bucket {
		fail(w, 404, "NoSuchBucket")
		return
	}
	answer := httptest.NewRecorder()
	s.run(answer, r, operation, key, body, fault)
	if fault == Lost {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	sent := answer.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(sent)))
	w.WriteHeader(answer.Code)
	if fault == CutAnswer {
		_, _ = w.Write(sent[:len(sent)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(sent)
}

func (s *Server) run(w http.ResponseWriter, r *http.Request, operation, key string, body []byte, fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, there := s.objects[key]
	switch operation {
	case "LIST":
		s.list(w, r)
	case http.MethodPut:
		// "If the object key name already exists, S3 returns 412 Precondition Failed."
		match := r.Header.Get("If-None-Match")
		sum := sha256.Sum256(body)
		given := r.Header.Get("X-Amz-Checksum-Sha256")
		switch {
		case match != "" && match != "*":
			fail(w, 501, "NotImplemented")
		case there && match == "*" && fault != Overwrites:
			fail(w, 412, "PreconditionFailed")
		case given != "" && given != base64.StdEncoding.EncodeToString(sum[:]):
			fail(w, 400, "BadDigest")
		default:
			s.objects[key] = body
			s.puts[key]++
			w.Header().Set("ETag", etag(body))
		}
	case http.MethodGet:
		if !there {
			fail(w, 404, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", etag(data))
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(data)
	case http.MethodDelete: // also of what is not there
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, 405, "MethodNotAllowed")
	}
}

func etag(data []byte) string {
	sum := sha256.Sum256(data)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

type listing struct {
	XMLName        xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	IsTruncated    bool
	Contents       []object
	CommonPrefixes []group
}

type object struct {
	Key  string
	Size int
}

type group struct{ Prefix string }

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	limit, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil || limit < 1 || limit > 1000 {
		limit = 1000
	}
	var keys []string
	for key := range s.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var found listing
	groups := map[string]bool{}
	for _, key := range keys {
		under, _, deeper := strings.Cut(key[len(prefix):], delimiter)
		name := prefix + under + delimiter
		if delimiter != "" && deeper && groups[name] {
			continue
		}
		if len(found.Contents)+len(found.CommonPrefixes) == limit {
			found.IsTruncated = true
			break
		}
		if delimiter != "" && deeper {
			groups[name] = true
			found.CommonPrefixes = append(found.CommonPrefixes, group{name})
			continue
		}
		found.Contents = append(found.Contents, object{key, len(s.objects[key])})
	}
	text, err := xml.Marshal(found)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.Copy(w, bytes.NewReader(text))
}

// fail is an error answer.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "REQUEST1")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>as the test asked</Message></Error>")
}
