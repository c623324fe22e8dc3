package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"secretsbridge/internal/private"
	"secretsbridge/seal"
)

// maxFingerprintKey bounds the file that holds one key in base64, 44 bytes.
const maxFingerprintKey = 256

// fingerprintKeyCommand makes the key that an operator gives to all agents whose values
// are to be compared. It asks nobody and keeps nothing.
func fingerprintKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprint-key",
		Short: "Make a key for fingerprints of values",
		Long: "Prints a new key for fingerprint_key_file. Give the same file to all agents whose\n" +
			"values are to be compared, and to nobody else:\n\n" +
			"    (umask 077 && sb-agent fingerprint-key > fingerprint.key)",
		RunE: func(c *cobra.Command, _ []string) error {
			if out, ok := c.OutOrStdout().(*os.File); ok && term.IsTerminal(int(out.Fd())) {
				return fmt.Errorf("%w: fingerprint-key does not show a key on a terminal; send it to a file", errUsage)
			}
			text := seal.GenerateDuplicateKey().Base64()
			defer clear(text)
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", text)
			return err
		},
	}
}

// loadFingerprintKey reads the key from a file that only its owner may read. Without a
// path there is none.
func loadFingerprintKey(path string) (seal.DuplicateKey, error) {
	if path == "" {
		return seal.DuplicateKey{}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return seal.DuplicateKey{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return seal.DuplicateKey{}, err
	case !info.Mode().IsRegular():
		return seal.DuplicateKey{}, fmt.Errorf("%s is no regular file", path)
	case private.Exposed(info):
		return seal.DuplicateKey{}, fmt.Errorf("others may read or write %s (mode %v): run chmod 600 on it", path, info.Mode().Perm())
	}
	raw := make([]byte, maxFingerprintKey)
	defer clear(raw)
	n, err := io.ReadFull(file, raw)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return seal.DuplicateKey{}, err
	}
	key, err := seal.ParseDuplicateKey(bytes.TrimSpace(raw[:n]))
	if err != nil {
		return seal.DuplicateKey{}, fmt.Errorf("%s does not hold exactly one fingerprint key, as sb-agent fingerprint-key makes it", path)
	}
	return key, nil
}
