package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/gateway"
	"secretsbridge/inventory"
	"secretsbridge/inventory/inventorytest"
	"secretsbridge/kms/local"
	"secretsbridge/seal"
)

const dev = events.UserID("u_dev")

var (
	noon = commandtest.Noon
	req  = events.RequestOf(events.NewCommandID())
	job  = events.JobOf(req)
)

// operator is an operator's next command.
func operator() command.Meta {
	return command.Meta{Command: events.NewCommandID(), Actor: events.UserActor("u_admin"), Time: noon}
}

type rig struct {
	*gateway.Gateway
	log    *commandtest.Memory
	links  *links
	logged bytes.Buffer
	box    string
	signer seal.SigningKey // the control plane's
	now    time.Time
	agents map[string]seal.SigningKey // by account
	held   []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		log: &commandtest.Memory{}, links: &links{heard: map[events.AgentID]time.Time{}}, box: box.Public().String(),
		signer: signer, now: noon, agents: map[string]seal.SigningKey{},
	}
	now := func() time.Time { return r.now }
	logger := slog.New(slog.NewTextHandler(&r.logged, nil))
	r.Gateway = gateway.New(gateway.Config{
		Log:     r.log,
		Custody: custody.New(custody.Config{Log: r.log, Keys: keys, Envelopes: rows{r: r}, Signer: signer, Logger: logger, Now: now}),
		Inventory: inventory.New(inventory.Config{
			Log: r.log, Feed: r.log, Views: inventorytest.Views{Log: r.log}, Told: &inventorytest.Told{Log: r.log}, Scans: inventorytest.NewScans(), Logger: logger, Now: now,
		}),
		Credentials: r.links, Presence: r.links, Directory: r.links, Clusters: r.links,
		Link:    func() gateway.Link { return gateway.Link{URLs: []string{"tls://127.0.0.1:1"}, CA: "pem"} },
		Signing: gateway.Signing{Key: signer, Serial: 1}, Suites: []seal.Suite{seal.XWing, seal.X25519}, Logger: logger, Now: now,
	})
	return r
}

func (r *rig) enrol(t *testing.T, cluster events.ClusterID) events.Enrolment {
	t.Helper()
	invited, err := r.Invite(t.Context(), operator(), "one", cluster, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Enrol(t.Context(), r.asks(string(invited.Token.Expose()), key))
	if err != nil {
		t.Fatal(err)
	}
	r.agents[got.Account] = key
	return got
}

// asks is what an agent enrols with.
func (r *rig) asks(token string, key seal.SigningKey) events.Enrol {
	return events.Enrol{Token: token, UserKey: "U1", BoxKey: r.box, SignKey: key.Public().String(), Version: "1"}
}

// frame is what an honest agent sends.
func (r *rig) frame(t *testing.T, account string, service events.Service, message any) []byte {
	t.Helper()
	body, ok := message.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(message); err != nil {
			t.Fatal(err)
		}
	}
	key, known := r.agents[account]
	if !known {
		key, _ = seal.GenerateSigningKey()
	}
	return seal.Call{Service: string(service), Account: account}.SignRequest(key, body)
}

// send hands a frame in and checks that the answer is signed, and to nothing else.
func send[R any](t *testing.T, r *rig, account string, service events.Service, frame []byte) (R, *events.ServiceError) {
	t.Helper()
	body, err := seal.Call{Service: string(service), Account: account}.
		OpenReply(seal.VerifyKeys{r.signer.Public()}, frame, r.Serve(t.Context(), account, service, frame))
	if err != nil {
		t.Fatal(err)
	}
	var reply events.ServiceReply[R]
	if err := json.Unmarshal(body, &reply); err != nil {
		t.Fatal(err)
	}
	var result R
	if reply.Result != nil {
		result = *reply.Result
	}
	return result, reply.Error
}

// approved puts an approved request for a cluster into the log.
func (r *rig) approved(t *testing.T, cluster events.ClusterID) {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Time: noon}
	_, err := command.Record(t.Context(), r.log, events.RequestStream(req), meta,
		events.RequestSubmitted{
			Request: req, Requester: dev, Connection: "file", Cluster: cluster, Ref: "prod/db", Keys: []string{"password"},
			Workflow: events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}}, RevealSeconds: 300,
		},
		events.RequestApproved{Job: job, Until: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
}

func call[R any](t *testing.T, r *rig, account string, service events.Service, message any) (R, *events.ServiceError) {
	t.Helper()
	return send[R](t, r, account, service, r.frame(t, account, service, message))
}

// denials are the codes of all recorded denials.
func (r *rig) denials(t *testing.T) []string {
	t.Helper()
	last, _ := r.log.Last(t.Context())
	var codes []string
	for seq := range last {
		c, err := r.log.At(t.Context(), seq+1)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if d, ok := e.Fact.(events.AccessDenied); ok {
				codes = append(codes, d.Code)
			}
		}
	}
	return codes
}

