package main

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nkeys"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/nats/leaf"
	"secretsbridge/seal"
)

// fleet is many agents in one process: each is a real one, with keys, link and duties of its own.
// Only their disks and stores are left out: identities are in memory, and values made on the spot.
type fleet struct {
	server *server
	ctx    context.Context
	real   int // agents with a NATS server inside; those beyond have modelled links

	mu     sync.Mutex
	links  []link
	stores []*made
	failed error
	wait   sync.WaitGroup
}

// growers is how many agents are enrolled at the same time: each waits for several commits.
const growers = 32

// grow enrols and links agents until there are so many, each in a cluster of its own, or ctx ends.
func (f *fleet) grow(ctx context.Context, to int) (took time.Duration, err error) {
	began := time.Now()
	numbers := make(chan int)
	var all sync.WaitGroup
	for range growers {
		all.Go(func() {
			for n := range numbers {
				if err := f.add(n); err != nil {
					f.fail(fmt.Errorf("agent %d: %w", n, err))
				}
			}
		})
	}
	for n := len(f.links); n < to && ctx.Err() == nil && f.error() == nil; n++ {
		numbers <- n
	}
	close(numbers)
	all.Wait()
	for end := time.Now().Add(5 * time.Minute); f.error() == nil && f.linked() < min(to, len(f.links)); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			return 0, fmt.Errorf("%d of %d agents link", f.linked(), to)
		}
	}
	return time.Since(began), f.error()
}

func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil && f.ctx.Err() == nil {
		f.failed = err
	}
}

func (f *fleet) error() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *fleet) linked() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.links {
		if l.Connected() {
			n++
		}
	}
	return n
}

// clusterOf and connectionOf are the names of the cluster and the connection of an agent.
func clusterOf(n int) string    { return fmt.Sprintf("cluster-%d", n) }
func connectionOf(n int) string { return fmt.Sprintf("store-%d", n) }

func (f *fleet) add(n int) error {
	user, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	public, err := user.PublicKey()
	if err != nil {
		return err
	}
	sign, err := seal.GenerateSigningKey()
	if err != nil {
		return err
	}
	box, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		return err
	}
	e, err := f.server.enrol(n, clusterOf(n), events.Enrol{
		UserKey: public, BoxKey: box.Public().String(), SignKey: sign.Public().String(), Version: "scale",
	})
	if err != nil {
		return err
	}
	key, err := seal.ParseVerifyKey(e.SigningKey)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	store := &made{store: n}
	link, err := f.link(n, leaf.Config{
		URLs: e.LeafURLs, CA: []byte(e.CA), Account: e.Account, ServerName: string(e.Agent), Logger: log,
		Credentials: func() string { return e.Credential.UserJWT }, Sign: user.Sign,
	})
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Config{
		Link: link, Agent: e.Agent, Cluster: e.Cluster, Account: e.Account, Version: "scale", SignKey: sign,
		Keys: &ring{key: box, since: time.Now()}, Trust: &trust{keys: agent.TrustedKeys{{Serial: e.Serial, Key: key}}},
		Connections: agent.NewConnections(map[events.ConnectionID]agent.Connection{
			events.ConnectionID(connectionOf(n)): {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return store, nil }},
		}, log),
		Credential: agent.Credential{Credentials: e.Credential, Issued: time.Now()},
		Renewed:    func(context.Context, agent.Credential) error { return nil }, // they live longer than a run
		Logger:     log,
	})
	if err != nil {
		return err
	}
	f.wait.Go(func() {
		if err := a.Run(f.ctx); err != nil {
			f.fail(err)
		}
		link.Close()
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.links, f.stores = append(f.links, link), append(f.stores, store)
	return nil
}

// link is the agent's way to the control plane.
type link interface {
	agent.Link
	Connected() bool
	Close()
}

// link starts a link. On a machine with too few cores its own server may be slower to answer than
// its client waits, so it is tried again.
func (f *fleet) link(n int, config leaf.Config) (link, error) {
	if n >= f.real {
		return dialModelled(config)
	}
	var failed error
	for range 5 {
		started, err := leaf.Start(f.ctx, config)
		if err == nil {
			return started, nil
		}
		failed = err
	}
	return nil, failed
}

// made is a provider whose secrets are made up when they are asked for.
type made struct {
	store   int
	secrets atomic.Int64
}

// list has every store list so many secrets.
func (f *fleet) list(secrets int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.stores {
		m.secrets.Store(int64(secrets))
	}
}

func (m *made) Read(context.Context, agent.Ref) (agent.Bundle, error) {
	return agent.Bundle{Entries: map[string]agent.Entry{"password": agent.Text([]byte("a value of the usual length, 32 b"))}, Version: "1"}, nil
}

func (m *made) Write(context.Context, agent.Ref, agent.Bundle, agent.Version) (agent.Version, error) {
	return "", agent.ErrForbidden
}

func (m *made) List(_ context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) {
		begin, _ := strconv.Atoi(string(from))
		all := int(m.secrets.Load())
		for begin < all {
			end := min(begin+agent.MaxPage, all)
			page := agent.Page{Secrets: make([]events.SecretMetadata, 0, end-begin)}
			for n := begin; n < end; n++ {
				page.Secrets = append(page.Secrets, events.SecretMetadata{
					Ref: fmt.Sprintf("prod/app-%d/secret-%d", n%97, n), Version: "1",
					Labels: map[string]string{"Environment": []string{"prod", "staging", "test"}[n%3], "App": fmt.Sprintf("app-%d", n%97), "Team": fmt.Sprintf("team-%d", m.store)},
				})
			}
			if begin = end; begin < all {
				page.Next = agent.Cursor(strconv.Itoa(begin))
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (m *made) Check(context.Context) error { return nil }
func (m *made) Close() error                { return nil }

// ring and trust keep an agent's keys in memory.
type ring struct {
	mu      sync.Mutex
	key     seal.RecipientKey
	since   time.Time
	next    *seal.RecipientKey
	earlier []seal.RecipientKey
}

func (r *ring) Current() (seal.RecipientKey, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.key, r.since
}

func (r *ring) Find(id string) (seal.RecipientKey, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := append([]seal.RecipientKey{r.key}, r.earlier...)
	if r.next != nil {
		all = append(all, *r.next)
	}
	for _, k := range all {
		if k.Public().ID() == id {
			return k, true
		}
	}
	return seal.RecipientKey{}, false
}

func (r *ring) Earlier() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.earlier {
		ids = append(ids, k.Public().ID())
	}
	return ids
}

func (r *ring) Next(suite seal.Suite) (seal.RecipientPublic, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil || r.next.Public().Suite() != suite {
		k, err := seal.GenerateRecipientKey(suite)
		if err != nil {
			return seal.RecipientPublic{}, err
		}
		r.next = &k
	}
	return r.next.Public(), nil
}

func (r *ring) Waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next != nil
}

func (r *ring) Taken(string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		r.earlier, r.key, r.since, r.next = append(r.earlier, r.key), *r.next, time.Now(), nil
	}
	return nil
}

func (r *ring) Abandon() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		r.earlier, r.next = append(r.earlier, *r.next), nil
	}
	return nil
}

func (r *ring) Drop(ids ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.earlier = slices.DeleteFunc(r.earlier, func(k seal.RecipientKey) bool { return slices.Contains(ids, k.Public().ID()) })
	return nil
}

type trust struct {
	mu   sync.Mutex
	keys agent.TrustedKeys
}

func (t *trust) TrustedKeys() agent.TrustedKeys {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys
}

func (t *trust) KeepTrust(keys agent.TrustedKeys) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys = keys
	return nil
}
