package seal_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha3"
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/seal"
)

// wycheproofGroup holds what its tests share. Sizes are in bits.
type wycheproofGroup struct {
	IVSize    int
	KeySize   int
	TagSize   int
	PublicKey struct{ PK hexBytes }
	Tests     []wycheproofTest
}

type wycheproofTest struct {
	ID      int `json:"tcId"`
	Comment string
	Flags   []string
	Result  string // "valid", "invalid", or "acceptable": as the implementation likes

	Key, IV, AAD, Msg, CT, Tag, Sig hexBytes // AES-GCM, HMAC, Ed25519
	IKM, Salt, Info, OKM            hexBytes // HKDF
	Size                            int
	Public, Private, Shared         hexBytes // X25519
	Seed, EK, C, K                  hexBytes // ML-KEM
}

// outcome is what the code did with a test.
type outcome string

const (
	accepted      outcome = "accepted"
	rejected      outcome = "rejected"
	differs       outcome = "accepted with another result"
	notApplicable outcome = "left out"
)

// checked counts the tests of one file. Every test is in one of the four.
type checked struct{ Accepted, Rejected, NotApplicable, Wrong int }

// runWycheproof runs every test of a file and compares what came of it with what the
// file wants, and the counts with ours.
func runWycheproof(t *testing.T, file string, want checked, run func(g wycheproofGroup, test wycheproofTest) outcome) {
	t.Helper()
	var v struct {
		Count  int               `json:"numberOfTests"`
		Groups []wycheproofGroup `json:"testGroups"`
	}
	readVectors(t, "testdata/vectors/wycheproof-"+file+".json.gz", &v)
	got := checked{}
	for _, g := range v.Groups {
		for _, test := range g.Tests {
			switch o := run(g, test); {
			case o == notApplicable:
				got.NotApplicable++
			case o == accepted && test.Result != "invalid":
				got.Accepted++
			case o == rejected && test.Result != "valid":
				got.Rejected++
			default:
				got.Wrong++
				t.Errorf("%s %d (%s %v) is %s, and was %s", file, test.ID, test.Comment, test.Flags, test.Result, o)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
	if all := got.Accepted + got.Rejected + got.NotApplicable + got.Wrong; all != v.Count {
		t.Errorf("%s: %d tests, the file says %d", file, all, v.Count)
	}
}

// as is accepted if the results are equal.
func as(got, want []byte) outcome {
	if bytes.Equal(got, want) {
		return accepted
	}
	return differs
}

// Each test's key opens a message that was encapsulated to it with the test's result. A
// result of zeros comes of a point of low order, which everybody could have sent: such
// a message opens for nobody, and nobody seals to such a key.
func TestWycheproofX25519(t *testing.T) {
	signer := newParty(t, seal.X25519).signer
	runWycheproof(t, "x25519", checked{Accepted: 487, Rejected: 31}, func(_ wycheproofGroup, v wycheproofTest) outcome {
		p := party{agent: vectorKey(t, seal.X25519, v.Private), signer: signer}
		secret := secretOfX25519(t, v.Shared, v.Public, p.agent.Public().Bytes())
		got, err := p.open(messageOfSecret(t, p, seal.X25519, v.Public, secret, v.Shared))

		to, sealErr := seal.ParseRecipientPublic("x25519:" + base64.RawURLEncoding.EncodeToString(v.Public))
		if sealErr == nil {
			b := p.binding()
			b.AgentKey = to.ID()
			_, sealErr = seal.SealMessage(to, signer, b, []byte("x"))
		}
		if bytes.Equal(v.Shared, make([]byte, 32)) {
			refused(t, "a point of low order", got, err, seal.ErrOpen)
			if sealErr == nil {
				t.Errorf("test %d: sealed to a point of low order", v.ID)
			}
			return rejected
		}
		if err != nil || sealErr != nil {
			t.Errorf("test %d: open: %v, seal: %v", v.ID, err, sealErr)
			return differs
		}
		return as(got, v.Shared)
	})
}

// Value boxes and the tags of messages use keys of 256 bits, nonces of 96 and tags of
// 128, and no other sizes.
func TestWycheproofAESGCM(t *testing.T) {
	runWycheproof(t, "aes_gcm", checked{Accepted: 39, Rejected: 27, NotApplicable: 250}, func(g wycheproofGroup, v wycheproofTest) outcome {
		if g.KeySize != 8*seal.KeySize || g.IVSize != 96 || g.TagSize != 128 {
			return notApplicable
		}
		gcm, err := seal.NewGCM(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := gcm.Open(nil, v.IV, append(bytes.Clone(v.CT), v.Tag...), v.AAD)
		if err != nil {
			return rejected
		}
		if as(gcm.Seal(nil, v.IV, v.Msg, v.AAD), append(bytes.Clone(v.CT), v.Tag...)) != accepted {
			return differs
		}
		return as(got, v.Msg)
	})
}

func TestWycheproofHKDF(t *testing.T) {
	for file, hash := range map[string]struct {
		derive func(secret, salt, info []byte, n int) ([]byte, error)
		want   checked
	}{
		"hkdf_sha256": {seal.DeriveSHA256, checked{Accepted: 83, Rejected: 3}},
		"hkdf_sha512": {seal.DeriveSHA512, checked{Accepted: 80, Rejected: 3}},
	} {
		runWycheproof(t, file, hash.want, func(_ wycheproofGroup, v wycheproofTest) outcome {
			got, err := hash.derive(v.IKM, v.Salt, v.Info, v.Size)
			if err != nil {
				return rejected
			}
			return as(got, v.OKM)
		})
	}
}

// Fingerprints keep the first 16 bytes, as half of the tests do. Cutting the message in
// two changes nothing.
func TestWycheproofHMAC(t *testing.T) {
	runWycheproof(t, "hmac_sha256", checked{Accepted: 66, Rejected: 108}, func(g wycheproofGroup, v wycheproofTest) outcome {
		got := seal.MAC(v.Key, v.Msg[:len(v.Msg)/3], v.Msg[len(v.Msg)/3:])
		if as(got[:g.TagSize/8], v.Tag) != accepted {
			return rejected
		}
		return accepted
	})
}

func TestWycheproofEd25519(t *testing.T) {
	runWycheproof(t, "ed25519", checked{Accepted: 88, Rejected: 63}, func(g wycheproofGroup, v wycheproofTest) outcome {
		key, err := seal.ParseVerifyKey("ed25519:" + base64.RawURLEncoding.EncodeToString(g.PublicKey.PK))
		if err != nil {
			t.Fatal(err)
		}
		if seal.VerifySigned(key, v.Msg, v.Sig) != nil {
			return rejected
		}
		return accepted
	})
}

// Each test's key is the ML-KEM half of an X-Wing key, and opens a message that was
// encapsulated to it with the test's result. What a key file holds of an X-Wing key is a
// seed of 32 bytes, from which the seed of the ML-KEM half is hashed: seeds of another
// length never reach us.
func TestWycheproofMLKEM768(t *testing.T) {
	signer := newParty(t, seal.X25519).signer
	curve, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dh, err := ephemeral.ECDH(curve.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	runWycheproof(t, "mlkem_768", checked{Accepted: 161, Rejected: 20, NotApplicable: 20}, func(_ wycheproofGroup, v wycheproofTest) outcome {
		if len(v.Seed) != mlkem.SeedSize {
			return notApplicable
		}
		lattice, err := mlkem.NewDecapsulationKey768(v.Seed)
		if err != nil {
			t.Fatal(err)
		}
		key, err := hpke.NewHybridPrivateKey(lattice, curve)
		if err != nil {
			t.Fatal(err)
		}
		p := party{agent: seal.RecipientKeyOf(key), signer: signer}
		enc := append(bytes.Clone(v.C), ephemeral.PublicKey().Bytes()...)
		if len(v.C) != mlkem.CiphertextSize768 {
			if _, err := seal.OpenVector(hpke.HKDFSHA256(), hpke.AES256GCM(), enc, key, nil); err != nil {
				return rejected
			}
			return accepted
		}
		// draft-connolly-cfrg-xwing-kem, section 5.3.
		secret := sha3.Sum256(bytes.Join([][]byte{v.K, dh, ephemeral.PublicKey().Bytes(), curve.PublicKey().Bytes(), []byte(`\.//^\`)}, nil))
		got, err := p.open(messageOfSecret(t, p, seal.XWing, enc, secret[:], v.K))
		if err != nil {
			return rejected
		}
		return as(got, v.K)
	})
}

// What is no encapsulation key of ML-KEM is no X-Wing key of an agent either.
func TestWycheproofMLKEM768Keys(t *testing.T) {
	p := newParty(t, seal.X25519)
	runWycheproof(t, "mlkem_768_encaps", checked{Accepted: 133, Rejected: 132}, func(_ wycheproofGroup, v wycheproofTest) outcome {
		raw := append(bytes.Clone(v.EK), p.agent.Public().Bytes()...)
		to, err := seal.ParseRecipientPublic("xwing:" + base64.RawURLEncoding.EncodeToString(raw))
		if err != nil {
			return rejected
		}
		b := p.binding()
		b.AgentKey = to.ID()
		if _, err := seal.SealMessage(to, p.signer, b, []byte("x")); err != nil {
			return differs
		}
		return as(to.Bytes(), raw)
	})
}
