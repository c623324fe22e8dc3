package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/agent"
	"secretsbridge/agent/kube"
	"secretsbridge/internal/socket"
	"secretsbridge/nats/leaf"
)

// statusTimeout bounds one answer, on both sides.
const statusTimeout = 5 * time.Second

// report is what a running agent answers: one JSON document, then the end of the
// connection. It holds no secret.
type report struct {
	agent.Status
	Name string     `json:"name"`
	Link leaf.State `json:"link"` // up, down or refused

	Kube *kube.State `json:"kube,omitempty"` // of SB_AGENT_KUBE; nil: off
}

// statusSocket answers whoever may open it: the agent's own user.
type statusSocket struct {
	path     string
	listener *net.UnixListener
	done     sync.WaitGroup
}

// listenStatus replaces a socket that a killed agent left: the caller holds the lock of
// the agent's directory.
func listenStatus(path string, ask func() report, log *slog.Logger) (*statusSocket, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen for status: %w", err)
	}
	var listener *net.UnixListener
	err := socket.At(path, func(short string) (err error) {
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen for status: %w", err)
	}
	listener.SetUnlinkOnClose(false) // by the short name, which has ended
	s := &statusSocket{path: path, listener: listener}
	if err := os.Chmod(path, 0o600); err != nil {
		s.close()
		return nil, fmt.Errorf("listen for status: %w", err)
	}
	s.done.Go(func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					log.Error("status is not answered any more", "err", err)
				}
				return
			}
			_ = conn.SetDeadline(time.Now().Add(statusTimeout))
			if err := errors.Join(json.NewEncoder(conn).Encode(ask()), conn.Close()); err != nil {
				log.Debug("status was not taken", "err", err)
			}
		}
	})
	return s, nil
}

// close ends the socket and removes it.
func (s *statusSocket) close() {
	_ = os.Remove(s.path)
	_ = s.listener.Close()
	s.done.Wait()
}

func statusCommand() *cobra.Command {
	var dir, socket, output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Ask the running agent on this host how it stands",
		RunE: func(c *cobra.Command, _ []string) error {
			if socket == "" {
				if err := needed("dir", dir); err != nil {
					return err
				}
			}
			if output != "text" && output != "json" {
				return fmt.Errorf("%w: --output is text or json", errUsage)
			}
			return status(socketPath(dir, socket), output, c.OutOrStdout())
		},
	}
	dirFlag(c, &dir)
	c.Flags().StringVar(&socket, "socket", "", "the agent's socket, where its configuration moved it")
	c.Flags().StringVar(&output, "output", "text", "text or json")
	return c
}

func status(path, output string, out io.Writer) error {
	var conn net.Conn
	err := socket.At(path, func(short string) (err error) {
		conn, err = net.DialTimeout("unix", short, statusTimeout)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("status: no agent runs here (nobody answers at %s)", path)
	}
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(statusTimeout))
	var r report
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		return fmt.Errorf("status: read the agent's answer: %w", err)
	}
	if output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.print(out)
}

func (r report) print(out io.Writer) error {
	link := string(r.Link)
	if r.Link == leaf.Refused {
		link = "refused (the agent was revoked, or its credentials ended while it was away: enrol it again with --replace and a new token)"
	}
	heartbeat := "never answered"
	if !r.Heartbeat.IsZero() {
		heartbeat = "answered " + r.Heartbeat.Format(time.RFC3339)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "agent\t%s (%s), cluster %s\n", r.Agent, r.Name, r.Cluster)
	fmt.Fprintf(w, "version\t%s, started %s\n", r.Version, r.Started.Format(time.RFC3339))
	fmt.Fprintf(w, "link\t%s; heartbeat %s\n", link, heartbeat)
	fmt.Fprintf(w, "credentials\tuntil %s\n", r.CredentialsExpires.Format(time.RFC3339))
	fmt.Fprintf(w, "key\t%s, since %s; %d earlier still needed; trusts signing key %d\n", r.KeySuite, r.KeySince.Format(time.RFC3339), r.EarlierKeys, r.SigningSerial)
	if r.FingerprintKey != "" {
		fmt.Fprintf(w, "fingerprints\tunder key %s\n", r.FingerprintKey)
	}
	fmt.Fprintf(w, "jobs\t%d in hand; %d slots\n", len(r.Running), r.Slots)
	if r.Log != nil {
		fmt.Fprintf(w, "log\t%s\n", logLine(*r.Log))
	}
	switch skew := r.ClockSkewSeconds; {
	case skew > 0:
		fmt.Fprintf(w, "clock\t%d s behind the control plane's\n", skew)
	case skew < 0:
		fmt.Fprintf(w, "clock\t%d s ahead of the control plane's\n", -skew)
	}
	for _, c := range r.Connections {
		line := fmt.Sprintf("connection\t%s (%s) %s", c.Name, c.Provider, c.State)
		if c.Error != "" {
			line += ": " + strings.ReplaceAll(c.Error, "\n", "; ")
		}
		fmt.Fprintln(w, line)
	}
	if r.Kube != nil {
		fmt.Fprintf(w, "cluster API\t%s\n", kubeLine(*r.Kube))
	}
	return w.Flush()
}

// logLine says what the agent knows of the control plane's log.
func logLine(l agent.LogStatus) string {
	switch {
	case l.Trouble != "":
		return fmt.Sprintf("NO JOBS ARE DONE: %s; evidence in %s; once it is known which log is the right one: sb-agent accept-log", l.Trouble.Sentence(), l.Evidence)
	case l.Seen.IsZero():
		return "not seen since the agent started; no jobs are done until it is"
	}
	return fmt.Sprintf("%d commits, root %s; cosigned %s, seen %s", l.Size, l.Root, l.Cosigned.Format(time.RFC3339), l.Seen.Format(time.RFC3339))
}

// kubeLine says where rollouts are looked at, and how the last look went.
func kubeLine(k kube.State) string {
	line := fmt.Sprintf("%s, namespaces %s", k.Server, strings.Join(k.Namespaces, ", "))
	switch {
	case k.Looked.IsZero():
		return line + "; nobody asked for a look yet"
	case k.Problem != "":
		return fmt.Sprintf("%s; the look at %s saw nothing (%s): %s", line, k.Looked.Format(time.RFC3339), k.Problem, k.Cause)
	}
	return fmt.Sprintf("%s; looked at %s", line, k.Looked.Format(time.RFC3339))
}
