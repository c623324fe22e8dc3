package main

import (
	"fmt"
	"os"

	"secretsbridge/seal"
)

// progress tells whoever waits. The figures go to the report.
func progress(format string, v ...any) { fmt.Fprintf(os.Stderr, "scale: "+format+"\n", v...) }

// newRecipient is a key that values are revealed to.
func newRecipient() (string, error) {
	key, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		return "", err
	}
	return key.Public().String(), nil
}
