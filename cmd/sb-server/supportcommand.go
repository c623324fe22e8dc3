package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/private"
	"secretsbridge/web"
)

// offlineBundleTime bounds a bundle that is made without a server.
const offlineBundleTime = 2 * time.Minute

func supportCommand() *cobra.Command {
	root := &cobra.Command{Use: "support", Short: "gather what helps to find out what is wrong"}
	root.AddCommand(&cobra.Command{
		Use:   "bundle FILE",
		Short: "write one file of what a server says of itself and of what it stands on, without secrets",
		Long: "Writes a new file (tar, compressed by gzip, mode 0600) with versions, settings, the doctor's report, metrics, the newest log lines\n" +
			"and more, for whoever helps. It holds no value, token, password, key, name of a person, reason or path of a secret;\n" +
			"docs/how-to/when-something-is-wrong.md lists what is in it. The server that runs with this data directory makes it; where none\n" +
			"runs, this command does, of what can be reached. With a session that may, `sb support bundle` does the same from elsewhere.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), offlineBundleTime)
			defer cancel()
			if _, err := os.Lstat(args[0]); err == nil {
				return fmt.Errorf("%s is there already: name another file", args[0])
			}
			file, from, err := takeBundle(ctx)
			if err != nil {
				return err
			}
			path, err := filepath.Abs(args[0])
			if err == nil {
				err = private.Replace(filepath.Dir(path), filepath.Base(path), file)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes, made by %s\n", args[0], len(file), from)
			return nil
		},
	})
	return root
}

// takeBundle has the running server make one, or makes one of what can be reached.
func takeBundle(ctx context.Context) (file []byte, from string, err error) {
	x := newExamination(os.Environ())
	defer x.close()
	res, err := callControl(ctx, x.settings, http.MethodGet, "/support/bundle", nil)
	if errors.Is(err, errNoServer) {
		file, err = x.bundle(ctx, nil)
		return file, "this command, as no server runs here", err
	}
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var said controlAnswer
		if json.NewDecoder(res.Body).Decode(&said) != nil || said.Error == "" {
			said.Error = "the running sb-server is of another version: restart it"
		}
		return nil, "", errors.New(said.Error)
	}
	file, err = io.ReadAll(res.Body)
	return file, "the server that runs", err
}

// bundleFact bounds recording that a bundle was taken from the host.
const bundleFact = 5 * time.Second

// supportBundle answers a command on this host. That it was taken is a fact before it is sent, if the
// log takes it: a bundle is wanted most where it does not, and whoever has the host could stop the
// server and make one without it.
func (c *control) supportBundle(w http.ResponseWriter, r *http.Request) {
	file, err := c.support(r.Context())
	if errors.Is(err, web.ErrSupportBusy) {
		say(w, http.StatusConflict, controlAnswer{Error: err.Error() + ": wait for half a minute"})
		return
	}
	if err != nil {
		say(w, http.StatusServiceUnavailable, controlAnswer{Error: err.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), bundleFact)
	defer cancel()
	digest := sha256.Sum256(file)
	meta := command.Meta{Command: events.NewCommandID(), Actor: operator, Time: time.Now()}
	_, err = command.Record(ctx, c.log, events.AccessStream(operator), meta, events.SupportBundleTaken{
		Bytes: len(file), SHA256: base64.StdEncoding.EncodeToString(digest[:]),
	})
	if err != nil {
		c.logger.Warn("a support bundle was taken from the host, and that is no fact", "bytes", len(file), "err", err)
	} else {
		c.logger.Info("a support bundle was taken from the host", "bytes", len(file))
	}
	w.Header().Set("Content-Type", "application/gzip")
	_, _ = w.Write(file) // whoever asked may have gone
}
