package truth

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// commonErrors are types that every operation of a service has (API References, common errors).
var commonErrors = []string{
	"AccessDeniedException", "IncompleteSignatureException", "InvalidSignatureException", "MissingAuthenticationTokenException",
	"ThrottlingException", "UnrecognizedClientException", "ValidationException",
}

// witness looks at what goes to a fake of an AWS service and comes back, and holds it
// against the model.
type witness struct {
	t      *testing.T
	target string // what the service calls itself in the protocol
	model  model

	mu      sync.Mutex
	fine    map[string]int // by operation
	refused map[string]int // by operation and type of error
}

// newWitness reads the model of a service, such as "kms/2014-11-01".
func newWitness(t *testing.T, service, target string) *witness {
	t.Helper()
	dir, err := moduleDir("github.com/aws/aws-sdk-go")
	if err != nil {
		t.Fatal(err)
	}
	m, err := readModel(filepath.Join(dir, "models", "apis", filepath.FromSlash(service), "api-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	return &witness{t: t, target: target, model: m, fine: map[string]int{}, refused: map[string]int{}}
}

// look sees an answer, for [before].
func (w *witness) look(res *http.Response) error {
	operation := strings.TrimPrefix(res.Request.Header.Get("X-Amz-Target"), w.target+".")
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	about, known := w.model.Operations[operation]
	w.mu.Lock()
	defer w.mu.Unlock()
	if !known {
		w.t.Errorf("%s is no operation of the service", operation)
		return nil
	}
	var in, out any
	if err := json.Unmarshal(asked(res), &in); err != nil {
		w.t.Errorf("%s: request: %v", operation, err)
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &out); err != nil {
			w.t.Errorf("%s: answer: %v", operation, err)
		}
	}
	var wrong []string
	if res.StatusCode == http.StatusOK {
		w.fine[operation]++
		wrong = w.model.check("request", about.Input.Shape, in)
		switch {
		case about.Output != nil:
			wrong = append(wrong, w.model.check("answer", about.Output.Shape, out)...)
		case len(body) > 0:
			wrong = append(wrong, "answer: the operation has none")
		}
	} else {
		said := out.(map[string]any)
		kind, _ := said["__type"].(string)
		w.refused[operation+" "+kind]++
		declared := slices.ContainsFunc(about.Errors, func(e reference) bool { return e.Shape == kind })
		if !declared && !slices.Contains(commonErrors, kind) {
			wrong = append(wrong, kind+" is no error of the operation")
		}
		delete(said, "__type")
		if declared {
			wrong = append(wrong, w.model.check("error", kind, said)...)
		}
	}
	for _, what := range wrong {
		w.t.Errorf("%s: %s", operation, what)
	}
	return nil
}

// wants checks that every operation was held against the model, and these refusals.
func (w *witness) wants(operations []string, refusals ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, operation := range operations {
		if w.fine[operation] == 0 {
			w.t.Errorf("%s was not held against the model", operation)
		}
	}
	for _, refusal := range refusals {
		if w.refused[refusal] == 0 {
			w.t.Errorf("%s was not held against the model", refusal)
		}
	}
}
