package integrations

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// Bounds of what is taken in, in bytes. URLs of Teams workflows have some 300, tokens of Argo CD,
// which are JWTs, some 250.
const (
	MaxURL   = 2048
	MaxToken = 4096
)

// signingKeyBytes is how long a key is: Standard Webhooks wants 24 to 64 bytes.
const signingKeyBytes = 32

// KeyPrefix is what a signing key begins with, before its base64 (Standard Webhooks, "Signature
// scheme").
const KeyPrefix = "whsec_"

func invalid(detail string) error {
	return &command.Rejection{Code: command.ErrIntegrationSecret.Code, Detail: detail}
}

// HostOf is the host, perhaps with a port, of an address that is told: all of it that may be
// shown. Errors do not repeat the address.
func HostOf(address secret.Value) (string, error) {
	text := string(address.Expose())
	const form = "the url is https://HOST[:PORT]/PATH, perhaps with a query"
	at, err := url.Parse(text)
	switch {
	case text == "":
		return "", invalid("send the url that messages go to")
	case err != nil || len(text) > MaxURL || at.Scheme != "https" || !command.ValidHost(at.Host) || !utf8.ValidString(text):
		return "", invalid(form)
	case at.User != nil || at.Fragment != "" || strings.Contains(text, "#"):
		return "", invalid(form + ", without a user and a fragment")
	}
	return strings.ToLower(at.Host), nil
}

func checkToken(token secret.Value) error {
	text := token.Expose()
	if len(text) == 0 {
		return invalid("send the token")
	}
	if len(text) > MaxToken {
		return invalid(fmt.Sprintf("a token has at most %d bytes", MaxToken))
	}
	for _, b := range text {
		if b <= ' ' || b > '~' { // it goes into a header
			return invalid("a token is visible ASCII, without spaces and line ends")
		}
	}
	return nil
}

// newSigningKey makes a key, as the text that receivers take.
func newSigningKey() secret.Value {
	key := make([]byte, signingKeyBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand, Go 1.24
	defer clear(key)
	return secret.New(base64.StdEncoding.AppendEncode([]byte(KeyPrefix), key))
}

// given checks what a caller sent as one kind of secret, and says where it leads if it is a url.
func given(what events.IntegrationSecret, value secret.Value) (host string, err error) {
	switch what {
	case events.IntegrationURL:
		return HostOf(value)
	case events.IntegrationToken:
		return "", checkToken(value)
	}
	if len(value.Expose()) > 0 {
		return "", invalid("signing keys are made here, and none is taken")
	}
	return "", nil
}

// checkAuthorities refuses what is no certificate. Its form is looked at by the decider.
func checkAuthorities(text string) error {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return &command.Rejection{Code: command.ErrIntegrationSettings.Code, Detail: "one of the authorities is no certificate"}
		}
	}
}
