package projections_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

func TestWaitingForAPosition(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	local, remote := projections.NewProgress(db.App), projections.NewProgress(db.App)
	follow(t, db.App, log, local)
	listening, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = remote.Run(listening) }()
	unheard := projections.NewProgress(db.App) // nobody tells it anything
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for n := range 20 {
		name := events.ConnectionID(fmt.Sprintf("c%d", n))
		seq := w.append(events.ConnectionStream(name), "user:u_1", events.ConnectionCreated{Connection: name, Provider: "file", Cluster: "demo"})
		for who, progress := range map[string]*projections.Progress{"local": local, "remote": remote, "unheard": unheard} {
			if err := progress.WaitFor(ctx, seq); err != nil {
				t.Fatalf("%s: %v", who, err)
			}
			if _, err := (projections.Connections{Pool: db.App}).Get(ctx, name); err != nil {
				t.Fatalf("%s: after the wait: %v", who, err)
			}
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := local.WaitFor(short, 1000)
	if !errors.Is(err, projections.ErrBehind) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a position that never comes: %v", err)
	}
	position, err := local.Position(t.Context())
	if err != nil || position.Seq != 20 || position.Prove(t.Context(), log) != nil {
		t.Errorf("position %d, %v", position.Seq, err)
	}
}

func TestWatchingOneHistory(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	local, remote := projections.NewProgress(db.App), projections.NewProgress(db.App)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() { _ = remote.Run(ctx) }()
	create := func(name events.ConnectionID) events.Seq {
		return w.append(events.ConnectionStream(name), "user:u_1", events.ConnectionCreated{Connection: name, Provider: "file", Cluster: "demo"})
	}
	follow(t, db.App, log, local)
	if err := remote.WaitFor(ctx, create("first")); err != nil { // it listens now
		t.Fatal(err)
	}
	for who, progress := range map[string]*projections.Progress{"local": local, "remote": remote} {
		mine := progress.Watch(ctx, events.ConnectionStream(events.ConnectionID("mine-"+who)))
		all := progress.Watch(ctx, events.Stream{})
		await := func(what string, seqs <-chan events.Seq, want events.Seq) {
			t.Helper()
			for {
				select {
				case got := <-seqs:
					if got >= want {
						return
					}
				case <-ctx.Done():
					t.Fatalf("%s: %s was not told of %d", who, what, want)
				}
			}
		}
		other := create(events.ConnectionID("other-" + who))
		await("the watcher of everything", all, other)
		if err := progress.WaitFor(ctx, other); err != nil {
			t.Fatal(err)
		}
		seq := create(events.ConnectionID("mine-" + who))
		await("the watcher of one", mine, seq)
		await("the watcher of everything", all, seq)
	}
}
