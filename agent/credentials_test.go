package agent_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
)

func TestATicketWithACredentialIsRefused(t *testing.T) {
	signer, cfg, raw, now := fuzzTicket(t)
	with := func(members string) []byte {
		return signedTicket(t, signer, []byte(strings.TrimSuffix(string(raw), "}")+","+members+"}"))
	}
	const value = "canary-8c1f77"
	for _, name := range []string{
		"token", "password", "passwd", "secret_id", "secret_key", "access_key", "access_key_id", "private_key", "client_secret", "api_key",
		"credential", "credentials", "session_token", "authorization", "cookie", "vault-token", "X-Vault-Token", "SECRET_ACCESS_KEY", "apiKey",
		"Private-Key-PEM", "user_jwt", "auth", "pwd", "connection.string", `tok\u0065n`,
	} {
		for _, text := range []string{`"%s":"` + value + `"`, `"hue":{"%s":{"a":"` + value + `"}}`, `"hue":[1,["x",{"b":[],"%s":null}]]`, `"changes":[{"key":"a","%s":1}]`} {
			_, err := agent.ReadTicket(cfg, with(fmt.Sprintf(text, name)), now)
			if !errors.Is(err, agent.ErrNotForUs) || !strings.Contains(err.Error(), "it carries a member named like a credential: ") || strings.Contains(err.Error(), value) {
				t.Errorf("a ticket with %s: %v", fmt.Sprintf(text, name), err)
			}
		}
	}
	// What people call the keys of their secrets is data.
	for _, members := range []string{
		`"keys":["password","token","api_key"]`, `"changes":[{"key":"password","action":"set"}]`, `"hue":["token",{"key":"token"},"token"]`, `"ref":"prod/token"`,
		`"secret":"i_1"`, `"hue":{"keys":{},"kms_key":"password"}`,
	} {
		if _, err := agent.ReadTicket(cfg, with(members), now); err != nil {
			t.Errorf("a ticket with %s: %v", members, err)
		}
	}
	_, err := agent.ReadTicket(cfg, with(`"token`+strings.Repeat("x", 5000)+`":1`), now)
	if !errors.Is(err, agent.ErrNotForUs) || len(err.Error()) > 250 {
		t.Errorf("a long name: %v", err)
	}
}

func TestACredentialInATicketIsReportedAndLeftAlone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		q := r.plan(func(k *events.Ticket) { k.Ref = "a" })
		raw := []byte(strings.TrimSuffix(string(encode(t, q.ticket)), "}") + `,"vault_token":"canary-8c1f77"}`)
		r.deliver(encode(t, events.SignedTicket{Ticket: raw, Signer: r.signer.Public().ID(), Signature: r.signer.Sign(events.TicketDomain, raw)}))
		r.settle(time.Second)
		r.want(t, q, "failed", "done")
		if q.code != events.FailureTicketRefused || r.count(events.ServiceStart) != 0 || r.memory.Calls("read") != 0 {
			t.Errorf("code %s after %d starts", q.code, r.count(events.ServiceStart))
		}
		if log := r.log.String(); !strings.Contains(log, "vault_token") || strings.Contains(log, "canary-8c1f77") {
			t.Errorf("the log says %s", log)
		}
	})
}

// messages are all that control plane and agents tell each other.
var messages = []any{
	events.Ticket{}, events.SignedTicket{}, events.Enrol{}, events.Enrolment{}, events.ServiceError{},
	events.Heartbeat{}, events.HeartbeatReply{}, events.RenewCredentials{}, events.Credentials{}, events.StartJob{}, events.JobLease{},
	events.IssueDataKey{}, events.DataKeyGrant{}, events.HandOver{}, events.Done{}, events.CompleteJob{}, events.FailJob{},
	events.AskFingerprintKey{}, events.FingerprintKey{}, events.ComparePatch{}, events.Comparison{}, events.FetchValue{}, events.ProposedValue{},
	events.RotateKey{}, events.RetireKeys{}, events.NeededKeys{}, events.AskTrust{}, events.Trust{}, events.AskCheckpoint{}, events.ShownCheckpoint{}, events.KeyStatement{},
	events.TakeJob{}, events.JobGrant{}, events.ScanPage{}, events.PageTaken{}, events.FingerprintPage{}, events.FinishJob{}, events.AbandonJob{},
	events.ReportObservation{},
}

// TestNoMessageHasRoomForACredential walks all fields of all messages.
func TestNoMessageHasRoomForACredential(t *testing.T) {
	// Each with the reason why it may be.
	exceptions := map[string]string{
		"Enrol.Token":          "the agent's own, of one use, to prove itself; no provider's",
		"Enrolment.Credential": "of the link to the control plane; no provider's",
		"Credentials.UserJWT":  "of that link, and useless without the seed that never leaves the agent's host",
	}
	unused := maps.Clone(exceptions)
	seen := map[reflect.Type]bool{}
	fields := 0
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(typ.Elem())
			return
		case reflect.Map, reflect.Interface:
			// A map's names are data, and must be of something that is no credential's.
			if typ != reflect.TypeFor[map[string]string]() {
				t.Errorf("%v can hold anything", typ)
			}
			return
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			id := typ.Name() + "." + f.Name
			fields++
			if delete(unused, id); exceptions[id] == "" && (agent.LikeCredential(name) || agent.LikeCredential(f.Name)) {
				t.Errorf("%s (%q) is named like a credential", id, name)
			}
			walk(f.Type)
		}
	}
	for _, m := range messages {
		walk(reflect.TypeOf(m))
	}
	if fields < 100 {
		t.Errorf("only %d fields were looked at", fields)
	}
	for id := range unused {
		t.Errorf("%s is an exception and no field", id)
	}
	if !seen[reflect.TypeFor[events.SecretMetadata]()] {
		t.Error("the walk does not go into what messages hold")
	}
}

// TestAllServicesAreLookedAt reads beside each service what it is asked and answers with.
func TestAllServicesAreLookedAt(t *testing.T) {
	listed := map[string]bool{}
	for _, m := range messages {
		listed[reflect.TypeOf(m).Name()] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../events/service.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	arrow := regexp.MustCompile(`^// (\w+) → (\w+)$`)
	services := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Comment == nil {
			return true
		}
		if names := arrow.FindStringSubmatch(spec.Comment.List[0].Text); names != nil {
			services++
			for _, name := range names[1:] {
				if !listed[name] {
					t.Errorf("%s is not looked at", name)
				}
			}
		}
		return true
	})
	if want := len(events.Services()); services != want {
		t.Errorf("%d services have a comment, want %d", services, want)
	}
}
