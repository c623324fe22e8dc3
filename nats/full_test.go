package nats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// runFull appends until no file may grow any more, as on a full disk, and goes on until
// the log is called unsafe. It prints "ack sequence id" of each commit that was
// acknowledged, "full", and "unsafe" with what was said.
func runFull(dir string) error {
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
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
	unsafe := make(chan error, 1)
	go func() { unsafe <- streams.Watch(ctx, store) }()
	stream := events.AccessStream(events.Anonymous)
	const room = 64 << 10 // bytes a file
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: math.MaxUint64}); err != nil {
		return err
	}
	for {
		commit := denial(stream, "denied")
		seq, err := store.Append(ctx, stream, events.AnySeq, commit)
		if err != nil {
			fmt.Println("full", err)
			break
		}
		fmt.Println("ack", seq, commit[0].ID)
	}
	// There is room again, but the server does not notice.
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: math.MaxUint64, Max: math.MaxUint64}); err != nil {
		return err
	}
	if _, err := store.Append(ctx, stream, events.AnySeq, denial(stream, "denied")); err == nil {
		return errors.New("the server writes again by itself: this test proves nothing")
	}
	if err := <-unsafe; errors.Is(err, command.ErrLogUnsafe) {
		fmt.Println("unsafe", err)
		return nil
	}
	return errors.New("the log is not called unsafe")
}

func TestAFullDiskEndsTheServerAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	authority, err := CreateAuthority(filepath.Join(dir, "authority"))
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), fullDir+"="+dir)
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[events.Seq]string{}
	var full, unsafe time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "full"):
			full = time.Now()
		case strings.HasPrefix(line, "unsafe"):
			unsafe = time.Now()
			if !strings.Contains(line, "the server's store has failed: free disk space and restart it") {
				t.Error(line)
			}
		default:
			var seq events.Seq
			var id string
			if _, err := fmt.Sscanf(line, "ack %d %s", &seq, &id); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			acked[seq] = id
		}
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if took := unsafe.Sub(full); len(acked) == 0 || full.IsZero() || took > 10*time.Second {
		t.Fatalf("%d commits were acknowledged; unsafe after %s", len(acked), took)
	}
	hub := startAll(t, HubConfig{Authority: authority, Dir: filepath.Join(dir, "store"), Logger: testLogger(t)})
	nc := connect(t, hub)
	streams, err := NewStreams(nc, 1, hub.Durability, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Prove(t.Context()); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	store := openStore(t, nc)
	for seq, id := range acked {
		commit, err := store.At(t.Context(), seq)
		if err != nil || string(commit.Events[0].ID) != id {
			t.Errorf("commit %d: %v, want %s", seq, err, id)
		}
	}
	stream := events.AccessStream(events.Anonymous)
	if _, err := store.Append(t.Context(), stream, events.AnySeq, denial(stream, "served again")); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}
