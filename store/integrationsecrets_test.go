package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/integrations"
	"secretsbridge/internal/secret"
	"secretsbridge/kms/local"
	"secretsbridge/store"
)

// sealedRig is the room of integrations over Postgres, with local keys and a log in memory.
type sealedRig struct {
	*integrations.Integrations
	t    *testing.T
	log  *commandtest.Memory
	rows store.IntegrationSecrets
	keys *local.Keys
	now  time.Time
}

func newSealedRig(t *testing.T) *sealedRig {
	t.Helper()
	keys, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	r := &sealedRig{t: t, log: &commandtest.Memory{}, keys: keys, rows: store.IntegrationSecrets{Pool: cluster.New(t).App}, now: commandtest.Noon}
	r.Integrations = &integrations.Integrations{Log: r.log, Store: r.rows, Keys: keys, Now: func() time.Time { return r.now }}
	return r
}

func (r *sealedRig) meta() command.Meta {
	return command.Meta{Command: events.NewCommandID(), Actor: "user:u_1", Time: r.now}
}

var hookMade = events.IntegrationCreated{Integration: "hook", Kind: events.IntegrationWebhook}

func value(text string) secret.Value { return secret.New([]byte(text)) }

// hook makes a webhook and returns its signing key.
func (r *sealedRig) hook() string {
	r.t.Helper()
	done, err := r.Create(r.t.Context(), r.meta(), hookMade, value("https://hooks.example.org/a"), secret.Value{})
	if err != nil {
		r.t.Fatal(err)
	}
	return string(done.SigningKey.Expose())
}

func (r *sealedRig) open(what events.IntegrationSecret) (texts []string) {
	r.t.Helper()
	values, err := r.Open(r.t.Context(), "hook", what)
	if err != nil && !errors.Is(err, integrations.ErrUnset) {
		r.t.Fatal(err)
	}
	for _, v := range values {
		texts = append(texts, string(v.Expose()))
	}
	return texts
}

func (r *sealedRig) rotate(overlap time.Duration) string {
	r.t.Helper()
	done, err := r.Rotate(r.t.Context(), r.meta(), "hook", events.IntegrationSigningKey, secret.Value{}, overlap)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(done.SigningKey.Expose())
}

func TestTwoSigningKeysAreLiveAtMost(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	first := r.hook()
	second := r.rotate(time.Hour)
	if got := r.open(events.IntegrationSigningKey); !slices.Equal(got, []string{second, first}) {
		t.Errorf("after one rotation: %d keys", len(got))
	}
	third := r.rotate(time.Hour)
	if got := r.open(events.IntegrationSigningKey); !slices.Equal(got, []string{third, second}) {
		t.Errorf("after two rotations: %d keys", len(got))
	}
	fourth := r.rotate(0)
	if got := r.open(events.IntegrationSigningKey); !slices.Equal(got, []string{fourth}) {
		t.Errorf("without an overlap: %d keys", len(got))
	}
	fifth := r.rotate(time.Hour)
	r.now = r.now.Add(time.Hour)
	if got := r.open(events.IntegrationSigningKey); !slices.Equal(got, []string{fifth}) {
		t.Errorf("after the overlap: %d keys", len(got))
	}
	if n, err := r.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
}

func TestRotationsAtOnceAreAllCounted(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	r.hook()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			_, err := r.Rotate(t.Context(), r.meta(), "hook", events.IntegrationURL, value(fmt.Sprint("https://hooks.example.org/", i)), 0)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	state, _, err := command.Load[command.Integration](t.Context(), r.log, events.IntegrationStream("hook"))
	stored, _ := r.rows.Newest(t.Context(), integrations.Owner{Integration: "hook"}, events.IntegrationURL)
	if got := state.Version(events.IntegrationURL); got != 5 || stored != 5 || err != nil {
		t.Errorf("facts say version %d, the store %d: %v", got, stored, err)
	}
	if got := r.open(events.IntegrationURL); len(got) != 1 {
		t.Errorf("%d urls are live", len(got))
	}
}

