package awskms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"secretsbridge/test/servers/awsjson"
)

// Spec is what a key is for.
type Spec string

// The kinds of keys that the product needs.
const (
	Symmetric Spec = "SYMMETRIC_DEFAULT"
	HMAC      Spec = "HMAC_256"
)

// key is one KMS key. Rotation adds material under the same ARN; the older material
// still decrypts.
type key struct {
	id, arn  string
	spec     Spec
	created  time.Time
	disabled bool
	deletion time.Time  // zero: not scheduled
	material []material // oldest first
}

type material struct {
	id  [32]byte
	key []byte
}

func newMaterial() material {
	m := material{key: make([]byte, 32)}
	_, _ = rand.Read(m.key)
	_, _ = rand.Read(m.id[:])
	return m
}

func (k *key) state() string {
	switch {
	case !k.deletion.IsZero():
		return "PendingDeletion"
	case k.disabled:
		return "Disabled"
	}
	return "Enabled"
}

// usable refuses as KMS does for keys that are disabled or wait for their deletion.
func (k *key) usable() *failure {
	switch k.state() {
	case "PendingDeletion":
		return fail("KMSInvalidStateException", k.arn+" is pending deletion.")
	case "Disabled":
		return fail("DisabledException", k.arn+" is disabled.")
	}
	return nil
}

func (k *key) is(spec Spec) *failure {
	if k.spec != spec {
		return fail("InvalidKeyUsageException", k.arn+" key usage is "+k.usage()+" which is not valid for this operation.")
	}
	return nil
}

func (k *key) usage() string {
	if k.spec == HMAC {
		return "GENERATE_VERIFY_MAC"
	}
	return "ENCRYPT_DECRYPT"
}

func (k *key) metadata(account string) map[string]any {
	m := map[string]any{
		"AWSAccountId": account, "KeyId": k.id, "Arn": k.arn, "CreationDate": epoch(k.created), "Enabled": k.state() == "Enabled",
		"Description": "", "KeyUsage": k.usage(), "KeyState": k.state(), "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
		"CustomerMasterKeySpec": k.spec, "KeySpec": k.spec, "MultiRegion": false,
	}
	if k.spec == Symmetric {
		m["EncryptionAlgorithms"] = []string{"SYMMETRIC_DEFAULT"}
		m["CurrentKeyMaterialId"] = hex.EncodeToString(k.material[len(k.material)-1].id[:])
	} else {
		m["MacAlgorithms"] = []string{"HMAC_SHA_256"}
	}
	if !k.deletion.IsZero() {
		m["DeletionDate"] = epoch(k.deletion)
	}
	return m
}

func epoch(t time.Time) float64 { return awsjson.Epoch(t) }

// header opens every recorded ciphertext of a symmetric key; the id of the material
// follows it.
var header = []byte{0x01, 0x02, 0x02, 0x00, 0x78}

// seal makes a blob: header, material id, nonce, then AES-256-GCM over the plaintext,
// tied to all that is before it, the ARN and the context.
func (k *key) seal(plain []byte, context map[string]string) []byte {
	m := k.material[len(k.material)-1]
	blob := append(append([]byte{}, header...), m.id[:]...)
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	blob = append(blob, nonce...)
	return append(blob, gcm(m.key).Seal(nil, nonce, plain, k.aad(blob, context))...)
}

// open is the reverse, for the material that the blob names.
func (k *key) open(m material, blob []byte, context map[string]string) ([]byte, bool) {
	head, sealed := blob[:len(header)+32+12], blob[len(header)+32+12:]
	plain, err := gcm(m.key).Open(nil, head[len(header)+32:], sealed, k.aad(head, context))
	return plain, err == nil
}

func (k *key) aad(head []byte, context map[string]string) []byte {
	// fmt prints maps sorted by key, and %q ends each field.
	return fmt.Appendf(append([]byte{}, head...), "%q%q", k.arn, context)
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
