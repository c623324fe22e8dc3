package nats

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

// appendForEver prints "sequence id" of each commit that was acknowledged.
func appendForEver(dir string) error {
	authority, err := OpenAuthority(filepath.Join(dir, "authority"))
	if err != nil {
		return err
	}
	hub, err := StartHub(HubConfig{Authority: authority, Dir: filepath.Join(dir, "store")})
	if err != nil {
		return err
	}
	nc, err := hub.Connect("child")
	if err != nil {
		return err
	}
	ctx := context.Background()
	streams, err := NewStreams(nc, 1, hub.Durability, nil)
	if err != nil {
		return err
	}
	if err := streams.Provision(ctx); err != nil {
		return err
	}
	store, err := OpenStore(ctx, nc, testWriter())
	if err != nil {
		return err
	}
	for {
		stream := events.AccessStream(events.UserActor(events.NewUserID()))
		commit := denial(stream, "denied")
		seq, err := store.Append(ctx, stream, 0, commit)
		if err != nil {
			return err
		}
		fmt.Println(seq, commit[0].ID)
	}
}

func TestKilledHubLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	authority, err := CreateAuthority(filepath.Join(dir, "authority"))
	if err != nil {
		t.Fatal(err)
	}
	acked := map[events.Seq]string{}
	for round := range 3 {
		before := len(acked)
		killAfter(t, dir, 300+100*round, acked)
		if len(acked) == before {
			t.Fatal("the child appended nothing")
		}
	}
	hub := startAll(t, HubConfig{Authority: authority, Dir: filepath.Join(dir, "store"), Logger: testLogger(t)})
	store := openStore(t, connect(t, hub))
	last, err := store.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq, id := range acked {
		commit, err := store.At(t.Context(), seq)
		if err != nil || string(commit.Events[0].ID) != id {
			t.Errorf("commit %d: %v, want %s", seq, err, id)
		}
	}
	if extra := int(last) - len(acked); extra < 0 || extra > 3 { // one a round may be stored and not said
		t.Errorf("%d commits were acknowledged, the log ends at %d", len(acked), last)
	}
}

// killAfter starts a hub and kills it with SIGKILL after n acknowledged commits.
func killAfter(t *testing.T, dir string, n int, acked map[events.Seq]string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(patience, func() { _ = child.Process.Kill() })
	defer guard.Stop()
	lines := bufio.NewScanner(out)
	for read := 0; lines.Scan(); read++ {
		var seq events.Seq
		var id string
		if _, err := fmt.Sscan(lines.Text(), &seq, &id); err != nil {
			continue // cut off in the middle
		}
		if other, twice := acked[seq]; twice {
			t.Errorf("sequence %d was given to %s and to %s", seq, other, id)
		}
		acked[seq] = id
		if read == n {
			_ = child.Process.Kill()
		}
	}
	if err := child.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
}
