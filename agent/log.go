package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"secretsbridge/events"
)

// ErrLogBroken says that the control plane's log is not the one that this agent vouched for. The
// agent does no jobs until an operator accepts the other log.
var ErrLogBroken = errors.New("the control plane's log is not the one that this agent saw before")

// logStale is how long an agent does jobs without seeing the log. A control plane that shows no
// log may hide another one; one whose database is failing over shows it again within a minute or
// two.
const logStale = 5 * time.Minute

// logLooks is how many answers are taken at a time: the checkpoint that is there, one that was
// made while that was cosigned, and what is said to a trouble.
const logLooks = 3

// Witness remembers the log that the control plane showed, and cosigns it. Package agent/witness
// has it.
type Witness interface {
	// Ask is what the control plane is asked with.
	Ask() events.AskCheckpoint

	// See judges the answer to what was asked. What it takes survives a crash before it is
	// cosigned. It reports whether there is something new to say to the control plane.
	// [ErrLogBroken] is for good, also after a restart; after any other error the answer
	// counts for nothing.
	See(asked events.AskCheckpoint, shown events.ShownCheckpoint) (news bool, err error)

	// Broken is why no jobs may be done, or nil.
	Broken() error

	Status() LogStatus
}

// LogStatus is what a witness knows of the log.
type LogStatus struct {
	Size     int64             `json:"size"`              // of the tree that the agent vouches for
	Root     string            `json:"root,omitempty"`    // of that tree, base64
	Cosigned time.Time         `json:"cosigned,omitzero"` // when the agent cosigned last
	Seen     time.Time         `json:"seen,omitzero"`     // when the log was shown last, and all was well
	Trouble  events.LogTrouble `json:"trouble,omitempty"` // why no jobs are done
	Evidence string            `json:"evidence,omitempty"`
}

// sight is how the agent stands to the log: whether jobs may be begun, and whether those in hand
// may go on.
type sight struct {
	witness Witness // nil: nobody looks, and all jobs are done

	mu      sync.Mutex // guards what follows
	seen    time.Time
	intact  context.Context // of the jobs in hand; ends when the log is broken
	breaks  context.CancelCauseFunc
	changed chan struct{} // closed and replaced when something above changes
}

func newSight(w Witness) *sight {
	s := &sight{witness: w, changed: make(chan struct{})}
	s.intact, s.breaks = context.WithCancelCause(context.Background())
	if w != nil {
		if err := w.Broken(); err != nil {
			s.breaks(err)
		}
	}
	return s
}

// saw notes that the log was seen and is what it was. It may have been accepted since it broke.
func (s *sight) saw(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = now
	if s.intact.Err() != nil {
		s.intact, s.breaks = context.WithCancelCause(context.Background())
	}
	s.tell()
}

// broke ends the jobs in hand.
func (s *sight) broke(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breaks(err)
	s.tell()
}

func (s *sight) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// clear waits until jobs may be begun. It returns a context that ends when the log breaks, and
// one that ends when no more may be begun without another look.
func (s *sight) clear(ctx context.Context) (intact, fresh context.Context, stop func(), err error) {
	for {
		s.mu.Lock()
		until, changed := s.seen.Add(logStale), s.changed
		intact = s.intact
		s.mu.Unlock()
		switch {
		case s.witness == nil:
			fresh, cancel := context.WithCancel(ctx)
			return intact, fresh, cancel, nil
		case intact.Err() == nil && time.Now().Before(until):
			fresh, cancel := context.WithDeadline(ctx, until)
			ended := context.AfterFunc(intact, cancel)
			return intact, fresh, func() { ended(); cancel() }, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, nil, context.Cause(ctx)
		}
	}
}

// within is a context of a job that also ends, with its cause, when the log breaks.
func within(ctx, intact context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := context.AfterFunc(intact, func() { cancel(context.Cause(intact)) })
	return ctx, func() { ended(); cancel(nil) }
}

// watchLog looks at the log until ctx ends, as often as heartbeats are sent.
func (a *Agent) watchLog(ctx context.Context) {
	if a.Witness == nil {
		return
	}
	for {
		if sleep(ctx, a.lookAtLog(ctx)) != nil {
			return
		}
	}
}

// lookAtLog asks for the newest checkpoint and, where it is a new one, says at once what it is
// worth. It returns when to look again.
func (a *Agent) lookAtLog(ctx context.Context) (next time.Duration) {
	for range logLooks {
		asked := a.Witness.Ask()
		limited, cancel := context.WithTimeout(ctx, beatTimeout)
		shown, err := call[events.ShownCheckpoint](limited, a, events.ServiceWitness, asked)
		cancel()
		switch {
		case ctx.Err() != nil:
			return 0
		case refusedWith(err) != "":
			a.Logger.Error("the control plane does not show its log to this agent, so no jobs are done; is it of an older version?", "err", err)
			return longestBeat
		case err != nil:
			a.Logger.Debug("the log was not shown", "err", err)
			return jitter(shortestBeat)
		}
		news, err := a.Witness.See(asked, shown)
		switch {
		case errors.Is(err, ErrLogBroken):
			a.sight.broke(err)
			if asked.Trouble == "" {
				continue // the control plane is told at once
			}
			return defaultBeat
		case err != nil:
			a.Logger.Error("what the control plane showed of its log is not taken", "err", err)
			return defaultBeat
		}
		a.sight.saw(time.Now())
		if !news {
			return defaultBeat
		}
	}
	return defaultBeat
}
