package awskms

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"secretsbridge/test/servers/awsjson"
)

// operations are what the fake can do, by their names in the protocol.
var operations = map[string]func(*Server, []byte) (any, *failure){
	"Encrypt":             (*Server).encrypt,
	"Decrypt":             (*Server).decrypt,
	"ReEncrypt":           (*Server).reEncrypt,
	"GenerateMac":         (*Server).generateMac,
	"VerifyMac":           (*Server).verifyMac,
	"CreateKey":           (*Server).createKey,
	"DescribeKey":         (*Server).describeKey,
	"ListAliases":         (*Server).listAliases,
	"EnableKey":           (*Server).enableKey,
	"DisableKey":          (*Server).disableKey,
	"RotateKeyOnDemand":   (*Server).rotateKey,
	"ScheduleKeyDeletion": (*Server).scheduleKeyDeletion,
}

// maxPlaintext and the others are KMS's own limits (API Reference, and api-2.json).
const (
	maxPlaintext  = 4096
	maxCiphertext = 6144
	maxMessage    = 4096
	maxContext    = 8192
)

func (s *Server) encrypt(body []byte) (any, *failure) {
	in, f := request[struct {
		KeyID     string            `json:"KeyId"`
		Plaintext []byte            `json:"Plaintext"`
		Context   map[string]string `json:"EncryptionContext"`
		Algorithm string            `json:"EncryptionAlgorithm"`
	}](body)
	if f != nil {
		return nil, f
	}
	switch {
	case len(in.Plaintext) == 0:
		return nil, validation("plaintext", "Member must have length greater than or equal to 1")
	case len(in.Plaintext) > maxPlaintext:
		return nil, validation("plaintext", fmt.Sprintf("Member must have length less than or equal to %d", maxPlaintext))
	}
	k, f := s.usable("Encrypt", in.KeyID, Symmetric, in.Context, in.Algorithm)
	if f != nil {
		return nil, f
	}
	return map[string]any{"CiphertextBlob": k.seal(in.Plaintext, in.Context), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyId": k.arn}, nil
}

// usable finds a key that will do an operation now.
func (s *Server) usable(operation, name string, spec Spec, context map[string]string, algorithm string) (*key, *failure) {
	k, f := s.find(operation, name)
	if f != nil {
		return nil, f
	}
	if f := k.usable(); f != nil {
		return nil, f
	}
	if f := k.is(spec); f != nil {
		return nil, f
	}
	size := 0
	for key, value := range context {
		size += len(key) + len(value)
	}
	if size > maxContext || (algorithm != "" && algorithm != "SYMMETRIC_DEFAULT") {
		return nil, fail("ValidationException", "")
	}
	return k, nil
}

func (s *Server) decrypt(body []byte) (any, *failure) {
	in, f := request[struct {
		KeyID     string            `json:"KeyId"`
		Blob      []byte            `json:"CiphertextBlob"`
		Context   map[string]string `json:"EncryptionContext"`
		Algorithm string            `json:"EncryptionAlgorithm"`
	}](body)
	if f != nil {
		return nil, f
	}
	k, m, plain, f := s.open("Decrypt", in.KeyID, in.Blob, in.Context, in.Algorithm)
	if f != nil {
		return nil, f
	}
	return map[string]any{
		"EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyId": k.arn, "KeyMaterialId": hex.EncodeToString(m.id[:]),
		"KeyOrigin": "AWS_KMS", "Plaintext": plain,
	}, nil
}

// open decrypts. A wrong context, a swapped blob and a damaged one are all
// InvalidCiphertextException without a message; a key that is not the blob's is
// IncorrectKeyException.
func (s *Server) open(operation, name string, blob []byte, context map[string]string, algorithm string) (*key, material, []byte, *failure) {
	switch {
	case len(blob) == 0:
		return nil, material{}, nil, validation("ciphertextBlob", "Member must have length greater than or equal to 1")
	case len(blob) > maxCiphertext:
		return nil, material{}, nil, validation("ciphertextBlob", fmt.Sprintf("Member must have length less than or equal to %d", maxCiphertext))
	}
	var named *key
	if name != "" {
		var f *failure
		if named, f = s.find(operation, name); f != nil {
			return nil, material{}, nil, f
		}
	}
	k, m, found := s.byMaterial(blob)
	switch {
	case !found:
		return nil, material{}, nil, fail("InvalidCiphertextException", "")
	case named != nil && named != k:
		return nil, material{}, nil, fail("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	if _, f := s.usable(operation, k.arn, Symmetric, context, algorithm); f != nil {
		return nil, material{}, nil, f
	}
	plain, ok := k.open(m, blob, context)
	if !ok {
		return nil, material{}, nil, fail("InvalidCiphertextException", "")
	}
	return k, m, plain, nil
}

func (s *Server) byMaterial(blob []byte) (*key, material, bool) {
	if len(blob) < len(header)+32+12+16 || !bytes.HasPrefix(blob, header) {
		return nil, material{}, false
	}
	for _, k := range s.keys {
		for _, m := range k.material {
			if bytes.Equal(m.id[:], blob[len(header):len(header)+32]) {
				return k, m, true
			}
		}
	}
	return nil, material{}, false
}

func (s *Server) reEncrypt(body []byte) (any, *failure) {
	in, f := request[struct {
		Blob    []byte            `json:"CiphertextBlob"`
		From    string            `json:"SourceKeyId"`
		Context map[string]string `json:"SourceEncryptionContext"`
		To      string            `json:"DestinationKeyId"`
		After   map[string]string `json:"DestinationEncryptionContext"`
	}](body)
	if f != nil {
		return nil, f
	}
	from, m, plain, f := s.open("ReEncryptFrom", in.From, in.Blob, in.Context, "")
	if f != nil {
		return nil, f
	}
	to, f := s.usable("ReEncryptTo", in.To, Symmetric, in.After, "")
	if f != nil {
		return nil, f
	}
	return map[string]any{
		"CiphertextBlob": to.seal(plain, in.After), "SourceKeyId": from.arn, "KeyId": to.arn,
		"SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
		"SourceKeyMaterialId": hex.EncodeToString(m.id[:]), "DestinationKeyMaterialId": hex.EncodeToString(to.material[len(to.material)-1].id[:]),
	}, nil
}

type macRequest struct {
	KeyID     string `json:"KeyId"`
	Message   []byte `json:"Message"`
	Algorithm string `json:"MacAlgorithm"`
	MAC       []byte `json:"Mac"`
}

func (s *Server) mac(operation string, body []byte) (*key, macRequest, []byte, *failure) {
	in, f := request[macRequest](body)
	if f != nil {
		return nil, in, nil, f
	}
	if len(in.Message) == 0 || len(in.Message) > maxMessage {
		return nil, in, nil, validation("message", fmt.Sprintf("Member must have length between 1 and %d", maxMessage))
	}
	k, f := s.usable(operation, in.KeyID, HMAC, nil, "")
	if f != nil {
		return nil, in, nil, f
	}
	if in.Algorithm != "HMAC_SHA_256" {
		return nil, in, nil, fail("InvalidKeyUsageException", "Algorithm "+in.Algorithm+" is incompatible with key spec HMAC_256.")
	}
	mac := hmac.New(sha256.New, k.material[0].key)
	mac.Write(in.Message)
	return k, in, mac.Sum(nil), nil
}

func (s *Server) generateMac(body []byte) (any, *failure) {
	k, in, mac, f := s.mac("GenerateMac", body)
	if f != nil {
		return nil, f
	}
	return map[string]any{"KeyId": k.arn, "Mac": mac, "MacAlgorithm": in.Algorithm}, nil
}

func (s *Server) verifyMac(body []byte) (any, *failure) {
	k, in, mac, f := s.mac("VerifyMac", body)
	if f != nil {
		return nil, f
	}
	if !hmac.Equal(mac, in.MAC) {
		return nil, fail("KMSInvalidMacException", "")
	}
	return map[string]any{"KeyId": k.arn, "MacAlgorithm": in.Algorithm, "MacValid": true}, nil
}

func (s *Server) createKey(body []byte) (any, *failure) {
	in, f := request[struct {
		Spec  Spec   `json:"KeySpec"`
		Usage string `json:"KeyUsage"`
	}](body)
	if f != nil {
		return nil, f
	}
	if in.Spec == "" {
		in.Spec = Symmetric
	}
	if in.Spec == HMAC && in.Usage != "GENERATE_VERIFY_MAC" || in.Spec != HMAC && in.Spec != Symmetric {
		return nil, fail("ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	}
	return map[string]any{"KeyMetadata": s.create(awsjson.NewUUID(), in.Spec).metadata(s.account)}, nil
}

type keyRequest struct {
	KeyID string `json:"KeyId"`
	Days  int    `json:"PendingWindowInDays"`
}

func (s *Server) describeKey(body []byte) (any, *failure) {
	return s.withKey("DescribeKey", body, func(k *key, _ keyRequest) any {
		return map[string]any{"KeyMetadata": k.metadata(s.account)}
	})
}

func (s *Server) withKey(operation string, body []byte, run func(*key, keyRequest) any) (any, *failure) {
	in, f := request[keyRequest](body)
	if f != nil {
		return nil, f
	}
	k, f := s.find(operation, in.KeyID)
	if f != nil {
		return nil, f
	}
	return run(k, in), nil
}

func (s *Server) enableKey(body []byte) (any, *failure) {
	return s.withKey("EnableKey", body, func(k *key, _ keyRequest) any { k.disabled = false; return nil })
}

func (s *Server) disableKey(body []byte) (any, *failure) {
	return s.withKey("DisableKey", body, func(k *key, _ keyRequest) any { k.disabled = true; return nil })
}

func (s *Server) rotateKey(body []byte) (any, *failure) {
	return s.withKey("RotateKeyOnDemand", body, func(k *key, _ keyRequest) any {
		k.material = append(k.material, newMaterial())
		return map[string]any{"KeyId": k.id}
	})
}

func (s *Server) scheduleKeyDeletion(body []byte) (any, *failure) {
	return s.withKey("ScheduleKeyDeletion", body, func(k *key, in keyRequest) any {
		if in.Days == 0 {
			in.Days = 30
		}
		k.deletion = time.Now().AddDate(0, 0, in.Days)
		return map[string]any{"KeyId": k.arn, "DeletionDate": epoch(k.deletion), "KeyState": "PendingDeletion", "PendingWindowInDays": in.Days}
	})
}

func (s *Server) listAliases([]byte) (any, *failure) {
	found := []map[string]any{}
	for _, a := range s.aliases {
		one := map[string]any{"AliasArn": s.arn(a.Name), "AliasName": a.Name}
		if a.KeyID != "" {
			one["TargetKeyId"], one["CreationDate"], one["LastUpdatedDate"] = a.KeyID, a.Created, a.Updated
		}
		found = append(found, one)
	}
	return map[string]any{"AliasCount": len(found), "Aliases": found, "Truncated": false}, nil
}
