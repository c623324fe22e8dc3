package web_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/ledger"
	"secretsbridge/store"
	"secretsbridge/transparency"
	"secretsbridge/web/api"
)

func TestAnAgentIsShownWithWhatItVouchesFor(t *testing.T) {
	r := newRig(t)
	a := r.enrol()
	r.settle(0)
	shown := read[api.Agent](t, r.call(r.admin, "GET", "/agents/"+string(a.Agent), nil))
	if shown.Cosigned != nil {
		t.Errorf("before it cosigned anything: %+v", shown.Cosigned)
	}
	signer, err := torchwood.NewCosignatureSigner(transparency.AgentWitness(a.Agent), ed25519.NewKeyFromSeed(a.sign.Expose()))
	if err != nil {
		t.Fatal(err)
	}
	text := torchwood.Checkpoint{Origin: "log.example/a", Tree: tlog.Tree{N: 9}}.String()
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(signed), "\n\n")
	kept := store.Checkpoints{Pool: r.pool}
	if err := kept.Begin(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := kept.Keep(t.Context(), 1, ledger.Checkpoint{Tree: tlog.Tree{N: 9}, Signed: signed, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := kept.Cosign(t.Context(), 9, transparency.AgentWitness(a.Agent), line); err != nil {
		t.Fatal(err)
	}
	shown = read[api.Agent](t, r.call(r.admin, "GET", "/agents/"+string(a.Agent), nil))
	listed := read[api.Page[api.Agent]](t, r.call(r.admin, "GET", "/agents", nil))
	for where, got := range map[string]*api.Cosigned{"alone": shown.Cosigned, "in the list": listed.Items[0].Cosigned} {
		if got == nil || got.Size != 9 || time.Since(got.At) > time.Hour {
			t.Errorf("%s: %+v", where, got)
		}
	}
}
