package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"secretsbridge/custody"
	"secretsbridge/internal/socket"
)

// kmsCommand asks the running server of this data directory.
func kmsCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "kms",
		Short: "look after the key manager of the running server",
		Long: "Asks the server that runs on this machine with the same SB_DATA_DIR, over its control socket.\n" +
			"Run it as the user that the server runs as.",
		Args: cobra.NoArgs,
	}
	ask := func(use, short, long, method, path string, each func(io.Writer, controlAnswer) error) {
		root.AddCommand(&cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := loadSettings()
			if err != nil {
				return err
			}
			return askControl(cmd.Context(), s, method, path, func(a controlAnswer) error { return each(cmd.OutOrStdout(), a) })
		}})
	}
	ask("status", "show the key manager, its primary key, and what is stored under which key",
		"Shows the key manager, its primary key, and how many data keys, of envelopes, second factors and integrations, are\n"+
			"stored under which key.\n"+
			"A key under which nothing is stored is not needed any more; docs/kms.md says when that can change.",
		http.MethodGet, "/kms", printStatus)
	ask("rotate", "add a wrapping key and wrap new data keys with it (SB_KMS=local)",
		"Adds a wrapping key and wraps new data keys with it; older ones still open. Only for SB_KMS=local:\n"+
			"for the others it says which command of Vault or AWS rotates.",
		http.MethodPost, "/kms/rotate", printRotated)
	ask("rewrap", "move what is stored to the primary key, while the server works",
		"Moves the data keys of envelopes, second factors and integrations to the key manager's primary key, while the server works.\n"+
			"Ctrl-C stops it; running it again goes on. It fails if one does not open under its old key.",
		http.MethodPost, "/kms/rewrap", printRewrap)
	return root
}

// errStopped is what Ctrl-C comes to.
var errStopped = errors.New("stopped; what was moved stays moved, and running it again goes on")

// errNoServer says that no server runs on this machine with that data directory.
var errNoServer = errors.New("no sb-server runs")

// askControl sends one request to the running server and hands over each line of the
// answer.
func askControl(ctx context.Context, s settings, method, path string, each func(controlAnswer) error) error {
	return askControlWith(ctx, s, method, path, nil, each)
}

// askControlWith is likewise, with something to say in JSON.
func askControlWith(ctx context.Context, s settings, method, path string, what any, each func(controlAnswer) error) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	res, err := callControl(ctx, s, method, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	last := controlAnswer{Error: "the answer was cut off: look at the server's log, then run it again"}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		last = controlAnswer{}
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			return fmt.Errorf("read the answer of the running sb-server: %w", err)
		}
		if last.Error == "" {
			if err := each(last); err != nil {
				return err
			}
		}
	}
	switch {
	case ctx.Err() != nil:
		return errStopped
	case last.Error != "":
		return errors.New(last.Error)
	case last.Progress != nil:
		return errors.New("the rewrap was cut off: look at the server's log, then run it again")
	}
	return nil
}

// callControl sends one request to the running server. The caller closes the answer.
func callControl(ctx context.Context, s settings, method, path string, body io.Reader) (*http.Response, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = socket.At(controlPath(s), func(short string) (err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, "unix", short)
			return err
		})
		return conn, err
	}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path, body)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, errStopped
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w with the data directory %s: start it (the key manager is looked after while it serves), "+
			"or set SB_DATA_DIR to its folder", errNoServer, s.DataDir)
	case err != nil:
		return nil, fmt.Errorf("ask the running sb-server: %w", err)
	}
	return res, nil
}

func printStatus(out io.Writer, a controlAnswer) error {
	if a.Status == nil {
		return errors.New("the running sb-server is of another version: restart it")
	}
	fmt.Fprintf(out, "key manager  %s\nprimary key  %s\n", a.Status.Backend, a.Status.Primary)
	if len(a.Status.Envelopes) == 0 {
		fmt.Fprintln(out, "data keys    none")
	}
	for _, key := range slices.Sorted(maps.Keys(a.Status.Envelopes)) {
		note := ""
		if key != a.Status.Primary {
			note = "  (run `sb-server kms rewrap` to move them)"
		}
		fmt.Fprintf(out, "data keys    %d under %s%s\n", a.Status.Envelopes[key], key, note)
	}
	return nil
}

func printRotated(out io.Writer, a controlAnswer) error {
	fmt.Fprintf(out, "%s wraps from now on; `sb-server kms rewrap` moves what is stored\n", a.Rotated)
	return nil
}

func printRewrap(out io.Writer, a controlAnswer) error {
	if p := a.Progress; p != nil {
		fmt.Fprintf(out, "%d of %d moved to %s%s\n", p.Moved, p.Total, p.Key, besides(*p))
		return nil
	}
	if a.Done == nil {
		return errors.New("the running sb-server is of another version: restart it")
	}
	fmt.Fprintf(out, "done: %d moved%s\n", a.Done.Moved, besides(*a.Done))
	if a.Done.Failed > 0 {
		return fmt.Errorf("%d do not open under their old key and stay as they are (%v): nobody can reveal or use them; docs/kms.md says what that means",
			a.Done.Failed, a.Done.Named)
	}
	return nil
}

func besides(r custody.Rewrapped) string {
	text := ""
	if r.Skipped > 0 {
		text += fmt.Sprintf(", %d used or destroyed meanwhile", r.Skipped)
	}
	if r.Failed > 0 {
		text += fmt.Sprintf(", %d failed", r.Failed)
	}
	return text
}
