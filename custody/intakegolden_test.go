package custody_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/seal"
)

var writeMissing = flag.Bool("write-missing", false, "write golden files that do not exist; never change one that does")

// intakeGolden is an answer to GET /intake, and what it says. The tests of the browser's
// half read the file as well.
type intakeGolden struct {
	Answer events.SignedIntakeKeys `json:"answer"`
	Said   events.IntakeKeys       `json:"said"`
}

const intakeGoldenFile = "testdata/intake-v1.json"

func TestIntakeKeysOfTheFirstVersionAreUnderstood(t *testing.T) {
	if *writeMissing {
		writeIntakeGolden(t)
	}
	raw, err := os.ReadFile(intakeGoldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var g intakeGolden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	signer, err := seal.ParseVerifyKey(g.Answer.SigningKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := signer.Verify(events.IntakeDomain, g.Answer.IntakeKeys, g.Answer.Signature); err != nil {
		t.Error(err)
	}
	var said events.IntakeKeys
	if err := json.Unmarshal(g.Answer.IntakeKeys, &said); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g.Said, said); diff != "" {
		t.Errorf("it says (-want +got):\n%s", diff)
	}
	for i, suite := range []seal.Suite{seal.XWing, seal.X25519} {
		key, err := seal.ParseRecipientPublic(said.Keys[i])
		if err != nil || key.Suite() != suite {
			t.Errorf("key %d is of %s, %v, want %s", i, key.Suite(), err, suite)
		}
	}
}

func writeIntakeGolden(t *testing.T) {
	t.Helper()
	answer, err := newRig(t).Intake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := intakeGolden{Answer: answer}
	if err := json.Unmarshal(answer.IntakeKeys, &g.Said); err != nil {
		t.Fatal(err)
	}
	raw, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(intakeGoldenFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(append(raw, '\n')); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
