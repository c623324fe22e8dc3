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
	"github.com/google/go-cmp/cmp"

	fake "secretsbridge/test/servers/awskms"
)

// The account and region of the recordings.
const (
	account = "456752665576"
	region  = "us-east-2"
)

// exchange is one of gocloud.dev's recordings of AWS KMS. Bodies are base64.
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

// TestAWSKMSAnswersAsItWasRecorded replays every recorded request in its order and
// compares status, type of content, and the JSON, which may differ in ciphertexts only.
func TestAWSKMSAnswersAsItWasRecorded(t *testing.T) {
	dir, err := moduleDir("gocloud.dev")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	refusals := 0
	err = filepath.WalkDir(filepath.Join(dir, "secrets", "awskms", "testdata"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".replay"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var recording struct{ Entries []exchange }
			if err := json.Unmarshal(raw, &recording); err != nil {
				t.Fatal(err)
			}
			r := newReplay(t, recording.Entries)
			for _, e := range recording.Entries {
				r.run(e)
				counts[e.operation()]++
				if e.Response.StatusCode != http.StatusOK {
					refusals++
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"TrentService.ListAliases": 6, "TrentService.Encrypt": 6, "TrentService.Decrypt": 10}
	if diff := cmp.Diff(want, counts); diff != "" || refusals != 5 {
		t.Errorf("replayed %d refusals, want 5, and (-want +got):\n%s", refusals, diff)
	}
}

// replay plays one recording against a fake with the same keys and aliases.
type replay struct {
	t      *testing.T
	server *fake.Server
	blobs  [][2][]byte // what was encrypted so far: recorded and the fake's
}

func newReplay(t *testing.T, entries []exchange) *replay {
	r := &replay{t: t, server: fake.StartIn(t, account, region)}
	seeded := map[string]bool{}
	seed := func(arn, material string) {
		id := arn[strings.LastIndex(arn, "/")+1:]
		if id != "" && !seeded[id] {
			seeded[id] = true
			if err := r.server.Seed(id, material); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range entries {
		var said struct {
			KeyID    string `json:"KeyId"`
			Material string `json:"KeyMaterialId"`
			Blob     []byte `json:"CiphertextBlob"`
			Aliases  []struct {
				AliasName, TargetKeyId        string
				CreationDate, LastUpdatedDate float64
			}
		}
		if err := json.Unmarshal(e.Response.Body, &said); err != nil {
			t.Fatal(err)
		}
		for _, a := range said.Aliases {
			r.server.SeedAlias(fake.Alias{Name: a.AliasName, KeyID: a.TargetKeyId, Created: a.CreationDate, Updated: a.LastUpdatedDate})
		}
		if len(said.Blob) > 0 { // the id of the material is inside
			seed(said.KeyID, hex.EncodeToString(said.Blob[5:37]))
		}
	}
	return r
}

func (r *replay) run(e exchange) {
	r.t.Helper()
	status, header, body := r.send(e.operation(), r.translate(e.ask()))
	if status != e.Response.StatusCode {
		r.t.Errorf("%s: status %d, recorded %d", e.operation(), status, e.Response.StatusCode)
	}
	if got, want := header.Get("Content-Type"), e.Response.Header.Get("Content-Type"); got != want {
		r.t.Errorf("%s: content type %q, recorded %q", e.operation(), got, want)
	}
	if header.Get("X-Amzn-Requestid") == "" {
		r.t.Errorf("%s: no id of the request", e.operation())
	}
	want, got := object(r.t, e.Response.Body), object(r.t, body)
	if recorded, ok := want["CiphertextBlob"].(string); ok {
		ours, _ := got["CiphertextBlob"].(string)
		r.blobs = append(r.blobs, [2][]byte{decode(r.t, recorded), decode(r.t, ours)})
		want["CiphertextBlob"], got["CiphertextBlob"] = "a blob", "a blob"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("%s %s: (-recorded +fake):\n%s", e.operation(), e.ask(), diff)
	}
}

func (r *replay) send(operation string, body []byte) (int, http.Header, []byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.server.Address+"/", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	hash := sha256.Sum256(body)
	who := aws.Credentials{AccessKeyID: fake.AccessKey, SecretAccessKey: fake.SecretKey}
	if err := v4.NewSigner().SignHTTP(r.t.Context(), who, req, hex.EncodeToString(hash[:]), "kms", region, time.Now()); err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, res.Header, answer
}

// translate puts the fake's ciphertext in the place of the recorded one, with the same
// damage if the recorded request damaged it.
func (r *replay) translate(ask []byte) []byte {
	in := object(r.t, ask)
	text, ok := in["CiphertextBlob"].(string)
	if !ok {
		return ask
	}
	blob := decode(r.t, text)
	for _, pair := range r.blobs {
		recorded, ours := pair[0], pair[1]
		front := common(recorded, blob)
		back := min(common(reversed(recorded), reversed(blob)), len(recorded)-front, len(blob)-front)
		if front+back < len(recorded)/2 {
			continue // of another ciphertext
		}
		middle := blob[front : len(blob)-back]
		if front > back { // damaged near its end
			front = len(ours) - (len(recorded) - front)
		} else {
			back = len(ours) - (len(recorded) - back)
		}
		blob = append(append(append([]byte{}, ours[:front]...), middle...), ours[len(ours)-back:]...)
		break
	}
	in["CiphertextBlob"] = blob
	raw, err := json.Marshal(in)
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

func object(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return o
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	var b []byte
	if err := json.Unmarshal([]byte(`"`+text+`"`), &b); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return b
}
