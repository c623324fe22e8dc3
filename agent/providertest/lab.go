package providertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/agent"
)

// Canary stands in values that tests write. No error, log or list may contain it.
const Canary = "canary-7d1fe0b3c94a"

// Allow is an allow-list of these entries.
func Allow(t testing.TB, entries ...string) agent.AllowList {
	t.Helper()
	list, err := agent.ParseAllowList(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Ref is the ref that text writes.
func Ref(t testing.TB, text string) agent.Ref {
	t.Helper()
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// Bundle has one text, under the key "k".
func Bundle(value string) agent.Bundle {
	return agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text([]byte(value))}}
}

// Put writes a [Bundle] and wants it to be stored.
func Put(t testing.TB, p agent.Provider, ref agent.Ref, value string, expect agent.Version) agent.Version {
	t.Helper()
	version, err := p.Write(t.Context(), ref, Bundle(value), expect)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// Value reads what a [Bundle] holds, and its version.
func Value(t testing.TB, p agent.Provider, ref agent.Ref) (string, agent.Version) {
	t.Helper()
	b, err := p.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Entries["k"].Value.Expose()), b.Version
}

// File writes a file that lives as long as t, and returns its path.
func File(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Silent fails if what somebody said holds one of the texts.
func Silent(t testing.TB, said string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(said, text) {
			t.Errorf("%q is in %s", text, said)
		}
	}
}
