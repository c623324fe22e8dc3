package ledger_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"secretsbridge/command"
	"secretsbridge/internal/egress"
	"secretsbridge/ledger"
	"secretsbridge/test/servers"
)

// until waits for a condition.
func until(t *testing.T, what string, within time.Duration, holds func() bool) {
	t.Helper()
	end := time.After(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-end:
			t.Fatalf("within %s: %s", within, what)
		case <-tick.C:
		}
	}
}

// TestTheReferenceWitnessCosignsAndFindsAnotherHistory attaches the public reference
// implementation, as a process of its own. Then NATS and Postgres are both rolled back, so that
// nothing inside knows better, and the log goes on in another way.
func TestTheReferenceWitnessCosignsAndFindsAnotherHistory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server, second := servers.Witness(t, r.public), servers.Witness(t, r.public)
	policy := fmt.Sprintf("witness reference %s %s\nwitness second %s %s\ngroup both all reference second\nquorum both\n",
		server.Key, server.Address, second.Key, second.Address)
	attach := func(r *rig) ledger.Config {
		cfg := r.config()
		var err error
		if cfg.Witnesses, cfg.Quorum, err = ledger.Witnesses([]byte(policy), []string{r.public}); err != nil {
			t.Fatal(err)
		}
		cfg.Tiles = r
		cfg.Client = egress.Client(egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, PlainLoopback: true})
		return cfg
	}
	key, err := torchwood.NewCosignatureVerifier(server.Key)
	if err != nil {
		t.Fatal(err)
	}
	cosigned := func(size int64) func() bool {
		return func() bool {
			last, err := r.kept.Latest(t.Context())
			if err != nil || last.Tree.N != size {
				return false
			}
			n, err := note.Open(last.Note(), note.VerifierList(key))
			return err == nil && len(n.Sigs) == 1
		}
	}
	const patience = 30 * time.Second
	r.fill(300)
	k, ended := r.run(attach(r))
	until(t, "the first checkpoint is cosigned", patience, cosigned(300))
	r.fill(257)
	until(t, "the next one is, from the proof", patience, cosigned(557))
	if err := ended(); err != nil || k.Tree() != r.tree(557) {
		t.Fatalf("%v, %v", k.Tree(), err)
	}

	for name, size := range map[string]int{"shorter": 400, "as long": 557, "longer": 700} {
		other := newRig(t)
		other.public, other.private, other.signer, other.origin = r.public, r.private, r.signer, r.origin
		other.fill(size)
		_, ended := other.run(attach(other))
		until(t, name+": the alarm is raised", 10*time.Second, func() bool { return ended() != nil })
		if err := ended(); !errors.Is(err, command.LogForked) || !strings.Contains(err.Error(), "witness.example/reference-") {
			t.Errorf("%s: %v, want LogForked", name, err)
		}
	}
}
