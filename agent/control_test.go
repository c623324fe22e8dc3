package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/seal"
)

const (
	cluster    = events.ClusterID("eu-1")
	connection = events.ConnectionID("mem")
	agentID    = events.AgentID("a_00000000000000000000000000")
	account    = "ATEST"
)

// control is a control plane and its queue, in memory, with the real cryptography. It
// checks its caller: what no agent of ours does fails the test.
type control struct {
	t      *testing.T
	caller seal.SigningKey // the agent's
	queue  chan *delivery

	mu         sync.Mutex // guards what follows
	signer     seal.SigningKey
	box        seal.RecipientPublic   // of the moment
	had        []seal.RecipientPublic // before
	needed     []string               // ids of keys that must stay
	chain      []events.SignedKeyStatement
	suites     []string
	onReply    func(service events.Service, reply []byte) []byte // what a proxy makes of an answer
	seen       map[string]bool                                   // ids of requests
	fault      func(service events.Service, n int) fault         // asked before each call; n counts those of the service
	requests   map[events.RequestID]*request
	patches    map[events.RequestID]*patching
	jobs       map[events.JobID]*standalone
	deliveries []*delivery
	calls      map[events.Service]int
	sent       [][]byte
	beats      []events.Heartbeat
	takes      bool // reports of calls
	renew      bool // tells agents to renew their credentials
	observed   []events.ReportObservation
	tamper     func(*events.DataKeyGrant)
	sealBy     *seal.SigningKey // instead of signer
	pulls      int
	credential events.Credentials
}

// fault is what becomes of a call.
type fault struct {
	before bool // it never arrives
	after  bool // it is taken, and the answer is lost
	reply  *events.ServiceError
}

// request is what the control plane knows of one job.
type request struct {
	ticket  events.Ticket
	signed  []byte
	state   string // approved, running, executed, failed, cancelled
	attempt int
	code    events.FailureCode
	grants  map[events.EnvelopeID]grant
	boxes   map[events.EnvelopeID]events.HandOver
	version string
	values  map[string]string // what the requester would see
}

type grant struct {
	key     seal.DataKey
	print   seal.FingerprintKey
	binding seal.Binding
}

func newControl(t *testing.T, box seal.RecipientPublic) *control {
	t.Helper()
	return &control{
		t: t, signer: newSigner(t), caller: newSigner(t), box: box, suites: []string{"xwing", "x25519"}, seen: map[string]bool{}, queue: make(chan *delivery, 100),
		requests: map[events.RequestID]*request{}, patches: map[events.RequestID]*patching{}, jobs: map[events.JobID]*standalone{}, calls: map[events.Service]int{},
	}
}

