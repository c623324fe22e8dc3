package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"testing"

	"secretsbridge/seal"
)

// The functions in this file know the format from docs/security/envelopes.md alone.

// field appends a field as every format here does: four bytes of length, big endian.
func field[T ~string | ~[]byte](out []byte, f T) []byte {
	return append(binary.BigEndian.AppendUint32(out, uint32(len(f))), f...)
}

// valueKeys derives encryption key and commitment as the document says.
func valueKeys(t *testing.T, key seal.DataKey, salt []byte, b seal.Binding) (enc, commitment []byte) {
	t.Helper()
	info := field(field(nil, "secretsbridge value v1"), b.Bytes())
	out, err := hkdf.Key(sha512.New, key.Expose(), salt, string(info), 64)
	if err != nil {
		t.Fatal(err)
	}
	return out[:32], out[32:]
}

// valueAAD is the associated data as the document says.
func valueAAD(header []byte, b seal.Binding) []byte {
	return field(field(field(nil, "secretsbridge value aad v1"), header), b.Bytes())
}

func newGCM(t testing.TB, key []byte) (cipher.Block, cipher.AEAD) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return block, aead
}

func TestABoxMadeByTheDocumentOpens(t *testing.T) {
	key, b, value := seal.NewDataKey(), exampleBinding(), []byte("made by hand")
	header := make([]byte, 78)
	header[0], header[1] = 'V', 1
	_, _ = rand.Read(header[2:34])
	_, _ = rand.Read(header[66:78])
	enc, commitment := valueKeys(t, key, header[2:34], b)
	copy(header[34:66], commitment)
	padded := make([]byte, 256)
	binary.BigEndian.PutUint32(padded, uint32(len(value)))
	copy(padded[4:], value)
	_, aead := newGCM(t, enc)
	box := aead.Seal(bytes.Clone(header), header[66:78], padded, valueAAD(header, b))
	if got, err := seal.OpenValue(key, b, box); err != nil || !bytes.Equal(got, value) {
		t.Errorf("open = %q, %v, want %q", got, err, value)
	}

	// A padding that is not zero, or longer than it must be, is refused although the
	// tag is right: one value, one length, one padding.
	for name, change := range map[string]func([]byte) []byte{
		"not zero":        func(p []byte) []byte { p[255] = 1; return p },
		"a step too long": func(p []byte) []byte { return append(p, make([]byte, 256)...) },
		"no room":         func(p []byte) []byte { binary.BigEndian.PutUint32(p, 253); return p },
		"far too long":    func(p []byte) []byte { binary.BigEndian.PutUint32(p, 1<<32-1); return p },
	} {
		box := aead.Seal(bytes.Clone(header), header[66:78], change(bytes.Clone(padded)), valueAAD(header, b))
		got, err := seal.OpenValue(key, b, box)
		refused(t, "padding "+name, got, err, seal.ErrOpen)
	}
}

// AES-GCM does not commit to its key: who knows two keys can make one ciphertext that
// opens under both, to two values. An approver could then see another value than the
// requester. The commitment in the header stops it.
func TestOneCiphertextDoesNotOpenUnderTwoKeys(t *testing.T) {
	b := exampleBinding()
	key1, key2 := seal.NewDataKey(), seal.NewDataKey()
	header := make([]byte, 78)
	header[0], header[1] = 'V', 1
	_, _ = rand.Read(header[2:34])
	_, _ = rand.Read(header[66:78])
	nonce := header[66:78]
	enc1, commitment1 := valueKeys(t, key1, header[2:34], b)
	enc2, commitment2 := valueKeys(t, key2, header[2:34], b)
	copy(header[34:66], commitment1)
	block1, gcm1 := newGCM(t, enc1)
	block2, gcm2 := newGCM(t, enc2)

	// A valid padded value under the first key: 252 bytes, so every block but the first
	// may hold anything, and one of them will.
	padded := make([]byte, 256)
	binary.BigEndian.PutUint32(padded, 252)
	forge := func(header []byte) []byte {
		aad := valueAAD(header, b)
		ciphertext := gcm1.Seal(nil, nonce, padded, aad)[:256]
		const free = 5 // block of the ciphertext that the forger solves for
		solve(ciphertext, free, aad, nonce, block1, block2)
		tag := gmac(block1, nonce, aad, ciphertext)
		return append(bytes.Clone(header), append(ciphertext, tag[:]...)...)
	}

	box := forge(header)
	// The attack is real: bare AES-GCM opens the ciphertext under both keys.
	for i, gcm := range []cipher.AEAD{gcm1, gcm2} {
		if _, err := gcm.Open(nil, nonce, box[78:], valueAAD(header, b)); err != nil {
			t.Fatalf("the forged ciphertext does not open under key %d: %v", i+1, err)
		}
	}
	// And the box is good in every other way: under its own key it opens.
	if got, err := seal.OpenValue(key1, b, box); err != nil || len(got) != 252 {
		t.Fatalf("open under the key it commits to: %d bytes, %v", len(got), err)
	}
	got, err := seal.OpenValue(key2, b, box)
	refused(t, "the second key", got, err, seal.ErrOpen)

	copy(header[34:66], commitment2)
	got, err = seal.OpenValue(key1, b, forge(header))
	refused(t, "the first key, committed to the second", got, err, seal.ErrOpen)
}

