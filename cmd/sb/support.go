package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"secretsbridge/internal/private"
	"secretsbridge/web/api/client"
)

func supportCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "support", Short: "Gather what helps to find out what is wrong with a server"}
	c.AddCommand(&cobra.Command{
		Use:   "bundle FILE",
		Short: "Write one file of what a server says of itself and of what it stands on, without secrets",
		Long: "Has the server that answers make a support bundle, and writes it into a new file (tar, compressed by gzip, mode\n" +
			"0600): versions, settings, the doctor's report, metrics, the newest log lines and more, for whoever helps. It holds\n" +
			"no value, token, password, key, name of a person, reason or path of a secret. It takes up to half a minute, and a\n" +
			"server makes one in half a minute. That you took it, and the digest of the file, is in the audit. Where no\n" +
			"server answers, sb-server support bundle on its host makes one of what can be reached.",
		Example: "  sb support bundle bundle.tar.gz",
		Args:    takes("FILE"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			name := args[0]
			if _, err := os.Lstat(name); err == nil {
				return usage("%s is there already: name another file", name)
			}
			path, err := filepath.Abs(name)
			if err != nil {
				return fmt.Errorf("find the folder of %s: %w", name, err)
			}
			file, err := client.SupportBundle(c.Context(), to)
			if err != nil {
				return err
			}
			if err := private.Replace(filepath.Dir(path), filepath.Base(path), file); err != nil {
				return fmt.Errorf("write the support bundle: %w", err)
			}
			digest := sha256.Sum256(file)
			said := bundleTaken{name, len(file), base64.StdEncoding.EncodeToString(digest[:])}
			if a.output == "json" {
				text, err := json.Marshal(said)
				if err != nil {
					return fmt.Errorf("say what was written: %w", err)
				}
				return writeJSON(c.OutOrStdout(), text)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d bytes, sha256 %s\n", clean(said.File), said.Bytes, said.SHA256)
			return err
		}),
	})
	return c
}

// bundleTaken is what is said of a bundle that was written. The audit has the same digest.
type bundleTaken struct {
	File   string `json:"file"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // in base64
}
