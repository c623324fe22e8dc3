package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/transparency/receipts"
)

// Report is what a file proves. All of it comes from commits that are in the log; what no commit
// tells is empty.
type Report struct {
	Request events.RequestID `json:"request"`
	Origin  string           `json:"origin"`  // of the log
	Size    int64            `json:"size"`    // of the log that the checkpoint is of
	Signers []string         `json:"signers"` // of the checkpoint, whom the policy knows

	Asked    *Asked    `json:"asked"`
	Policy   Policy    `json:"policy"`
	Votes    []Vote    `json:"votes"`
	Work     []Work    `json:"work"`
	Outcome  *Outcome  `json:"outcome,omitempty"`
	Reveals  []Reveal  `json:"reveals,omitempty"`
	Rollout  []Rollout `json:"rollout,omitempty"`
	Timeline []Moment  `json:"timeline"` // of the request, each of its facts

	// Gaps are what a reader would want and the file does not hold, in plain words.
	Gaps []string `json:"gaps,omitempty"`
}

// Asked is who asked for what.
type Asked struct {
	By         events.UserID       `json:"by"`
	At         time.Time           `json:"at"`
	Seq        events.Seq          `json:"seq"`
	Operation  events.Operation    `json:"operation"`
	Connection events.ConnectionID `json:"connection"`
	Ref        string              `json:"ref"`
	Keys       []string            `json:"keys,omitempty"`
	Reason     string              `json:"reason"`
	Ticket     string              `json:"ticket,omitempty"`
	Workflow   events.Workflow     `json:"workflow"` // as it stood then
}

// Policy is the text that led there: all objects of the governance as of the version that counted
// when the request was submitted, in the order of their kinds and names. Version 0 is the
// built-in one, of which the log has no text.
type Policy struct {
	Version int             `json:"version"`
	Seq     events.Seq      `json:"seq,omitempty"` // that made this version
	Objects []events.Object `json:"objects,omitempty"`
}

// Vote is one person's word.
type Vote struct {
	By      events.UserID   `json:"by"`
	Via     []events.UserID `json:"via,omitempty"`
	At      time.Time       `json:"at"`
	Seq     events.Seq      `json:"seq"`
	Step    events.StepID   `json:"step"`
	Agreed  bool            `json:"agreed"`
	Comment string          `json:"comment,omitempty"`
}

// Work is one attempt of an agent.
type Work struct {
	Agent   events.AgentID   `json:"agent"`
	Name    string           `json:"name,omitempty"`
	Cluster events.ClusterID `json:"cluster,omitempty"`
	Key     string           `json:"key,omitempty"` // that it signs with, since it was enrolled
	Attempt int              `json:"attempt"`
	Seq     events.Seq       `json:"seq"`
}

// Outcome is how the job ended.
type Outcome struct {
	State           string         `json:"state"` // executed or failed
	At              time.Time      `json:"at"`
	Seq             events.Seq     `json:"seq"`
	Signed          events.AgentID `json:"signed,omitempty"` // the agent whose receipt of it was checked
	ProviderVersion string         `json:"provider_version,omitempty"`
	PreviousVersion string         `json:"previous_version,omitempty"` // of a patch; empty if the secret is new
	Code            string         `json:"code,omitempty"`             // of a failure
}

// Reveal is one opening of a value by the requester.
type Reveal struct {
	Envelope events.EnvelopeID `json:"envelope"`
	At       time.Time         `json:"at"`
	Seq      events.Seq        `json:"seq"`
}

// Rollout is one thing that was seen of a change going live.
type Rollout struct {
	Type string          `json:"type"`
	At   time.Time       `json:"at"`
	Seq  events.Seq      `json:"seq"`
	Data json.RawMessage `json:"data"`
}

// Moment is one fact.
type Moment struct {
	Seq   events.Seq   `json:"seq"`
	At    time.Time    `json:"at"`
	Actor events.Actor `json:"actor"`
	Type  string       `json:"type"`
}

// Verify checks a file against the keys of a policy and tells what it proves. Errors wrap
// [ErrEvidence].
func Verify(text []byte, policy *transparency.Policy) (Report, error) {
	f, err := Parse(text)
	if err != nil {
		return Report{}, err
	}
	checkpoint, commits, err := f.prove(policy)
	if err != nil {
		return Report{}, err
	}
	r := Report{Request: f.Request, Origin: policy.Origin(), Size: checkpoint.Tree.N, Signers: checkpoint.Signers}
	t := teller{report: &r, agents: map[events.AgentID]Work{}, enrolled: map[events.AgentID]events.AgentEnrolled{}}
	for _, c := range commits {
		if c.Stream.Aggregate == events.AggregateRequest && c.Stream != events.RequestStream(f.Request) {
			return Report{}, fmt.Errorf("%w: commit %d is of another request", ErrEvidence, c.Seq)
		}
		for _, e := range c.Events {
			if err := t.tell(c.Seq, e); err != nil {
				return Report{}, err
			}
		}
	}
	if r.Asked == nil {
		return Report{}, fmt.Errorf("%w: nothing in it says that request %s was submitted", ErrEvidence, f.Request)
	}
	t.finish()
	return r, nil
}

// teller puts facts into a report, in their order.
type teller struct {
	report     *Report
	agents     map[events.AgentID]Work // who they are, without an attempt
	enrolled   map[events.AgentID]events.AgentEnrolled
	governance []governed
}

// governed is one version of the governance.
type governed struct {
	seq events.Seq
	events.GovernanceChanged
}