// element is an element of GCM's field, GF(2^128), in GCM's order of bits: bit 0 is the
// highest bit of the first byte (NIST SP 800-38D, section 6.3).
type element [16]byte

func (x element) add(y element) element {
	for i := range x {
		x[i] ^= y[i]
	}
	return x
}

func (x element) mul(y element) (z element) {
	for i := range 128 {
		if x[i/8]>>(7-i%8)&1 == 1 {
			z = z.add(y)
		}
		low := y[15] & 1
		for j := 15; j > 0; j-- {
			y[j] = y[j]>>1 | y[j-1]<<7
		}
		y[0] = y[0]>>1 ^ low*0xe1
	}
	return z
}

func (x element) pow(n int) element {
	out := element{0x80} // one
	for range n {
		out = out.mul(x)
	}
	return out
}

// inverse is x to the power of 2^128-2.
func (x element) inverse() element {
	out := element{0x80}
	for range 127 {
		x = x.mul(x)
		out = out.mul(x)
	}
	return out
}

// blocks are what GHASH runs over: padded associated data, ciphertext, lengths.
func blocks(aad, ciphertext []byte) []element {
	var in []byte
	for _, part := range [][]byte{aad, ciphertext} {
		in = append(in, part...)
		in = append(in, make([]byte, -len(in)&15)...)
	}
	in = binary.BigEndian.AppendUint64(in, uint64(len(aad))*8)
	in = binary.BigEndian.AppendUint64(in, uint64(len(ciphertext))*8)
	var out []element
	for ; len(in) > 0; in = in[16:] {
		out = append(out, element(in))
	}
	return out
}

// hashKeyAndMask are the two secrets of a GCM tag: H, and the first counter block.
func hashKeyAndMask(block cipher.Block, nonce []byte) (h, mask element) {
	block.Encrypt(h[:], h[:])
	copy(mask[:], nonce)
	mask[15] = 1
	block.Encrypt(mask[:], mask[:])
	return h, mask
}

// gmac computes the tag of GCM.
func gmac(block cipher.Block, nonce, aad, ciphertext []byte) element {
	h, tag := hashKeyAndMask(block, nonce)
	in := blocks(aad, ciphertext)
	for i, x := range in {
		tag = tag.add(x.mul(h.pow(len(in) - i)))
	}
	return tag
}

// solve sets one block of the ciphertext so that both keys give the same tag. The tag
// is linear in the block, so it is one division.
func solve(ciphertext []byte, free int, aad, nonce []byte, block1, block2 cipher.Block) {
	clear(ciphertext[free*16 : free*16+16])
	h1, _ := hashKeyAndMask(block1, nonce)
	h2, _ := hashKeyAndMask(block2, nonce)
	difference := gmac(block1, nonce, aad, ciphertext).add(gmac(block2, nonce, aad, ciphertext))
	exponent := 1 + len(ciphertext)/16 - free
	factor := h1.pow(exponent).add(h2.pow(exponent))
	x := difference.mul(factor.inverse())
	copy(ciphertext[free*16:], x[:])
}
