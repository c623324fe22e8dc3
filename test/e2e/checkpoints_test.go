package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/test/servers/awsjson"
	"secretsbridge/test/servers/s3"
)

// TestTheKeyOfCheckpointsIsRotatedAndMissed rotates the key of a server that does not run, twice,
// and takes it away.
func TestTheKeyOfCheckpointsIsRotatedAndMissed(t *testing.T) {
	t.Parallel()
	tiles := filepath.Join(short(t), "tiles")
	c := start(t, "SB_AUDIT_TILES="+tiles)
	first := c.server(t, "checkpoint-key", "show").stdout
	if lines := strings.Count(first, "\n"); lines != 1 || !strings.HasPrefix(first, "1\tsecrets-bridge/") {
		t.Fatalf("keys: %q", first)
	}
	if got := c.server(t, "checkpoint-key", "rotate"); got.code == 0 || !strings.Contains(got.stdout, "another sb-server uses") {
		t.Errorf("rotated under a running server: %d, %s", got.code, got.stdout)
	}
	c.stop(t)
	for _, args := range [][]string{{"checkpoint-key", "rotate"}, {"checkpoint-key", "rotate", "--now"}} {
		if got := c.server(t, args...); got.code != 0 || !strings.Contains(got.stdout, "the key of checkpoints has serial") {
			t.Fatalf("%v: %d, %s", args, got.code, got.stdout)
		}
	}
	if all := c.server(t, "checkpoint-key", "show").stdout; strings.Count(all, "\n") != 3 || !strings.HasPrefix(all, first) {
		t.Errorf("keys: %q", all)
	}
	c.up(t)
	// The folder has a checkpoint of both the first key, which signs on, and the third.
	origin := strings.Split(strings.TrimPrefix(first, "1\t"), "+")[0]
	deadline := time.Now().Add(time.Minute)
	for {
		signed, err := os.ReadFile(filepath.Join(tiles, "checkpoint"))
		if err == nil && strings.Count(string(signed), "\n— "+origin+" ") == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("exported: %q, %v", signed, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	// An auditor believes the folder and the first key only, and finds what was changed in it.
	policy := filepath.Join(c.dir, "auditor.txt")
	if err := os.WriteFile(policy, []byte("log "+strings.TrimPrefix(first, "1\t")+"quorum none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.stop(t)
	if got := c.sb(t, "auditor", "audit", "verify", "--dir", tiles, "--policy", policy); got.code != 0 || !strings.Contains(got.stdout, "all of them, in this order") {
		t.Errorf("the folder: %d, %s%s", got.code, got.stdout, got.stderr)
	}
	bundles, err := filepath.Glob(filepath.Join(tiles, "commits", "000.p", "*"))
	if err != nil || len(bundles) != 1 {
		t.Fatalf("bundles: %q, %v", bundles, err)
	}
	lines, err := os.ReadFile(bundles[0])
	if err != nil {
		t.Fatal(err)
	}
	lines[len(lines)/2] ^= 1
	if err := os.WriteFile(bundles[0], lines, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.sb(t, "auditor", "audit", "verify", "--dir", tiles, "--policy", policy); got.code == 0 {
		t.Errorf("one bit of the folder was changed: %s", got.stdout)
	}
	key := filepath.Join(c.dir, "keys", "checkpoints.json")
	raw, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if got := c.server(t, "rebuild", "--verify"); got.code == 0 || !strings.Contains(got.stdout, "bring it back from a backup") {
		t.Errorf("without its key: %d, %s", got.code, got.stdout)
	}
	if err := os.WriteFile(key, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c.up(t)
}

// TestTheLogIsExportedToABucket verifies what a server has put into one, as an auditor does.
func TestTheLogIsExportedToABucket(t *testing.T) {
	t.Parallel()
	fake := s3.Start(t, "audit-log")
	env := []string{"SB_AUDIT_TILES=s3://audit-log/prod", "AWS_ENDPOINT_URL_S3=" + fake.Address}
	for name, value := range awsjson.Environment() {
		env = append(env, name+"="+value)
	}
	c := start(t, env...)
	for deadline := time.Now().Add(time.Minute); fake.Puts("prod/checkpoint") == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was exported")
		}
	}
	key := c.server(t, "checkpoint-key", "show").stdout
	c.stop(t)
	dir, policy := filepath.Join(c.dir, "copy"), filepath.Join(c.dir, "auditor.txt")
	if err := errors.Join(fake.Save("prod/", dir), os.WriteFile(policy, []byte("log "+strings.TrimPrefix(key, "1\t")+"quorum none\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := c.sb(t, "auditor", "audit", "verify", "--dir", dir, "--policy", policy); got.code != 0 || !strings.Contains(got.stdout, "as it was signed") && !strings.Contains(got.stdout, "all of them, in this order") {
		t.Errorf("the copy: %d, %s%s", got.code, got.stdout, got.stderr)
	}
}
