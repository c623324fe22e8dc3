package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/kms"
	"secretsbridge/kms/local"
	"secretsbridge/seal"
	"secretsbridge/store"
)

var cluster = postgrestest.Cluster{Prepare: store.Migrate}

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// gate is a key manager that can hold unwrapping up.
type gate struct {
	*local.Keys
	mu   sync.Mutex
	left int // unwraps until it holds them; -1: never
}

func (g *gate) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	g.mu.Lock()
	held := g.left == 0
	if g.left > 0 {
		g.left--
	}
	g.mu.Unlock()
	if held {
		<-ctx.Done()
		return seal.DataKey{}, ctx.Err()
	}
	return g.Keys.Unwrap(ctx, w, ec)
}

func (g *gate) hold(after int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = after
}

// desk is a served control socket, with envelopes behind it.
type desk struct {
	settings settings
	keys     *gate
	rows     store.Envelopes
	log      *commandtest.Memory
}

func newDesk(t *testing.T, envelopes int) *desk {
	t.Helper()
	// Longer than a socket's address.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	d := &desk{settings: settings{DataDir: dir, Profile: development, KMS: kmsSettings{Backend: kmsLocal}}, log: &commandtest.Memory{}}
	km, err := startKMS(t, dir, true, d.settings.KMS)
	if err != nil {
		t.Fatal(err)
	}
	d.keys, d.rows = &gate{Keys: km.(*local.Keys), left: -1}, store.Envelopes{Pool: cluster.New(t).App}
	d.fill(t, envelopes)

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	c := &control{
		settings: d.settings.KMS, keys: d.keys, rows: d.rows, log: d.log, logger: slog.New(slog.DiscardHandler), ring: folderOf(d.settings.path("keys")),
	}
	go func() { ended <- c.serve(ctx, controlPath(d.settings)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("serve: %v", err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if info, err := os.Stat(controlPath(d.settings)); err == nil && info.Mode().Perm() == 0o600 {
			return d
		}
		if time.Now().After(deadline) {
			t.Fatal("the control socket does not appear, or stays open to others")
		}
	}
}

// fill has an agent hand over envelopes; what is in them does not matter here.
func (d *desk) fill(t *testing.T, n int) {
	t.Helper()
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	agent, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	c := custody.New(custody.Config{
		Log: d.log, Keys: d.keys, Envelopes: d.rows, Signer: signer, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return commandtest.Noon },
	})
	holder := custody.Holder{Agent: "a_1", Cluster: "demo", Key: agent.Public()}
	for i := range n {
		request := events.RequestID(fmt.Sprintf("r_%d", i))
		job := events.JobOf(request)
		_, err := command.Record(t.Context(), d.log, events.RequestStream(request), command.Meta{Command: events.NewCommandID(), Time: commandtest.Noon},
			events.RequestSubmitted{Request: request, Requester: "u_dev", Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"k"}, RevealSeconds: 300},
			events.RequestApproved{Job: job, Until: commandtest.Noon.Add(time.Hour)},
			events.JobStarted{Job: job, Agent: "a_1", Attempt: 1})
		if err != nil {
			t.Fatal(err)
		}
		grant, err := c.IssueDataKey(t.Context(), holder, events.IssueDataKey{Request: request, Job: job, Attempt: 1, Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.HandOver(t.Context(), holder, events.HandOver{
			Request: request, Job: job, Attempt: 1, Envelope: grant.Envelope, AgentKey: grant.AgentKey, Expires: grant.Expires, Key: "k", Box: []byte("a box"),
			Wrapped: grant.Wrapped, KMSKey: grant.KMSKey, Fingerprint: "hmac-sha256:x",
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs `sb-server kms WHAT` as an operator would, and returns what it prints.
func (d *desk) run(t *testing.T, ctx context.Context, what string) (string, error) {
	t.Helper()
	t.Setenv("SB_DATA_DIR", d.settings.DataDir)
	var out strings.Builder
	cmd := kmsCommand()
	cmd.SetArgs([]string{what})
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

// facts are what was recorded about the key manager.
func (d *desk) facts(t *testing.T) []events.Fact {
	t.Helper()
	history, err := d.log.Load(t.Context(), events.SettingKMS())
	if err != nil {
		t.Fatal(err)
	}
	var facts []events.Fact
	for _, commit := range history {
		for _, e := range commit.Events {
			if e.Actor != "system:operator" {
				t.Errorf("%T was caused by %s", e.Fact, e.Actor)
			}
			facts = append(facts, e.Fact)
		}
	}
	return facts
}

func TestAnOperatorRotatesAndRewraps(t *testing.T) {
	d := newDesk(t, 70)
	before, err := d.keys.PrimaryKeyID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := d.run(t, t.Context(), "rotate"); err != nil || !strings.Contains(out, "wraps from now on") {
		t.Fatalf("rotate: %s, %v", out, err)
	}
	key, err := d.keys.PrimaryKeyID(t.Context())
	if err != nil || key == before {
		t.Fatalf("the primary key is %s, %v", key, err)
	}
	if out, err := d.run(t, t.Context(), "status"); err != nil || !strings.Contains(out, "70 under "+before+"  (run") || !strings.Contains(out, "primary key  "+key) {
		t.Errorf("status: %s, %v", out, err)
	}
	if out, err := d.run(t, t.Context(), "rewrap"); err != nil || !strings.Contains(out, "0 of 70 moved to "+key) || !strings.Contains(out, "done: 70 moved") {
		t.Errorf("rewrap: %s, %v", out, err)
	}
	if out, err := d.run(t, t.Context(), "status"); err != nil || !strings.Contains(out, "70 under "+key+"\n") || strings.Contains(out, before) {
		t.Errorf("status: %s, %v", out, err)
	}
	want := []events.Fact{
		events.KMSKeyRotated{KMSKey: key},
		events.RewrapStarted{KMSKey: key, Total: 70},
		events.RewrapFinished{KMSKey: key, Outcome: events.RewrapComplete, Moved: 70},
	}
	if diff := cmp.Diff(want, d.facts(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if probe, err := os.ReadFile(d.settings.path("keys", probeFile)); err != nil || !strings.Contains(string(probe), key) {
		t.Errorf("the probe was not moved: %s, %v", probe, err)
	}
}

func TestAStoppedRewrapGoesOnWhereItWas(t *testing.T) {
	d := newDesk(t, 100)
	if _, err := d.run(t, t.Context(), "rotate"); err != nil {
		t.Fatal(err)
	}
	d.keys.hold(80)
	ctx, stop := context.WithCancel(t.Context())
	go func() { // Ctrl-C, when the first batch is done and the second is held up
		for {
			time.Sleep(5 * time.Millisecond)
			d.keys.mu.Lock()
			held := d.keys.left == 0
			d.keys.mu.Unlock()
			if held {
				stop()
				return
			}
		}
	}()
	if out, err := d.run(t, ctx, "rewrap"); err == nil || !strings.Contains(err.Error(), "running it again goes on") {
		t.Fatalf("rewrap: %s, %v", out, err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(d.facts(t)) < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("that it was stopped is not recorded")
		}
	}
	stopped := d.facts(t)[2].(events.RewrapFinished)
	if stopped.Outcome != events.RewrapStopped || stopped.Moved < 64 || stopped.Moved >= 100 || stopped.Failed != 0 {
		t.Errorf("%+v", stopped)
	}
	d.keys.hold(-1)
	want := fmt.Sprintf("done: %d moved", 100-stopped.Moved)
	if out, err := d.run(t, t.Context(), "rewrap"); err != nil || !strings.Contains(out, want) {
		t.Errorf("rewrap: %s, %v, want %s", out, err, want)
	}
}

func TestOneRewrapAtATime(t *testing.T) {
	d := newDesk(t, 2)
	if _, err := d.run(t, t.Context(), "rotate"); err != nil {
		t.Fatal(err)
	}
	d.keys.hold(0)
	ctx, stop := context.WithCancel(t.Context())
	first := make(chan error, 1)
	begun := make(chan struct{}, 8)
	go func() {
		first <- askControl(ctx, d.settings, "POST", "/kms/rewrap", func(controlAnswer) error { begun <- struct{}{}; return nil })
	}()
	<-begun
	if _, err := d.run(t, t.Context(), "rewrap"); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("second: %v", err)
	}
	stop()
	if err := <-first; err == nil {
		t.Error("the first ended without an error")
	}
}

func TestARewrapFailsWhereAnEnvelopeDoes(t *testing.T) {
	d := newDesk(t, 3)
	if _, err := d.run(t, t.Context(), "rotate"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.rows.Pool.Exec(t.Context(), "UPDATE private.envelopes SET ref = 'prod/other' WHERE request = 'r_1'"); err != nil {
		t.Fatal(err)
	}
	out, err := d.run(t, t.Context(), "rewrap")
	if err == nil || !strings.Contains(err.Error(), "1 do not open") || !strings.Contains(out, "done: 2 moved, 1 failed") {
		t.Errorf("rewrap: %s, %v", out, err)
	}
	probe, err := os.ReadFile(d.settings.path("keys", probeFile))
	if key, _ := d.keys.PrimaryKeyID(t.Context()); err != nil || strings.Contains(string(probe), key) {
		t.Errorf("the probe left the old key, which is still needed: %v", err)
	}
}

func TestTheControlSocketIsTheServersOwn(t *testing.T) {
	d := newDesk(t, 0)
	for path, want := range map[string]os.FileMode{controlPath(d.settings): 0o600, filepath.Dir(controlPath(d.settings)): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %04o", path, info.Mode(), err, want)
		}
	}
}

func TestWithoutAServerTheCommandSaysWhatToDo(t *testing.T) {
	d := &desk{settings: settings{DataDir: t.TempDir()}}
	if _, err := d.run(t, t.Context(), "rewrap"); err == nil || !strings.Contains(err.Error(), "no sb-server runs") {
		t.Errorf("rewrap: %v", err)
	}
}

func TestOtherKeyManagersSayHowTheyRotate(t *testing.T) {
	for want, k := range map[string]kmsSettings{
		"vault write -f transit/keys/sb/rotate":      {Backend: kmsTransit, TransitMount: "transit", TransitKey: "sb"},
		"aws kms rotate-key-on-demand --key-id arn:": {Backend: kmsAWS, AWSKey: "arn:x"},
	} {
		if got := k.howToRotate(); !strings.Contains(got, want) {
			t.Errorf("%s: %q", k.Backend, got)
		}
	}
}
