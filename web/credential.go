package web

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"
)

// decodeConfiguration is decode for calls that somebody may take for the place to
// configure a store. A field that is named like a credential has an answer of its own;
// what it holds is said nowhere.
func (c *call) decodeConfiguration(v any) error {
	err := c.decode(v)
	var p *problem
	if errors.As(err, &p) && p.Code == errBodyMalformed.Code {
		var body any
		if json.Unmarshal(c.body, &body) == nil && holdsCredential(body) {
			return errCredential
		}
	}
	return err
}

// credentials are what the names of fields for credentials hold, in lower case and
// without punctuation: those of the providers' own tools among them.
var credentials = []string{
	"token", "password", "passwd", "passphrase", "secret", "credential", "accesskey", "apikey", "privatekey", "authkey", "accountkey",
	"sharedkey", "roleid", "bearer", "authorization", "jwt", "connectionstring", "kubeconfig", "cookie", "certificate", "pem", "pfx",
}

// holdsCredential reports whether an object anywhere in a body has such a field. The
// calls that ask have none of their own.
func holdsCredential(body any) bool {
	switch b := body.(type) {
	case []any:
		for _, item := range b {
			if holdsCredential(item) {
				return true
			}
		}
	case map[string]any:
		for name, value := range b {
			if namesCredential(name) || holdsCredential(value) {
				return true
			}
		}
	}
	return false
}

func namesCredential(field string) bool {
	plain := strings.Map(func(c rune) rune {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return -1
		}
		return unicode.ToLower(c)
	}, field)
	for _, word := range credentials {
		if strings.Contains(plain, word) {
			return true
		}
	}
	return false
}