// A command whose outcome nobody heard of leaves the fact and no secret, or neither. The same
// command again makes it whole.
func TestTheSameCommandAgainStoresWhatASilenceLeftOut(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]commandtest.Fault{"stored": commandtest.StoresThenSilent, "lost": commandtest.LosesThenSilent, "failed": commandtest.Fails} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSealedRig(t)
			r.hook()
			meta, once := r.meta(), sync.Once{}
			r.log.OnAppend = func(events.Stream, []events.Event) (f commandtest.Fault) {
				once.Do(func() { f = fault })
				return f
			}
			for range 2 {
				if _, err := r.Rotate(t.Context(), meta, "hook", events.IntegrationURL, value("https://hooks.example.org/b"), 0); err != nil && fault != commandtest.Fails {
					t.Error(err)
				}
			}
			if got := r.open(events.IntegrationURL); !slices.Equal(got, []string{"https://hooks.example.org/b"}) {
				t.Errorf("the url is %q", got)
			}
		})
	}
}

func TestACrashBetweenFactAndSecretIsMended(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	r.hook()
	meta := r.meta()
	set := events.IntegrationSecretSet{Secret: events.IntegrationSigningKey, Version: 2, Overlap: r.now.Add(time.Hour)}
	_, err := command.Execute(t.Context(), r.log, events.IntegrationStream("hook"), meta, func(command.Integration) ([]events.Fact, error) {
		return []events.Fact{set}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Rotate(t.Context(), meta, "hook", events.IntegrationSigningKey, secret.Value{}, time.Hour)
	if err != nil || done.Version != 2 || len(done.SigningKey.Expose()) == 0 {
		t.Fatalf("%+v: %v", done, err)
	}
	if got := r.open(events.IntegrationSigningKey); len(got) != 2 || got[0] != string(done.SigningKey.Expose()) {
		t.Errorf("%d keys are live", len(got))
	}
	again, err := r.Rotate(t.Context(), meta, "hook", events.IntegrationSigningKey, secret.Value{}, time.Hour)
	if err != nil || again.Version != 2 || len(again.SigningKey.Expose()) != 0 {
		t.Errorf("once more it shows a key, or fails: %v", err)
	}
}

// A crash after the fact and before the secret leaves the token of before beside the address of now:
// it was not given for that address, and does not open.
func TestATokenOpensOnlyAsTheVersionThatIsMeant(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	first := events.IntegrationSettings{Address: "https://argo.example.org"}
	made := events.IntegrationCreated{Integration: "argo", Kind: events.IntegrationArgoCD, Settings: first}
	if _, err := r.Create(t.Context(), r.meta(), made, secret.Value{}, value("the-token")); err != nil {
		t.Fatal(err)
	}
	if got, err := r.OpenVersion(t.Context(), "argo", events.IntegrationToken, 1); err != nil || string(got.Expose()) != "the-token" {
		t.Fatalf("the token of the settings does not open: %v", err)
	}
	meta, elsewhere := r.meta(), events.IntegrationSettings{Address: "https://other.example.org"}
	ctx, cancel := context.WithCancel(t.Context())
	r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault {
		cancel() // whoever asked goes away right then
		return commandtest.Works
	}
	if _, err := r.Change(ctx, meta, "argo", elsewhere, value("made-up")); err == nil {
		t.Fatal("the secret was stored in spite of it")
	}
	state, _, err := command.Load[command.Integration](t.Context(), r.log, events.IntegrationStream("argo"))
	if err != nil || state.Settings.Address != elsewhere.Address || state.Version(events.IntegrationToken) != 2 {
		t.Fatalf("the facts say %+v: %v", state, err)
	}
	if got, err := r.OpenVersion(t.Context(), "argo", events.IntegrationToken, 2); !errors.Is(err, integrations.ErrUnset) || len(got.Expose()) > 0 {
		t.Errorf("the token of before opens for an address that it was not given for: %v", err)
	}
	r.log.OnAppend = nil
	if _, err := r.Change(t.Context(), meta, "argo", elsewhere, value("made-up")); err != nil {
		t.Fatal(err)
	}
	if got, err := r.OpenVersion(t.Context(), "argo", events.IntegrationToken, 2); err != nil || string(got.Expose()) != "made-up" {
		t.Errorf("the same command again does not mend it: %v", err)
	}
	if _, err := r.OpenVersion(t.Context(), "argo", events.IntegrationToken, 1); !errors.Is(err, integrations.ErrUnset) {
		t.Errorf("the newer token opens for the address of before: %v", err)
	}
}

func TestARowOpensAsNobodyElses(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	r.hook()
	for name, change := range map[string]string{
		"another integration": "integration = 'other'", "another kind": "secret = 'token'", "another version": "version = 7",
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := r.rows.Pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(t.Context()) }()
			var changed events.SealedID
			if err := tx.QueryRow(t.Context(), "UPDATE private.integration_secrets SET "+change+" WHERE secret = 'url' RETURNING id").Scan(&changed); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			id, what := events.IntegrationID("hook"), events.IntegrationURL
			if strings.HasPrefix(change, "integration") {
				id = "other"
			}
			if strings.HasPrefix(change, "secret") {
				what = events.IntegrationToken
			}
			if _, err := r.Open(t.Context(), id, what); err == nil {
				t.Error("it opens")
			}
			_, err = r.rows.Pool.Exec(t.Context(), "UPDATE private.integration_secrets SET integration = 'hook', secret = 'url', version = 1 WHERE id = $1", changed)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.open(events.IntegrationURL); len(got) != 1 {
				t.Error("as it was it does not open")
			}
		})
	}
}

