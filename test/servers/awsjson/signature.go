package awsjson

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// What callers sign with.
const (
	AccessKey = "AKIDEXAMPLE"
	SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// maxSkew is how far a signature's time may be off (AWS General Reference, signing).
const maxSkew = 5 * time.Minute

// Environment is what the SDK's standard chain needs to sign as somebody that the fakes
// know, and to ask nobody else.
func Environment() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey, "AWS_SESSION_TOKEN": "", "AWS_REGION": Region, "AWS_DEFAULT_REGION": "",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_KMS": "", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "", "AWS_ENDPOINT_URL_STS": "",
	}
}

// SignIn lets the SDK's standard chain find those credentials for as long as t runs.
func SignIn(t testing.TB) {
	t.Helper()
	for name, value := range Environment() {
		t.Setenv(name, value)
	}
}

// Callers are who may sign. The zero Callers knows [AccessKey] alone.
type Callers struct {
	mu    sync.Mutex
	known map[string]aws.Credentials // by access key
}

// Let has somebody sign from now on; an end in Expires counts.
func (c *Callers) Let(who aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]aws.Credentials{}
	}
	c.known[who.AccessKeyID] = who
}

// Revoke lets somebody sign no more.
func (c *Callers) Revoke(accessKey string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, accessKey)
}

func (c *Callers) find(accessKey string) (aws.Credentials, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who, ok := c.known[accessKey]
	if !ok && accessKey == AccessKey {
		return aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}, true
	}
	return who, ok
}

// Verify checks a request's signature: the SDK signs again what the request says was
// signed, with the secret that we know, and the two must be one. It returns the access key.
func (c *Callers) Verify(r *http.Request, body []byte, service, region string) (string, *Failure) {
	claim := r.Header.Get("Authorization")
	if claim == "" {
		return "", Fail("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	fields := map[string]string{}
	rest, ours := strings.CutPrefix(claim, "AWS4-HMAC-SHA256 ")
	for field := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	names := strings.Split(fields["SignedHeaders"], ";")
	target := r.Header.Get("X-Amz-Target") == "" || slices.Contains(names, "x-amz-target")
	if err != nil || !ours || !target || !slices.Contains(names, "host") || !slices.Contains(names, "x-amz-date") {
		return "", Fail("IncompleteSignatureException", "")
	}
	accessKey, _, _ := strings.Cut(fields["Credential"], "/")
	who, known := c.find(accessKey)
	if !known || who.SessionToken != r.Header.Get("X-Amz-Security-Token") {
		return "", Fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), http.NoBody)
	if err != nil {
		return "", Fail("IncompleteSignatureException", "")
	}
	for _, name := range names {
		if name == "content-length" {
			again.ContentLength = r.ContentLength
		} else if name != "host" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), who, again, hex.EncodeToString(hash[:]), service, region, at); err != nil {
		return "", Fail("IncompleteSignatureException", "")
	}
	if subtle.ConstantTimeCompare([]byte(again.Header.Get("Authorization")), []byte(claim)) != 1 {
		return "", Fail("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	if skew := time.Since(at).Abs(); skew > maxSkew {
		return "", Fail("InvalidSignatureException", "Signature expired")
	}
	if !who.Expires.IsZero() && time.Now().After(who.Expires) {
		return "", Fail("ExpiredTokenException", "The security token included in the request is expired")
	}
	return accessKey, nil
}
