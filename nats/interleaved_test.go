package nats

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"secretsbridge/command"
	"secretsbridge/events"
)

// forgetful is a log whose answers are lost now and then, after the commit was stored or before.
type forgetful struct {
	*Store
	calls atomic.Uint64
}

func (f *forgetful) lost() (before, after error) {
	switch f.calls.Add(1) % 7 {
	case 3:
		return command.ErrOutcomeUnknown, nil
	case 5:
		return nil, command.ErrOutcomeUnknown
	}
	return nil, nil
}

func (f *forgetful) Append(ctx context.Context, stream events.Stream, expected events.Seq, commit []events.Event) (events.Seq, error) {
	before, after := f.lost()
	if before != nil {
		return 0, before
	}
	seq, err := f.Store.Append(ctx, stream, expected, commit)
	if err == nil && after != nil {
		return 0, after
	}
	return seq, err
}

func (f *forgetful) AppendAll(ctx context.Context, commits []command.Commit) ([]events.Seq, error) {
	before, after := f.lost()
	if before != nil {
		return nil, before
	}
	seqs, err := f.Store.AppendAll(ctx, commits)
	if err == nil && after != nil {
		return nil, after
	}
	return seqs, err
}

// TestWhatHonestServersDoIsNoReplay: four servers write to the same three histories at once, by
// commands that several of them take, by batches, by facts that expect nothing and by facts beside
// others, and answers are lost. Whoever loads must never take that for a replayed commit, and no
// event may be there twice.
func TestWhatHonestServersDoIsNoReplay(t *testing.T) {
	const servers, steps, histories = 4, 40, 3
	r := newRig(t, 1)
	streams := make([]events.Stream, histories)
	for i := range streams {
		streams[i] = events.AgentStream(events.NewAgentID())
	}
	var stores []*Store
	var running sync.WaitGroup
	for n := range servers {
		store := openStore(t, connect(t, r.hub()))
		stores = append(stores, store)
		log := &forgetful{Store: store}
		random := rand.New(rand.NewPCG(1, uint64(n)))
		running.Go(func() {
			for step := range steps {
				which := random.IntN(histories)
				stream := streams[which]
				// Each command is taken by every server, as it is where two hold a lease at once.
				meta := command.Meta{Command: events.DeriveCommandID(fmt.Sprint(step), stream.String()), Actor: events.SystemActor("test")}
				decide := func(command.Agent) ([]events.Fact, error) {
					return []events.Fact{events.AgentConnected{Version: fmt.Sprint(n, step)}}, nil
				}
				var err error
				switch random.IntN(5) {
				case 0:
					_, err = command.Record(t.Context(), log, stream, meta, events.AgentLost{})
				case 1:
					beside := command.Beside{Stream: streams[(which+1)%histories], Facts: []events.Fact{events.AgentLost{}}}
					_, err = command.ExecuteBeside(t.Context(), log, stream, meta, decide, beside)
				case 2:
					tasks := make([]command.Task[command.Agent], histories)
					for i, s := range streams {
						tasks[i] = command.Task[command.Agent]{
							Stream: s,
							Meta: func(at events.Seq) command.Meta {
								return command.Meta{Command: events.DeriveCommandID("at", s.String(), fmt.Sprint(at)), Actor: meta.Actor}
							},
							Decide: func(command.Agent, command.Meta) ([]events.Fact, error) { return decide(command.Agent{}) },
						}
					}
					for _, o := range command.ExecuteAll(t.Context(), log, tasks) {
						err = errors.Join(err, o.Err)
					}
				case 3:
					_, err = log.Load(t.Context(), stream)
				default:
					_, err = command.Execute(t.Context(), log, stream, meta, decide)
				}
				if err != nil && !errors.Is(err, command.ErrOutcomeUnknown) {
					t.Errorf("server %d, step %d: %v", n, step, err)
					return
				}
			}
		})
	}
	running.Wait()
	seen := map[events.EventID]events.Seq{}
	for i, stream := range streams {
		history, err := openStore(t, r.nc).Load(t.Context(), stream)
		if err != nil || len(history) == 0 {
			t.Fatalf("history %d: %d commits, %v", i, len(history), err)
		}
		for _, c := range history {
			for _, e := range c.Events {
				if before, twice := seen[e.ID]; twice {
					t.Errorf("event %s is in commits %d and %d", e.ID, before, c.Seq)
				}
				seen[e.ID] = c.Seq
			}
		}
	}
	for n, store := range stores {
		if err := errors.Join(store.Halted(), r.streams.proveAll(t.Context(), store)); err != nil {
			t.Errorf("server %d: %v", n, err)
		}
	}
}
