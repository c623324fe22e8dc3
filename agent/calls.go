package agent

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// calls counts what providers were asked for, and what they answered. The heartbeat tells the
// control plane, because nobody can ask an agent.
type calls struct {
	mu      sync.Mutex
	counted map[call3]*events.ProviderCalls
}

// call3 is what is counted together.
type call3 struct {
	provider  events.ProviderKind
	operation events.CallOperation
	outcome   events.CallOutcome
}

func newCalls() *calls { return &calls{counted: map[call3]*events.ProviderCalls{}} }

func (c *calls) count(provider events.ProviderKind, op events.CallOperation, outcome events.CallOutcome, took time.Duration) {
	slot := slices.IndexFunc(events.CallBounds, func(bound time.Duration) bool { return took <= bound })
	if slot < 0 {
		slot = len(events.CallBounds)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.of(call3{provider, op, outcome})
	one.Took[slot]++
	one.SumMS += took.Milliseconds()
}

// of finds what is counted together; the caller has the lock.
func (c *calls) of(key call3) *events.ProviderCalls {
	one, ok := c.counted[key]
	if !ok {
		one = &events.ProviderCalls{
			Provider: key.provider, Operation: key.operation, Outcome: key.outcome, Took: make([]int, len(events.CallBounds)+1),
		}
		c.counted[key] = one
	}
	return one
}

// take returns what was counted and counts anew.
func (c *calls) take() []events.ProviderCalls {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]events.ProviderCalls, 0, len(c.counted))
	for _, one := range c.counted {
		all = append(all, *one)
	}
	clear(c.counted)
	return all
}

// back counts again what was taken and reached nobody. Where it would be more than a report may
// tell of, it is forgotten: figures are no facts.
func (c *calls) back(taken []events.ProviderCalls) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range taken {
		one := c.of(call3{t.Provider, t.Operation, t.Outcome})
		one.SumMS += t.SumMS
		for i, n := range t.Took {
			one.Took[i] += n
		}
	}
	maps.DeleteFunc(c.counted, func(_ call3, one *events.ProviderCalls) bool {
		return !events.ValidCalls([]events.ProviderCalls{*one})
	})
}

// answers maps the errors of providers to what is counted. The first that matches counts.
var answers = []struct {
	err     error
	outcome events.CallOutcome
}{
	{ErrNotFound, events.CallNotFound},
	{ErrForbidden, events.CallRefused}, {ErrSignIn, events.CallRefused}, {ErrOutsideAllowList, events.CallRefused},
	{ErrConflict, events.CallConflict},
	{ErrNotBundle, events.CallInvalid}, {ErrTooLarge, events.CallInvalid}, {ErrCorrupt, events.CallInvalid}, {ErrInvalidRef, events.CallInvalid}, {ErrCursor, events.CallInvalid},
	{context.Canceled, events.CallEnded},
	{ErrUnavailable, events.CallUnavailable}, {context.DeadlineExceeded, events.CallUnavailable},
}

func outcomeOf(err error) events.CallOutcome {
	if err == nil {
		return events.CallOK
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.outcome
		}
	}
	return events.CallFailed
}

// watched is a provider whose calls are counted, and are spans where somebody traces.
type watched struct {
	Provider
	kind  events.ProviderKind
	calls *calls
}

// begin begins a call; what it returns ends it.
func (w watched) begin(ctx context.Context, op events.CallOperation) (context.Context, func(error)) {
	began := time.Now()
	ctx, span := trace.Child(ctx, "provider "+string(op), trace.Client, trace.Of(trace.Provider, w.kind), trace.Of(trace.Operation, op))
	return ctx, func(err error) {
		outcome := outcomeOf(err)
		w.calls.count(w.kind, op, outcome, time.Since(began))
		if outcome == events.CallOK {
			span.End("")
		} else {
			span.End(string(outcome))
		}
	}
}

func (w watched) Read(ctx context.Context, ref Ref) (Bundle, error) {
	ctx, end := w.begin(ctx, events.CallRead)
	bundle, err := w.Provider.Read(ctx, ref)
	end(err)
	return bundle, err
}

func (w watched) Write(ctx context.Context, ref Ref, b Bundle, expect Version) (Version, error) {
	ctx, end := w.begin(ctx, events.CallWrite)
	version, err := w.Provider.Write(ctx, ref, b, expect)
	end(err)
	return version, err
}

// List counts each page. Time that the caller takes between two pages is not the provider's.
func (w watched) List(ctx context.Context, from Cursor) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		began := time.Now()
		ctx, span := trace.Child(ctx, "provider list", trace.Client, trace.Of(trace.Provider, w.kind), trace.Of(trace.Operation, events.CallList))
		code := ""
		defer func() { span.End(code) }()
		for page, err := range w.Provider.List(ctx, from) {
			outcome := outcomeOf(err)
			w.calls.count(w.kind, events.CallList, outcome, time.Since(began))
			if outcome != events.CallOK {
				code = string(outcome)
			}
			if !yield(page, err) {
				return
			}
			began = time.Now()
		}
	}
}

func (w watched) Check(ctx context.Context) error {
	ctx, end := w.begin(ctx, events.CallCheck)
	err := w.Provider.Check(ctx)
	end(err)
	return err
}
