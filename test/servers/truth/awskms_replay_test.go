package truth

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	fake "secretsbridge/test/servers/awskms"
)

// The account and region of the recordings.
const (
	account = "456752665576"
	region  = "us-east-2"
)

// TestAWSKMSAnswersAsItWasRecorded replays every recorded request in its order and
// compares status, type of content, and the JSON, which may differ in ciphertexts only.
func TestAWSKMSAnswersAsItWasRecorded(t *testing.T) {
	counts := map[string]int{}
	refusals := 0
	eachRecording(t, "secrets/awskms/testdata", func(t *testing.T, path string) {
		entries := readRecording(t, path)
		r := newReplay(t, entries)
		for _, e := range entries {
			r.run(e)
			counts[e.operation()]++
			if e.Response.StatusCode != http.StatusOK {
				refusals++
			}
		}
	})
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
	status, header, body := send(r.t, r.server.Address, "kms", e.operation(), r.translate(e.ask()))
	e.compare(r.t, status, header)
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

func decode(t *testing.T, text string) []byte {
	t.Helper()
	var b []byte
	if err := json.Unmarshal([]byte(`"`+text+`"`), &b); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return b
}
