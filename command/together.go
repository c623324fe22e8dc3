package command

import (
	"context"
	"errors"
	"sync"

	"secretsbridge/events"
)

// loadsAtOnce is how many streams are loaded at the same time. One load waits for an
// answer of the log's leader twice; with this many, one processor is busy meanwhile.
const loadsAtOnce = 16

// Task is one command of many. Meta tells its circumstance by the sequence of the
// stream's last commit, so that its id can follow from it: whoever takes the same task at
// the same place takes the same command.
type Task[S any] struct {
	Stream events.Stream
	Meta   func(at events.Seq) Meta
	Decide func(state S, meta Meta) ([]events.Fact, error)
}

// Outcome is what became of one task. Err is what [Execute] would have returned.
type Outcome[S any] struct {
	Decision[S]
	Err error
}

// ExecuteAll takes commands of different streams, and returns an outcome for each, in the
// same order. Each is decided as [Execute] decides it, and what is decided is appended
// together, at most [MaxTogether] commits at once. Where a batch is refused, mostly because
// a stream of it moved on, or its outcome is unknown, each of its commands is executed by
// itself: one that was stored after all is found by its id, one whose stream moved on is
// decided anew, and one that no log takes holds up nobody else. So a race ends as it does
// with Execute.
func ExecuteAll[S State[S]](ctx context.Context, log Log, tasks []Task[S]) []Outcome[S] {
	outcomes := make([]Outcome[S], 0, len(tasks))
	for len(tasks) > 0 {
		n := min(MaxTogether, len(tasks))
		outcomes = append(outcomes, executeTogether(ctx, log, tasks[:n])...)
		tasks = tasks[n:]
	}
	return outcomes
}

func executeTogether[S State[S]](ctx context.Context, log Log, tasks []Task[S]) []Outcome[S] {
	outcomes := make([]Outcome[S], len(tasks))
	metas := make([]Meta, len(tasks))
	commits := make([]Commit, len(tasks)) // without events: nothing to append
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(loadsAtOnce, len(tasks)) {
		wg.Go(func() {
			for i := range next {
				outcomes[i], metas[i], commits[i] = decideTask(ctx, log, tasks[i])
			}
		})
	}
	for i := range tasks {
		next <- i
	}
	close(next)
	wg.Wait()

	var which []int
	var batch []Commit
	for i, c := range commits {
		if len(c.Events) > 0 {
			which, batch = append(which, i), append(batch, c)
		}
	}
	if len(batch) == 0 {
		return outcomes
	}
	seqs, err := log.AppendAll(ctx, batch)
	if errors.Is(err, ErrOutcomeUnknown) {
		// The caller may have gone; what was sent must still be settled.
		settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		defer cancel()
		ctx = settle
	}
	for n, i := range which {
		switch {
		case err == nil:
			for _, e := range batch[n].Events {
				outcomes[i].State = outcomes[i].State.Evolve(e)
			}
			outcomes[i].Seq, outcomes[i].Events = seqs[n], batch[n].Events
		case errors.Is(err, ErrLogUnsafe):
			outcomes[i].Err = err
		default:
			task, meta := tasks[i], metas[i]
			outcomes[i].Decision, outcomes[i].Err = Execute(ctx, log, task.Stream, meta, func(s S) ([]events.Fact, error) { return task.Decide(s, meta) })
		}
	}
	return outcomes
}

// decideTask loads and decides, and returns the commit that is to be appended if there is
// one.
func decideTask[S State[S]](ctx context.Context, log Log, task Task[S]) (Outcome[S], Meta, Commit) {
	state, seq, begun, err := load[S](ctx, log, task.Stream)
	if err != nil {
		return Outcome[S]{Err: err}, Meta{}, Commit{}
	}
	meta := task.Meta(seq)
	decision := Decision[S]{State: state, Seq: seq}
	if state.Took(meta.Command) {
		decision.Repeated = true
		return Outcome[S]{Decision: decision}, meta, Commit{}
	}
	facts, err := task.Decide(state, meta)
	if err != nil || len(facts) == 0 {
		return Outcome[S]{Decision: decision, Err: err}, meta, Commit{}
	}
	return Outcome[S]{Decision: decision}, meta, Commit{Stream: task.Stream, Expected: seq, Events: wrap(task.Stream, meta, begun.correlation, facts)}
}
