package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// Canaries of links and machines.
const (
	canaryLink    = "sbl_canary-link-6d3"
	canaryMachine = "sbt_canary-machine-1f8"
)

var (
	anna = "u_" + strings.Repeat("a", 26)
	ci   = "u_" + strings.Repeat("c", 26)
)

// queryPeople answers what is about people and machines, and reports whether it is.
func (f *fake) queryPeople(w *httptest.ResponseRecorder, r *http.Request, path string) bool {
	signedIn := time.Now().Add(-3 * time.Hour)
	person := func(id, email string) api.Account {
		p := api.Account{ID: id, Email: email, Name: "Anna", State: "active", Password: id == anna, Grants: []api.PersonGrant{
			{ID: "g_1", Role: "approver", Scope: api.Scope{Team: "payments"}},
		}}
		if p.Password {
			p.SignedInAt = &signedIn
		}
		return p
	}
	switch path {
	case "people":
		page(w, r, []api.Account{person("u_"+strings.Repeat("b", 26), "evil\x1b]0;owned\x07"), person(anna, "anna@example.org"), person("u_3", "c@example.org")})
	case "people/" + anna:
		reply(w, 200, person(anna, "anna@example.org"))
	case "people/" + anna + "/sessions", "me/sessions":
		page(w, r, []api.OpenSession{{ID: "s_1", Current: true, CreatedAt: signedIn, UsedAt: signedIn, Expires: time.Now().Add(time.Hour)}})
	case "people/" + anna + "/grants":
		page(w, r, person(anna, "").Grants)
	case "machines":
		page(w, r, []api.Machine{{ID: ci, Name: "ci", State: "active", Tokens: []api.MachineToken{{ID: "t_1", Name: "deploy", Until: time.Now().Add(time.Hour)}}}})
	case "me/delegations":
		page(w, r, []api.Delegation{{ID: "d_1", To: api.Person{ID: anna, Name: "Anna"}, Since: time.Now(), Until: time.Now().Add(time.Hour), Absent: true}})
	default:
		return false
	}
	return true
}

// commandPeople takes commands about people and machines, and reports whether it is one. The
// last one is kept as it was decoded.
func (f *fake) commandPeople(w *httptest.ResponseRecorder, path string, body []byte) bool {
	take := func(into any) { f.decode(body, into); f.told = into }
	done := func() { f.write(w, 200, api.Done{Seq: f.seq + 1}) }
	switch {
	case path == "people", path == "people/"+anna+"/reset-link":
		if path == "people" {
			take(&api.InvitePerson{})
		}
		f.write(w, 201, api.Link{Person: anna, Link: "https://sb.example.org/#link=" + canaryLink, Expires: time.Now().Add(time.Hour), Seq: f.seq + 1})
	case path == "people/"+anna+"/grants":
		take(&api.GiveGrant{})
		f.write(w, 201, api.Made{ID: "g_2", Seq: f.seq + 1})
	case path == "machines":
		take(&api.CreateMachine{})
		f.write(w, 201, api.Made{ID: ci, Seq: f.seq + 1})
	case path == "machines/"+ci+"/tokens":
		take(&api.IssueToken{})
		f.write(w, 201, api.IssuedToken{ID: "t_2", Token: canaryMachine, Until: time.Now().Add(time.Hour), Seq: f.seq + 1})
	case path == "audit/holds":
		take(&api.PlaceHold{})
		f.write(w, 201, api.Made{ID: "h_3", Seq: f.seq + 1})
	case path == "me/delegations":
		take(&api.Delegate{})
		f.write(w, 201, api.Made{ID: "d_2", Seq: f.seq + 1})
	case path == "me/password":
		f.changePassword(w, body)
	case strings.HasSuffix(path, "/sessions/revoke") || strings.HasPrefix(path, "me/sessions/"):
		f.write(w, 200, api.Ended{Sessions: 2, Seq: f.seq + 1})
	case slices.Contains([]string{
		"people/" + anna + "/erase", "people/" + anna + "/grants/g_1/take", "machines/" + ci + "/tokens/t_1/revoke", "me/delegations/d_1/end", "machines/" + ci + "/erase", "audit/holds/h_1/lift",
	}, path):
		take(&api.Reason{})
		done()
	default:
		return false
	}
	return true
}

// opens opens what was sealed like a sign-in.
func (f *fake) opens(sealed []byte, into any) {
	plain, err := seal.OpenProposal(f.intake, seal.Binding{Direction: seal.SignIn, AgentKey: f.intake.Public().ID()}, sealed)
	if err != nil {
		f.t.Errorf("what was sealed does not open: %v", err)
		return
	}
	f.decode(plain, into)
}

func (f *fake) redeem(w *httptest.ResponseRecorder, r *http.Request, body []byte) {
	var outer api.Redeem
	f.decode(body, &outer)
	var in api.SealedRedeem
	f.opens(outer.Sealed, &in)
	key, err := seal.ParseVerifyKey(in.Key)
	if err != nil || outer.Token != "" || outer.Password != "" {
		f.t.Errorf("it is not sealed alone, or has no key: %v", err)
	}
	f.signed(r, body, key)
	if in.Token != canaryLink || in.Password != canaryPassword+"-new" {
		problem(w, 403, "link_refused")
		return
	}
	f.write(w, 200, api.Done{Seq: f.seq + 1})
}

func (f *fake) changePassword(w *httptest.ResponseRecorder, body []byte) {
	var outer api.ChangePassword
	f.decode(body, &outer)
	var in api.SealedPassword
	f.opens(outer.Sealed, &in)
	if in.Old != canaryPassword || in.Password != canaryPassword+"-new" || outer.Old != "" || outer.Password != "" {
		problem(w, 403, "password_wrong")
		return
	}
	f.write(w, 200, api.Done{Seq: f.seq + 1})
}
