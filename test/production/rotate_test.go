package production

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/nats"
)

// formerKeys is how long keys of NATS count after a rotation here: agents renew what they signed
// with a heartbeat, once every server has taken up the new ones.
const formerKeys = "40s"

// rotatesAccounts moves an installation of seeds alone to signing keys, under load, and begins with
// the operator's: the nodes take that one with their next start.
func (r *Rig) rotatesAccounts(t *testing.T) {
	l := r.startLoad()
	l.advance(t, 1)
	r.Command(t, 0, "nats", "rotate", "--overlap", formerKeys, r.Operator)
	l.advance(t, 2)
	if said := r.Command(t, 1, "nats", "rotate-operator", r.Operator); !strings.Contains(said, "step 1 of 3") {
		t.Errorf("it said %s", said)
	}
	if said, err := r.try(r.Env(1), "", "sb-server", "nats", "rotate-operator", r.Operator); err == nil || !strings.Contains(err.Error(), "node-1, node-2, node-3 trusts other keys") {
		t.Errorf("a key signs that no node trusts: %s, %v", said, err)
	}
	l.advance(t, 1)
	l.end(t)
}

// rotatesOperator has the nodes trust the operator's next key alone. After it the seeds of nats init
// let nobody in, nor do credentials of agents by the keys before.
func (r *Rig) rotatesOperator(t *testing.T) {
	if err := r.robbed(); err != nil {
		t.Fatalf("the test proves nothing: the seeds let nobody in before: %v", err)
	}
	l := r.startLoad()
	if said := r.Command(t, 0, "nats", "rotate-operator", r.Operator); !strings.Contains(said, "step 2 of 3") {
		t.Errorf("it said %s", said)
	}
	for _, p := range r.Nodes {
		p.Stop(t)
		l.advance(t, 1)
		p.Start(t)
	}
	if said := r.Command(t, 0, "nats", "rotate-operator", r.Operator); !strings.Contains(said, "step 3 of 3") {
		t.Errorf("it said %s", said)
	}
	if err := r.robbed(); err == nil {
		t.Error("a seed of nats init lets in as the control plane")
	}
	for _, p := range r.Servers {
		for end := time.Now().Add(loadPatience); strings.Count(p.Log(), "the signing keys of NATS were rotated") < 3; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s does not end the former keys", p.Name)
			}
		}
	}
	l.advance(t, 2)
	l.end(t)
	for _, p := range r.Agents {
		if !strings.Contains(p.Log(), "credentials are renewed") {
			t.Errorf("%s did not renew its credentials", p.Name)
		}
	}
}

// robbed is an error unless who has what nats init wrote may connect as the control plane.
func (r *Rig) robbed() error {
	authority, err := nats.OpenAuthority(filepath.Join(r.Operator, "keys"))
	if err != nil {
		return err
	}
	creds, err := authority.ToolCredentials("core", time.Hour)
	if err != nil {
		return err
	}
	nc, err := natsgo.Connect(strings.Join(r.natsURLs(), ","), natsgo.UserCredentialBytes(creds), natsgo.RootCAs(r.CA))
	if err == nil {
		nc.Close()
	}
	return err
}