func (t *teller) tell(seq events.Seq, e events.Event) error {
	r := t.report
	if e.Stream.Aggregate == events.AggregateRequest {
		typ, err := events.TypeOf(e.Fact)
		if err != nil {
			return fmt.Errorf("%w: commit %d: %w", ErrEvidence, seq, err)
		}
		r.Timeline = append(r.Timeline, Moment{seq, e.Time, e.Actor, typ})
		if strings.HasPrefix(typ, "sb.request.rollout_") || strings.HasPrefix(typ, "sb.request.applied") {
			data, err := json.Marshal(e.Fact)
			if err != nil {
				return fmt.Errorf("%w: commit %d: %w", ErrEvidence, seq, err)
			}
			r.Rollout = append(r.Rollout, Rollout{typ, e.Time, seq, data})
		}
	}
	switch f := e.Fact.(type) {
	case events.GovernanceChanged:
		t.governance = append(t.governance, governed{seq, f})
	case events.EnrolmentTokenIssued:
		t.agents[f.Agent] = Work{Agent: f.Agent, Name: f.Name, Cluster: f.Cluster}
	case events.AgentEnrolled:
		w := t.agents[events.AgentID(e.Stream.ID)]
		w.Key = f.SignKey
		t.agents[events.AgentID(e.Stream.ID)], t.enrolled[events.AgentID(e.Stream.ID)] = w, f
	case events.RequestSubmitted:
		r.Asked = &Asked{
			By: f.Requester, At: e.Time, Seq: seq, Operation: f.Operation, Connection: f.Connection, Ref: f.Ref, Keys: f.Keys,
			Reason: f.Reason, Ticket: f.Ticket, Workflow: f.Workflow,
		}
	case events.ApprovalGiven:
		r.Votes = append(r.Votes, Vote{By: f.Approver, Via: f.Via, At: e.Time, Seq: seq, Step: f.Step, Agreed: true, Comment: f.Comment})
	case events.RequestRejected:
		r.Votes = append(r.Votes, Vote{By: f.Approver, Via: f.Via, At: e.Time, Seq: seq, Step: f.Step, Comment: f.Comment})
	case events.JobStarted:
		r.Work = append(r.Work, Work{Agent: f.Agent, Attempt: f.Attempt, Seq: seq})
	case events.RequestExecuted:
		signed, err := t.receipt(seq, e)
		if err != nil {
			return err
		}
		r.Outcome = &Outcome{State: "executed", Signed: signed, At: e.Time, Seq: seq, ProviderVersion: f.ProviderVersion, PreviousVersion: f.PreviousVersion}
	case events.RequestFailed:
		signed, err := t.receipt(seq, e)
		if err != nil {
			return err
		}
		r.Outcome = &Outcome{State: "failed", Signed: signed, At: e.Time, Seq: seq, Code: string(f.Code)}
	case events.EnvelopeRevealed:
		r.Reveals = append(r.Reveals, Reveal{f.Envelope, e.Time, seq})
	}
	return nil
}

// receipt checks what the agent signed of an outcome, if it did, against the key that it was
// enrolled with, and returns which agent that is.
func (t *teller) receipt(seq events.Seq, e events.Event) (events.AgentID, error) {
	r := receipts.Of(e.Fact)
	if r == nil {
		return "", nil
	}
	enrolled, ok := t.enrolled[r.Agent]
	if !ok {
		return "", nil // a gap, which is said
	}
	if _, err := receipts.Check(e.Stream, e.Fact, enrolled); err != nil {
		return "", fmt.Errorf("%w: commit %d: %w", ErrEvidence, seq, err)
	}
	return r.Agent, nil
}

// policy folds the governance up to the version that the request was submitted under, and
// reports whether all of its history is there.
func (t *teller) policy(version int) (Policy, bool) {
	objects := map[events.ObjectRef]events.Object{}
	p := Policy{}
	for _, g := range t.governance {
		if g.Version > version {
			break
		}
		if g.Version != p.Version+1 {
			return Policy{Version: version}, false
		}
		p.Version, p.Seq = g.Version, g.seq
		for _, o := range g.Set {
			objects[o.Ref()] = o
		}
		for _, ref := range g.Removed {
			delete(objects, ref)
		}
	}
	if p.Version != version {
		return Policy{Version: version}, false
	}
	refs := slices.SortedFunc(maps.Keys(objects), events.ObjectRef.Compare)
	for _, ref := range refs {
		p.Objects = append(p.Objects, objects[ref])
	}
	return p, true
}

func (t *teller) finish() {
	r := t.report
	whole := false
	if r.Policy, whole = t.policy(r.Asked.Workflow.Version); !whole {
		r.Gaps = append(r.Gaps, fmt.Sprintf("the text of version %d of the policy is not in the file", r.Policy.Version))
	} else if r.Policy.Version == 0 {
		r.Gaps = append(r.Gaps, "the built-in policy counted (version 0): its text is that of the product")
	}
	for i, w := range r.Work {
		agent, ok := t.agents[w.Agent]
		if !ok {
			r.Gaps = append(r.Gaps, fmt.Sprintf("nothing in the file says who agent %s is", w.Agent))
			continue
		}
		agent.Attempt, agent.Seq = w.Attempt, w.Seq
		r.Work[i] = agent
	}
	if r.Outcome == nil {
		r.Gaps = append(r.Gaps, "the request had no outcome when the file was made")
	} else if r.Outcome.Signed == "" {
		r.Gaps = append(r.Gaps, "no agent signed the outcome: it is the control plane's word")
	}
}
