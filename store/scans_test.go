package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/inventory"
	"secretsbridge/inventory/inventorytest"
	"secretsbridge/store"
)

func TestScansConform(t *testing.T) {
	t.Parallel()
	t.Run("in memory", func(t *testing.T) {
		inventorytest.RunScans(t, func(*testing.T) inventorytest.Counter { return inventorytest.NewScans() })
	})
	t.Run("in Postgres", func(t *testing.T) {
		inventorytest.RunScans(t, func(t *testing.T) inventorytest.Counter { return store.Scans{Pool: cluster.New(t).App} })
	})
}

func TestDuplicatesAreOfOneKeyAndOfFinishedJobs(t *testing.T) {
	t.Parallel()
	s := store.Scans{Pool: cluster.New(t).App}
	job := 0
	take := func(connection events.ConnectionID, finished bool, prints map[string][]string) {
		t.Helper()
		job++
		id := events.ScanOf(connection, events.OperationFingerprint, job)
		at, err := s.Begin(t.Context(), id, 1, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var all []inventory.Print
		for key, refs := range prints {
			for _, ref := range refs {
				all = append(all, inventory.Print{Secret: events.SecretOf(connection, ref), Ref: ref, KeyID: key[:2], Print: key[3:]})
			}
		}
		to := at
		to.Pages = 1
		if moved, err := s.Advance(t.Context(), at, to, nil, connection, all); err != nil || !moved {
			t.Fatal(moved, err)
		}
		if finished {
			if err := s.End(t.Context(), id, connection); err != nil {
				t.Fatal(err)
			}
		}
	}
	take("a", true, map[string][]string{"k1-aa": {"x", "y"}, "k1-bb": {"x"}, "k1-cc": {"z"}, "k1-dd": {"w"}})
	take("b", true, map[string][]string{"k1-bb": {"q"}, "k2-cc": {"z"}, "k1-ee": {"e"}})
	take("c", false, map[string][]string{"k1-dd": {"w"}})
	want := []string{"k1-aa 2 [a/x a/y]", "k1-bb 2 [a/x b/q]"}
	var got, places []string
	for after := ""; ; {
		page, err := s.Duplicates(t.Context(), nil, after, 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		after = page[0].Group
		place, err := s.PlaceOf(t.Context(), after, nil)
		if err != nil {
			t.Fatal(err)
		}
		if group, err := s.GroupAt(t.Context(), place, nil); err != nil || group != after {
			t.Errorf("at the place of %s is %q, %v", after, group, err)
		}
		places = append(places, place)
		got = append(got, told(page[0]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if page, _ := s.Duplicates(t.Context(), nil, "", 5, 1); len(page) != 2 || told(page[0]) != "k1-aa 2 [a/x]" {
		t.Errorf("cut to one: %v", page)
	}
	take("b", true, nil) // its secrets have others now
	if page, _ := s.Duplicates(t.Context(), nil, "", 5, 10); len(page) != 1 {
		t.Errorf("after another job: %v", page)
	}
	take("a", true, nil)
	for _, place := range append(places, "", "x", "a.b", "a.b.c", "a.b.-1", "a.b.1", "a.b.99999999999999999999") {
		if group, err := s.GroupAt(t.Context(), place, nil); !errors.Is(err, store.ErrNoGroup) {
			t.Errorf("at the place %q is %q, %v", place, group, err)
		}
	}
}

func told(t store.Twins) string {
	var names []string
	for _, s := range t.Secrets {
		names = append(names, string(s.Connection)+"/"+s.Ref)
	}
	return fmt.Sprint(t.Group, " ", t.Total, " ", names)
}
