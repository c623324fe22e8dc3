package web_test

import (
	"encoding/json"
	"net/http"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// agent is an honest agent of the cluster "demo", without a provider.
type agent struct {
	*rig
	events.Enrolment
	key  seal.RecipientKey
	sign seal.SigningKey
}

// enrol invites an agent and enrols it, both over HTTPS.
func (r *rig) enrol() agent {
	r.t.Helper()
	key, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		r.t.Fatal(err)
	}
	sign, err := seal.GenerateSigningKey()
	if err != nil {
		r.t.Fatal(err)
	}
	invited := read[api.Invitation](r.t, r.call(r.admin, "POST", "/agents/invitations", api.Invite{Name: "one", Cluster: "demo"}))
	got := r.call(nobody, "POST", "/agents/enrol", events.Enrol{Token: invited.Token, UserKey: "U1", BoxKey: key.Public().String(), SignKey: sign.Public().String(), Version: "1"})
	a := agent{r, read[events.Enrolment](r.t, got), key, sign}
	told := ask[events.HeartbeatReply](a, events.ServiceHeartbeat, events.Heartbeat{Version: "1"})
	ask[events.HeartbeatReply](a, events.ServiceHeartbeat, events.Heartbeat{Heard: told.Time, Version: "1"})
	return a
}

// ask calls an agent service.
func ask[R any](a agent, service events.Service, message any) R {
	a.t.Helper()
	reply := replied[R](a, service, message)
	if reply.Error != nil {
		a.t.Fatalf("%s: %v", service, reply.Error)
	}
	return *reply.Result
}

// replied is what an agent service says, be it a refusal.
func replied[R any](a agent, service events.Service, message any) events.ServiceReply[R] {
	a.t.Helper()
	request, err := json.Marshal(message)
	if err != nil {
		a.t.Fatal(err)
	}
	call := seal.Call{Service: string(service), Account: a.Account}
	frame := call.SignRequest(a.sign, request)
	answer, err := call.OpenReply(seal.VerifyKeys{a.signer.Public()}, frame, a.gateway.Serve(a.t.Context(), a.Account, service, frame))
	if err != nil {
		a.t.Fatal(err)
	}
	var reply events.ServiceReply[R]
	if err := json.Unmarshal(answer, &reply); err != nil {
		a.t.Fatal(err)
	}
	return reply
}

// start takes the job of an approved request.
func (a agent) start(id events.RequestID) int {
	a.t.Helper()
	return ask[events.JobLease](a, events.ServiceStart, events.StartJob{Request: id, Job: events.JobOf(id)}).Attempt
}

// execute does the job of an approved request, with these values.
func (a agent) execute(shown api.Request, values map[string]string) {
	a.t.Helper()
	id := events.RequestID(shown.ID)
	job, attempt := events.JobOf(id), a.start(id)
	done := events.CompleteJob{Request: id, Job: job, Attempt: attempt, ProviderVersion: "7"}
	for name, value := range values {
		grant := ask[events.DataKeyGrant](a, events.ServiceDataKey, events.IssueDataKey{Request: id, Job: job, Attempt: attempt, Key: name})
		b := seal.Binding{
			Direction: seal.Read, Request: shown.ID, Envelope: string(grant.Envelope), Job: string(job), Attempt: uint64(attempt),
			Key: name, Connection: shown.Connection, Ref: shown.Ref, Agent: string(a.Agent), AgentKey: a.key.Public().ID(), NotAfter: grant.Expires,
		}
		plain, err := seal.OpenMessage(a.key, seal.VerifyKeys{a.signer.Public()}, b, a.clock.Now(), grant.Sealed)
		if err != nil {
			a.t.Fatal(err)
		}
		opened, err := seal.ParseDataKeyGrant(plain)
		if err != nil {
			a.t.Fatal(err)
		}
		box, err := seal.SealValue(opened.DataKey, b, []byte(value))
		if err != nil {
			a.t.Fatal(err)
		}
		ask[events.Done](a, events.ServiceHandOver, events.HandOver{
			Request: id, Job: job, Attempt: attempt, Envelope: grant.Envelope, AgentKey: grant.AgentKey, Expires: grant.Expires, Key: name, Box: box,
			Wrapped: grant.Wrapped, KMSKey: grant.KMSKey,
			Fingerprint: seal.Fingerprint(opened.Fingerprint, shown.Connection, shown.Ref, name, []byte(value)),
		})
		done.Envelopes = append(done.Envelopes, grant.Envelope)
	}
	ask[events.Done](a, events.ServiceComplete, done)
}

// submit asks for prod/db/password of the connection "file".
func (r *rig) submit(who person) events.RequestID {
	r.t.Helper()
	got := r.call(who, "POST", "/requests", api.Submit{Secret: "file/prod/db", Keys: []string{"password"}, Reason: "deploy"})
	got.wants(r.t, http.StatusCreated, "")
	return events.RequestID(read[api.Submitted](r.t, got).ID)
}

func at(id events.RequestID, more string) string { return "/requests/" + string(id) + more }

func (r *rig) show(who person, id events.RequestID) api.Request {
	r.t.Helper()
	return read[api.Request](r.t, r.call(who, "GET", at(id, ""), nil, r.newest()))
}

// newest makes a query include everything that is in the log.
func (r *rig) newest() option {
	last, _ := r.log.Last(r.t.Context())
	return with(api.HeaderNotOlderThan, itoa(last))
}

// ready brings a request of the developer to a value that can be revealed, and returns
// the path of the reveal.
func (r *rig) ready(a agent, value string) (events.RequestID, string) {
	r.t.Helper()
	id := r.submit(r.developer)
	r.call(r.approver, "POST", at(id, "/approve"), nil).wants(r.t, http.StatusOK, "")
	a.execute(r.show(r.developer, id), map[string]string{"password": value})
	shown := r.show(r.developer, id)
	if shown.State != "executed" || len(shown.Envelopes) != 1 {
		r.t.Fatalf("%+v", shown)
	}
	return id, at(id, "/envelopes/"+shown.Envelopes[0].ID+"/reveal")
}
