package e2e_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"secretsbridge/test/leaks"
)

// provesItself plants values in each place and finds them there: that nothing was found
// before says nothing otherwise.
//
// One is planted by the product's own means: the path and the reason of a request are no
// secrets, so a value that somebody pastes there goes the way that a leak would go. The
// server and the agent have another in their environment since they were started.
func (c *canaries) provesItself(t *testing.T) {
	t.Helper()
	pasted := c.planted.Value("pasted")
	id := first(c.must(t, "developer", "request", "read", c.at(pasted), "--reason", pasted))
	c.decides(t, "approver", "approve", id)
	c.fails(t, id, "secret_not_found")

	conn := c.connect(t) // stays open: its process has seen the row
	if _, err := conn.Exec(t.Context(), "CREATE TABLE planted (value bytea)"); err != nil {
		t.Fatal(err)
	}
	for _, form := range leaks.Forms(c.planted.Value("row")) {
		if _, err := conn.Exec(t.Context(), "INSERT INTO planted VALUES ($1)", form.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	// More than once: the header of a page of the log may lie in the middle of a form.
	for range 3 {
		if _, err := conn.Exec(t.Context(), "SELECT pg_logical_emit_message(false, 'planted', $1::bytea)", c.every("record")); err != nil {
			t.Fatal(err)
		}
	}
	plants := map[string]string{filepath.Join(c.dir, "nats"): "store", filepath.Join(c.dir, "agent"): "file"}
	proofs := map[string][]string{
		"memory of sb-server": {"planted"},
		"memory of sb-agent":  {"planted"},
		"memory of Postgres":  {"row"},
		"memory of a holder":  {"held"},
		"tables":              {"row", "pasted"},
		"dump":                {"row", "pasted"},
		"write-ahead log":     {"row", "record", "pasted"},
		"files of Postgres":   {"row", "pasted"},
		"NATS store":          {"store", "pasted"},
		"logs":                {"pasted"},
		"other files":         {"file"},
		"views":               {"pasted"},
	}
	if c.field != nil {
		plants[c.field.dir] = "field"
		proofs["memory of the other agent"], proofs["files of the other agent"] = []string{"planted"}, []string{"field"}
	}
	for folder, name := range plants {
		if err := os.WriteFile(filepath.Join(folder, "planted"), c.every(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.holder = map[string]int{"a holder": leaks.Hold(t, c.every("held"))}

	found := c.everywhere(t, c.planted.Search())
	unproven := maps.Clone(found)
	for place, canaries := range proofs {
		for _, canary := range canaries {
			if !has(found[place], canary, "") {
				t.Errorf("the search does not find %s, which is in: %s", canary, place)
			}
		}
		delete(unproven, place)
	}
	for place := range unproven {
		t.Errorf("nothing proves the search in: %s", place)
	}
	for place, canary := range map[string]string{
		"memory of a holder": "held", "write-ahead log": "record", "files of Postgres": "row", "NATS store": "store", "other files": "file",
	} {
		for _, form := range leaks.Forms(c.planted.Value(canary)) {
			if !has(found[place], canary, form.Name) {
				t.Errorf("the search does not find %s as %s in: %s", canary, form.Name, place)
			}
		}
	}
}

// every is a planted canary in every form.
func (c *canaries) every(name string) []byte {
	var all [][]byte
	for _, form := range leaks.Forms(c.planted.Value(name)) {
		all = append(all, form.Bytes)
	}
	return bytes.Join(all, []byte("\n\n"))
}

// has looks for a hit of a canary, in one form or in any. Both alphabets of base64 may write
// a mark alike, so here one counts for the other; package leaks tells them apart by itself.
func has(hits []leaks.Hit, canary, form string) bool {
	return slices.ContainsFunc(hits, func(h leaks.Hit) bool {
		return h.Canary == canary && (form == "" || h.Form == form || strings.Replace(h.Form, "url", "", 1) == strings.Replace(form, "url", "", 1))
	})
}
