package truth

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	fake "secretsbridge/test/servers/awssm"
)

// TestAWSSecretsManagerAnswersAsItWasRecorded replays every recorded request in its order
// and compares status, type of content, and the JSON. The random end of an ARN may differ
// when a secret is created, and times, which must be of the same unit.
func TestAWSSecretsManagerAnswersAsItWasRecorded(t *testing.T) {
	counts := map[string]int{}
	refusals := 0
	eachRecording(t, "runtimevar/awssecretsmanager/testdata", func(t *testing.T, path string) {
		entries := readRecording(t, path)
		server := startAsRecorded(t, entries)
		for _, e := range entries {
			replaySecret(t, server, e)
			counts[strings.TrimPrefix(e.operation(), "secretsmanager.")]++
			if e.Response.StatusCode != http.StatusOK {
				refusals++
			}
		}
	})
	want := map[string]int{"CreateSecret": 18, "GetSecretValue": 58, "PutSecretValue": 6, "DescribeSecret": 68, "DeleteSecret": 18}
	if diff := cmp.Diff(want, counts); diff != "" || refusals != 26 {
		t.Errorf("replayed %d refusals, want 26, and (-want +got):\n%s", refusals, diff)
	}
}

// startAsRecorded serves the account and region of a recording.
func startAsRecorded(t *testing.T, entries []exchange) *fake.Server {
	for _, e := range entries {
		if arn, _ := object(t, e.Response.Body)["ARN"].(string); arn != "" {
			parts := strings.Split(arn, ":")
			if parts[3] != region {
				t.Fatalf("recorded in %s", parts[3])
			}
			return fake.StartIn(t, parts[4], region)
		}
	}
	return fake.StartIn(t, account, region)
}

func replaySecret(t *testing.T, server *fake.Server, e exchange) {
	t.Helper()
	name := e.operation()
	var in struct{ Name, SecretID string }
	if err := json.Unmarshal(e.ask(), &in); err != nil {
		t.Fatal(err)
	}
	if name == "secretsmanager.DescribeSecret" && e.Response.StatusCode != http.StatusOK {
		server.Forget(in.SecretID) // AWS ends a secret some seconds after it was deleted by force
	}
	status, header, body := send(t, server.Address, "secretsmanager", name, e.ask())
	e.compare(t, status, header)
	want, got := object(t, e.Response.Body), object(t, body)
	if arn, _ := want["ARN"].(string); name == "secretsmanager.CreateSecret" && arn != "" {
		ours, _ := got["ARN"].(string)
		if cut := len(arn) - 6; len(ours) != len(arn) || ours[:cut] != arn[:cut] {
			t.Errorf("%s: ARN %q, recorded %q", name, ours, arn)
		}
		got["ARN"] = arn
		server.SetARN(in.Name, arn)
	}
	for _, member := range slices.Sorted(maps.Keys(want)) {
		recorded, isNumber := want[member].(float64)
		ours, same := got[member].(float64)
		if !isNumber || !same {
			continue
		}
		if magnitude := math.Abs(math.Log10(recorded) - math.Log10(ours)); magnitude > 0.1 || wholeDay(recorded) != wholeDay(ours) {
			t.Errorf("%s: %s is %v, recorded %v", name, member, ours, recorded)
		}
		want[member], got[member] = "a time", "a time"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s %s: (-recorded +fake):\n%s", name, e.ask(), diff)
	}
}

func wholeDay(seconds float64) bool { return math.Mod(seconds, 24*60*60) == 0 }
