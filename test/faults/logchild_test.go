package faults_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/nats/subject"
	"secretsbridge/projections"
	"secretsbridge/transparency"
)

// logChild makes this binary a process that holds the log in a folder: it prints "has SEQ ID" of
// each commit that is there, "open", and then appends until it is killed and prints "ack SEQ ID"
// of each commit that was acknowledged. logSync is how the server stores: always, or as NATS does
// by itself, which acknowledges first.
const (
	logChild = "SB_FAULTS_LOG"
	logSync  = "SB_FAULTS_LOG_SYNC"
	logCount = "SB_FAULTS_LOG_COUNT" // how many commits are appended; empty: until it is killed
	logKnown = "SB_FAULTS_LOG_KNOWN" // "SEQ HASH" of a commit that is known outside NATS; empty: none
	logAhead = "SB_FAULTS_LOG_AHEAD" // set: commits are called acknowledged when they are sent
	logBare  = "SB_FAULTS_LOG_BARE"  // set: prints what NATS delivers, by none of the product's checks, and ends
)

// errEnough ends a Follow that has seen what it came for.
var errEnough = errors.New("enough")

// openLog opens the product's log on a server of its own.
func openLog(ctx context.Context, dir string, always bool) (store *nats.Store, nc *natsgo.Conn, closer func(), err error) {
	durability := func(context.Context) ([]nats.ServerSync, error) {
		return []nats.ServerSync{{Server: "hub", Always: true}}, nil
	}
	if always {
		authority, err := nats.OpenAuthority(filepath.Join(dir, "authority"))
		if errors.Is(err, os.ErrNotExist) {
			authority, err = nats.CreateAuthority(filepath.Join(dir, "authority"))
		}
		if err != nil {
			return nil, nil, nil, err
		}
		hub, err := nats.StartHub(nats.HubConfig{Authority: authority, Dir: filepath.Join(dir, "store")})
		if err != nil {
			return nil, nil, nil, err
		}
		if nc, err = hub.ConnectProvisioner("faults"); err != nil {
			return nil, nil, nil, err
		}
		durability, closer = hub.Durability, func() { nc.Close(); hub.Shutdown() }
	} else {
		// The control: the same store on a server as NATS comes, whose word is taken for it.
		srv, err := server.NewServer(&server.Options{ServerName: "hub", DontListen: true, NoSigs: true, JetStream: true, StoreDir: filepath.Join(dir, "store")})
		if err != nil {
			return nil, nil, nil, err
		}
		srv.Start()
		if !srv.ReadyForConnections(20 * time.Second) {
			return nil, nil, nil, errors.New("the server does not come up")
		}
		if nc, err = natsgo.Connect("", natsgo.InProcessServer(srv)); err != nil {
			return nil, nil, nil, err
		}
		closer = func() { nc.Close(); srv.Shutdown(); srv.WaitForShutdown() }
	}
	streams, err := nats.NewStreams(nc, 1, durability, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, nil, err
	}
	if err := streams.Provision(ctx); err != nil {
		return nil, nil, nil, err
	}
	writer, err := nats.NewWriter(make([]byte, nats.WriterKeySize), 1)
	if err != nil {
		return nil, nil, nil, err
	}
	store, err = nats.OpenStore(ctx, nc, writer)
	return store, nc, closer, err
}

// runLogChild is the process.
func runLogChild(dir string) error {
	ctx := context.Background()
	store, nc, closer, err := openLog(ctx, dir, os.Getenv(logSync) == "always")
	if err != nil {
		return err
	}
	if os.Getenv(logBare) != "" {
		return delivered(ctx, nc)
	}
	if text := os.Getenv(logKnown); text != "" {
		var known projections.Position
		if _, err := fmt.Sscanf(text, "%d %x", &known.Seq, &known.Hash); err != nil {
			return err
		}
		if err := known.Prove(ctx, store); err != nil {
			return err
		}
	}
	out := bufio.NewWriter(os.Stdout)
	if err := everyCommit(ctx, store, func(c events.Recorded) { fmt.Fprintln(out, "has", c.Seq, c.Events[0].ID, hashOf(c)) }); err != nil {
		return err
	}
	fmt.Fprintln(out, "open")
	if err := out.Flush(); err != nil {
		return err
	}
	count := -1
	if text := os.Getenv(logCount); text != "" {
		if _, err := fmt.Sscan(text, &count); err != nil {
			return err
		}
	}
	if err := appendSome(ctx, store, count, func(seq events.Seq, id events.EventID) { fmt.Println("ack", seq, id) }); err != nil {
		return err
	}
	closer()
	return nil
}

