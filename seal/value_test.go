package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"secretsbridge/seal"
)

func TestAValueOpensUnderItsKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOfN(rapid.Byte(), 0, 1200).Draw(t, "value")
		key, b := seal.NewDataKey(), exampleBinding()
		b.Key = rapid.StringN(1, 40, -1).Draw(t, "key name")
		box, err := seal.SealValue(key, b, value)
		if err != nil {
			t.Fatalf("seal: %v", err)
		}
		if len(box) != seal.BoxSize(len(value)) {
			t.Errorf("a box of %d bytes, BoxSize says %d", len(box), seal.BoxSize(len(value)))
		}
		got, err := seal.OpenValue(key, b, box)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("open = %x, %v, want %x", got, err, value)
		}
	})
}

func TestABoxTellsTheLengthInStepsOnly(t *testing.T) {
	for _, at := range []struct{ value, box int }{
		{0, 350}, {1, 350}, {252, 350}, {253, 606}, {508, 606}, {509, 862}, {64 << 10, 94 + 257*256},
		{seal.MaxValue, 94 + 2049*256},
	} {
		value := bytes.Repeat([]byte{7}, at.value)
		key := seal.NewDataKey()
		box := mustSealValue(t, key, exampleBinding(), value)
		if len(box) != at.box {
			t.Errorf("a value of %d bytes makes a box of %d, want %d", at.value, len(box), at.box)
		}
		if got, err := seal.OpenValue(key, exampleBinding(), box); err != nil || !bytes.Equal(got, value) {
			t.Errorf("a value of %d bytes does not come back: %v", at.value, err)
		}
	}
}

func TestABoxCutOrExtendedIsRefused(t *testing.T) {
	key := seal.NewDataKey()
	box := mustSealValue(t, key, exampleBinding(), make([]byte, 300))
	for n := range len(box) {
		got, err := seal.OpenValue(key, exampleBinding(), box[:n])
		refused(t, "cut box", got, err, seal.ErrMalformed, seal.ErrOpen)
	}
	for _, more := range []int{1, 16, 256, 1 << 20} {
		got, err := seal.OpenValue(key, exampleBinding(), append(bytes.Clone(box), make([]byte, more)...))
		refused(t, "extended box", got, err, seal.ErrMalformed, seal.ErrOpen)
	}
}

func TestWrongKeyWrongBindingAndFlippedBitLookTheSame(t *testing.T) {
	key := seal.NewDataKey()
	box := mustSealValue(t, key, exampleBinding(), []byte("x"))
	other := exampleBinding()
	other.Key = "user"
	flipped := bytes.Clone(box)
	flipped[len(flipped)-1] ^= 1
	_, wrongKey := seal.OpenValue(seal.NewDataKey(), exampleBinding(), box)
	_, wrongBinding := seal.OpenValue(key, other, box)
	_, flippedBit := seal.OpenValue(key, exampleBinding(), flipped)
	_, noKey := seal.OpenValue(seal.DataKey{}, exampleBinding(), box)
	for _, err := range []error{wrongKey, wrongBinding, flippedBit, noKey} {
		if !errors.Is(err, seal.ErrOpen) || err.Error() != wrongKey.Error() {
			t.Errorf("error = %q, want %q", err, wrongKey)
		}
	}
}

func TestSealingAValueRefusesWhatCannotBeMeant(t *testing.T) {
	zeroed := seal.NewDataKey()
	zeroed.Zero()
	for name, try := range map[string]struct {
		key  seal.DataKey
		n    int
		want error
	}{
		"no key":           {seal.DataKey{}, 1, seal.ErrKey},
		"a zeroed key":     {zeroed, 1, seal.ErrKey},
		"too long a value": {seal.NewDataKey(), seal.MaxValue + 1, seal.ErrTooLarge},
	} {
		box, err := seal.SealValue(try.key, exampleBinding(), make([]byte, try.n))
		if !errors.Is(err, try.want) || box != nil {
			t.Errorf("%s: error = %v, want %v", name, err, try.want)
		}
	}
}

func TestBoxesOfOneValueShareNothing(t *testing.T) {
	const boxes = 10_000
	key := seal.NewDataKey() // one key, though nobody should: salts and nonces differ even so
	salts, commitments, nonces := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for range boxes {
		box := mustSealValue(t, key, exampleBinding(), []byte("x"))
		salts[string(box[2:34])] = true
		commitments[string(box[34:66])] = true
		nonces[string(box[66:78])] = true
	}
	if len(salts) != boxes || len(commitments) != boxes || len(nonces) != boxes {
		t.Errorf("%d salts, %d commitments, %d nonces of %d boxes", len(salts), len(commitments), len(nonces), boxes)
	}
}

func TestSealingLeavesTheValueAlone(t *testing.T) {
	value := []byte("canary-4f1c")
	key := seal.NewDataKey()
	box := mustSealValue(t, key, exampleBinding(), value)
	if string(value) != "canary-4f1c" || bytes.Contains(box, value) {
		t.Error("sealing changed the value or left it in the box")
	}
	before := bytes.Clone(box)
	if _, err := seal.OpenValue(key, exampleBinding(), box); err != nil || !bytes.Equal(before, box) {
		t.Errorf("opening changed the box, or failed: %v", err)
	}
}