func TestRemovalDestroysAndSweepingMakesUpForIt(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	r.hook()
	// The fact is there, and the process ended before the rows went.
	if _, err := r.Execute(t.Context(), r.meta(), "hook", func(s command.Integration) ([]events.Fact, error) { return s.Remove(r.meta(), "") }); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if got := r.open(events.IntegrationURL); len(got) != 0 {
		t.Error("the url is there")
	}
	if n, err := r.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("swept %d more, %v", n, err)
	}
}

func TestAnAddressOfAPersonGoesWithThem(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	people := store.People{Pool: r.rows.Pool, Rows: vouching}
	ada, err := people.Create(t.Context(), store.Person{Email: "ada@example.org", Name: "Ada"}, value("correct horse battery"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetPersonal(t.Context(), ada.ID, value("http://hooks.example.org"), kept); !errors.Is(err, command.ErrIntegrationSecret) {
		t.Errorf("in clear: %v", err)
	}
	for _, url := range []string{"https://hooks.example.org/1", "https://hooks.example.org/2"} {
		if err := r.SetPersonal(t.Context(), ada.ID, value(url), kept); err != nil {
			t.Fatal(err)
		}
		got, err := r.OpenPersonal(t.Context(), ada.ID)
		if err != nil || string(got.Expose()) != url {
			t.Errorf("%v", err)
		}
	}
	if err := people.Erase(t.Context(), ada.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenPersonal(t.Context(), ada.ID); !errors.Is(err, integrations.ErrUnset) {
		t.Errorf("after erasure: %v", err)
	}
	if has, err := r.HasPersonal(t.Context(), ada.ID); has || err != nil {
		t.Errorf("%t, %v", has, err)
	}
}

func TestRewrapMovesSecretsOfIntegrations(t *testing.T) {
	t.Parallel()
	r := newSealedRig(t)
	key := r.hook()
	rows := store.Envelopes{Pool: r.rows.Pool}
	before, err := rows.CountByKey(t.Context())
	if err != nil || len(before) != 1 {
		t.Fatalf("%v, %v", before, err)
	}
	if _, err := r.keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	done, err := custody.Rewrap(t.Context(), r.keys, rows, func(custody.Rewrapped) error { return nil })
	if err != nil || done.Moved != 2 || done.Failed != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	after, err := rows.CountByKey(t.Context())
	if err != nil || len(after) != 1 || after[done.Key] != 2 {
		t.Errorf("%v, %v", after, err)
	}
	if got := r.open(events.IntegrationSigningKey); !slices.Equal(got, []string{key}) {
		t.Error("the key is another one")
	}
}
