package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"secretsbridge/events"
)

// observeDelay is when a look at a rollout comes again that this agent cannot have, because it may
// see nothing of the cluster: another agent of it may. A look lasts two periods of 15 s.
const observeDelay = 5 * time.Second

// maxObservation is how long the JSON of an observation may be, in bytes: a message has room for
// 1 MiB, and the frame and the ticket want theirs. 5,000 pods with names of 80 bytes fit.
const maxObservation = 900 << 10

// Observer sees how a change is rolled out in the agent's cluster. Package kube has the real one.
type Observer interface {
	// Observe looks once, until ctx ends. What it cannot see it says in the observation.
	Observe(ctx context.Context, look Look) events.Observation
}

// Look is what is looked at.
type Look struct {
	Kind     events.IntegrationKind
	Target   events.RolloutTarget
	Provider events.ProviderKind // of the secret
	Ref      string              // likewise
	Version  string              // of the secret that is to be live; may be empty
}

// observe is a job that looks at a rollout. As one that looks at a secret it changes nothing, and
// one that cannot be done now is left.
func (j job) observe(ctx context.Context, d Delivery) verdict {
	if j.Observer == nil {
		j.log.Debug("this agent sees nothing of its cluster; another one may (SB_AGENT_KUBE)")
		return later(observeDelay)
	}
	return j.looking(ctx, d, j.tell)
}

// tell looks and says what was seen.
func (j job) tell(ctx context.Context, d Delivery) verdict {
	began := time.Now()
	said := events.ReportObservation{Request: j.ticket.Request, Job: j.ticket.Job, Watch: j.ticket.Observe.Watch.Number}
	err := json.Unmarshal(d.Data(), &said.Ticket)
	if err == nil {
		err = j.guarded(func() (err error) {
			said.Seen, err = j.seen(ctx)
			return err
		})
	}
	if err == nil && ctx.Err() == nil {
		// Once: how old the look is when it is told is part of it, and another look follows soon.
		said.Seen.TookMS = int(time.Since(began).Milliseconds())
		_, err = call[events.Done](ctx, j.Agent, events.ServiceObserved, said)
	}
	if v, ended := j.settled(ctx, err); ended {
		return v
	}
	if err != nil {
		j.log.Warn("a look at a rollout is not taken", "err", err)
	}
	return doneWith()
}

// seen is what the observer sees, no longer than a message.
func (j job) seen(ctx context.Context) (events.Observation, error) {
	watch := j.ticket.Observe.Watch
	seen := j.Observer.Observe(ctx, Look{
		Kind: watch.Kind, Target: watch.Target, Provider: j.ticket.Provider, Ref: j.ticket.Ref, Version: j.ticket.Observe.Version,
	})
	encoded, err := json.Marshal(seen)
	if err != nil {
		return events.Observation{}, fmt.Errorf("encode observation: %w", err)
	}
	if len(encoded) > maxObservation {
		return events.Observation{At: seen.At, Problem: events.RolloutTooLarge}, nil
	}
	return seen, nil
}
