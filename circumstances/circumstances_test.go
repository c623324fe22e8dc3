package circumstances_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/circumstances"
	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/inventory/inventorytest"
)

func record(t testing.TB, log command.Log, stream events.Stream, facts ...events.Fact) events.Seq {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: commandtest.Noon}
	seq, err := command.Record(context.Background(), log, stream, meta, facts...)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// run runs a register until it is stopped, or the test ends.
func run(t testing.TB, r *circumstances.Register) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var err error
	done := false
	stop = func() error {
		if !done {
			cancel()
			err, done = <-ended, true
		}
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func fresh(t testing.TB, r *circumstances.Register) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Fresh(ctx); err != nil {
		t.Fatal(err)
	}
}

var (
	refs       = []string{"a", "b", "shop/a", "shop/b"}
	requesters = []events.UserID{"u_a", "u_b"}
)

const connection = events.ConnectionID("c")

func anySecret(r *rapid.T) events.SecretMetadata {
	m := events.SecretMetadata{Ref: rapid.SampledFrom(refs).Draw(r, "ref"), Version: rapid.SampledFrom([]string{"", "1", "2"}).Draw(r, "version")}
	m.Labels = rapid.MapOf(rapid.SampledFrom([]string{"team", "tier"}), rapid.SampledFrom([]string{"", "x", "y"})).Draw(r, "labels")
	if rapid.Bool().Draw(r, "timed") {
		m.Updated = commandtest.Noon.Add(time.Duration(rapid.IntRange(0, 2500).Draw(r, "ns")))
	}
	return m
}

func anySecrets(r *rapid.T) []events.SecretMetadata {
	return rapid.SliceOfN(rapid.Custom(anySecret), 0, 3).Draw(r, "secrets")
}

func anyCommit(r *rapid.T, n int) (events.Stream, []events.Fact) {
	request := events.RequestID(fmt.Sprintf("r_%d", rapid.IntRange(1, 5).Draw(r, "request")))
	until := commandtest.Noon.Add(time.Hour)
	switch rapid.IntRange(0, 5).Draw(r, "what") {
	case 0, 1:
		return events.PageStream("j_1", n), []events.Fact{
			events.SecretsFound{Scan: "j_1", Connection: connection, Secrets: anySecrets(r)},
			events.SecretsChanged{Scan: "j_1", Connection: connection, Secrets: anySecrets(r)},
		}
	case 2:
		gone := rapid.SliceOfN(rapid.SampledFrom(refs), 0, 2).Draw(r, "gone")
		return events.GoneStream("j_1", n), []events.Fact{events.SecretsGone{Scan: "j_1", Connection: connection, Refs: gone}}
	case 3:
		ref := rapid.SampledFrom(refs).Draw(r, "ref")
		return events.SecretStream(events.SecretOf(connection, ref)), []events.Fact{
			events.SecretAssigned{Secret: events.SecretOf(connection, ref), Connection: connection, Ref: ref, Owner: rapid.SampledFrom([]string{"", "hand"}).Draw(r, "owner")},
		}
	case 4:
		rule := events.OwnershipRule{
			Prefix: rapid.SampledFrom([]string{"", "shop/"}).Draw(r, "prefix"), OwnerLabel: "team",
			Labels: rapid.MapOfN(rapid.Just("tier"), rapid.SampledFrom([]string{"", "x"}), 0, 1).Draw(r, "where"),
		}
		return events.SettingOwnership(), []events.Fact{events.OwnershipRulesSet{Version: n, Rules: []events.OwnershipRule{rule, {Prefix: "shop/b", Owner: "rest"}, {Environment: "all"}}}}
	default:
		asked := events.RequestSubmitted{Request: request, Requester: rapid.SampledFrom(requesters).Draw(r, "requester"), Connection: connection, Ref: "a"}
		if rapid.Bool().Draw(r, "without approval") {
			return events.RequestStream(request), []events.Fact{asked, events.GlassBroken{Reason: "now", ReviewUntil: until}, events.RequestApproved{Job: events.JobOf(request), Until: until}}
		}
		return events.RequestStream(request), []events.Fact{rapid.SampledFrom([]events.Fact{
			asked, events.GlassReviewed{By: "u_c", Outcome: events.ReviewJustified}, events.ReviewOverdue{},
			events.RequestApproved{Job: events.JobOf(request), Until: until}, events.RequestRejected{}, events.RequestExpired{},
			events.RequestExecuted{Job: events.JobOf(request)}, events.JobStarted{Job: events.JobOf(request), Attempt: 1},
		}).Draw(r, "fact")}
	}
}

// history is what a plain fold of the whole log tells.
type history struct {
	t   testing.TB
	log *commandtest.Memory
}

func (h history) owner(ref string, labels map[string]string) string {
	byHand, _, err := command.Load[command.Secret](context.Background(), h.log, events.SecretStream(events.SecretOf(connection, ref)))
	if err != nil {
		h.t.Fatal(err)
	}
	rules, _, err := command.Load[command.Ownership](context.Background(), h.log, events.SettingOwnership())
	if err != nil {
		h.t.Fatal(err)
	}
	owner := byHand.Owner
	for _, rule := range rules.Rules {
		says := rule.Owner
		if rule.OwnerLabel != "" {
			says = labels[rule.OwnerLabel]
		}
		fits := len(ref) >= len(rule.Prefix) && ref[:len(rule.Prefix)] == rule.Prefix
		for name, want := range rule.Labels {
			got, there := labels[name]
			fits = fits && there && got == want
		}
		if owner == "" && fits {
			owner = says
		}
	}
	return owner
}