// appendSome appends so many commits, or with -1 for ever, and says each that is acknowledged.
func appendSome(ctx context.Context, store *nats.Store, count int, said func(events.Seq, events.EventID)) error {
	ahead := os.Getenv(logAhead) != ""
	last, err := store.Last(ctx)
	if err != nil {
		return err
	}
	for n := 0; n != count; n++ {
		stream := events.AccessStream(events.UserActor(events.NewUserID()))
		commit := denial(stream)
		if ahead {
			said(last+1, commit.ID)
		}
		seq, err := store.Append(ctx, stream, events.AnySeq, []events.Event{commit})
		if err != nil {
			return err
		}
		if last = seq; !ahead {
			said(seq, commit.ID)
		}
	}
	return nil
}

func hashOf(c events.Recorded) string {
	sum := transparency.LeafHash(c.Raw)
	return hex.EncodeToString(sum[:])
}

// delivered prints what a plain consumer of the stream gets.
func delivered(ctx context.Context, nc *natsgo.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.OrderedConsumer(ctx, subject.EventsStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	for {
		batch, err := consumer.FetchNoWait(1000)
		if err != nil {
			return err
		}
		n := 0
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return err
			}
			sum := transparency.LeafHash(msg.Data())
			fmt.Println("has", meta.Sequence.Stream, hex.EncodeToString(sum[:]))
			n++
		}
		if batch.Error() != nil {
			return batch.Error()
		}
		if n == 0 {
			fmt.Println("open")
			return nil
		}
	}
}

// everyCommit reads the log from its beginning to its end.
func everyCommit(ctx context.Context, store *nats.Store, see func(events.Recorded)) error {
	last, err := store.Last(ctx)
	if err != nil || last == 0 {
		return err
	}
	err = store.Follow(ctx, 0, 1000, func(_ context.Context, batch []events.Recorded) error {
		for _, c := range batch {
			see(c)
			if c.Seq == last {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func denial(stream events.Stream) events.Event {
	id := events.NewCommandID()
	return events.Event{
		ID: events.EventIDOf(id, 0), Stream: stream, Time: time.Now(), Actor: events.SystemActor("faults"),
		Correlation: events.CorrelationID(id), Command: id, Fact: events.AccessDenied{Code: "denied"},
	}
}

// logBook is what processes that were killed had acknowledged.
type logBook struct {
	acked map[events.Seq]string
	ahead bool // commits are called acknowledged when they are sent
}

// live starts a process on dir, compares what it finds with the book, and calls kill when it has
// acknowledged n commits more. kill must end the process. The error is a broken promise.
func (b *logBook) live(t *testing.T, dir string, always bool, n int, kill func(pid int)) error {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), logChild+"="+dir, logSync+"=always")
	if !always {
		cmd.Env = append(cmd.Env, logSync+"=later")
	}
	if b.ahead {
		cmd.Env = append(cmd.Env, logAhead+"=yes")
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()
	found := map[events.Seq]string{}
	var broken error
	opened := false
	more := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var what, id string
		var seq events.Seq
		if lines.Text() == "open" {
			opened = true
			broken = b.compare(found)
		}
		if k, err := fmt.Sscan(lines.Text(), &what, &seq, &id); err != nil || k != 3 {
			continue // "open", or cut off in the middle
		}
		switch what {
		case "has":
			found[seq] = id
		case "ack":
			if other, twice := b.acked[seq]; twice && broken == nil {
				broken = fmt.Errorf("sequence %d was given to %s and to %s", seq, other, id)
			}
			b.acked[seq] = id
			if more++; more == n {
				kill(cmd.Process.Pid)
			}
		}
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	switch {
	case broken != nil:
		return broken
	case !opened:
		// It said why it does not serve: that is no silence, but nothing was damaged that it may
		// not survive.
		return fmt.Errorf("the log does not open again: %s", lastLine(stderr.String()))
	case more < n:
		t.Fatalf("the process ended after %d of %d commits: %s", more, n, stderr.String())
	}
	return nil
}

// compare says what was acknowledged and is not there.
func (b *logBook) compare(found map[events.Seq]string) error {
	lost := 0
	for seq, id := range b.acked {
		if found[seq] != id {
			lost++
		}
	}
	if lost > 0 {
		return fmt.Errorf("%d of %d acknowledged commits are lost", lost, len(b.acked))
	}
	return nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

func killNine(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }
