package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"secretsbridge/seal"
)

func FuzzOpenProposal(f *testing.F) { fuzzPadded(f, "testdata/golden/proposal-v1.json") }

func FuzzOpenValueMessage(f *testing.F) {
	fuzzPadded(f, "testdata/golden/valuemessage-v1-deliver.json")
}

func fuzzPadded(f *testing.F, file string) {
	g := seeds(f, file)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		kept, received := bytes.Clone(sealed), g
		received.Sealed = sealed
		plaintext, err := received.open()
		if errors.Is(err, seal.ErrKey) { // a proposal to another key
			err = seal.ErrOpen
		}
		only(t, g, sealed, kept, plaintext, err)
	})
}

// FuzzEntry holds that what decodes is encoded again into the same bytes, and has one
// canonical spelling that is its own.
func FuzzEntry(f *testing.F) {
	for _, seed := range []string{"s", "shunter2", "j5", `j{"a":[1.50,null],"b":"\u00e9"}`, "j-0", "x", "j 5", "s\xff", "j1e9"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		kept := bytes.Clone(entry)
		kind, value, err := seal.DecodeEntry(entry)
		if err != nil {
			if !errors.Is(err, seal.ErrMalformed) && !errors.Is(err, seal.ErrTooLarge) {
				t.Errorf("error = %v", err)
			}
			return
		}
		again, err := seal.EncodeEntry(kind, value)
		if err != nil || !bytes.Equal(again, entry) || !bytes.Equal(kept, entry) {
			t.Errorf("%q is encoded again as %q, %v", entry, again, err)
		}
		canonical, err := seal.CanonicalEntry(entry)
		if err != nil {
			return // a number with an exponent that nobody can mean
		}
		if canonical[0] != entry[0] {
			t.Errorf("%q became another kind: %q", entry, canonical)
		}
		if kind == seal.EntryText {
			return
		}
		if twice, err := seal.CanonicalEntry(canonical); err != nil || !bytes.Equal(twice, canonical) {
			t.Errorf("%q is spelled %q and then %q, %v", entry, canonical, twice, err)
		}
	})
}
