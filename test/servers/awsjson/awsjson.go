// Package awsjson is what fakes of AWS services share: the protocol AWS JSON 1.1, the
// verification of signatures (SigV4), and who may sign.
package awsjson

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Account and Region are those of every resource unless a test says otherwise.
const (
	Account = "111122223333"
	Region  = "eu-west-1"
)

// ContentType is that of every request and answer.
const ContentType = "application/x-amz-json-1.1"

// Failure is an error answer: a type, and mostly a message.
type Failure struct {
	Type    string
	Message string

	// Status is 400 unless set.
	Status int

	// Capital has the message under "Message", as Secrets Manager writes it.
	Capital bool
}

// Fail is a failure with status 400.
func Fail(kind, message string) *Failure { return &Failure{Type: kind, Message: message} }

// Validation is a failure of the checks that come before a service's own.
func Validation(member, constraint string) *Failure {
	return Fail("ValidationException", fmt.Sprintf("1 validation error detected: Value at '%s' failed to satisfy constraint: %s", member, constraint))
}

// Write answers.
func (f *Failure) Write(w http.ResponseWriter) {
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	body := map[string]string{"__type": f.Type}
	switch {
	case f.Message != "" && f.Capital:
		body["Message"] = f.Message
	case f.Message != "":
		body["message"] = f.Message
	}
	Answer(w, status, body)
}

// Answer writes body as JSON.
func Answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("X-Amzn-Requestid", NewUUID())
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// Reply answers with what an operation returned; one without output has no body.
func Reply(w http.ResponseWriter, out any, f *Failure) {
	switch {
	case f != nil:
		f.Write(w)
	case out == nil:
		w.Header().Set("Content-Type", ContentType)
	default:
		Answer(w, http.StatusOK, out)
	}
}

// Operation is the name of the operation that a request asks of a service, which calls
// itself target in the protocol.
func Operation(r *http.Request, target string) (string, *Failure) {
	operation, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target+".")
	if !ours || r.Method != http.MethodPost || r.Header.Get("Content-Type") != ContentType {
		return "", Fail("UnknownOperationException", "")
	}
	return operation, nil
}

// Request decodes a body; AWS ignores members that it does not know.
func Request[T any](body []byte) (T, *Failure) {
	var in T
	if err := json.Unmarshal(body, &in); err != nil {
		return in, Fail("SerializationException", "")
	}
	return in, nil
}

// Epoch is a time as AWS JSON 1.1 writes it: seconds with a fraction.
func Epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// NewUUID makes the id of a resource or of a request.
func NewUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
