package web_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/rights/rightstest"
	"secretsbridge/web/api"
)

// TestCallsAreAnsweredAsTheModelSays changes who may do what and calls the API, some hundred times:
// what it allows, refuses and lists must be what a second, plain telling of the rules says.
func TestCallsAreAnsweredAsTheModelSays(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t)
	people := map[events.UserID]person{}
	var ids []events.UserID
	for range 3 {
		who := r.join()
		people[who.ID], ids = who, append(ids, who.ID)
	}
	model := rightstest.New(policy.System, ids...)
	for _, id := range ids {
		model.Apply(events.UserStream(id), events.UserAdded{User: id})
	}
	for _, name := range rightstest.Connections {
		r.record(events.ConnectionStream(name), events.ConnectionCreated{Connection: name, Provider: events.ProviderFile, Cluster: "demo"})
		scan := events.ScanOf(name, events.OperationDiscover, 1)
		var secrets []events.SecretMetadata
		for _, ref := range rightstest.Refs[1:] {
			secrets = append(secrets, listed(ref))
		}
		r.record(events.JobStream(scan), events.JobQueued{Job: scan, Operation: events.OperationDiscover, Connection: name, Number: 1, Until: r.clock.Now()})
		r.record(events.PageStream(scan, 1), events.SecretsFound{Scan: scan, Connection: name, Secrets: secrets})
	}
	r.settled()
	for step := range 300 {
		stream, fact := model.Change(random, r.clock.Now())
		r.change(model, stream, fact)
		r.clock.Add(2 * time.Second)
		who := ids[random.IntN(len(ids))]
		connection := rightstest.Connections[random.IntN(len(rightstest.Connections))]
		ref := rightstest.Refs[1+random.IntN(len(rightstest.Refs)-1)]
		secret := "/secrets/" + string(events.SecretOf(connection, ref))
		may := func(p policy.Permission, ref string) bool {
			return model.May(who, string(p), connection, ref, r.clock.Now())
		}
		for _, try := range []struct {
			method, path string
			body         any
			may          bool
		}{
			{"GET", secret, nil, may(policy.SecretList, ref)},
			{"POST", secret + "/assign", api.Assign{Owner: "a"}, may(policy.SecretAssign, ref)},
			{"POST", "/requests", api.Submit{Secret: string(connection) + "/" + ref, Reason: "x"}, may(policy.RequestCreate, ref)},
			{"POST", "/connections/" + string(connection) + "/enable", sent("{}"), may(policy.ConnectionManage, "")},
			{"GET", "/audit/events?type=none", nil, model.May(who, string(policy.AuditRead), "", "", r.clock.Now())},
		} {
			got := r.call(people[who], try.method, try.path, try.body)
			denied := got.StatusCode == http.StatusForbidden || got.StatusCode == http.StatusNotFound
			if !model.Active(who) {
				denied = got.StatusCode == http.StatusUnauthorized
			}
			if denied == try.may {
				t.Fatalf("seed %d, step %d: %s %s by %s: %d %s, the model says %v", seed, step, try.method, try.path, who, got.StatusCode, got.body, try.may)
			}
		}
		if !model.Active(who) {
			continue
		}
		var want, shown []string
		for _, c := range rightstest.Connections {
			for _, ref := range rightstest.Refs[1:] {
				if model.May(who, string(policy.SecretList), c, ref, r.clock.Now()) {
					want = append(want, string(c)+"/"+ref)
				}
			}
		}
		if got := r.call(people[who], "GET", "/secrets", nil); got.StatusCode == http.StatusOK {
			for _, s := range read[api.Page[api.Secret]](t, got).Items {
				shown = append(shown, s.Secret)
			}
		}
		slices.Sort(want)
		slices.Sort(shown)
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Fatalf("seed %d, step %d: the inventory of %s (-model +shown):\n%s", seed, step, who, diff)
		}
	}
}

// change records a change, and tells the model.
func (r *rig) change(model *rightstest.Model, stream events.Stream, fact events.Fact) {
	r.t.Helper()
	switch f := fact.(type) {
	case events.GrantGiven:
		f.Grant = events.GrantOf(events.NewCommandID())
		fact = f
	case events.GovernanceChanged:
		now, _, err := command.Load[command.Governance](r.t.Context(), r.log, events.GovernanceStream())
		if err != nil {
			r.t.Fatal(err)
		}
		if f.Version = now.Version + 1; now.Version == 0 {
			for _, o := range policy.Initial() {
				f.Set = append(f.Set, o)
			}
		}
		fact = f
	}
	model.Apply(stream, fact)
	r.settle(r.record(stream, fact))
}
