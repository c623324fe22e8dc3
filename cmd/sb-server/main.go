// Command sb-server is the control plane of Secrets Bridge: it decides, keeps the
// record, and never holds a provider's credentials.
package main

//go:generate go test -run TestReferenceIsCurrent -count=1 . -update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"secretsbridge/command"
	"secretsbridge/doctor"
	"secretsbridge/internal/build"
	"secretsbridge/internal/harden"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := commands()
	if err := harden.NoCore(); err != nil {
		fmt.Fprintln(os.Stderr, "sb-server:", err)
		os.Exit(1)
	}
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, context.Canceled) && !errors.Is(err, command.ErrLogUnsafe) {
		return
	}
	if errors.Is(err, doctor.ErrDoubtful) {
		os.Exit(doctor.ExitDoubtful) // the report says it all
	}
	if errors.Is(err, doctor.ErrFailed) {
		os.Exit(doctor.ExitFailed)
	}
	fmt.Fprintln(os.Stderr, "sb-server:", err)
	os.Exit(exitCode(err))
}

func commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "sb-server",
		Short:         "the control plane of Secrets Bridge",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		devCommand(), serveCommand(), migrateCommand(), rebuildCommand(),
		keysCommand(), kmsCommand(), signingCommand(), checkpointKeyCommand(), personCommand(), natsCommand(),
		backupCommand(), restoreCommand(), doctorCommand(), supportCommand(),
	)
	root.AddCommand(&cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), build.Version()) },
	})
	return root
}