func TestATokenIsTradedOnceByWhoeverComesFirst(t *testing.T) {
	r := newRig(t)
	invited, err := r.Invite(t.Context(), operator(), "one", "demo", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	results := make(chan error, 64)
	for range cap(results) {
		wg.Go(func() {
			_, err := r.Enrol(t.Context(), r.asks(string(invited.Token.Expose()), r.signer))
			results <- err
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, command.ErrTokenRefused) {
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d agents enrolled", won)
	}
	token := string(invited.Token.Expose())
	last, _ := r.log.Last(t.Context())
	for seq := range last {
		if c, _ := r.log.At(t.Context(), seq+1); strings.Contains(string(c.Raw), token) {
			t.Error("the token is in a fact")
		}
	}
	if strings.Contains(r.logged.String(), token) {
		t.Error("the token is in the log")
	}
}

func TestEnrolRefuses(t *testing.T) {
	r := newRig(t)
	invited, err := r.Invite(t.Context(), operator(), "one", "demo", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token := string(invited.Token.Expose())
	tests := map[string]struct {
		change func(*events.Enrol)
		code   string
	}{
		"no token":       {func(m *events.Enrol) { m.Token = "" }, "enrolment_token_refused"},
		"a wrong token":  {func(m *events.Enrol) { m.Token = token[:len(token)-1] + "~" }, "enrolment_token_refused"},
		"another agent":  {func(m *events.Enrol) { m.Token = strings.Replace(token, token[6:8], "00", 1) }, "enrolment_token_refused"},
		"no HPKE key":    {func(m *events.Enrol) { m.BoxKey = "x25519:AAAA" }, "agent_key_invalid"},
		"no signing key": {func(m *events.Enrol) { m.SignKey = "" }, "agent_key_invalid"},
		"a broken nkey":  {func(m *events.Enrol) { m.UserKey = "broken" }, "agent_key_invalid"},
		"a long version": {func(m *events.Enrol) { m.Version = strings.Repeat("1", 65) }, "message_malformed"},
		"an odd version": {func(m *events.Enrol) { m.Version = "1\x1b[2J" }, "message_malformed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := r.asks(token, r.signer)
			tt.change(&m)
			if _, err := r.Enrol(t.Context(), m); !errors.Is(err, &command.Rejection{Code: tt.code}) {
				t.Errorf("Enrol: %v, want %s", err, tt.code)
			}
		})
	}
	if _, err := r.Enrol(t.Context(), r.asks(token, r.signer)); err != nil {
		t.Errorf("the token was burnt by refusals: %v", err)
	}
	if got := len(r.denials(t)); got != 3 {
		t.Errorf("%d denials recorded, want one for each refused token", got)
	}
}

func TestAnAgentSeesNothingOfAnotherCluster(t *testing.T) {
	r := newRig(t)
	r.approved(t, "other")
	account := r.enrol(t, "demo").Account
	messages := map[events.Service]any{
		events.ServiceStart:    events.StartJob{Request: req, Job: job},
		events.ServiceDataKey:  events.IssueDataKey{Request: req, Job: job, Attempt: 1, Key: "password"},
		events.ServiceHandOver: events.HandOver{Request: req, Job: job, Attempt: 1, Key: "password"},
		events.ServiceFail:     events.FailJob{Request: req, Job: job, Code: events.FailureForbidden},
	}
	for service, m := range messages {
		if _, refused := call[events.Done](t, r, account, service, m); refused == nil || refused.Code != "job_not_yours" || refused.Retry {
			t.Errorf("%s: %v", service, refused)
		}
	}
	if got := len(r.denials(t)); got != len(messages) {
		t.Errorf("%d denials recorded, want %d", got, len(messages))
	}
	state, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(req))
	if err != nil || state.State != events.StateApproved {
		t.Errorf("the request is %s, %v", state.State, err)
	}
}

func TestARevokedAgentIsCutAndRefused(t *testing.T) {
	r := newRig(t)
	agent := r.enrol(t, "demo")
	if _, refused := call[events.HeartbeatReply](t, r, agent.Account, events.ServiceHeartbeat, events.Heartbeat{Version: "1"}); refused != nil {
		t.Fatal(refused)
	}
	if _, err := r.Revoke(t.Context(), command.Meta{Command: "c_revoke", Time: noon}, agent.Agent, "stolen"); err != nil {
		t.Fatal(err)
	}
	if got := r.links.cut; len(got) != 1 || got[0] != agent.Account {
		t.Errorf("cut %v", got)
	}
	for _, service := range events.Services() {
		if _, refused := call[events.Done](t, r, agent.Account, service, struct{}{}); refused == nil || refused.Code != "agent_revoked" {
			t.Errorf("%s: %v", service, refused)
		}
	}
}

func TestHeartbeatsAreAFactOnlyAfterSilence(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	before, _ := r.log.Last(t.Context())
	heard := time.Time{}
	for i := range 4 {
		reply, refused := call[events.HeartbeatReply](t, r, account, events.ServiceHeartbeat, events.Heartbeat{Heard: heard, Version: "1"})
		if refused != nil || reply.NextSeconds == 0 || reply.Again != (i == 0) || len(reply.Suites) != 2 {
			t.Fatalf("%+v, %v", reply, refused)
		}
		heard, r.now = reply.Time, r.now.Add(10*time.Second)
	}
	if after, _ := r.log.Last(t.Context()); after != before+1 {
		t.Errorf("three heartbeats made %d facts", after-before)
	}
	if r.links.beats != 3 {
		t.Errorf("%d beats noted", r.links.beats)
	}
}

func TestUnknownInputIsRefused(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	for name, refused := range map[string]func() *events.ServiceError{
		"a field nobody knows": func() *events.ServiceError {
			_, e := call[events.Done](t, r, account, events.ServiceStart, map[string]string{"agent": "a_other"})
			return e
		},
		"a service nobody knows": func() *events.ServiceError {
			_, e := call[events.Done](t, r, account, "reveal", struct{}{})
			return e
		},
		"an account nobody knows": func() *events.ServiceError {
			_, e := call[events.Done](t, r, "AOTHER", events.ServiceStart, struct{}{})
			return e
		},
	} {
		if refused() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestMalformedMessagesAreRefusedForGood(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	for _, message := range []string{`{}`, `null`, `{"request":"r_../../x.>","job":"j_1"}`, `{"request":"` + string(req) + `","job":"` + string(job) + `"} {}`, `[`} {
		_, refused := call[events.JobLease](t, r, account, events.ServiceStart, []byte(message))
		if refused == nil || refused.Code != "message_malformed" || refused.Retry {
			t.Errorf("%s: %v", message, refused)
		}
	}
	if got := len(r.denials(t)); got != 5 {
		t.Errorf("%d denials recorded, want 5", got)
	}
}

func TestDenialsOfOneAgentHaveAnEnd(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	for range 200 {
		if _, refused := call[events.JobLease](t, r, account, events.ServiceStart, events.StartJob{Request: req, Job: job}); refused == nil {
			t.Fatal("a job that is not there was started")
		}
	}
	if got := len(r.denials(t)); got != 60 {
		t.Errorf("%d denials recorded, want 60", got)
	}
}

func TestAFaultIsToBeTriedAgainAndSaysNothing(t *testing.T) {
	r := newRig(t)
	r.approved(t, "demo")
	account := r.enrol(t, "demo").Account
	r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails }
	_, refused := call[events.JobLease](t, r, account, events.ServiceStart, events.StartJob{Request: req, Job: job})
	if refused == nil || !refused.Retry || strings.Contains(refused.Detail, "disk") {
		t.Errorf("%v", refused)
	}
}

// links is everything that package nats and the views do for a gateway.
type links struct {
	mu      sync.Mutex
	made    int
	cut     []string
	beats   int
	known   map[string]events.AgentID
	heard   map[events.AgentID]time.Time
	current time.Time
}

func (l *links) Current() time.Time { return l.current }

func (l *links) NewAccount() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made++
	return "A" + strings.Repeat("1", l.made), nil
}

func (l *links) Admit(context.Context, string, events.ClusterID, string) error { return nil }

func (l *links) Issue(_ string, _ events.ClusterID, userKey string) (events.Credentials, error) {
	if !strings.HasPrefix(userKey, "U") {
		return events.Credentials{}, errors.New("not an nkey")
	}
	return events.Credentials{UserJWT: "jwt", Expires: noon.Add(time.Hour)}, nil
}

func (l *links) Cut(_ context.Context, account string) error {
	l.cut = append(l.cut, account)
	return nil
}

func (l *links) Beat(_ context.Context, id events.AgentID, heard time.Time) (bool, error) {
	if !heard.After(l.heard[id]) {
		return false, nil
	}
	l.heard[id] = heard
	l.beats++
	return true, nil
}

func (l *links) AgentByAccount(_ context.Context, account string) (events.AgentID, error) {
	if id, ok := l.known[account]; ok {
		return id, nil
	}
	return "", command.ErrAgentUnknown
}

func (l *links) EnsureCluster(context.Context, events.ClusterID) error { return nil }

// rows is the store of envelopes, as far as a gateway needs one here.
type rows struct {
	custody.Envelopes
	r *rig
}

func (s rows) HeldKeys(context.Context, events.AgentID) ([]string, error) { return s.r.held, nil }

func (s rows) ListByRequest(context.Context, ...events.RequestID) ([]custody.Envelope, error) {
	return nil, nil
}
