package awskms

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// maxSkew is how far a signature's time may be off (AWS General Reference, signing).
const maxSkew = 5 * time.Minute

// signed verifies a request's signature: the SDK signs again what the request says was
// signed, with the secret that we know, and the two must be one.
func (s *Server) signed(r *http.Request, body []byte) *failure {
	claim := r.Header.Get("Authorization")
	if claim == "" {
		return fail("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	fields := map[string]string{}
	rest, ours := strings.CutPrefix(claim, "AWS4-HMAC-SHA256 ")
	for field := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	names := strings.Split(fields["SignedHeaders"], ";")
	if err != nil || !ours || !slices.Contains(names, "host") || !slices.Contains(names, "x-amz-date") || !slices.Contains(names, "x-amz-target") {
		return fail("IncompleteSignatureException", "")
	}
	if !strings.HasPrefix(fields["Credential"], AccessKey+"/") {
		return fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), http.NoBody)
	if err != nil {
		return fail("IncompleteSignatureException", "")
	}
	for _, name := range names {
		if name == "content-length" {
			again.ContentLength = r.ContentLength
		} else if name != "host" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	hash := sha256.Sum256(body)
	who := aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}
	if err := v4.NewSigner().SignHTTP(r.Context(), who, again, hex.EncodeToString(hash[:]), "kms", s.region, at); err != nil {
		return fail("IncompleteSignatureException", "")
	}
	if subtle.ConstantTimeCompare([]byte(again.Header.Get("Authorization")), []byte(claim)) != 1 {
		return fail("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	if skew := time.Since(at).Abs(); skew > maxSkew {
		return fail("InvalidSignatureException", "Signature expired")
	}
	return nil
}
