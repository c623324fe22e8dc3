package store_test

import (
	"slices"
	"testing"

	"secretsbridge/seal"
	"secretsbridge/store"
)

func TestHeldKeysAreThoseOfStoredEnvelopes(t *testing.T) {
	t.Parallel()
	envelopes := store.Envelopes{Pool: cluster.New(t).App}
	first, second, other := envelope(newClock().Now()), envelope(newClock().Now()), envelope(newClock().Now())
	first.Agent, second.Agent, other.Agent = "a_1", "a_1", "a_2"
	first.AgentKey, second.AgentKey, other.AgentKey = "old", "new", "foreign"
	first.Direction, second.Direction, other.Direction = seal.Patch, seal.Patch, seal.Patch
	read := envelope(newClock().Now()) // which needs the private half no more
	read.Agent, read.AgentKey = "a_1", "of a read"
	third := second
	third.ID += "x"
	for _, e := range []*struct{ err error }{
		{envelopes.Put(t.Context(), first)}, {envelopes.Put(t.Context(), second)},
		{envelopes.Put(t.Context(), third)}, {envelopes.Put(t.Context(), read)}, {envelopes.Put(t.Context(), other)},
	} {
		if e.err != nil {
			t.Fatal(e.err)
		}
	}
	if held, err := envelopes.HeldKeys(t.Context(), "a_1"); err != nil || !slices.Equal(held, []string{"new", "old"}) {
		t.Errorf("held: %v, %v", held, err)
	}
	if err := envelopes.Delete(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if held, err := envelopes.HeldKeys(t.Context(), "a_1"); err != nil || !slices.Equal(held, []string{"new"}) {
		t.Errorf("after the old one is gone: %v, %v", held, err)
	}
}
