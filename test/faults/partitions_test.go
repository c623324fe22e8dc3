package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/nats/subject"
	"secretsbridge/test/production"
	"secretsbridge/web/api"
)

// rift is a cut of the network that stays for a while.
type rift struct {
	name string
	cut  func(t *testing.T, r *production.Rig, leader string)
	dead bool // no fact can be stored meanwhile
}

var nodes = []string{"node-1", "node-2", "node-3"}

// rifts are in the order in which they are tried.
var rifts = []rift{
	{name: "answers of a server to people", cut: func(t *testing.T, r *production.Rig, _ string) {
		r.Net.Cut(t, "server 0", production.Cut{With: []string{production.People}, Out: true})
	}},
	{name: "the leader of the log and all others", cut: func(t *testing.T, r *production.Rig, leader string) {
		r.Net.Cut(t, leader, production.Cut{})
	}},
	{name: "all three NATS servers from each other", dead: true, cut: func(t *testing.T, r *production.Rig, _ string) {
		for _, node := range nodes {
			r.Net.Cut(t, node, production.Cut{With: nodes})
		}
	}},
	{name: "what the leader says to the other two", cut: func(t *testing.T, r *production.Rig, leader string) {
		r.Net.Cut(t, leader, production.Cut{With: nodes, Out: true})
	}},
	{name: "what the leader hears of the other two", cut: func(t *testing.T, r *production.Rig, leader string) {
		r.Net.Cut(t, leader, production.Cut{With: nodes, In: true})
	}},
	{name: "a follower and all others", cut: func(t *testing.T, r *production.Rig, leader string) {
		for _, node := range nodes {
			if node != leader {
				r.Net.Cut(t, node, production.Cut{})
				return
			}
		}
	}},
	{name: "a server and NATS", cut: func(t *testing.T, r *production.Rig, _ string) {
		r.Net.Cut(t, "server 0", production.Cut{With: nodes})
	}},
	{name: "a server and Postgres", cut: func(t *testing.T, r *production.Rig, _ string) {
		r.Net.Cut(t, "server 0", production.Cut{Ports: []int{port(t, "//"+r.Postgres.Addr())}})
	}},
	{name: "a server and the key manager", cut: func(t *testing.T, r *production.Rig, _ string) {
		r.Net.Cut(t, "server 1", production.Cut{Ports: []int{port(t, r.Vault.Address)}})
	}},
	{name: "the agent and all others", cut: func(t *testing.T, r *production.Rig, _ string) {
		r.Net.Cut(t, "agent-0", production.Cut{})
	}},
	{name: "30 of 100 packets between NATS servers", cut: func(t *testing.T, r *production.Rig, _ string) {
		for _, node := range nodes {
			r.Net.Cut(t, node, production.Cut{With: nodes, In: true, Percent: 30})
		}
	}},
}

// port is that of an address.
func port(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// partitions has packets of an installation taken away, each process in a network of its own, while
// requests go through and one answer of ten is lost: between all, between two, and in one direction.
// Whoever is not answered asks the other server.
func partitions(t *testing.T, w world) (string, error) {
	r, servers, reveal := severalOf(t, production.Options{Servers: 2, Agents: 1, Network: true}, patience)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*2*time.Minute+3*time.Minute)
	defer cancel()
	leads := leaderOf(t, r)
	var people caller = forgetful{&anywhere{sites: servers}, 1, new(atomic.Int64)}
	if w.control {
		people = impatient{people}
	}
	var all []life
	refused := 0
	for n := range w.trials {
		rift := rifts[n%len(rifts)]
		waits := life{reason: "waits " + fresh()}
		ready := waits.ready(ctx, people)
		if len(ready.Envelopes) != 1 {
			return "", fmt.Errorf("before a cut of %s request %s is %q", rift.name, waits.id, ready.State)
		}
		done := make(chan []life, 1)
		go func() { done <- lives(ctx, people, reveal, 12, 6) }()
		time.Sleep(300 * time.Millisecond)
		rift.cut(t, r, leads())
		healed := time.After(silence)
		var value api.Revealed
		path := "/requests/" + waits.id + "/envelopes/" + ready.Envelopes[0].ID + "/reveal"
		for i := 0; rift.dead && i < 4; i++ {
			if status, _ := servers[i%2].call("developer", "POST", path, fresh(), reveal, &value); status == http.StatusOK || len(value.Sealed) > 0 {
				return "", fmt.Errorf("%s: a value was revealed", rift.name)
			}
			refused++
		}
		select {
		case <-healed:
		case <-ctx.Done():
		}
		r.Net.Heal(t)
		all = append(all, <-done...)
		if _, broken := judge(people, all); broken != nil {
			return "", fmt.Errorf("%s: %w", rift.name, broken)
		}
		if status := waits.insist(ctx, people, "developer", "POST", path, reveal, &value); status != http.StatusOK && status != http.StatusGone {
			return "", fmt.Errorf("%s: after it is healed a reveal is answered %d", rift.name, status)
		}
	}
	seen, broken := judge(people, all)
	if broken != nil {
		return "", broken
	}
	if err := sound(t, r); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d cuts of %s; %d reveals while no majority was there showed nothing; %s; views equal the log", w.trials, silence, refused, seen), nil
}

// sound stops the servers, and holds the log and the views to each other and no value to two reveals.
func sound(t *testing.T, r *production.Rig) error {
	t.Helper()
	if err := revealedOnce(t, r); err != nil {
		return err
	}
	for _, server := range r.Servers {
		server.Stop(t)
	}
	_, err := r.Try(0, "rebuild", "--verify")
	return err
}

// leaderOf returns who says which node leads the log, or did when it was last heard of.
func leaderOf(t *testing.T, r *production.Rig) func() string {
	t.Helper()
	nc, err := r.Cluster(t).Connect("faults")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	last := nodes[0]
	return func() string {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if stream, err := js.Stream(ctx, subject.EventsStream); err == nil && stream.CachedInfo().Cluster != nil && stream.CachedInfo().Cluster.Leader != "" {
			last = stream.CachedInfo().Cluster.Leader
		}
		return last
	}
}
