package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/kms/local"
	"secretsbridge/kms/transit"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/test/servers"
)

var _ custody.WrappedKeys = store.Envelopes{}

// safe is a custody over Postgres and local keys, with sealed values of honest agents.
type safe struct {
	*custody.Custody
	pool *pgxpool.Pool
	rows store.Envelopes
	keys *local.Keys // nil where another backend was given
	log  *commandtest.Memory
	ids  []events.EnvelopeID // the i-th is of request r_i and holds value-i
}

func newSafe(t *testing.T, values int) *safe {
	t.Helper()
	keys, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	s := newSafeOn(t, keys, values)
	s.keys = keys
	return s
}

func newSafeOn(t *testing.T, keys kms.KeyManager, values int) *safe {
	t.Helper()
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	s := &safe{pool: cluster.New(t).App, log: &commandtest.Memory{}}
	s.rows = store.Envelopes{Pool: s.pool}
	s.Custody = custody.New(custody.Config{
		Log: s.log, Keys: keys, Envelopes: s.rows, Signer: signer, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return commandtest.Noon },
	})
	agent, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	for i := range values {
		s.ids = append(s.ids, s.add(t, agent, i))
	}
	return s
}

// add has an agent take a job of its own and hand a value over.
func (s *safe) add(t *testing.T, agent seal.RecipientKey, i int) events.EnvelopeID {
	t.Helper()
	request := requestOf(i)
	job := events.JobOf(request)
	holder := custody.Holder{Agent: "a_1", Cluster: "demo", Key: agent.Public()}
	meta := command.Meta{Command: events.NewCommandID(), Time: commandtest.Noon}
	_, err := command.Record(t.Context(), s.log, events.RequestStream(request), meta,
		events.RequestSubmitted{
			Request: request, Requester: "u_dev", Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
			Workflow: events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}}, RevealSeconds: 300,
		},
		events.RequestApproved{Job: job, Until: commandtest.Noon.Add(time.Hour)},
		events.JobStarted{Job: job, Agent: "a_1", Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := s.IssueDataKey(t.Context(), holder, events.IssueDataKey{Request: request, Job: job, Attempt: 1, Key: "password"})
	if err != nil {
		t.Fatal(err)
	}
	b := seal.Binding{
		Direction: seal.Read, Request: string(request), Envelope: string(grant.Envelope), Job: string(job), Attempt: 1,
		Key: "password", Connection: "file", Ref: "prod/db", Agent: "a_1", AgentKey: agent.Public().ID(), NotAfter: grant.Expires,
	}
	plain, err := seal.OpenMessage(agent, seal.VerifyKeys{s.Signer.Public()}, b, commandtest.Noon, grant.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := seal.ParseDataKeyGrant(plain)
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.SealValue(opened.DataKey, b, fmt.Appendf(nil, "value-%d", i))
	if err != nil {
		t.Fatal(err)
	}
	m := events.HandOver{
		Request: request, Job: job, Attempt: 1, Envelope: grant.Envelope, AgentKey: grant.AgentKey, Expires: grant.Expires, Key: "password", Box: box,
		Wrapped: grant.Wrapped, KMSKey: grant.KMSKey, Fingerprint: "hmac-sha256:x",
	}
	if err := s.HandOver(t.Context(), holder, m); err != nil {
		t.Fatal(err)
	}
	done := command.Meta{Command: events.NewCommandID(), Actor: "agent:a_1", Time: commandtest.Noon}
	if _, err := s.Complete(t.Context(), done, holder, events.CompleteJob{Request: request, Job: job, Attempt: 1, Envelopes: []events.EnvelopeID{m.Envelope}}); err != nil {
		t.Fatal(err)
	}
	return m.Envelope
}

func requestOf(i int) events.RequestID { return events.RequestID(fmt.Sprintf("r_%d", i)) }

// reveals checks that an envelope opens and holds what was put into it.
func (s *safe) reveals(t *testing.T, i int) {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: events.UserActor("u_dev"), Time: commandtest.Noon}
	own, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Reveal(t.Context(), meta, requestOf(i), s.ids[i], own.Public().String())
	if err != nil {
		t.Fatalf("reveal of %d: %v", i, err)
	}
	value, err := seal.OpenValueMessage(own, seal.VerifyKeys{s.Signer.Public()}, seal.Binding{
		Direction: seal.Reveal, Request: string(requestOf(i)), Envelope: string(s.ids[i]), Key: got.Key, Connection: "file", Ref: "prod/db",
		Agent: "u_dev", AgentKey: own.Public().ID(), NotAfter: got.NotAfter,
	}, got.NotAfter.Add(-time.Second), got.Sealed)
	if want := fmt.Sprintf("value-%d", i); err != nil || string(value) != want {
		t.Errorf("reveal of %d: %v, or another value than %s", i, err, want)
	}
}

