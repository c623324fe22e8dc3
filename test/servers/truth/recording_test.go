package truth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"secretsbridge/test/servers/awsjson"
)

// exchange is one of gocloud.dev's recordings of AWS. Bodies are base64.
type exchange struct {
	Request struct {
		Header    http.Header
		BodyParts [][]byte
	}
	Response struct {
		StatusCode int
		Header     http.Header
		Body       []byte
	}
}

func (e exchange) operation() string { return e.Request.Header.Get("X-Amz-Target") }

func (e exchange) ask() []byte { return bytes.Join(e.Request.BodyParts, nil) }

// compare looks at all of an answer but its body.
func (e exchange) compare(t *testing.T, status int, header http.Header) {
	t.Helper()
	if status != e.Response.StatusCode {
		t.Errorf("%s: status %d, recorded %d", e.operation(), status, e.Response.StatusCode)
	}
	if got, want := header.Get("Content-Type"), e.Response.Header.Get("Content-Type"); got != want {
		t.Errorf("%s: content type %q, recorded %q", e.operation(), got, want)
	}
	if header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("%s: no id of the request", e.operation())
	}
}

// eachRecording runs a test of each of gocloud.dev's recordings in one of its folders.
func eachRecording(t *testing.T, folder string, run func(t *testing.T, path string)) {
	t.Helper()
	dir, err := moduleDir("gocloud.dev")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, filepath.FromSlash(folder))
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, strings.TrimSuffix(path, ".replay"))
		if err != nil {
			return err
		}
		t.Run(strings.ReplaceAll(name, string(filepath.Separator), " "), func(t *testing.T) { run(t, path) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readRecording(t *testing.T, path string) []exchange {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var recording struct{ Entries []exchange }
	if err := json.Unmarshal(raw, &recording); err != nil {
		t.Fatal(err)
	}
	return recording.Entries
}

// send asks an AWS service, signed, for an operation.
func send(t *testing.T, address, service, operation string, body []byte) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	hash := sha256.Sum256(body)
	who := aws.Credentials{AccessKeyID: awsjson.AccessKey, SecretAccessKey: awsjson.SecretKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), who, req, hex.EncodeToString(hash[:]), service, region, time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, answer
}

func object(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return o
}
