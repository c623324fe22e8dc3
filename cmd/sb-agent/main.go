// Command sb-agent executes approved requests inside the network of the providers it
// serves. It opens no network listener: one link goes out to the control plane.
package main

//go:generate go test -run TestReferenceIsCurrent -count=1 . -update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"secretsbridge/internal/build"
	"secretsbridge/internal/harden"
	"secretsbridge/internal/trace"
)

// errUsage marks a mistake in flags or arguments; the exit code is then 2.
var errUsage = errors.New("usage")

func main() { os.Exit(run()) }

// run returns the exit code: 0 done, 1 not done, 2 called wrongly.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // the second signal ends the process at once
	}()
	err := harden.NoCore()
	if err == nil {
		err = command().ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "sb-agent:", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "sb-agent",
		Short:         "Executes approved requests next to the providers of one cluster",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see %s --help", errUsage, err, c.CommandPath())
	})
	root.AddCommand(enrolCommand(), runCommand(), statusCommand(), acceptLogCommand(), fingerprintKeyCommand(), versionCommand())
	for _, c := range root.Commands() {
		c.Args = noArgs
	}
	root.AddCommand(putCommand())
	return root
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %s takes no arguments; see %s --help", errUsage, c.Name(), c.CommandPath())
	}
	return nil
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), build.Version())
			return err
		},
	}
}

// dirFlag adds --dir, which SB_AGENT_DIR fills.
func dirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", os.Getenv("SB_AGENT_DIR"), "directory of the agent's identity (SB_AGENT_DIR)")
}

// needed refuses a flag that is neither given nor in the environment.
func needed(flag, value string) error {
	if value == "" {
		return fmt.Errorf("%w: --%s is missing", errUsage, flag)
	}
	return nil
}

// newLogger writes to w; level and format come from the environment.
func newLogger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if text := os.Getenv("SB_LOG_LEVEL"); text != "" {
		if err := level.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("%w: SB_LOG_LEVEL is none of debug, info, warn, error", errUsage)
		}
	}
	options := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(os.Getenv("SB_LOG_FORMAT")) {
	case "", "json":
		return slog.New(trace.Handler(slog.NewJSONHandler(w, options))), nil
	case "text":
		return slog.New(trace.Handler(slog.NewTextHandler(w, options))), nil
	}
	return nil, fmt.Errorf("%w: SB_LOG_FORMAT is neither json nor text", errUsage)
}