func (s *safe) rotate(t *testing.T) string {
	t.Helper()
	id, err := s.keys.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func quiet(custody.Rewrapped) error { return nil }

func TestRewrapMovesEveryEnvelopeAndEachStillOpens(t *testing.T) {
	t.Parallel()
	s := newSafe(t, 70) // more than a batch
	key := s.rotate(t)
	var heard []custody.Rewrapped
	done, err := custody.Rewrap(t.Context(), s.keys, s.rows, func(r custody.Rewrapped) error { heard = append(heard, r); return nil })
	if err != nil || done.Total != 70 || done.Moved != 70 || done.Failed+done.Skipped != 0 || done.Key != key {
		t.Fatalf("rewrap: %+v, %v", done, err)
	}
	if len(heard) < 3 || heard[0].Moved != 0 || heard[0].Total != 70 {
		t.Errorf("progress: %+v", heard)
	}
	if counts, err := s.rows.CountByKey(t.Context()); err != nil || len(counts) != 1 || counts[key] != 70 {
		t.Errorf("by key: %v, %v", counts, err)
	}
	for i := range s.ids {
		s.reveals(t, i)
	}
	if again, err := custody.Rewrap(t.Context(), s.keys, s.rows, quiet); err != nil || again.Total != 0 || again.Moved != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestRewrapNamesWhatDoesNotOpenAndGoesOn(t *testing.T) {
	t.Parallel()
	s := newSafe(t, 9)
	for i, sql := range map[int]string{
		2: "UPDATE private.envelopes SET wrapped = set_byte(wrapped, 20, 255 - get_byte(wrapped, 20)) WHERE id = $1",
		4: "UPDATE private.envelopes SET ref = 'prod/other' WHERE id = $1",
		6: "UPDATE private.envelopes SET kms_key = 'local-gone' WHERE id = $1",
		8: "UPDATE private.envelopes SET wrapped = '' WHERE id = $1", // holds no key: nothing to move
	} {
		if _, err := s.pool.Exec(t.Context(), sql, s.ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	before, err := s.rows.Get(t.Context(), s.ids[4])
	if err != nil {
		t.Fatal(err)
	}
	s.rotate(t)
	done, err := custody.Rewrap(t.Context(), s.keys, s.rows, quiet)
	if err != nil || done.Total != 8 || done.Moved != 5 || done.Failed != 3 || len(done.Named) != 3 {
		t.Fatalf("rewrap: %+v, %v", done, err)
	}
	for _, id := range done.Named {
		if id != s.ids[2] && id != s.ids[4] && id != s.ids[6] {
			t.Errorf("%s was named", id)
		}
	}
	if after, err := s.rows.Get(t.Context(), s.ids[4]); err != nil || string(after.Wrapped) != string(before.Wrapped) || after.KMSKey != before.KMSKey {
		t.Errorf("a row that failed was changed: %v", err)
	}
	for _, i := range []int{0, 1, 3, 5, 7} {
		s.reveals(t, i)
	}
}

// interrupted calls a function when so many keys were unwrapped, and then fails or not.
type interrupted struct {
	kms.KeyManager
	after int64
	then  func() error
	count atomic.Int64
}

func (k *interrupted) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	if k.count.Add(1) > k.after {
		if err := k.then(); err != nil {
			return seal.DataKey{}, err
		}
	}
	return k.KeyManager.Unwrap(ctx, w, ec)
}

func TestAStoppedRewrapIsContinued(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(cancel func()) (func() error, error){
		"the operator stops it": func(cancel func()) (func() error, error) {
			return func() error { cancel(); return nil }, context.Canceled
		},
		"the key manager is away": func(func()) (func() error, error) {
			return func() error { return kms.ErrUnavailable }, kms.ErrUnavailable
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSafe(t, 100)
			key := s.rotate(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			then, want := stop(cancel)
			first, err := custody.Rewrap(ctx, &interrupted{KeyManager: s.keys, after: 75, then: then}, s.rows, quiet)
			if !errors.Is(err, want) || first.Moved < 64 || first.Moved >= 100 || first.Failed != 0 {
				t.Fatalf("first: %+v, %v", first, err)
			}
			second, err := custody.Rewrap(t.Context(), s.keys, s.rows, quiet)
			if err != nil || second.Total != 100-first.Moved || second.Moved != second.Total {
				t.Fatalf("second: %+v after %+v, %v", second, first, err)
			}
			if counts, err := s.rows.CountByKey(t.Context()); err != nil || counts[key] != 100 {
				t.Errorf("by key: %v, %v", counts, err)
			}
			for i := range s.ids {
				s.reveals(t, i)
			}
		})
	}
}

func TestRewrapGoesOnBesideRevealsAndDeletes(t *testing.T) {
	t.Parallel()
	s := newSafe(t, 120)
	key := s.rotate(t)
	var group sync.WaitGroup
	started := make(chan struct{})
	var once sync.Once
	for part := range 2 {
		group.Go(func() {
			<-started
			for i := part; i < len(s.ids); i += 3 {
				if part == 0 {
					s.reveals(t, i)
				} else if err := s.rows.Delete(t.Context(), s.ids[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done, err := custody.Rewrap(t.Context(), s.keys, s.rows, func(custody.Rewrapped) error {
		once.Do(func() { close(started) })
		return nil
	})
	group.Wait()
	if err != nil || done.Failed != 0 {
		t.Errorf("rewrap: %+v, %v", done, err)
	}
	if counts, err := s.rows.CountByKey(t.Context()); err != nil || counts[key] != 40 || len(counts) != 1 {
		t.Errorf("by key: %v, %v", counts, err)
	}
	for i := 2; i < len(s.ids); i += 3 {
		s.reveals(t, i)
	}
}

func TestOfTwoRewrapsAtOnceEachLeavesTheOthersWorkAlone(t *testing.T) {
	t.Parallel()
	s := newSafe(t, 60)
	key := s.rotate(t)
	var group sync.WaitGroup
	var moved atomic.Int64
	for range 3 {
		group.Go(func() {
			done, err := custody.Rewrap(t.Context(), s.keys, s.rows, quiet)
			if err != nil || done.Failed != 0 {
				t.Errorf("rewrap: %+v, %v", done, err)
			}
			moved.Add(int64(done.Moved))
		})
	}
	group.Wait()
	if counts, err := s.rows.CountByKey(t.Context()); err != nil || counts[key] != 60 || moved.Load() != 60 {
		t.Errorf("moved %d, by key: %v, %v", moved.Load(), counts, err)
	}
	for i := range s.ids {
		s.reveals(t, i)
	}
}

// TestAHandOverThatIsRepeatedAfterARewrapIsTheSame: its answer was lost, and the row was
// moved meanwhile.
func TestAHandOverThatIsRepeatedAfterARewrapIsTheSame(t *testing.T) {
	t.Parallel()
	s := newSafe(t, 1)
	before, err := s.rows.Get(t.Context(), s.ids[0])
	if err != nil {
		t.Fatal(err)
	}
	s.rotate(t)
	if _, err := custody.Rewrap(t.Context(), s.keys, s.rows, quiet); err != nil {
		t.Fatal(err)
	}
	if err := s.rows.Put(t.Context(), before); err != nil {
		t.Errorf("put: %v", err)
	}
	s.reveals(t, 0)
}

// TestWhatWasMovedOpensWithoutTheOldKey is the whole of a rotation, on a real Vault: new
// version, rewrap, and the old version made unusable.
func TestWhatWasMovedOpensWithoutTheOldKey(t *testing.T) {
	t.Parallel()
	server := servers.Vault(t)
	root, err := api.NewClient(&api.Config{Address: server.Address})
	if err != nil {
		t.Fatal(err)
	}
	root.SetToken(server.RootToken)
	write := func(path string, data map[string]any) *api.Secret {
		t.Helper()
		secret, err := root.Logical().WriteWithContext(t.Context(), path, data)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	write("sys/mounts/transit", map[string]any{"type": "transit"})
	write("transit/keys/sb", map[string]any{"type": "aes256-gcm96"})
	write("transit/keys/sb-mac", map[string]any{"type": "hmac", "key_size": 32})
	write("sys/policies/acl/sb", map[string]any{"policy": `
		path "transit/+/sb"     { capabilities = ["read", "update"] }
		path "transit/+/sb-mac" { capabilities = ["read", "update"] }`})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(write("auth/token/create", map[string]any{"policies": []string{"sb"}}).Auth.ClientToken), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := transit.Open(transit.Config{Address: server.Address, Key: "sb", Auth: transit.Auth{TokenFile: token}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	s := newSafeOn(t, keys, 12)
	write("transit/keys/sb/rotate", nil)
	done, err := custody.Rewrap(t.Context(), keys, s.rows, quiet)
	if err != nil || done.Moved != 12 || done.Key != "transit/keys/sb:v2" {
		t.Fatalf("rewrap: %+v, %v", done, err)
	}
	write("transit/keys/sb/config", map[string]any{"min_decryption_version": 2})
	for i := range s.ids {
		s.reveals(t, i)
	}
}