func (h history) of(requester events.UserID) (open, overdue int) {
	for n := range 5 {
		r, _, err := command.Load[command.Request](context.Background(), h.log, events.RequestStream(events.RequestID(fmt.Sprintf("r_%d", n+1))))
		if err != nil {
			h.t.Fatal(err)
		}
		if r.Requester == requester && !r.State.Final() {
			open++
		}
		if r.Requester == requester && r.Glass != nil && r.Glass.Review == nil {
			overdue++
		}
	}
	return open, overdue
}

// TestTheRegisterIsAFoldOfTheLog adds commits before and after a register starts: what it says is
// what a second, plain telling of the log says, whatever comes in what order.
func TestTheRegisterIsAFoldOfTheLog(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		log := &commandtest.Memory{}
		submitted, broken := map[events.Stream]bool{}, map[events.Stream]bool{}
		add := func(most int) {
			for n := range rapid.IntRange(0, most).Draw(r, "commits") {
				last, _ := log.Last(t.Context())
				stream, facts := anyCommit(r, int(last)+n+1)
				_, begins := facts[0].(events.RequestSubmitted)
				if stream.Aggregate == events.AggregateRequest && begins == submitted[stream] {
					continue // a request begins with its submit, once
				}
				switch facts[0].(type) {
				case events.GlassReviewed, events.ReviewOverdue:
					if !broken[stream] {
						continue
					}
				}
				submitted[stream], broken[stream] = true, broken[stream] || len(facts) > 1
				record(t, log, stream, facts...)
			}
		}
		add(20)
		reg := circumstances.New(log, log)
		stop := run(t, reg)
		for range 2 {
			fresh(t, reg)
			same(r, reg, history{t, log})
			add(8)
		}
		_ = stop()
		add(4)
		run(t, reg) // it goes on where it was
		fresh(t, reg)
		same(r, reg, history{t, log})
	})
}

func same(r *rapid.T, reg *circumstances.Register, h history) {
	ctx := context.Background()
	present := inventorytest.Views{Log: h.log}.Present(ctx)
	for _, ref := range refs {
		is, there := present[events.SecretOf(connection, ref)]
		got, err := reg.Secret(ctx, connection, ref)
		want := circumstances.Secret{}
		if there {
			want = circumstances.Secret{Labels: is.Labels, Owner: h.owner(ref, is.Labels)}
		}
		if err != nil || got.Owner != want.Owner || !maps.Equal(got.Labels, want.Labels) {
			r.Fatalf("%s: %+v, %v; want %+v", ref, got, err, want)
		}
		listed := anySecret(r)
		listed.Ref = ref
		for _, s := range []events.SecretMetadata{is, listed} {
			s.Ref = ref
			known, equal := reg.Known(connection, s)
			wantKnown, wantEqual := (&inventorytest.Told{Log: h.log}).Known(connection, s)
			if known != wantKnown || equal != wantEqual {
				r.Fatalf("%+v: known %t, the same %t; want %t, %t", s, known, equal, wantKnown, wantEqual)
			}
		}
	}
	for _, who := range requesters {
		open, overdue := h.of(who)
		if got := reg.Open(who); got != open {
			r.Fatalf("%s has %d open, want %d", who, got, open)
		}
		for at, want := range map[time.Duration]int{time.Hour - 1: 0, time.Hour: overdue} {
			if got := reg.OverdueReviews(who, commandtest.Noon.Add(at)); got != want {
				r.Fatalf("%s has %d reviews overdue after %s, want %d", who, got, at, want)
			}
		}
	}
}

func TestNothingIsKnownBeforeTheRegisterRuns(t *testing.T) {
	log := &commandtest.Memory{}
	reg := circumstances.New(log, log)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := reg.WaitFor(ctx, 0); !errors.Is(err, circumstances.ErrBehind) {
		t.Errorf("of an empty log: %v", err)
	}
	run(t, reg)
	fresh(t, reg)
}

// TestAPageThatIsPublishedAgainSaysNothing: an administrator of NATS who publishes an older page
// again would take a secret back to what it was.
func TestAPageThatIsPublishedAgainSaysNothing(t *testing.T) {
	log := &commandtest.Memory{}
	page := func(n int, labels map[string]string) events.Seq {
		return record(t, log, events.PageStream("j_1", n), events.SecretsFound{
			Scan: "j_1", Connection: connection, Secrets: []events.SecretMetadata{{Ref: "a", Labels: labels}},
		})
	}
	older := page(1, nil)
	page(2, map[string]string{"critical": "yes"})
	log.Replay(older)
	reg := circumstances.New(log, log)
	run(t, reg)
	fresh(t, reg)
	if got, err := reg.Secret(t.Context(), connection, "a"); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("%+v, %v", got, err)
	}
}
