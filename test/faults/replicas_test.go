package faults_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/test/production"
)

// damagedReplica damages a file of the log on one of three servers while it is down. The log must be
// read right, or be refused until that server has an empty disk. The control has one replica, on the
// server that is damaged.
func damagedReplica(t *testing.T, w world) (string, error) {
	r := production.StartNATS(t)
	nc, err := r.Cluster(t).ConnectProvisioner("faults")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	replicas := 3
	if w.control {
		replicas = 1
	}
	streams, err := nats.NewStreams(nc, replicas, r.Cluster(t).Durability, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !within(t.Context(), time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err = streams.Provision(ctx)
		return err == nil
	}) {
		t.Fatal(err)
	}
	writer, err := nats.NewWriter(make([]byte, nats.WriterKeySize), 1)
	if err != nil {
		t.Fatal(err)
	}
	store, err := nats.OpenStore(t.Context(), nc, writer)
	if err != nil {
		t.Fatal(err)
	}
	acked, refused := map[events.Seq]events.EventID{}, 0
	for n := range w.trials {
		var twice error
		if err := appendSome(t.Context(), store, 40, func(seq events.Seq, id events.EventID) {
			if acked[seq] != "" {
				twice = fmt.Errorf("sequence %d was given twice", seq)
			}
			acked[seq] = id
		}); err != nil {
			return "", fmt.Errorf("append after damage %d: %w", n, err)
		}
		if twice != nil {
			return "", twice
		}
		victim := w.random.IntN(3)
		if w.control {
			for i, node := range r.Plan.Nodes {
				if found, _ := filepath.Glob(filepath.Join(node.Store, "jetstream", "*", "streams", "EVENTS")); len(found) > 0 {
					victim = i
				}
			}
		}
		r.Nodes[victim].Stop(t)
		what := damage(t, r.Plan.Nodes[victim].Store, w.random)
		r.Nodes[victim].Start(t)
		read := func() (found map[events.Seq]events.EventID, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			fresh, err := nats.OpenStore(ctx, nc, writer)
			if err != nil {
				return nil, err
			}
			found = map[events.Seq]events.EventID{}
			return found, everyCommit(ctx, fresh, func(c events.Recorded) { found[c.Seq] = c.Events[0].ID })
		}
		found, err := read()
		if err != nil { // it leads, and says that it is damaged: an operator gives it an empty disk
			refused++
			r.Nodes[victim].Stop(t)
			if err := os.RemoveAll(r.Plan.Nodes[victim].Store); err != nil {
				t.Fatal(err)
			}
			r.Nodes[victim].Start(t)
			if !within(t.Context(), time.Minute, func() bool { found, err = read(); return err == nil }) {
				return "", fmt.Errorf("%s: with an empty disk in its place the log is not served: %w", what, err)
			}
		}
		if !maps.Equal(found, acked) {
			return "", fmt.Errorf("%s: %d commits are read of %d", what, len(found), len(acked))
		}
	}
	return fmt.Sprintf("%d acknowledged commits read right after each; %d times the damaged server led, was refused, and was right with an empty disk", len(acked), refused), nil
}
