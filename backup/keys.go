package backup

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Recipients are who can read a backup.
type Recipients struct{ all []age.Recipient }

// ParseRecipients reads public keys of age, "age1…", one a line; a line that begins with # is left
// out. At least one is needed.
func ParseRecipients(text string) (Recipients, error) {
	if strings.TrimSpace(text) == "" {
		return Recipients{}, errors.New("a backup needs a recipient, age1…: `age-keygen` makes one")
	}
	all, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil {
		return Recipients{}, fmt.Errorf("recipients of the backup: %w", err)
	}
	return Recipients{all}, nil
}

// Identities are secret keys that open backups.
type Identities struct{ all []age.Identity }

// ParseIdentities reads what age-keygen writes. The error says nothing of what it read.
func ParseIdentities(r io.Reader) (Identities, error) {
	all, err := age.ParseIdentities(r)
	if err != nil {
		return Identities{}, errors.New("it holds no identity of age, AGE-SECRET-KEY-…, as age-keygen writes them")
	}
	return Identities{all}, nil
}
