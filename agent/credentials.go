package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A ticket never carries a credential: an agent has its own. One that does was made by a
// control plane that is broken or not ours, and nothing of it is done.

// What names of credentials look like, in lower case and without what is neither letter
// nor digit: those that hold one of the first, and those that are one of the second.
var (
	credentialParts = []string{
		"token", "password", "passwd", "passphrase", "secretid", "secretkey", "secretaccess", "clientsecret", "sharedsecret", "accesskey",
		"privatekey", "apikey", "credential", "authorization", "authentication", "cookie", "bearer", "jwt",
	}
	credentialNames = []string{"pwd", "pass", "auth", "connectionstring"}
)

// likeCredential reports whether a member of that name would hold a credential.
func likeCredential(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	return slices.Contains(credentialNames, plain) ||
		slices.ContainsFunc(credentialParts, func(part string) bool { return strings.Contains(plain, part) })
}

// refuseCredentials looks at the names of all members of a ticket, at any depth, also of
// those that no field takes. Names that are data, such as the keys of a secret, are values
// there. The error names the member and nothing of its value.
func refuseCredentials(ticket []byte) error {
	const shown = 64 // characters; no name of ours has half of them
	decoder := json.NewDecoder(bytes.NewReader(ticket))
	decoder.UseNumber()
	var objects []bool // for each level whether it is an object, not an array
	member := false    // whether a member's name comes next
	for {
		next, err := decoder.Token()
		if err != nil {
			return nil // the end: the ticket was decoded before
		}
		switch token := next.(type) {
		case json.Delim:
			if token == '{' || token == '[' {
				objects = append(objects, token == '{')
			} else {
				objects = objects[:len(objects)-1]
			}
		case string:
			if member {
				if likeCredential(token) {
					return fmt.Errorf("%w: it carries a member named like a credential: %.*q", errNotForUs, shown, token)
				}
				member = false
				continue
			}
		}
		member = len(objects) > 0 && objects[len(objects)-1]
	}
}