func newSigner(t *testing.T) seal.SigningKey {
	t.Helper()
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// rotateSigner makes the control plane sign with another key, which the one before
// vouches for, and returns that one.
func (c *control) rotateSigner(until time.Time) (old seal.SigningKey) {
	fresh := newSigner(c.t)
	c.set(func() {
		old = c.signer
		c.chain = append(c.chain, vouch(c.t, old, events.KeyStatement{
			Serial: len(c.chain) + 2, Key: fresh.Public().String(), PreviousUntil: until,
		}))
		c.signer = fresh
	})
	return old
}

func vouch(t *testing.T, by seal.SigningKey, s events.KeyStatement) events.SignedKeyStatement {
	raw := encode(t, s)
	return events.SignedKeyStatement{Statement: raw, Signature: by.Sign(events.KeyStatementDomain, raw)}
}

// approve queues a read of ref, with keys or all of them.
func (c *control) approve(ref string, keys ...string) *request {
	return c.approveWith(func(t *events.Ticket) { t.Ref, t.Keys = ref, keys })
}

func (c *control) approveWith(change func(*events.Ticket)) *request {
	r := c.plan(change)
	c.deliver(r.signed)
	return r
}

// plan makes an approved request whose ticket is not queued yet.
func (c *control) plan(change func(*events.Ticket)) *request {
	id := events.RequestOf(events.NewCommandID())
	ticket := events.Ticket{
		Request: id, Job: events.JobOf(id), Operation: events.OperationRead, Cluster: cluster, Connection: connection,
		Provider: events.ProviderFile, Issued: time.Now().UTC(), Until: time.Now().Add(time.Hour).UTC(),
	}
	change(&ticket)
	r := &request{
		ticket: ticket, signed: sign(c.t, c.signer, events.TicketDomain, ticket), state: "approved",
		grants: map[events.EnvelopeID]grant{}, boxes: map[events.EnvelopeID]events.HandOver{}, values: map[string]string{},
	}
	c.set(func() { c.requests[id] = r })
	return r
}

func sign(t *testing.T, by seal.SigningKey, domain string, ticket events.Ticket) []byte {
	t.Helper()
	raw, err := json.Marshal(ticket)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := json.Marshal(events.SignedTicket{Ticket: raw, Signer: by.Public().ID(), Signature: by.Sign(domain, raw)})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// deliver puts a ticket into the queue.
func (c *control) deliver(data []byte) *delivery {
	d := &delivery{c: c, data: data}
	c.mu.Lock()
	c.deliveries = append(c.deliveries, d)
	c.mu.Unlock()
	c.queue <- d
	return d
}

// Next implements agent.Link.
func (c *control) Next(ctx context.Context) (agent.Delivery, error) {
	c.mu.Lock()
	c.pulls++
	if c.pulls > 1 {
		c.t.Error("two pulls at a time")
	}
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.pulls--; c.mu.Unlock() }()
	select {
	case d := <-c.queue:
		return d, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Call implements agent.Link.
func (c *control) Call(ctx context.Context, service events.Service, frame []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call := seal.Call{Service: string(service), Account: account}
	request, err := call.OpenRequest(c.caller.Public(), frame)
	if err != nil || c.seen[request.ID()] {
		c.t.Errorf("a frame of %s is not signed, or was sent twice: %v", service, err)
	}
	c.seen[request.ID()] = true
	reply, err := c.serve(service, slices.Clone(request.Body))
	if err != nil {
		return nil, err
	}
	answer := call.SignReply(c.signer, frame, reply)
	if c.onReply != nil {
		answer = c.onReply(service, answer)
	}
	return answer, nil
}

// serve answers what is in a frame.
func (c *control) serve(service events.Service, body []byte) ([]byte, error) {
	c.calls[service]++
	c.sent = append(c.sent, body)
	var f fault
	if c.fault != nil {
		f = c.fault(service, c.calls[service])
	}
	if f.before {
		return nil, fmt.Errorf("call %s: %w", service, agent.ErrLinkDown)
	}
	if f.reply != nil {
		return encode(c.t, events.ServiceReply[any]{Error: f.reply}), nil
	}
	result, refusal := c.answer(service, body)
	if f.after {
		return nil, fmt.Errorf("call %s: %w", service, agent.ErrLinkDown)
	}
	if refusal != "" {
		return encode(c.t, events.ServiceReply[any]{Error: &events.ServiceError{Code: refusal, Detail: "refused"}}), nil
	}
	return encode(c.t, events.ServiceReply[any]{Result: &result}), nil
}

func encode(t testing.TB, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return raw
}

func read[Q any](t testing.TB, body []byte) (q Q) {
	if err := json.Unmarshal(body, &q); err != nil {
		t.Error(err)
	}
	return q
}

func (c *control) answer(service events.Service, body []byte) (result any, refusal string) {
	if p := c.patchOf(body); p != nil {
		return c.answerPatch(p, service, body)
	}
	if s := c.jobOf(body); s != nil {
		return c.answerJob(s, service, body)
	}
	switch service {
	case events.ServiceHeartbeat:
		c.beats = append(c.beats, read[events.Heartbeat](c.t, body))
		return events.HeartbeatReply{Time: time.Now(), NextSeconds: 10, Suites: c.suites, TakesCalls: c.takes, Renew: c.renew}, ""
	case events.ServiceRotate:
		return c.rotate(read[events.RotateKey](c.t, body))
	case events.ServiceRetire:
		stay := []string{}
		for _, id := range read[events.RetireKeys](c.t, body).Keys {
			if slices.Contains(c.needed, id) {
				stay = append(stay, id)
			}
		}
		return events.NeededKeys{Keys: stay}, ""
	case events.ServiceTrust:
		after := read[events.AskTrust](c.t, body).After
		return events.Trust{Statements: c.chain[min(max(after-1, 0), len(c.chain)):]}, ""
	case events.ServiceRenew:
		return c.credential, ""
	case events.ServiceStart:
		q := read[events.StartJob](c.t, body)
		return c.start(q)
	case events.ServiceDataKey:
		q := read[events.IssueDataKey](c.t, body)
		r, refusal := c.holds(q.Request, q.Attempt)
		if refusal != "" {
			return nil, refusal
		}
		return c.issue(r, q), ""
	case events.ServiceHandOver:
		q := read[events.HandOver](c.t, body)
		r, refusal := c.holds(q.Request, q.Attempt)
		if refusal != "" {
			return nil, refusal
		}
		return c.store(r, q)
	case events.ServiceComplete:
		q := read[events.CompleteJob](c.t, body)
		return c.complete(q)
	case events.ServiceFail:
		q := read[events.FailJob](c.t, body)
		return c.fail(q)
	case events.ServiceWitness:
		return events.ShownCheckpoint{Checkpoint: "c", Keys: []string{}}, ""
	case events.ServiceObserved:
		c.observed = append(c.observed, read[events.ReportObservation](c.t, body))
		return events.Done{}, ""
	}
	c.t.Errorf("unknown service %q", service)
	return nil, "service_unknown"
}

// rotate takes another key, as package command decides it.
func (c *control) rotate(q events.RotateKey) (any, string) {
	key, err := seal.ParseRecipientPublic(q.BoxKey)
	switch {
	case err != nil:
		c.t.Error(err)
		return nil, "agent_key_invalid"
	case !slices.Contains(c.suites, key.Suite().String()):
		return nil, "agent_suite_refused"
	case key == c.box:
	case slices.Contains(c.had, key):
		return nil, "agent_key_used"
	default:
		c.had, c.box = append(c.had, c.box), key
	}
	return events.Done{}, ""
}

func (c *control) start(q events.StartJob) (any, string) {
	r := c.requests[q.Request]
	switch {
	case r == nil || q.Job != r.ticket.Job:
		return nil, "job_unknown"
	case r.state != "approved" && r.state != "running", r.attempt >= 10, !time.Now().Before(r.ticket.Until):
		return nil, "job_over"
	}
	r.state = "running"
	r.attempt++
	return events.JobLease{Attempt: r.attempt, Until: r.ticket.Until}, ""
}

func (c *control) holds(id events.RequestID, attempt int) (*request, string) {
	r := c.requests[id]
	switch {
	case r == nil:
		return nil, "job_unknown"
	case r.state != "running" || !time.Now().Before(r.ticket.Until):
		return nil, "job_over"
	case r.attempt != attempt:
		return nil, "attempt_stale"
	}
	return r, ""
}

// issue seals a fresh data key to the agent, as package custody does.
func (c *control) issue(r *request, q events.IssueDataKey) events.DataKeyGrant {
	if len(r.ticket.Keys) > 0 && !slices.Contains(r.ticket.Keys, q.Key) {
		c.t.Errorf("data key for %q, which nobody asked for", q.Key)
	}
	id := events.EnvelopeOf(q.Job, q.Attempt, q.Key)
	expires := time.Now().Add(10 * time.Minute).UTC().Truncate(time.Second)
	g := grant{key: seal.NewDataKey(), binding: seal.Binding{
		Direction: seal.Read, Request: string(q.Request), Envelope: string(id), Job: string(q.Job),
		Attempt: uint64(q.Attempt), Key: q.Key, Connection: string(r.ticket.Connection), Ref: r.ticket.Ref,
		Agent: string(agentID), AgentKey: c.box.ID(), NotAfter: expires,
	}}
	print, err := seal.DeriveFingerprintKey([]byte("0123456789abcdef0123456789abcdef"), string(r.ticket.Connection))
	if err != nil {
		c.t.Error(err)
	}
	g.print = print
	plain, err := seal.DataKeyGrant{DataKey: g.key, Fingerprint: print}.Marshal()
	if err != nil {
		c.t.Error(err)
	}
	signer := c.signer
	if c.sealBy != nil {
		signer = *c.sealBy
	}
	sealed, err := seal.SealMessage(c.box, signer, g.binding, plain)
	if err != nil {
		c.t.Error(err)
	}
	r.grants[id] = g
	out := events.DataKeyGrant{Envelope: id, AgentKey: g.binding.AgentKey, Expires: expires, Sealed: sealed, Wrapped: []byte("wrapped " + q.Key), KMSKey: "k1"}
	if c.tamper != nil {
		c.tamper(&out)
	}
	return out
}

func (c *control) store(r *request, q events.HandOver) (any, string) {
	g, ok := r.grants[q.Envelope]
	if !ok || string(q.Wrapped) != "wrapped "+q.Key || q.KMSKey != "k1" || q.AgentKey != g.binding.AgentKey || !q.Expires.Equal(g.binding.NotAfter) {
		c.t.Errorf("hand-over of %q does not fit its grant", q.Key)
		return nil, "hand_over_invalid"
	}
	if old, again := r.boxes[q.Envelope]; again && string(old.Box) != string(q.Box) {
		c.t.Errorf("another box for envelope of %q", q.Key)
	}
	value, err := seal.OpenValue(g.key, g.binding, q.Box)
	if err != nil {
		c.t.Errorf("open what was handed over as %q: %v", q.Key, err)
		return nil, "hand_over_invalid"
	}
	if want := seal.Fingerprint(g.print, g.binding.Connection, g.binding.Ref, q.Key, value); want != q.Fingerprint {
		c.t.Errorf("fingerprint of %q is %s, want %s", q.Key, q.Fingerprint, want)
	}
	r.boxes[q.Envelope] = q
	return events.Done{}, ""
}

func (c *control) complete(q events.CompleteJob) (any, string) {
	r := c.requests[q.Request]
	if r != nil && r.state == "executed" && r.attempt == q.Attempt {
		return events.Done{}, "" // the same command again
	}
	if _, refusal := c.holds(q.Request, q.Attempt); refusal != "" {
		return nil, refusal
	}
	for _, id := range q.Envelopes {
		stored, ok := r.boxes[id]
		if !ok {
			return nil, "envelope_missing"
		}
		value, _ := seal.OpenValue(r.grants[id].key, r.grants[id].binding, stored.Box)
		r.values[stored.Key] = string(value)
	}
	r.state, r.version = "executed", q.ProviderVersion
	return events.Done{}, ""
}

func (c *control) fail(q events.FailJob) (any, string) {
	r := c.requests[q.Request]
	switch {
	case r == nil:
		return nil, "job_unknown"
	case r.state == "failed" && r.code == q.Code:
		return events.Done{}, ""
	case r.ticket.Cluster != cluster:
		return nil, "job_not_yours"
	case q.Attempt == 0 && r.state == "approved":
	default:
		if _, refusal := c.holds(q.Request, q.Attempt); refusal != "" {
			return nil, refusal
		}
	}
	if !q.Code.Valid() {
		c.t.Errorf("failure code %q is unknown", q.Code)
	}
	r.state, r.code = "failed", q.Code
	return events.Done{}, ""
}

// onCall asks f before each call from now on.
func (c *control) onCall(f func(service events.Service, n int) fault) { c.set(func() { c.fault = f }) }

// set changes a request as people do, such as by cancelling it.
func (c *control) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// delivery checks that it is ended at most once and not touched afterwards.
type delivery struct {
	c    *control
	data []byte

	mu       sync.Mutex // guards what follows
	ended    string     // done, later or refuse
	delay    time.Duration
	reason   string
	extended []time.Time
	loseEnd  bool // the end is not confirmed, and the ticket comes again
}

func (d *delivery) Data() []byte { return d.data }

func (d *delivery) Extend(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended != "" {
		d.c.t.Error("a lease was renewed after its end")
	}
	d.extended = append(d.extended, time.Now())
	return nil
}

func (d *delivery) Done(ctx context.Context) error { return d.end(ctx, "done", 0, "") }

func (d *delivery) Later(ctx context.Context, delay time.Duration) error {
	err := d.end(ctx, "later", delay, "")
	if err == nil {
		time.AfterFunc(delay, func() { d.c.deliver(d.data) })
	}
	return err
}

func (d *delivery) Refuse(ctx context.Context, reason string) error {
	return d.end(ctx, "refuse", 0, reason)
}

func (d *delivery) end(ctx context.Context, how string, delay time.Duration, reason string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() != nil {
		d.c.t.Errorf("a delivery is to end as %s with a context that ended", how)
	}
	if d.ended != "" {
		d.c.t.Errorf("a delivery ended as %s and again as %s", d.ended, how)
	}
	d.ended, d.delay, d.reason = how, delay, reason
	if d.loseEnd {
		time.AfterFunc(30*time.Second, func() { d.c.deliver(d.data) })
		return agent.ErrLinkDown
	}
	return nil
}

// renewed is how often the lease was.
func (d *delivery) renewed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.extended)
}

func (d *delivery) how() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}
