package web_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/transparency"
	"secretsbridge/transparency/evidence"
	"secretsbridge/web/api"
)

// TestAnErasureLeavesTheLogProven erases somebody who asked for something, and verifies the log, the
// evidence of what they asked for and every export as before. None of it ever had their name.
func TestAnErasureLeavesTheLogProven(t *testing.T) {
	t.Parallel()
	r, s := withLedger(t)
	who := r.fresh(r.join("developer"))
	id := r.submit(who)
	r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
	before := s.sign(t, 1)
	path := "/audit/evidence/" + string(id)
	early := r.call(r.admin, "GET", path, nil).wants(t, 200, "").body

	r.call(r.admin, "POST", people(string(who.ID), "/erase"), nil).wants(t, 200, "")
	after := s.sign(t, 1)
	proof, err := tlog.ProveTree(after.Tree.N, before.Tree.N, hashReader(s.hashes))
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckTree(proof, after.Tree.N, after.Tree.Hash, before.Tree.N, before.Tree.Hash); err != nil {
		t.Errorf("the log after the erasure is not the one from before, and more: %v", err)
	}
	shown := read[api.LogKeys](t, r.call(r.admin, "GET", "/audit/log/keys", nil).wants(t, 200, ""))
	policy, err := transparency.ParsePolicy([]byte(shown.Policy))
	if err != nil {
		t.Fatal(err)
	}
	file := append(bytes.Join(s.commits, []byte("\n")), '\n')
	if _, err := transparency.VerifyEvents(t.Context(), bytes.NewReader(file), transparency.Against{Policy: policy, Checkpoints: [][]byte{after.Note()}}); err != nil {
		t.Errorf("the log does not verify: %v", err)
	}
	late := r.call(r.admin, "GET", path, nil).wants(t, 200, "").body
	for when, text := range map[string][]byte{"before": early, "after": late} {
		if report, err := evidence.Verify(text, policy); err != nil || report.Asked.By != who.ID {
			t.Errorf("evidence from %s the erasure: %+v, %v", when, report.Asked, err)
		}
	}
	texts := map[string]string{"the log": string(file), "evidence": string(early) + string(late)}
	for _, format := range []string{"", "cloudevents", "ocsf", "cef"} {
		q := ""
		if format != "" {
			q = "?format=" + format
		}
		texts["the export "+format] = string(r.call(r.admin, "GET", "/audit/export"+q, nil, r.newest()).wants(t, 200, "").body)
	}
	for where, text := range texts {
		if !strings.Contains(text, string(who.ID)) {
			t.Errorf("%s does not tell of them at all: the test sees nothing", where)
		}
		for _, theirs := range []string{who.Email, who.Name} {
			if strings.Contains(text, theirs) {
				t.Errorf("%s has %q", where, theirs)
			}
		}
	}
}
